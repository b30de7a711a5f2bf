/* Text: Python's strings, of one, two or four bytes a character, and UTF-8. */

#ifndef TACHIKOMA_TEXT_H
#define TACHIKOMA_TEXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Sixteen bytes at a time where the processor has SSE2, as every x86-64 does; what is done with it
   is done without it, too. */
#if defined(__SSE2__) && defined(__GNUC__)
#define HAS_SSE2 1
#include <emmintrin.h>
#endif

typedef enum {
    TAKEN,
    REFUSED, /* it breaks a rule: the search for faults may begin */
    UNSURE,  /* the converter decides */
    NO_ROOM, /* the stack had no room for a call; to try again would be no better */
    RAISED,  /* a Python exception is set, which passes through */
} Verdict;

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

/* Tell how many of eight bytes come before the first mark; fewer, where that is not known. */
static inline int
bytes_before(uint64_t marks)
{
#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_ctzll(marks) >> 3;
#else
    (void)marks;
    return 0;
#endif
}

#ifdef HAS_SSE2

static inline __m128i
load_16(const char *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* Mark the bytes with which a run of plain text ends, in each bit of them. */
static inline __m128i
stops_in_16(__m128i bytes)
{
    __m128i marked = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                  _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    __m128i is_control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(0x1F)),
                                        _mm_set1_epi8(0x1F));
    return _mm_or_si128(marked, is_control);
}

#endif

/* Go over text that is ASCII and plain, eight or sixteen bytes at a time, up to what may be
   something else. */
static inline const char *
skip_plain(const char *at, const char *end)
{
#ifdef HAS_SSE2
    while (end - at >= 16) {
        __m128i bytes = load_16(at);
        int mask = _mm_movemask_epi8(_mm_or_si128(stops_in_16(bytes), bytes));
        if (mask != 0) {
            return at + __builtin_ctz((unsigned)mask);
        }
        at += 16;
    }
#endif
    while (end - at >= 8) {
        uint64_t bytes = load_8(at);
        uint64_t stops = stops_in(bytes) | (bytes & EACH_BYTE(0x80));
        if (stops != 0) {
            return at + bytes_before(stops);
        }
        at += 8;
    }
    return at;
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* Take four characters of two bytes as bytes; what is not ASCII comes out as rubbish. */
static inline uint64_t
pack_4(uint64_t wide)
{
    wide |= wide >> 8;
    return (wide & 0xFFFF) | (wide >> 16 & 0xFFFF0000);
}

/* Take two characters of four bytes as bytes. */
static inline uint64_t
pack_2(uint64_t wide)
{
    return (wide | wide >> 24) & 0xFFFF;
}

/* Take eight characters of a string as bytes; false where one of them is not ASCII. */
static inline bool
eight_ascii(int kind, const void *data, Py_ssize_t at, uint64_t *bytes)
{
    if (kind == PyUnicode_1BYTE_KIND) {
        *bytes = load_8((const char *)data + at);
        return (*bytes & EACH_BYTE(0x80)) == 0;
    }
    const char *from = (const char *)data + at * kind;
    uint64_t a = load_8(from), b = load_8(from + 8);
    if (kind == PyUnicode_2BYTE_KIND) {
        *bytes = pack_4(a) | pack_4(b) << 32;
        return ((a | b) & UINT64_C(0xFF80FF80FF80FF80)) == 0;
    }
    uint64_t c = load_8(from + 16), d = load_8(from + 24);
    *bytes = pack_2(a) | pack_2(b) << 16 | pack_2(c) << 32 | pack_2(d) << 48;
    return ((a | b | c | d) & UINT64_C(0xFFFFFF80FFFFFF80)) == 0;
}

#else

static inline bool
eight_ascii(int kind, const void *data, Py_ssize_t at, uint64_t *bytes)
{
    unsigned char narrow[8];
    Py_UCS4 seen = 0;
    for (int i = 0; i < 8; i++) {
        Py_UCS4 character = PyUnicode_READ(kind, data, at + i);
        seen |= character;
        narrow[i] = (unsigned char)character;
    }
    memcpy(bytes, narrow, 8);
    return seen < 0x80;
}

#endif

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

/* Take a character into account that stands as an escape. */
static inline void
measure_character(Extent *extent, Py_UCS4 character)
{
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

PyObject *text_of_ascii(const char *at, Py_ssize_t size);
PyObject *text_of_bytes(const char *at, Py_ssize_t size, bool is_ascii);
PyObject *text_of_utf8(const char *at, Py_ssize_t size);
PyObject *text_of_json(const char *at, Py_ssize_t size, const Extent *extent);
const char *resolve_unicode(const char *at, Py_UCS4 *character);
Verdict utf8_of_text(PyObject *text, Utf8 *utf8);

static inline void
release_utf8(Utf8 *utf8)
{
    if (utf8->data != utf8->local) {
        PyMem_Free(utf8->data);
    }
}

#endif
