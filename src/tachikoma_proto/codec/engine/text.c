/* Text: Python's strings ⇄ UTF-8.

   Rules:

   - CPython could do all of this; here it takes half the time, and no string is left holding a
     second form of itself.
   - UTF-8 that comes from outside is judged once, as a whole. Everything else relies on that.
   - Text is mostly made of runs of ASCII, which go many characters at a time. */

#include "text.h"

/* ---- Escapes ---- */

const unsigned char HEX_VALUES[256] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0,   1,   2,   3,   4,   5,   6,   7,   8,
    9,   255, 255, 255, 255, 255, 255, 255, 10,  11,  12,  13,  14,  15,  255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 10,  11,  12,  13,  14,  15,  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255,
};

/* Read four hexadecimal digits; -1 where one of them is none, behind which nothing is read. */
static int
hex_unit(const char *at)
{
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        unsigned digit = HEX_VALUES[(unsigned char)at[i]];
        if (digit == NO_DIGIT) {
            return -1;
        }
        unit = unit << 4 | (int)digit;
    }
    return unit;
}

/* Resolve the `\u` escape at a place, with the second half of a pair; give what comes after it,
   NULL where it is malformed, or one half alone. */
const char *
resolve_unicode(const char *at, Py_UCS4 *character)
{
    int unit = hex_unit(at + 2);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) {
        return NULL;
    }
    at += 6;
    if (unit < 0xD800 || unit > 0xDBFF) {
        *character = (Py_UCS4)unit;
        return at;
    }
    int low = at[0] == '\\' && at[1] == 'u' ? hex_unit(at + 2) : -1;
    if (low < 0xDC00 || low > 0xDFFF) {
        return NULL;
    }
    *character = 0x10000 + ((Py_UCS4)(unit - 0xD800) << 10) + (Py_UCS4)(low - 0xDC00);
    return at + 6;
}

/* How characters are written that must be escaped, and zeros. */
const char ESCAPES[128][8] = {
    "\\u0000", "\\u0001", "\\u0002", "\\u0003",
    "\\u0004", "\\u0005", "\\u0006", "\\u0007",
    "\\b", "\\t", "\\n", "\\u000b",
    "\\f", "\\r", "\\u000e", "\\u000f",
    "\\u0010", "\\u0011", "\\u0012", "\\u0013",
    "\\u0014", "\\u0015", "\\u0016", "\\u0017",
    "\\u0018", "\\u0019", "\\u001a", "\\u001b",
    "\\u001c", "\\u001d", "\\u001e", "\\u001f",
    ['"'] = "\\\"", ['\\'] = "\\\\",
};

/* ---- From UTF-8 ---- */

/* Take a character from UTF-8 that is known to be good; give what comes after it. */
static inline const char *
take_utf8(const char *at, Py_UCS4 *character)
{
    unsigned char first = (unsigned char)*at;
    if (first < 0x80) {
        *character = first;
        return at + 1;
    }
    if (first < 0xE0) {
        *character = (Py_UCS4)(first & 0x1F) << 6 | (at[1] & 0x3F);
        return at + 2;
    }
    if (first < 0xF0) {
        *character = (Py_UCS4)(first & 0xF) << 12 | (Py_UCS4)(at[1] & 0x3F) << 6 | (at[2] & 0x3F);
        return at + 3;
    }
    *character = (Py_UCS4)(first & 7) << 18 | (Py_UCS4)(at[1] & 0x3F) << 12 |
                 (Py_UCS4)(at[2] & 0x3F) << 6 | (at[3] & 0x3F);
    return at + 4;
}

/* Put the characters of UTF-8 into a string of some kind, which is a constant where this is
   called. */
static inline void
fill_text(int kind, void *data, Py_ssize_t length, const char *at, const char *end)
{
    Py_ssize_t to = 0;
    Py_UCS4 character;
    while (end - at >= 2 * RUN && length - to >= 2 * RUN) {
        unsigned marks = others_in_run(at);
        const char *run = at, *run_end = at + RUN;
        while (marks != 0) {
            const char *next = run + lowest_bit(marks);
            if (next > at) {
                put_run(kind, data, to, at);
                to += next - at;
            }
            at = take_utf8(next, &character);
            PyUnicode_WRITE(kind, data, to, character);
            to++;
            marks = at < run_end ? marks & ~0u << (at - run) : 0;
        }
        if (at < run_end) {
            put_run(kind, data, to, at);
            to += run_end - at;
            at = run_end;
        }
    }
    for (; at < end; to++) {
        at = take_utf8(at, &character);
        PyUnicode_WRITE(kind, data, to, character);
    }
}

/* Make a string of UTF-8 that was measured, and is known to be good. */
PyObject *
text_of_measured(const char *at, Py_ssize_t size, const Extent *extent)
{
    Py_ssize_t length = size - extent->surplus;
    PyObject *text = PyUnicode_New(length, largest_of(extent));
    if (text == NULL) {
        return NULL;
    }
    void *data = PyUnicode_DATA(text);
    switch (PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND:
        fill_text(PyUnicode_1BYTE_KIND, data, length, at, at + size);
        break;
    case PyUnicode_2BYTE_KIND:
        fill_text(PyUnicode_2BYTE_KIND, data, length, at, at + size);
        break;
    default:
        fill_text(PyUnicode_4BYTE_KIND, data, length, at, at + size);
        break;
    }
    return text;
}

/* Give the size of the character that begins at a byte which is not ASCII, with a NUL somewhere
   behind it; 0 where it is malformed: too long, a surrogate, beyond the last one. */
static int
size_of_utf8(const unsigned char *at)
{
    unsigned char first = at[0], second = at[1];
    if (first < 0xC2 || first > 0xF4 || (second & 0xC0) != 0x80) {
        return 0;
    }
    if (first < 0xE0) {
        return 2;
    }
    if ((at[2] & 0xC0) != 0x80) {
        return 0;
    }
    if (first < 0xF0) {
        bool is_good = first == 0xE0 ? second >= 0xA0 : first != 0xED || second < 0xA0;
        return is_good ? 3 : 0;
    }
    bool is_good = first == 0xF0 ? second >= 0x90 : first != 0xF4 || second < 0x90;
    return is_good && (at[3] & 0xC0) == 0x80 ? 4 : 0;
}

#ifdef HAS_SSE2

/* Tell which bytes are larger than one that is not ASCII. */
static inline int
mask_above(__m128i bytes, unsigned char limit)
{
    /* As signed numbers they have the same order, and ASCII comes after them. */
    __m128i above = _mm_cmpgt_epi8(bytes, _mm_set1_epi8((char)limit));
    return _mm_movemask_epi8(_mm_and_si128(above, bytes));
}

/* Judge UTF-8 run by run, and give where the last characters begin that are still to be judged;
   NULL where it is malformed. */
static const char *
skip_good_runs(const char *at, const char *end)
{
    const __m128i special_1 = _mm_set1_epi8((char)0xE0), special_2 = _mm_set1_epi8((char)0xED);
    int due = 0; /* a bit for each byte of the run that has to go on with a character */
    for (; end - at >= RUN; at += RUN) {
        __m128i bytes = load_16(at);
        int high = _mm_movemask_epi8(bytes);
        if ((high | due) == 0) {
            continue;
        }
        int begins = mask_above(bytes, 0xBF);
        int has_four = mask_above(bytes, 0xEF);
        due |= begins << 1 | mask_above(bytes, 0xDF) << 2 | has_four << 3;
        if ((due & 0xFFFF) != (high & ~begins)) {
            return NULL;
        }
        due >>= RUN;
        /* What begins like this has rules of its own. */
        int special = has_four | (begins & ~mask_above(bytes, 0xC1)) |
                      _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, special_1),
                                                     _mm_cmpeq_epi8(bytes, special_2)));
        for (; special != 0; special &= special - 1) {
            if (size_of_utf8((const unsigned char *)at + lowest_bit((unsigned)special)) == 0) {
                return NULL;
            }
        }
    }
    if (due != 0) {
        do {
            at--;
        } while (((unsigned char)*at & 0xC0) == 0x80);
    }
    return at;
}

#else

static const char *
skip_good_runs(const char *at, const char *Py_UNUSED(end))
{
    return at;
}

#endif

static inline const char *
skip_ascii(const char *at, const char *end)
{
    while (end - at >= RUN) {
        int count = ascii_before(at);
        at += count;
        if (count < RUN) {
            break;
        }
    }
    while (at < end && (unsigned char)*at < 0x80) {
        at++;
    }
    return at;
}

/* Tell whether bytes that come from outside, with a NUL behind them, are UTF-8. */
bool
is_utf8(const char *at, Py_ssize_t size)
{
    const char *end = at + size;
    at = skip_good_runs(at, end);
    if (at == NULL) {
        return false;
    }
    while ((at = skip_ascii(at, end)) < end) {
        int bytes = size_of_utf8((const unsigned char *)at);
        if (bytes == 0) {
            return false;
        }
        at += bytes;
    }
    return true;
}

/* Make a string of UTF-8 that is known to be good. */
PyObject *
text_of_utf8(const char *at, Py_ssize_t size)
{
    Extent extent = {0};
    for (Py_ssize_t i = 0; i < size; i++) {
        measure(&extent, (unsigned char)at[i]);
    }
    return text_of_measured(at, size, &extent);
}

/* ---- To UTF-8 ---- */

enum { PORTION = 256 };

/* Make UTF-8 of a portion of a string; false where there is a lone surrogate. */
static inline bool
encode_portion(int kind, const void *data, Py_ssize_t *from, Py_ssize_t stop, char **to)
{
    Py_ssize_t at = *from;
    char *out = *to;
    while (at < stop) {
        while (stop - at >= RUN) {
            int count = take_run(kind, data, at, out);
            out += count;
            at += count;
            if (count < RUN) {
                break;
            }
        }
        Py_UCS4 character = 0;
        while (at < stop && (character = PyUnicode_READ(kind, data, at)) < 0x80) {
            *out++ = (char)character;
            at++;
        }
        while (at < stop && (character = PyUnicode_READ(kind, data, at)) >= 0x80) {
            if (is_surrogate(character)) {
                return false;
            }
            out = put_utf8(out, character);
            at++;
        }
    }
    *from = at;
    *to = out;
    return true;
}

static bool
encode(int kind, const void *data, Py_ssize_t *from, Py_ssize_t stop, char **to)
{
    switch (kind) {
    case PyUnicode_1BYTE_KIND:
        return encode_portion(PyUnicode_1BYTE_KIND, data, from, stop, to);
    case PyUnicode_2BYTE_KIND:
        return encode_portion(PyUnicode_2BYTE_KIND, data, from, stop, to);
    default:
        return encode_portion(PyUnicode_4BYTE_KIND, data, from, stop, to);
    }
}

/* Make the buffer larger; false, with an exception, where there is no memory. */
static bool
enlarge(Utf8 *utf8, Py_ssize_t used, Py_ssize_t capacity)
{
    char *data = utf8->data == utf8->local ? PyMem_Malloc((size_t)capacity)
                                           : PyMem_Realloc(utf8->data, (size_t)capacity);
    if (data == NULL) {
        PyErr_NoMemory();
        return false;
    }
    if (utf8->data == utf8->local) {
        memcpy(data, utf8->local, (size_t)used);
    }
    utf8->data = data;
    return true;
}

/* Make UTF-8 of a string, with a NUL behind it. It is REFUSED where there is a lone surrogate. */
Verdict
utf8_of_text(PyObject *text, Utf8 *utf8)
{
    int kind = (int)PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    Py_ssize_t capacity = (Py_ssize_t)sizeof utf8->local;
    Py_ssize_t at = 0;
    Py_ssize_t used = 0;
    utf8->data = utf8->local;
    while (at < length) {
        if (capacity - used < 4 * PORTION + 1) {
            /* As if what is to come were as wide as what there was, and a bit more. */
            double width = at > 0 ? (double)used / (double)at * 1.03 : 1.0;
            capacity = used + (Py_ssize_t)((double)(length - at) * width) + 8 * PORTION;
            if (!enlarge(utf8, used, capacity)) {
                return RAISED;
            }
        }
        Py_ssize_t stop = length - at > PORTION ? at + PORTION : length;
        char *to = utf8->data + used;
        if (!encode(kind, data, &at, stop, &to)) {
            return REFUSED;
        }
        used = to - utf8->data;
    }
    utf8->data[used] = '\0';
    utf8->size = used;
    return TAKEN;
}
