/* Runs: text that is taken many bytes at a time.

   Rules:

   - A run has 16 bytes where the processor has SSE2, as every x86-64 does, and 8 in an integer
     elsewhere. What is done with runs does not depend on which. What SSE2 does in another way asks
     for it where it stands: the digits of UUIDs, the judgement of UTF-8, the survey of strings.
   - What counts the bytes before the first one of some kind may count fewer where it cannot tell.
     So whoever gets less than a whole run goes on byte by byte. */

#ifndef TACHIKOMA_RUNS_H
#define TACHIKOMA_RUNS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

#if defined(__SSE2__) || (defined(_MSC_VER) && defined(_M_X64))
#define HAS_SSE2 1
#include <emmintrin.h>
enum { RUN = 16 };
#else
enum { RUN = 8 };
#endif

/* Give the number of the lowest bit that is set; one is. */
static inline int
lowest_bit(uint64_t bits)
{
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#elif defined(_MSC_VER) && defined(_M_X64)
    unsigned long number;
    _BitScanForward64(&number, bits);
    return (int)number;
#else
    int number = 0;
    for (; (bits & 1) == 0; bits >>= 1) {
        number++;
    }
    return number;
#endif
}

/* Tell whether a character cannot stand in a JSON string as it is. */
static inline bool
is_escaped(Py_UCS4 character)
{
    return character < 0x20 || character == '"' || character == '\\';
}

/* ---- Eight bytes in an integer ---- */

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

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

/* Reverse the order of eight bytes. */
static inline uint64_t
reverse_8(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x00FF00FF00FF00FF), twos = UINT64_C(0x0000FFFF0000FFFF);
    bytes = (bytes & ones) << 8 | (bytes >> 8 & ones);
    bytes = (bytes & twos) << 16 | (bytes >> 16 & twos);
    return bytes << 32 | bytes >> 32;
}

/* Load eight bytes, the first of them as the lowest. */
static inline uint64_t
load_little(const char *at)
{
    return PY_LITTLE_ENDIAN ? load_8(at) : reverse_8(load_8(at));
}

static inline void
store_little(char *to, uint64_t bytes)
{
    bytes = PY_LITTLE_ENDIAN ? bytes : reverse_8(bytes);
    memcpy(to, &bytes, 8);
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

/* Count the bytes before the first mark. */
static inline int
bytes_before(uint64_t marks)
{
    if (marks == 0) {
        return 8;
    }
    return PY_LITTLE_ENDIAN ? lowest_bit(marks) >> 3 : 0; /* there, only the last mark is exact */
}

/* ---- Runs ---- */

#ifdef HAS_SSE2

static inline __m128i
load_16(const char *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

static inline void
store_16(char *to, __m128i bytes)
{
    _mm_storeu_si128((__m128i *)to, bytes);
}

/* Count the bytes before the first one whose high bit is set. */
static inline int
count_before(__m128i marks)
{
    int mask = _mm_movemask_epi8(marks);
    return mask == 0 ? RUN : lowest_bit((unsigned)mask);
}

static inline __m128i
mark_stops(__m128i bytes)
{
    __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                 _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    __m128i limit = _mm_set1_epi8(0x1F);
    return _mm_or_si128(marks, _mm_cmpeq_epi8(_mm_max_epu8(bytes, limit), limit));
}

/* Count the bytes before the first quote, backslash or control character. */
static inline int
unescaped_before(const char *at)
{
    return count_before(mark_stops(load_16(at)));
}

/* Count the bytes before the first one of those, or that is not ASCII. */
static inline int
plain_before(const char *at)
{
    __m128i bytes = load_16(at);
    return count_before(_mm_or_si128(mark_stops(bytes), bytes));
}

/* Count the bytes before the first one that is not ASCII. */
static inline int
ascii_before(const char *at)
{
    return count_before(load_16(at));
}

/* Mark the bytes of a run that are not ASCII: a bit for each. */
static inline unsigned
others_in_run(const char *at)
{
    return (unsigned)_mm_movemask_epi8(load_16(at));
}

/* Take eight characters of two bytes, or four of four, as such of one byte that stand in two or
   four: 0xFF for what is more. Mark the surrogates among them. */
static inline __m128i
narrow_2(__m128i wide, __m128i *surrogates)
{
    const __m128i low = _mm_set1_epi16(0xFF), half = _mm_set1_epi16((short)0xF800);
    __m128i fits = _mm_cmpeq_epi16(_mm_andnot_si128(low, wide), _mm_setzero_si128());
    __m128i is_surrogate =
        _mm_cmpeq_epi16(_mm_and_si128(wide, half), _mm_set1_epi16((short)0xD800));
    *surrogates = _mm_or_si128(*surrogates, is_surrogate);
    return _mm_or_si128(_mm_and_si128(wide, low), _mm_andnot_si128(fits, low));
}

static inline __m128i
narrow_4(__m128i wide, __m128i *surrogates)
{
    const __m128i low = _mm_set1_epi32(0xFF), half = _mm_set1_epi32((int)0xFFFFF800);
    __m128i fits = _mm_cmpeq_epi32(_mm_andnot_si128(low, wide), _mm_setzero_si128());
    __m128i is_surrogate = _mm_cmpeq_epi32(_mm_and_si128(wide, half), _mm_set1_epi32(0xD800));
    *surrogates = _mm_or_si128(*surrogates, is_surrogate);
    return _mm_or_si128(_mm_and_si128(wide, low), _mm_andnot_si128(fits, low));
}

/* Take a run of characters as bytes: 0xFF for what is more. Mark the surrogates among them. */
static inline __m128i
narrow_run(int kind, const void *data, Py_ssize_t at, __m128i *surrogates)
{
    const char *from = (const char *)data + at * kind;
    if (kind == PyUnicode_1BYTE_KIND) {
        return load_16(from);
    }
    if (kind == PyUnicode_2BYTE_KIND) {
        return _mm_packus_epi16(narrow_2(load_16(from), surrogates),
                                narrow_2(load_16(from + 16), surrogates));
    }
    return _mm_packus_epi16(_mm_packs_epi32(narrow_4(load_16(from), surrogates),
                                            narrow_4(load_16(from + 16), surrogates)),
                            _mm_packs_epi32(narrow_4(load_16(from + 32), surrogates),
                                            narrow_4(load_16(from + 48), surrogates)));
}

/* Mark the quotes, backslashes and control characters of a run: a bit for each. */
static inline unsigned
escaped_in_run(int kind, const void *data, Py_ssize_t at)
{
    __m128i surrogates = _mm_setzero_si128();
    return (unsigned)_mm_movemask_epi8(mark_stops(narrow_run(kind, data, at, &surrogates)));
}

/* Put eight characters of ASCII into a string of some kind. */
static inline void
put_eight(int kind, void *data, Py_ssize_t to, const char *at)
{
    char *out = (char *)data + to * kind;
    __m128i zero = _mm_setzero_si128(), bytes = _mm_loadl_epi64((const __m128i *)at);
    __m128i wide = _mm_unpacklo_epi8(bytes, zero);
    if (kind == PyUnicode_1BYTE_KIND) {
        memcpy(out, at, 8);
    }
    else if (kind == PyUnicode_2BYTE_KIND) {
        store_16(out, wide);
    }
    else {
        store_16(out, _mm_unpacklo_epi16(wide, zero));
        store_16(out + 16, _mm_unpackhi_epi16(wide, zero));
    }
}

/* Put a run of bytes into a string of some kind. */
static inline void
put_run(int kind, void *data, Py_ssize_t to, const char *at)
{
    char *out = (char *)data + to * kind;
    __m128i bytes = load_16(at), zero = _mm_setzero_si128();
    if (kind == PyUnicode_1BYTE_KIND) {
        store_16(out, bytes);
        return;
    }
    __m128i low = _mm_unpacklo_epi8(bytes, zero), high = _mm_unpackhi_epi8(bytes, zero);
    if (kind == PyUnicode_2BYTE_KIND) {
        store_16(out, low);
        store_16(out + 16, high);
        return;
    }
    store_16(out, _mm_unpacklo_epi16(low, zero));
    store_16(out + 16, _mm_unpackhi_epi16(low, zero));
    store_16(out + 32, _mm_unpacklo_epi16(high, zero));
    store_16(out + 48, _mm_unpackhi_epi16(high, zero));
}

/* Take a run of characters of a string as bytes. Count those before the first one that is not
   ASCII; what comes out for that one and those behind it is rubbish. */
static inline int
take_run(int kind, const void *data, Py_ssize_t at, char *to)
{
    const char *from = (const char *)data + at * kind;
    __m128i a = load_16(from), zero = _mm_setzero_si128();
    if (kind == PyUnicode_1BYTE_KIND) {
        store_16(to, a);
        return count_before(a);
    }
    __m128i b = load_16(from + 16), ascii, low = _mm_set1_epi16(0x7F);
    if (kind == PyUnicode_2BYTE_KIND) {
        ascii = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_andnot_si128(low, a), zero),
                                _mm_cmpeq_epi16(_mm_andnot_si128(low, b), zero));
    }
    else {
        __m128i c = load_16(from + 32), d = load_16(from + 48), wide = _mm_set1_epi32(0x7F);
        ascii = _mm_packs_epi16(
            _mm_packs_epi32(_mm_cmpeq_epi32(_mm_andnot_si128(wide, a), zero),
                            _mm_cmpeq_epi32(_mm_andnot_si128(wide, b), zero)),
            _mm_packs_epi32(_mm_cmpeq_epi32(_mm_andnot_si128(wide, c), zero),
                            _mm_cmpeq_epi32(_mm_andnot_si128(wide, d), zero)));
        a = _mm_packs_epi32(_mm_and_si128(a, wide), _mm_and_si128(b, wide));
        b = _mm_packs_epi32(_mm_and_si128(c, wide), _mm_and_si128(d, wide));
    }
    store_16(to, _mm_packus_epi16(_mm_and_si128(a, low), _mm_and_si128(b, low)));
    int others = ~_mm_movemask_epi8(ascii) & 0xFFFF;
    return others == 0 ? RUN : lowest_bit((unsigned)others);
}

#else

static inline unsigned
others_in_run(const char *at)
{
    unsigned marks = 0;
    for (int i = 0; i < RUN; i++) {
        marks |= (unsigned)((unsigned char)at[i] >> 7) << i;
    }
    return marks;
}

static inline unsigned
escaped_in_run(int kind, const void *data, Py_ssize_t at)
{
    unsigned marks = 0;
    for (int i = 0; i < RUN; i++) {
        marks |= (unsigned)is_escaped(PyUnicode_READ(kind, data, at + i)) << i;
    }
    return marks;
}

static inline void
put_eight(int kind, void *data, Py_ssize_t to, const char *at)
{
    for (int i = 0; i < 8; i++) {
        PyUnicode_WRITE(kind, data, to + i, (unsigned char)at[i]);
    }
}

static inline int
unescaped_before(const char *at)
{
    return bytes_before(stops_in(load_8(at)));
}

static inline int
plain_before(const char *at)
{
    uint64_t bytes = load_8(at);
    return bytes_before(stops_in(bytes) | (bytes & EACH_BYTE(0x80)));
}

static inline int
ascii_before(const char *at)
{
    return bytes_before(load_8(at) & EACH_BYTE(0x80));
}

static inline void
put_run(int kind, void *data, Py_ssize_t to, const char *at)
{
    if (kind == PyUnicode_1BYTE_KIND) {
        memcpy((char *)data + to, at, RUN);
        return;
    }
    for (int i = 0; i < RUN; i++) {
        PyUnicode_WRITE(kind, data, to + i, (unsigned char)at[i]);
    }
}

static inline int
take_run(int kind, const void *data, Py_ssize_t at, char *to)
{
    if (kind == PyUnicode_1BYTE_KIND) {
        memcpy(to, (const char *)data + at, RUN);
        return ascii_before(to);
    }
    int count = RUN;
    for (int i = RUN - 1; i >= 0; i--) {
        Py_UCS4 character = PyUnicode_READ(kind, data, at + i);
        count = character < 0x80 ? count : i;
        to[i] = (char)character;
    }
    return count;
}

#endif

/* Put a run of characters into a string of their kind, or of a wider one. */
static inline void
move_run(int kind, void *data, Py_ssize_t to, int from_kind, const void *from, Py_ssize_t at)
{
    if (kind == from_kind) {
        memcpy((char *)data + to * kind, (const char *)from + at * kind, (size_t)(RUN * kind));
        return;
    }
    for (int i = 0; i < RUN; i++) {
        PyUnicode_WRITE(kind, data, to + i, PyUnicode_READ(from_kind, from, at + i));
    }
}

#endif
