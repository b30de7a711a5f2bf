/* Text: Python's strings, of one, two or four bytes a character, and UTF-8. */

#ifndef TACHIKOMA_TEXT_H
#define TACHIKOMA_TEXT_H

#include "engine.h"

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight bytes at a time: plain C does here what vector instructions would do. */
static inline uint64_t
load_8(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, 8);
    return bytes;
}

static inline uint32_t
load_4(const char *at)
{
    uint32_t bytes;
    memcpy(&bytes, at, 4);
    return bytes;
}

/* Mark the bytes with which a run of plain text ends: quotes, backslashes, control characters.
   The lowest mark is exact; above it, there may be marks too many. */
static inline uint64_t
stops_in(uint64_t bytes)
{
    uint64_t quotes = bytes ^ EACH_BYTE('"');
    uint64_t slashes = bytes ^ EACH_BYTE('\\');
    uint64_t found = ((quotes - EACH_BYTE(1)) & ~quotes) | ((slashes - EACH_BYTE(1)) & ~slashes) |
                     ((bytes - EACH_BYTE(0x20)) & ~bytes);
    return found & EACH_BYTE(0x80);
}

/* Take eight characters of a string as bytes; false where one of them is not ASCII. */
static inline bool
eight_ascii(int kind, const void *data, Py_ssize_t at, uint64_t *bytes)
{
    unsigned char narrow[8];
    unsigned seen = 0;
    if (kind == PyUnicode_1BYTE_KIND) {
        *bytes = load_8((const char *)data + at);
        return (*bytes & EACH_BYTE(0x80)) == 0;
    }
    if (kind == PyUnicode_2BYTE_KIND) {
        const Py_UCS2 *wide = (const Py_UCS2 *)data + at;
        for (int i = 0; i < 8; i++) {
            seen |= wide[i];
            narrow[i] = (unsigned char)wide[i];
        }
    }
    else {
        const Py_UCS4 *wide = (const Py_UCS4 *)data + at;
        for (int i = 0; i < 8; i++) {
            seen |= wide[i];
            narrow[i] = (unsigned char)wide[i];
        }
    }
    memcpy(bytes, narrow, 8);
    return seen < 0x80;
}

/* Put a character, which is not a surrogate, as UTF-8; give what comes after it. */
static inline char *
put_utf8(char *to, Py_UCS4 character)
{
    if (character < 0x80) {
        *to++ = (char)character;
        return to;
    }
    if (character < 0x800) {
        *to++ = (char)(0xC0 | character >> 6);
    }
    else {
        if (character < 0x10000) {
            *to++ = (char)(0xE0 | character >> 12);
        }
        else {
            *to++ = (char)(0xF0 | character >> 18);
            *to++ = (char)(0x80 | (character >> 12 & 0x3F));
        }
        *to++ = (char)(0x80 | (character >> 6 & 0x3F));
    }
    *to++ = (char)(0x80 | (character & 0x3F));
    return to;
}

static inline bool
is_surrogate(Py_UCS4 character)
{
    return character >= 0xD800 && character <= 0xDFFF;
}

/* A buffer for UTF-8 made of a string. */
typedef struct {
    char *data;
    Py_ssize_t size;
    char local[2048];
} Utf8;

PyObject *text_of_ascii(const char *at, Py_ssize_t size);
PyObject *text_of_utf8(const char *at, Py_ssize_t size);
Verdict utf8_of_text(PyObject *text, Utf8 *utf8);

static inline void
release_utf8(Utf8 *utf8)
{
    if (utf8->data != utf8->local) {
        PyMem_Free(utf8->data);
    }
}

#endif
