/* The scanner: strict JSON, token by token.

   Rules:

   - RFC 8259 and nothing more: no NaN, no comments, no leading zeros, no raw control characters,
     no lone surrogates. Numbers must fit a double.
   - A string is looked at once, many bytes at a time. It stays where it is in the frame; if it has
     escapes, they are resolved into a scratch buffer, where it lies until the next one comes.
   - What no field asks for is skipped, and yet must be JSON, without repeated keys. */

#include "scanner.h"

/* Go over plain text, up to a quote, a backslash or a control character. */
static inline const char *
scan_plain(const char *at, const char *end, Extent *extent)
{
    while (end - at >= RUN) {
        int count = unescaped_before(at);
        if (ascii_before(at) < count) {
            measure_run(extent, at, count);
        }
        at += count;
        if (count < RUN) {
            break;
        }
    }
    unsigned char byte = (unsigned char)*at;
    while (!is_escaped(byte)) {
        measure(extent, byte);
        byte = (unsigned char)*++at;
    }
    return at;
}

/* Make sure that the scratch holds some bytes more; give the place behind those that are there. */
static char *
reserve_scratch(Reader *reader, char *to, Py_ssize_t size)
{
    if (reader->scratch_end - to >= size) {
        return to;
    }
    /* A string is no longer than the frame, which resolving its escapes does not change: so this
       happens once. */
    assert(reader->scratch == reader->local_scratch);
    size_t used = (size_t)(to - reader->scratch);
    size_t capacity = (size_t)(reader->end - reader->start) + SCRATCH_MARGIN;
    char *scratch = PyMem_Malloc(capacity);
    if (scratch == NULL) {
        PyErr_NoMemory();
        reader->verdict = RAISED;
        return NULL;
    }
    memcpy(scratch, reader->scratch, used);
    reader->scratch = scratch;
    reader->scratch_end = scratch + capacity;
    return scratch + used;
}

/* Copy what an escape stands for into the scratch; give what comes after it, NULL where it is
   malformed. */
static inline const char *
copy_escape(const char *at, char **to, Extent *extent)
{
    if (at[1] != 'u') {
        char character = simple_escape(at[1]);
        *(*to)++ = character;
        return character != 0 ? at + 2 : NULL;
    }
    Py_UCS4 character = 0;
    at = resolve_unicode(at, &character);
    if (at != NULL) {
        measure_character(extent, character);
        *to = put_utf8(*to, character);
    }
    return at;
}

/* Copy a run into the scratch, and the escapes that begin in it. Give what comes after it, which is
   a stop if the string ends there; NULL where an escape is malformed. */
static inline const char *
copy_run(const char *run, char **to, Extent *extent)
{
    unsigned marks = escaped_in_run(PyUnicode_1BYTE_KIND, run, 0);
    const char *at = run, *end = run + RUN;
    while (marks != 0) {
        const char *stop = run + lowest_bit(marks);
        memcpy(*to, at, RUN);
        *to += stop - at;
        at = stop;
        if (*at != '\\') {
            end = at;
            break;
        }
        at = copy_escape(at, to, extent);
        if (at == NULL) {
            return NULL;
        }
        marks = at < end ? marks & ~0u << (at - run) : 0;
    }
    if (at < end) {
        memcpy(*to, at, RUN);
        *to += end - at;
        at = end;
    }
    if (ascii_before(run) < end - run) {
        measure_run(extent, run, (int)(end - run));
    }
    return at;
}

/* Go over the rest of a string from its first backslash, and resolve its escapes. */
static bool
scan_escaped(Reader *reader, Span *span, const char *at, Extent *extent)
{
    Py_ssize_t before = at - reader->at;
    char *to = reserve_scratch(reader, reader->scratch, before + SCRATCH_MARGIN);
    if (to == NULL) {
        return false;
    }
    memcpy(to, reader->at, (size_t)before);
    to += before;
    while (*at == '\\' || !is_escaped((unsigned char)*at)) {
        to = reserve_scratch(reader, to, SCRATCH_MARGIN);
        if (to == NULL) {
            return false;
        }
        if (reader->end - at >= 2 * RUN) {
            at = copy_run(at, &to, extent);
        }
        else if (*at == '\\') {
            at = copy_escape(at, &to, extent);
        }
        else {
            measure(extent, (unsigned char)*at);
            *to++ = *at++;
        }
        if (at == NULL) {
            return refused(reader);
        }
    }
    *to = '\0';
    span->start = reader->scratch;
    span->size = to - reader->scratch;
    span->is_in_scratch = true;
    reader->at = at;
    return true;
}

/* Go over the rest of a string that has escapes, or is not ASCII, from its beginning. */
bool
scan_measured(Reader *reader, Span *span)
{
    Extent extent = {0};
    const char *at = scan_plain(reader->at, reader->end, &extent);
    if (*at == '\\') {
        if (!scan_escaped(reader, span, at, &extent)) {
            return false;
        }
    }
    else {
        span->start = reader->at;
        span->size = at - reader->at;
        span->is_in_scratch = false;
        reader->at = at;
    }
    span->is_ascii = (extent.high & EACH_BYTE(0x80)) == 0;
    span->extent = extent;
    return expect_quote(reader);
}

/* Go over digits, and put them behind those that there are. */
static inline const char *
scan_digits(const char *at, uint64_t *digits)
{
    uint64_t sum = *digits;
    for (; is_digit(*at); at++) {
        sum = sum * 10 + (uint64_t)(*at - '0');
    }
    *digits = sum;
    return at;
}

/* Go over an exponent; give what comes after it, NULL where there are no digits. */
static const char *
scan_exponent(const char *at, Number *number)
{
    bool is_small = *++at == '-';
    at += *at == '-' || *at == '+';
    if (!is_digit(*at)) {
        return NULL;
    }
    int exponent = 0;
    for (; is_digit(*at); at++) {
        exponent = exponent > 10000 ? exponent : exponent * 10 + (*at - '0');
    }
    number->is_integer = false;
    number->exponent += is_small ? -exponent : exponent;
    return at;
}

/* Go over a number. */
bool
scan_number(Reader *reader, Number *number)
{
    const char *at = reader->at;
    uint64_t digits = 0;
    number->start = at;
    number->is_negative = *at == '-';
    at += number->is_negative;
    if (!is_digit(*at) || (*at == '0' && is_digit(at[1]))) {
        return refused(reader);
    }
    const char *first = at;
    at = scan_digits(at, &digits);
    Py_ssize_t count = at - first; /* with a zero in front of a fraction, which does no harm */
    number->is_integer = true;
    number->exponent = 0;
    if (*at == '.') {
        const char *fraction = ++at;
        at = scan_digits(at, &digits);
        if (at == fraction) {
            return refused(reader);
        }
        number->is_integer = false;
        count += at - fraction;
        number->exponent = at - fraction > 10000 ? -10000 : (int)(fraction - at);
    }
    if ((*at == 'e' || *at == 'E') && (at = scan_exponent(at, number)) == NULL) {
        return refused(reader);
    }
    number->digits = digits;
    /* 19 digits always have room. Of integers, 20 do where they were not carried over: then they
       are at least 10 to the 19th, since the first is no zero. */
    number->is_exact = count <= 19 || (number->is_integer && count == 20 && *first == '1' &&
                                       digits >= UINT64_C(10000000000000000000));
    number->size = at - number->start;
    reader->at = at;
    return true;
}

/* Tell whether a number fits a double; what has few digits and no large exponent does. */
static bool
check_number(Reader *reader, const Number *number)
{
    double value;
    if (number->size < 300 && number->exponent < 100) {
        if (number->exponent == 0 || number->exponent > -300) {
            if (number->size + (number->exponent > 0 ? number->exponent : 0) < 300) {
                return true;
            }
        }
    }
    if (!number_as_double(number, &value)) {
        reader->verdict = PyErr_Occurred() ? RAISED : REFUSED;
        return false;
    }
    return true;
}

/* Put a key, which is taken over, into the set of those that were seen. */
static bool
add_to_set(Reader *reader, PyObject *seen, PyObject *key)
{
    if (key == NULL) {
        return false;
    }
    Py_ssize_t before = PySet_GET_SIZE(seen);
    int failed = PySet_Add(seen, key);
    Py_DECREF(key);
    if (failed) {
        reader->verdict = RAISED;
        return false;
    }
    return PySet_GET_SIZE(seen) > before || refused(reader);
}

/* Go over from the short list of keys to a set. */
static bool
make_set(Reader *reader, Keys *keys)
{
    keys->more = PySet_New(NULL);
    if (keys->more == NULL) {
        reader->verdict = RAISED;
        return false;
    }
    for (int i = 0; i < keys->count; i++) {
        PyObject *key = text_of_utf8(keys->few[i].start, keys->few[i].size);
        if (!add_to_set(reader, keys->more, key != NULL ? key : raised(reader))) {
            return false;
        }
    }
    return true;
}

/* Remember a key; refuse one that was there before. */
bool
add_key(Reader *reader, Keys *keys, const Span *key)
{
    if (keys->more == NULL && keys->count < FEW_KEYS && !key->is_in_scratch) {
        for (int i = 0; i < keys->count; i++) {
            if (is_span(key, keys->few[i].start, keys->few[i].size)) {
                return refused(reader);
            }
        }
        keys->few[keys->count++] = (Key){key->start, key->size};
        return true;
    }
    return (keys->more != NULL || make_set(reader, keys)) &&
           add_to_set(reader, keys->more, text_of(reader, key));
}

static bool
skip_members(Reader *reader, Keys *keys)
{
    if (skip_space(reader) == '}') {
        reader->at++;
        return true;
    }
    for (;;) {
        Span key;
        if (!expect_quote(reader) || !scan_string(reader, &key) || !add_key(reader, keys, &key) ||
            !expect(reader, ':')) {
            return false;
        }
        skip_space(reader);
        if (!skip_value(reader)) {
            return false;
        }
        Next next = next_after(reader, '}');
        if (next != NEXT_ANOTHER) {
            return next == NEXT_NONE;
        }
    }
}

static bool
skip_items(Reader *reader)
{
    if (skip_space(reader) == ']') {
        reader->at++;
        return true;
    }
    for (;;) {
        if (!skip_value(reader)) {
            return false;
        }
        Next next = next_after(reader, ']');
        if (next != NEXT_ANOTHER) {
            return next == NEXT_NONE;
        }
    }
}

/* Go over a value that no field asks for. */
bool
skip_value(Reader *reader)
{
    switch (*reader->at) {
    case '"': {
        Span span;
        reader->at++;
        return scan_string(reader, &span);
    }
    case '{': {
        Keys keys;
        if (!enter(reader)) {
            return false;
        }
        reader->at++;
        start_keys(&keys);
        bool is_taken = skip_members(reader, &keys);
        release_keys(&keys);
        leave(reader);
        return is_taken;
    }
    case '[': {
        if (!enter(reader)) {
            return false;
        }
        reader->at++;
        bool is_taken = skip_items(reader);
        leave(reader);
        return is_taken;
    }
    case 't':
        return expect_word(reader, "true");
    case 'f':
        return expect_word(reader, "false");
    case 'n':
        return expect_word(reader, "null");
    default: {
        Number number;
        return scan_number(reader, &number) && check_number(reader, &number);
    }
    }
}
