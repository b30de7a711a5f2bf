/* Strings, as they are written.

   Rules:

   - The writer writes a byte a character. Text that fits is copied while it is searched for what
     has to be escaped, which mostly nothing has.
   - Where wide text comes in, it is noted which, and where; the frame that comes out is put
     together of both in its final width, in one pass.
   - What is escaped becomes longer: how much, is found out before. A lone surrogate is not written,
     since no peer could read it. */

#include "scanner.h"

/* ---- Escapes ---- */

/* What was found out about characters. */
typedef struct {
    Py_ssize_t surplus; /* how many more they become, when some of them are escaped */
    bool has_surrogate;
} Survey;

static inline void
survey_character(Survey *survey, Py_UCS4 character)
{
    survey->surplus += is_escaped(character) ? size_of_escape(character) - 1 : 0;
    survey->has_surrogate = survey->has_surrogate || is_surrogate(character);
}

#ifdef HAS_SSE2

/* Add the bytes of a vector to two sums. */
static inline __m128i
add_bytes(__m128i sums, __m128i bytes)
{
    return _mm_add_epi64(sums, _mm_sad_epu8(bytes, _mm_setzero_si128()));
}

/* Survey the runs of a string, and give how many characters they are. It does the same for each
   run, so that there is nothing to mispredict. */
static inline Py_ssize_t
survey_runs(int kind, const void *data, Py_ssize_t length, Survey *survey)
{
    const __m128i one = _mm_set1_epi8(1), four = _mm_set1_epi8(4), last = _mm_set1_epi8(0x1F);
    const __m128i first_letter = _mm_set1_epi8('\b'), letters = _mm_set1_epi8('\r' - '\b');
    __m128i sums = _mm_setzero_si128(), surrogates = _mm_setzero_si128();
    Py_ssize_t at = 0;
    for (; length - at >= RUN; at += RUN) {
        __m128i bytes = narrow_run(kind, data, at, &surrogates);
        __m128i is_control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last), last);
        __m128i letter = _mm_sub_epi8(bytes, first_letter);
        __m128i has_letter = _mm_cmpeq_epi8(_mm_max_epu8(letter, letters), letters);
        has_letter = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\v')), has_letter);
        sums = add_bytes(sums, _mm_and_si128(mark_stops(bytes), one));
        sums = add_bytes(sums, _mm_and_si128(_mm_andnot_si128(has_letter, is_control), four));
    }
    uint64_t both[2];
    memcpy(both, &sums, sizeof both);
    survey->surplus += (Py_ssize_t)(both[0] + both[1]);
    survey->has_surrogate = _mm_movemask_epi8(surrogates) != 0;
    return at;
}

#else

static inline Py_ssize_t
survey_runs(int Py_UNUSED(kind), const void *Py_UNUSED(data), Py_ssize_t Py_UNUSED(length),
            Survey *Py_UNUSED(survey))
{
    return 0;
}

#endif

static inline Survey
survey_characters(int kind, const void *data, Py_ssize_t length)
{
    Survey survey = {0, false};
    for (Py_ssize_t at = survey_runs(kind, data, length, &survey); at < length; at++) {
        survey_character(&survey, PyUnicode_READ(kind, data, at));
    }
    return survey;
}

/* Put text into a string that has room for it, and escape what has to be; give the place behind it.
   The kinds are constants where this is called. */
static inline Py_ssize_t
put_escaped(int kind, void *data, Py_ssize_t to, int from_kind, const void *from,
            Py_ssize_t length)
{
    Py_ssize_t at = 0;
    /* As long as so much is to come, there is room for a run more than what is put: escapes only
       add to it. */
    while (length - at >= 2 * RUN) {
        unsigned marks = escaped_in_run(from_kind, from, at);
        Py_ssize_t end = at + RUN;
        for (; marks != 0; marks &= marks - 1) {
            Py_ssize_t next = end - RUN + lowest_bit(marks);
            Py_UCS4 character = PyUnicode_READ(from_kind, from, next);
            move_run(kind, data, to, from_kind, from, at);
            to += next - at;
            put_eight(kind, data, to, ESCAPES[character]);
            to += size_of_escape(character);
            at = next + 1;
        }
        move_run(kind, data, to, from_kind, from, at);
        to += end - at;
        at = end;
    }
    for (; at < length; at++) {
        Py_UCS4 character = PyUnicode_READ(from_kind, from, at);
        if (!is_escaped(character)) {
            PyUnicode_WRITE(kind, data, to, character);
            to++;
            continue;
        }
        for (int i = 0; i < size_of_escape(character); i++, to++) {
            PyUnicode_WRITE(kind, data, to, (unsigned char)ESCAPES[character][i]);
        }
    }
    return to;
}

/* Write the inside of a JSON string of a byte a character, in which something has to be escaped. */
static bool
write_escaped(Writer *writer, const char *text, Py_ssize_t length)
{
    Survey survey = survey_characters(PyUnicode_1BYTE_KIND, text, length);
    if (!reserve(writer, length + survey.surplus)) {
        return false;
    }
    writer->size = put_escaped(PyUnicode_1BYTE_KIND, writer->data, writer->size,
                               PyUnicode_1BYTE_KIND, text, length);
    return true;
}

/* ---- Wide text ---- */

/* Make room for one more text. */
static bool
reserve_wide(Writer *writer)
{
    if (writer->wide_count < writer->wide_capacity) {
        return true;
    }
    Py_ssize_t capacity = writer->wide_capacity * 2;
    WideText *texts = writer->wide == writer->local_wide
                          ? PyMem_Malloc((size_t)capacity * sizeof *texts)
                          : PyMem_Realloc(writer->wide, (size_t)capacity * sizeof *texts);
    if (texts == NULL) {
        PyErr_NoMemory();
        writer->verdict = RAISED;
        return false;
    }
    if (writer->wide == writer->local_wide) {
        memcpy(texts, writer->local_wide, sizeof writer->local_wide);
    }
    writer->wide = texts;
    writer->wide_capacity = capacity;
    return true;
}

/* Note text that comes in at the present place, from one of its characters on. */
static bool
note_wide(Writer *writer, PyObject *text, Py_ssize_t start, Py_ssize_t surplus)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text) - start;
    /* The same text may come in many times, so that the sum need not fit into memory. */
    if (length > PY_SSIZE_T_MAX / 8 - surplus - writer->wide_length) {
        PyErr_NoMemory();
        writer->verdict = RAISED;
        return false;
    }
    if (!reserve_wide(writer)) {
        return false;
    }
    writer->wide[writer->wide_count++] =
        (WideText){writer->size, Py_NewRef(text), start, length + surplus};
    writer->wide_length += length + surplus;
    return true;
}

/* Write text of the plan, which needs no escapes, from one of its characters on. */
bool
write_wide_planned(Writer *writer, PyObject *text, Py_ssize_t start)
{
    return note_wide(writer, text, start, 0);
}

/* Write the inside of a JSON string of wide characters. */
static bool
write_wide(Writer *writer, PyObject *text)
{
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    Survey survey = PyUnicode_KIND(text) == PyUnicode_2BYTE_KIND
                        ? survey_characters(PyUnicode_2BYTE_KIND, data, length)
                        : survey_characters(PyUnicode_4BYTE_KIND, data, length);
    if (survey.has_surrogate) {
        writer->verdict = REFUSED;
        return false;
    }
    return note_wide(writer, text, 0, survey.surplus);
}

/* ---- Strings ---- */

/* Copy text of a byte a character, many of them at a time; false where something has to be
   escaped. The last ones are taken together, whatever of them was copied before. */
static inline bool
copy_plain(char *to, const char *at, Py_ssize_t size)
{
    if (size >= RUN) {
        for (Py_ssize_t i = 0; i < size - RUN; i += RUN) {
            if (unescaped_before(at + i) < RUN) {
                return false;
            }
            memcpy(to + i, at + i, RUN);
        }
        memcpy(to + size - RUN, at + size - RUN, RUN);
        return unescaped_before(at + size - RUN) == RUN;
    }
    if (size >= 8) {
        uint64_t first = load_8(at), last = load_8(at + size - 8);
        memcpy(to, &first, 8);
        memcpy(to + size - 8, &last, 8);
        return (stops_in(first) | stops_in(last)) == 0;
    }
    if (size >= 4) {
        uint32_t first = load_4(at), last = load_4(at + size - 4);
        memcpy(to, &first, 4);
        memcpy(to + size - 4, &last, 4);
        return stops_in((uint64_t)first << 32 | last) == 0;
    }
    bool is_plain = true;
    for (Py_ssize_t i = 0; i < size; i++) {
        is_plain = is_plain && !is_escaped((unsigned char)at[i]);
        to[i] = at[i];
    }
    return is_plain;
}

/* Write a string. */
bool
write_text(Writer *writer, PyObject *value)
{
    if (!PyUnicode_CheckExact(value)) {
        return doubt(writer);
    }
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(value) < 0) {
        writer->verdict = RAISED;
        return false;
    }
#endif
    if (PyUnicode_KIND(value) != PyUnicode_1BYTE_KIND) {
        return write_byte(writer, '"') && write_wide(writer, value) && write_byte(writer, '"');
    }
    writer->is_ascii = writer->is_ascii && PyUnicode_IS_ASCII(value);
    const char *text = (const char *)PyUnicode_1BYTE_DATA(value);
    Py_ssize_t size = PyUnicode_GET_LENGTH(value);
    if (!reserve(writer, size + 2)) {
        return false;
    }
    char *to = writer->data + writer->size;
    to[0] = '"';
    if (copy_plain(to + 1, text, size)) {
        to[size + 1] = '"';
        writer->size += size + 2;
        return true;
    }
    writer->size++;
    return write_escaped(writer, text, size) && write_byte(writer, '"');
}

/* ---- The frame that comes out ---- */

/* Put bytes into a string, a character each. */
static inline Py_ssize_t
put_narrow(int kind, void *data, Py_ssize_t to, const char *at, Py_ssize_t count)
{
    Py_ssize_t i = 0;
    for (; count - i >= RUN; i += RUN) {
        put_run(kind, data, to + i, at + i);
    }
    for (; i < count; i++) {
        PyUnicode_WRITE(kind, data, to + i, (unsigned char)at[i]);
    }
    return to + count;
}

static Py_ssize_t
put_wide(PyObject *made, Py_ssize_t to, const WideText *wide)
{
    void *data = PyUnicode_DATA(made);
    const void *from = PyUnicode_DATA(wide->text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(wide->text);
    if (wide->length == length - wide->start) { /* nothing is escaped */
        Py_ssize_t copied =
            PyUnicode_CopyCharacters(made, to, wide->text, wide->start, wide->length);
        return copied < 0 ? -1 : to + copied;
    }
    if (PyUnicode_KIND(made) == PyUnicode_2BYTE_KIND) {
        return put_escaped(PyUnicode_2BYTE_KIND, data, to, PyUnicode_2BYTE_KIND, from, length);
    }
    return PyUnicode_KIND(wide->text) == PyUnicode_2BYTE_KIND
               ? put_escaped(PyUnicode_4BYTE_KIND, data, to, PyUnicode_2BYTE_KIND, from, length)
               : put_escaped(PyUnicode_4BYTE_KIND, data, to, PyUnicode_4BYTE_KIND, from, length);
}

static Py_ssize_t
put_between(PyObject *made, Py_ssize_t to, const char *at, Py_ssize_t count)
{
    void *data = PyUnicode_DATA(made);
    return PyUnicode_KIND(made) == PyUnicode_2BYTE_KIND
               ? put_narrow(PyUnicode_2BYTE_KIND, data, to, at, count)
               : put_narrow(PyUnicode_4BYTE_KIND, data, to, at, count);
}

/* Put together what was written, and the wide text in it. */
PyObject *
join_wide(const Writer *writer)
{
    Py_UCS4 largest = 0;
    for (Py_ssize_t i = 0; i < writer->wide_count; i++) {
        Py_UCS4 character = PyUnicode_MAX_CHAR_VALUE(writer->wide[i].text);
        largest = character > largest ? character : largest;
    }
    PyObject *made = PyUnicode_New(writer->size + writer->wide_length, largest);
    if (made == NULL) {
        return NULL;
    }
    Py_ssize_t from = 0, to = 0;
    for (Py_ssize_t i = 0; i < writer->wide_count; i++) {
        const WideText *wide = &writer->wide[i];
        to = put_between(made, to, writer->data + from, wide->at - from);
        from = wide->at;
        to = put_wide(made, to, wide);
        if (to < 0) {
            Py_DECREF(made);
            return NULL;
        }
    }
    put_between(made, to, writer->data + from, writer->size - from);
    return made;
}

/* Count the bytes that the wide text has in UTF-8. */
Py_ssize_t
size_of_wide(const Writer *writer)
{
    Py_ssize_t size = writer->wide_length;
    for (Py_ssize_t i = 0; i < writer->wide_count; i++) {
        PyObject *text = writer->wide[i].text;
        int kind = (int)PyUnicode_KIND(text);
        const void *data = PyUnicode_DATA(text);
        for (Py_ssize_t at = writer->wide[i].start; at < PyUnicode_GET_LENGTH(text); at++) {
            Py_UCS4 character = PyUnicode_READ(kind, data, at);
            size += (character >= 0x80) + (character >= 0x800) + (character >= 0x10000);
        }
    }
    return size;
}

void
release_wide(Writer *writer)
{
    for (Py_ssize_t i = 0; i < writer->wide_count; i++) {
        Py_DECREF(writer->wide[i].text);
    }
    if (writer->wide != writer->local_wide) {
        PyMem_Free(writer->wide);
    }
}
