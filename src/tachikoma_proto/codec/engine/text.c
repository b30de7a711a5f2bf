/* Text: Python's strings ⇄ UTF-8.

   Rules:

   - CPython could do all of this, and does it where UTF-8 comes from outside and has to be judged.
     What is known to be good is turned here in half the time, and no string is left holding a
     second form of itself.
   - Runs of ASCII, of which most text is made, go eight characters at a time. */

#include "text.h"

/* Make a string of ASCII. */
PyObject *
text_of_ascii(const char *at, Py_ssize_t size)
{
    PyObject *text = PyUnicode_New(size, 127);
    if (text != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(text), at, (size_t)size);
    }
    return text;
}

typedef struct {
    Py_ssize_t length;
    Py_UCS4 largest; /* not less than any character, and of the same kind of string */
} Extent;

/* Count the characters of UTF-8, and find out how wide they are. */
static Extent
measure(const char *at, Py_ssize_t size)
{
    const char *end = at + size;
    Py_ssize_t followers = 0; /* the bytes that go on with a character */
    uint64_t wide = 0;        /* marked where a byte begins a character above 0xFF */
    uint64_t widest = 0;      /* and above 0xFFFF */
    while (at < end) {
        uint64_t bytes = 0;
        size_t step = end - at < 8 ? (size_t)(end - at) : 8;
        memcpy(&bytes, at, step);
        at += step;
        if ((bytes & EACH_BYTE(0x80)) == 0) {
            continue;
        }
        uint64_t begins = bytes & bytes << 1;
        uint64_t follows = (bytes & ~(bytes << 1)) & EACH_BYTE(0x80);
        followers += (Py_ssize_t)((follows >> 7) * EACH_BYTE(1) >> 56);
        wide |= begins & (bytes << 2 | bytes << 3 | bytes << 4 | bytes << 5);
        widest |= begins & bytes << 2 & bytes << 3;
    }
    Extent extent = {size - followers, 0xFF};
    if ((widest & EACH_BYTE(0x80)) != 0) {
        extent.largest = 0x10FFFF;
    }
    else if ((wide & EACH_BYTE(0x80)) != 0) {
        extent.largest = 0xFFFF;
    }
    return extent;
}

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

/* Put characters into a string of some kind, which is a constant where this is called. */
static inline void
fill_text(int kind, void *data, const char *at, const char *end)
{
    Py_ssize_t to = 0;
    while (at < end) {
        while (end - at >= 8 && (load_8(at) & EACH_BYTE(0x80)) == 0) {
            const unsigned char *narrow = (const unsigned char *)at;
            for (int i = 0; i < 8; i++) {
                PyUnicode_WRITE(kind, data, to + i, narrow[i]);
            }
            to += 8;
            at += 8;
        }
        /* Up to the next run of ASCII. */
        for (int i = 0; i < 8 && at < end; i++) {
            Py_UCS4 character;
            at = take_utf8(at, &character);
            PyUnicode_WRITE(kind, data, to, character);
            to++;
        }
    }
}

/* Make a string of UTF-8 that is known to be good, and is not all ASCII. */
PyObject *
text_of_utf8(const char *at, Py_ssize_t size)
{
    Extent extent = measure(at, size);
    PyObject *text = PyUnicode_New(extent.length, extent.largest);
    if (text == NULL) {
        return NULL;
    }
    void *data = PyUnicode_DATA(text);
    switch (PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND:
        fill_text(PyUnicode_1BYTE_KIND, data, at, at + size);
        break;
    case PyUnicode_2BYTE_KIND:
        fill_text(PyUnicode_2BYTE_KIND, data, at, at + size);
        break;
    default:
        fill_text(PyUnicode_4BYTE_KIND, data, at, at + size);
        break;
    }
    return text;
}

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
        for (int i = 0; i < 8 && at < stop; i++, at++) {
            Py_UCS4 character = PyUnicode_READ(kind, data, at);
            if (is_surrogate(character)) {
                return false;
            }
            out = put_utf8(out, character);
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
            Py_ssize_t rest = length - at;
            capacity = used + rest + rest / 4 + used / 4 + 8 * PORTION;
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
