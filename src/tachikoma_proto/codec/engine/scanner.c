/* The scanner: strict JSON, token by token.

   Rules:

   - RFC 8259 and nothing more: no NaN, no comments, no leading zeros, no raw control characters,
     no lone surrogates. Numbers must fit a double.
   - A string is looked at once, many bytes at a time, and only then taken out. Where it has no
     escapes and is ASCII, to take it out is to copy it.
   - What no field asks for is skipped, and yet must be JSON, without repeated keys. */

#include "scanner.h"

/* Go over an escape, and take it into account. */
static inline const char *
scan_escape(const char *at, Extent *extent)
{
    if (at[1] != 'u') {
        extent->surplus++;
        return simple_escape(at[1]) != 0 ? at + 2 : NULL;
    }
    Py_UCS4 character = 0;
    const char *after = resolve_unicode(at, &character);
    if (after != NULL) {
        extent->surplus += after - at - 1;
        measure_character(extent, character);
    }
    return after;
}

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
    while (byte >= 0x20 && byte != '"' && byte != '\\') {
        measure(extent, byte);
        byte = (unsigned char)*++at;
    }
    return at;
}

/* Go over the rest of a string that has escapes, or is not ASCII, from its beginning. */
bool
scan_measured(Reader *reader, Span *span)
{
    const char *at = reader->at;
    Extent extent = {0};
    span->start = at;
    span->has_escapes = false;
    while (*(at = scan_plain(at, reader->end, &extent)) == '\\') {
        span->has_escapes = true;
        at = scan_escape(at, &extent);
        if (at == NULL) {
            return refused(reader);
        }
    }
    if (*at != '"') {
        return refused(reader);
    }
    span->size = at - span->start;
    span->is_ascii = (extent.high & EACH_BYTE(0x80)) == 0;
    span->extent = extent;
    reader->at = at + 1;
    return true;
}

/* Resolve escapes, which are known to be good, into a buffer that has room for as many bytes as
   the string has. */
static char *
resolve_escapes(const Span *span, char *to)
{
    const char *at = span->start;
    const char *end = at + span->size;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
        }
        else if (at[1] == 'u') {
            Py_UCS4 character = 0;
            at = resolve_unicode(at, &character);
            to = put_utf8(to, character);
        }
        else {
            *to++ = simple_escape(at[1]);
            at += 2;
        }
    }
    return to;
}

bool
unescape(Reader *reader, const Span *span, Scratch *scratch, Span *plain)
{
    scratch->data = scratch->local;
    if (span->size >= (Py_ssize_t)sizeof scratch->local) {
        scratch->data = PyMem_Malloc((size_t)span->size + 1);
        if (scratch->data == NULL) {
            scratch->data = scratch->local;
            PyErr_NoMemory();
            reader->verdict = RAISED;
            return false;
        }
    }
    char *end = resolve_escapes(span, scratch->data);
    *end = '\0';
    plain->start = scratch->data;
    plain->size = end - scratch->data;
    plain->has_escapes = false;
    plain->is_ascii = span->is_ascii;
    return true;
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
    if (keys->more == NULL && keys->count < FEW_KEYS && !key->has_escapes) {
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
