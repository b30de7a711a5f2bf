/* Text: Python's strings, of one, two or four bytes a character, and UTF-8. */

#ifndef TACHIKOMA_TEXT_H
#define TACHIKOMA_TEXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "runs.h"

typedef enum {
    TAKEN,
    REFUSED, /* it breaks a rule: the search for faults may begin */
    UNSURE,  /* the converter decides */
    NO_ROOM, /* the stack had no room for a call; to try again would be no better */
    RAISED,  /* a Python exception is set, which passes through */
} Verdict;

/* What a backslash and a letter stand for; 0 where they stand for nothing. */
static inline char
simple_escape(char letter)
{
    static const char MEANINGS[128] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    unsigned char byte = (unsigned char)letter;
    return byte < 128 ? MEANINGS[byte] : 0;
}

extern const char ESCAPES[128][8];

/* Give the size of the escape of a character: a backslash and a letter, or `\u` and four digits. */
static inline int
size_of_escape(Py_UCS4 character)
{
    return ESCAPES[character][2] == '\0' ? 2 : 6;
}

/* How wide the characters of UTF-8 are, and how many bytes it has beyond one for each. */
typedef struct {
    Py_ssize_t surplus;
    uint64_t high;   /* the high bit of a byte is set where one was not ASCII */
    uint64_t wide;   /* where a byte begins a character above 0xFF */
    uint64_t widest; /* and above 0xFFFF */
} Extent;

/* Take eight bytes into account, or fewer with zeros. */
static inline void
measure(Extent *extent, uint64_t bytes)
{
    if ((bytes & EACH_BYTE(0x80)) != 0) {
        uint64_t begins = bytes & bytes << 1;
        uint64_t follows = (bytes & ~(bytes << 1)) & EACH_BYTE(0x80);
        extent->surplus += (Py_ssize_t)((follows >> 7) * EACH_BYTE(1) >> 56);
        extent->high |= bytes;
        extent->wide |= begins & (bytes << 2 | bytes << 3 | bytes << 4 | bytes << 5);
        extent->widest |= begins & bytes << 2 & bytes << 3;
    }
}

/* Take some bytes of a run into account, counted from its beginning. */
static inline void
measure_run(Extent *extent, const char *at, int count)
{
    for (int i = 0; i < count; i += 8) {
        uint64_t bytes = load_little(at + i);
        measure(extent, count - i < 8 ? bytes & ((UINT64_C(1) << 8 * (count - i)) - 1) : bytes);
    }
}

/* Take a character into account that stands as an escape. */
static inline void
measure_character(Extent *extent, Py_UCS4 character)
{
    extent->surplus += (character >= 0x80) + (character >= 0x800) + (character >= 0x10000);
    extent->high |= character >= 0x80 ? 0x80 : 0;
    extent->wide |= character > 0xFF ? 0x80 : 0;
    extent->widest |= character > 0xFFFF ? 0x80 : 0;
}

/* Give a character that is not less than any of those measured, and of the same kind of string. */
static inline Py_UCS4
largest_of(const Extent *extent)
{
    if ((extent->widest & EACH_BYTE(0x80)) != 0) {
        return 0x10FFFF;
    }
    if ((extent->wide & EACH_BYTE(0x80)) != 0) {
        return 0xFFFF;
    }
    return (extent->high & EACH_BYTE(0x80)) != 0 ? 0xFF : 0x7F;
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

/* The value of a hexadecimal digit; NO_DIGIT for everything else. */
enum { NO_DIGIT = 0xFF };
extern const unsigned char HEX_VALUES[256];

PyObject *text_of_utf8(const char *at, Py_ssize_t size);
PyObject *text_of_measured(const char *at, Py_ssize_t size, const Extent *extent);
const char *resolve_unicode(const char *at, Py_UCS4 *character);
bool is_utf8(const char *at, Py_ssize_t size);
Verdict utf8_of_text(PyObject *text, Utf8 *utf8);

/* Make a string of characters of a byte each. */
static inline PyObject *
text_of_bytes(const char *at, Py_ssize_t size, bool is_ascii)
{
    PyObject *text = PyUnicode_New(size, is_ascii ? 127 : 255);
    if (text != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(text), at, (size_t)size);
    }
    return text;
}

static inline void
release_utf8(Utf8 *utf8)
{
    if (utf8->data != utf8->local) {
        PyMem_Free(utf8->data);
    }
}

#endif
