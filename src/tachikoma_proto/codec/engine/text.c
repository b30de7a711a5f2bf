/* Text: Python's strings ⇄ UTF-8.

   Rules:

   - CPython could do all of this, and does it where UTF-8 comes from outside and has to be judged.
     What is known to be good is turned here in half the time, and no string is left holding a
     second form of itself.
   - Runs of ASCII, of which most text is made, go eight characters at a time. */

#include "text.h"

/* Make a string of characters of a byte each. */
PyObject *
text_of_bytes(const char *at, Py_ssize_t size, bool is_ascii)
{
    PyObject *text = PyUnicode_New(size, is_ascii ? 127 : 255);
    if (text != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(text), at, (size_t)size);
    }
    return text;
}

/* Make a string of ASCII. */
PyObject *
text_of_ascii(const char *at, Py_ssize_t size)
{
    return text_of_bytes(at, size, true);
}

/* ---- Escapes ---- */

static int
hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9') {
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

/* Tell whether none of eight bytes is a backslash, or not ASCII. */
static inline bool
are_simple(uint64_t bytes)
{
    uint64_t slashes = bytes ^ EACH_BYTE('\\');
    return ((((slashes - EACH_BYTE(1)) & ~slashes) | bytes) & EACH_BYTE(0x80)) == 0;
}

/* Take an escape that is known to be good. */
static const char *
take_escape(const char *at, Py_UCS4 *character)
{
    if (at[1] == 'u') {
        return resolve_unicode(at, character);
    }
    *character = (unsigned char)simple_escape(at[1]);
    return at + 2;
}

/* Put the characters of a JSON string, or of UTF-8 without a backslash, into a string of some
   kind, which is a constant where this is called. */
static inline void
fill_text(int kind, void *data, const char *at, const char *end, bool has_escapes)
{
    Py_ssize_t to = 0;
    while (at < end) {
        while (end - at >= 8) {
            uint64_t bytes = load_8(at);
            if (has_escapes ? !are_simple(bytes) : (bytes & EACH_BYTE(0x80)) != 0) {
                break;
            }
            const unsigned char *narrow = (const unsigned char *)at;
            for (int i = 0; i < 8; i++) {
                PyUnicode_WRITE(kind, data, to + i, narrow[i]);
            }
            to += 8;
            at += 8;
        }
        /* Over what is left of the run, and over what is not so simple behind it. */
        while (at < end && (unsigned char)*at < 0x80 && !(has_escapes && *at == '\\')) {
            PyUnicode_WRITE(kind, data, to, (unsigned char)*at);
            to++;
            at++;
        }
        while (at < end && ((unsigned char)*at >= 0x80 || (has_escapes && *at == '\\'))) {
            Py_UCS4 character;
            at = *at == '\\' ? take_escape(at, &character) : take_utf8(at, &character);
            PyUnicode_WRITE(kind, data, to, character);
            to++;
        }
    }
}

static inline PyObject *
make_text(const char *at, Py_ssize_t size, const Extent *extent, bool has_escapes)
{
    PyObject *text = PyUnicode_New(size - extent->surplus, largest_of(extent));
    if (text == NULL) {
        return NULL;
    }
    void *data = PyUnicode_DATA(text);
    switch (PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND:
        fill_text(PyUnicode_1BYTE_KIND, data, at, at + size, has_escapes);
        break;
    case PyUnicode_2BYTE_KIND:
        fill_text(PyUnicode_2BYTE_KIND, data, at, at + size, has_escapes);
        break;
    default:
        fill_text(PyUnicode_4BYTE_KIND, data, at, at + size, has_escapes);
        break;
    }
    return text;
}

/* Make a string of the inside of a JSON string, which was measured and is known to be good. */
PyObject *
text_of_json(const char *at, Py_ssize_t size, const Extent *extent)
{
    return make_text(at, size, extent, true);
}

/* Make a string of UTF-8 that is known to be good. */
PyObject *
text_of_utf8(const char *at, Py_ssize_t size)
{
    Extent extent = {0};
    for (Py_ssize_t i = 0; i < size; i += 8) {
        uint64_t bytes = 0;
        memcpy(&bytes, at + i, size - i < 8 ? (size_t)(size - i) : 8);
        measure(&extent, bytes);
    }
    return make_text(at, size, &extent, false);
}

/* ---- To UTF-8 ---- */

enum { PORTION = 64 };

/* Make UTF-8 of a portion of a string; false where there is a lone surrogate. */
static inline bool
encode_portion(int kind, const void *data, Py_ssize_t *from, Py_ssize_t stop, char **to)
{
    Py_ssize_t at = *from;
    char *out = *to;
    while (at < stop) {
        uint64_t bytes;
        while (stop - at >= 8 && eight_ascii(kind, data, at, &bytes)) {
            memcpy(out, &bytes, 8);
            out += 8;
            at += 8;
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
            capacity = used + (Py_ssize_t)((double)(length - at) * width) + 16 * PORTION;
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
