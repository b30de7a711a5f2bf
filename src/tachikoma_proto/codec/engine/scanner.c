/* The scanner: strict JSON, token by token.

   Rules:

   - RFC 8259 and nothing more: no NaN, no comments, no leading zeros, no raw control characters,
     no lone surrogates. Numbers must fit a double.
   - A string is looked at once, eight bytes at a time, and only then taken out. Where it has no
     escapes and is ASCII, to take it out is to copy it.
   - What no field asks for is skipped, and yet must be JSON, without repeated keys. */

#include "scanner.h"

#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HAS_LOWEST_BYTE 1

/* Tell which byte of the eight has the lowest mark. */
static inline int
lowest_byte(uint64_t marks)
{
    return __builtin_ctzll(marks) >> 3;
}
#endif

/* Go over the rest of a string, the opening quote being behind; the escapes are not judged. */
bool
scan_string(Reader *reader, Span *span)
{
    const char *at = reader->at;
    uint64_t high = 0; /* the high bit is set where a byte was not ASCII */
    span->start = at;
    span->has_escapes = false;
    for (;;) {
        while (reader->end - at >= 8) {
            uint64_t bytes = load_8(at);
            uint64_t stops = stops_in(bytes);
            if (stops != 0) {
#ifdef HAS_LOWEST_BYTE
                high |= bytes & ((stops & (0 - stops)) - 1); /* only what is before the stop */
                at += lowest_byte(stops);
#endif
                break;
            }
            high |= bytes;
            at += 8;
        }
        unsigned char byte = (unsigned char)*at;
        while (byte >= 0x20 && byte != '"' && byte != '\\') {
            high |= byte;
            byte = (unsigned char)*++at;
        }
        if (byte == '"') {
            break;
        }
        if (byte != '\\' || at[1] == '\0') {
            return refused(reader);
        }
        span->has_escapes = true;
        high |= (unsigned char)at[1];
        at += 2;
    }
    span->size = at - span->start;
    span->is_ascii = (high & EACH_BYTE(0x80)) == 0;
    reader->at = at + 1;
    return true;
}

static int
hex_digit(char byte)
{
    if (is_digit(byte)) {
        return byte - '0';
    }
    if (byte >= 'a' && byte <= 'f') {
        return byte - 'a' + 10;
    }
    if (byte >= 'A' && byte <= 'F') {
        return byte - 'A' + 10;
    }
    return -1;
}

/* Read four hexadecimal digits; -1 where they are none. */
static int
hex_unit(const char *at)
{
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Resolve the `\u` escape at a place, with the second half of a pair; give what comes after. */
static const char *
resolve_unicode(const char *at, uint32_t *point)
{
    int unit = hex_unit(at + 2);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) {
        return NULL;
    }
    at += 6;
    if (unit < 0xD800 || unit > 0xDBFF) {
        *point = (uint32_t)unit;
        return at;
    }
    int low = at[0] == '\\' && at[1] == 'u' ? hex_unit(at + 2) : -1;
    if (low < 0xDC00 || low > 0xDFFF) {
        return NULL;
    }
    *point = 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return at + 6;
}

/* What a backslash and this letter stand for; 0 where they stand for nothing. */
static char
simple_escape(char letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

/* Copy up to the next backslash, or to the end; what is copied is mostly short. */
static inline const char *
copy_plain(const char *at, const char *end, char **to)
{
    char *out = *to;
    while (end - at >= 8) {
        uint64_t bytes = load_8(at);
        uint64_t slashes = bytes ^ EACH_BYTE('\\');
        if (((slashes - EACH_BYTE(1)) & ~slashes & EACH_BYTE(0x80)) != 0) {
            break;
        }
        memcpy(out, &bytes, 8);
        at += 8;
        out += 8;
    }
    while (at < end && *at != '\\') {
        *out++ = *at++;
    }
    *to = out;
    return at;
}

/* Resolve escapes into a buffer that has room for as many bytes as the string has. No escape
   reads beyond the string: the quote behind it is no part of any. */
static char *
resolve_escapes(Reader *reader, const Span *span, char *to, bool *is_ascii)
{
    const char *at = span->start;
    const char *end = at + span->size;
    while ((at = copy_plain(at, end, &to)) < end) {
        if (at[1] == 'u') {
            uint32_t point = 0;
            at = resolve_unicode(at, &point);
            if (at == NULL) {
                reader->verdict = REFUSED;
                return NULL;
            }
            *is_ascii = *is_ascii && point < 0x80;
            to = put_utf8(to, point);
        }
        else {
            char plain = simple_escape(at[1]);
            if (plain == 0) {
                reader->verdict = REFUSED;
                return NULL;
            }
            *to++ = plain;
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
    plain->is_ascii = span->is_ascii;
    char *end = resolve_escapes(reader, span, scratch->data, &plain->is_ascii);
    if (end == NULL) {
        release_scratch(scratch);
        return false;
    }
    *end = '\0';
    plain->start = scratch->data;
    plain->size = end - scratch->data;
    plain->has_escapes = false;
    return true;
}

/* Make the text of a string without escapes. */
static PyObject *
plain_text_of(Reader *reader, const Span *span)
{
    PyObject *text;
    if (span->is_ascii) {
        text = text_of_ascii(span->start, span->size);
    }
    else if (reader->is_known_utf8) {
        text = text_of_utf8(span->start, span->size);
    }
    else {
        text = PyUnicode_DecodeUTF8(span->start, span->size, NULL);
    }
    if (text != NULL) {
        return text;
    }
    if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        return refuse(reader);
    }
    return raised(reader);
}

/* Make the text of a string. */
PyObject *
text_of(Reader *reader, const Span *span)
{
    if (!span->has_escapes) {
        return plain_text_of(reader, span);
    }
    Scratch scratch;
    Span plain;
    if (!unescape(reader, span, &scratch, &plain)) {
        return NULL;
    }
    PyObject *text = plain_text_of(reader, &plain);
    release_scratch(&scratch);
    return text;
}

/* Judge a string that nobody wants. */
static bool
check_text(Reader *reader, const Span *span)
{
    if (!span->has_escapes && (span->is_ascii || reader->is_known_utf8)) {
        return true;
    }
    PyObject *text = text_of(reader, span);
    Py_XDECREF(text);
    return text != NULL;
}

/* Go over a number. */
bool
scan_number(Reader *reader, Number *number)
{
    const char *at = reader->at;
    number->start = at;
    number->is_negative = *at == '-';
    at += number->is_negative;
    if (!is_digit(*at) || (*at == '0' && is_digit(at[1]))) {
        return refused(reader);
    }
    uint64_t digits = 0;
    const char *first = at;
    do {
        digits = digits * 10 + (uint64_t)(*at++ - '0');
    } while (is_digit(*at));
    Py_ssize_t count = at - first; /* with a zero in front of a fraction, which does no harm */
    number->is_integer = true;
    number->exponent = 0;
    if (*at == '.') {
        const char *fraction = ++at;
        while (is_digit(*at)) {
            digits = digits * 10 + (uint64_t)(*at++ - '0');
        }
        if (at == fraction) {
            return refused(reader);
        }
        number->is_integer = false;
        count += at - fraction;
        number->exponent = at - fraction > 10000 ? -10000 : (int)(fraction - at);
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        bool is_small = *at == '-';
        at += *at == '-' || *at == '+';
        if (!is_digit(*at)) {
            return refused(reader);
        }
        int exponent = 0;
        while (is_digit(*at)) {
            exponent = exponent > 10000 ? exponent : exponent * 10 + (*at - '0');
            at++;
        }
        number->is_integer = false;
        number->exponent += is_small ? -exponent : exponent;
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

static bool
same_key(const Span *one, const Span *other)
{
    return one->size == other->size && memcmp(one->start, other->start, (size_t)one->size) == 0;
}

/* Put a key into the set of those that were seen. */
static bool
add_to_set(Reader *reader, PyObject *seen, const Span *key)
{
    PyObject *text = text_of(reader, key);
    if (text == NULL) {
        return false;
    }
    Py_ssize_t before = PySet_GET_SIZE(seen);
    int failed = PySet_Add(seen, text);
    Py_DECREF(text);
    if (failed) {
        reader->verdict = RAISED;
        return false;
    }
    return PySet_GET_SIZE(seen) > before || refused(reader);
}

/* Remember a key; refuse one that was there before. */
bool
add_key(Reader *reader, Keys *keys, const Span *key)
{
    if (keys->more == NULL && keys->count < FEW_KEYS && !key->has_escapes) {
        for (int i = 0; i < keys->count; i++) {
            if (same_key(&keys->few[i], key)) {
                return refused(reader);
            }
        }
        keys->few[keys->count++] = *key;
        return check_text(reader, key);
    }
    if (keys->more == NULL) {
        keys->more = PySet_New(NULL);
        if (keys->more == NULL) {
            reader->verdict = RAISED;
            return false;
        }
        for (int i = 0; i < keys->count; i++) {
            if (!add_to_set(reader, keys->more, &keys->few[i])) {
                return false;
            }
        }
    }
    return add_to_set(reader, keys->more, key);
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
        return scan_string(reader, &span) && check_text(reader, &span);
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
