/* UUIDs: the four forms that are read, the one that is written, and new ones.

   Rules:

   - 8-4-4-4-12, 32 digits, `urn:uuid:` + 8-4-4-4-12, `{8-4-4-4-12}`; digits of either case. It is
     written in the first form, lower case.
   - An instance of UUID is made without its constructor, which would check again what is known.
   - A new one is version 4, of the system's randomness. Some of that is kept ready, and thrown
     away in a process that was forked: no two processes make the same. */

#include "scanner.h"

#ifdef _WIN32
#include <process.h>
#define getpid _getpid
#else
#include <unistd.h>
#endif

/* Load four bytes and four others, the first of them as the lowest. */
static inline uint64_t
load_4_and_4(const char *one, const char *other)
{
    uint64_t first = load_4(one), second = load_4(other);
    return PY_LITTLE_ENDIAN ? first | second << 32 : reverse_8(first << 32 | second);
}

#ifdef HAS_SSE2

/* Read 16 digits into the low bytes of each lane of two; `*good` loses a bit for each that is
   none. */
static inline __m128i
hex_16(__m128i text, int *good)
{
    __m128i lower = _mm_or_si128(text, _mm_set1_epi8(0x20));
    __m128i is_number = _mm_and_si128(_mm_cmpgt_epi8(text, _mm_set1_epi8('0' - 1)),
                                      _mm_cmplt_epi8(text, _mm_set1_epi8('9' + 1)));
    __m128i is_letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                      _mm_cmplt_epi8(lower, _mm_set1_epi8('f' + 1)));
    *good &= _mm_movemask_epi8(_mm_or_si128(is_number, is_letter));
    /* A letter is 9 more than its last four bits. */
    __m128i digits = _mm_add_epi8(_mm_and_si128(text, _mm_set1_epi8(0xF)),
                                  _mm_and_si128(is_letter, _mm_set1_epi8(9)));
    __m128i pairs = _mm_or_si128(_mm_slli_epi16(digits, 4), _mm_srli_epi16(digits, 8));
    return _mm_and_si128(pairs, _mm_set1_epi16(0xFF));
}

/* Read the digits of the form with hyphens, wherever those may be. */
static inline bool
hex_of_hyphenated(const char *at, uint64_t *high, uint64_t *low)
{
    int good = 0xFFFF;
    uint64_t halves[2];
    __m128i first = _mm_set_epi64x((long long)load_4_and_4(at + 9, at + 14), (long long)load_8(at));
    __m128i second =
        _mm_set_epi64x((long long)load_8(at + 28), (long long)load_4_and_4(at + 19, at + 24));
    __m128i bytes = _mm_packus_epi16(hex_16(first, &good), hex_16(second, &good));
    memcpy(halves, &bytes, sizeof halves);
    *high = reverse_8(halves[0]);
    *low = reverse_8(halves[1]);
    return good == 0xFFFF;
}

#else

/* Mark the bytes that are at least a limit; all are less than 128. */
static inline uint64_t
at_least(uint64_t bytes, unsigned char limit)
{
    return ((bytes | EACH_BYTE(0x80)) - EACH_BYTE(limit)) & EACH_BYTE(0x80);
}

/* Read eight digits, the first of them in the lowest byte. */
static inline uint64_t
hex_8(uint64_t bytes, bool *good)
{
    uint64_t lower = bytes | EACH_BYTE(0x20);
    uint64_t is_number = at_least(bytes, '0') & ~at_least(bytes, '9' + 1);
    uint64_t is_letter = at_least(lower, 'a') & ~at_least(lower, 'f' + 1);
    *good = *good && (bytes & EACH_BYTE(0x80)) == 0 &&
            (is_number | is_letter) == EACH_BYTE(0x80);
    /* A letter is 9 more than its last four bits. */
    uint64_t digits = (bytes & EACH_BYTE(0xF)) + (is_letter >> 7) * 9;
    digits = (digits << 4 | digits >> 8) & UINT64_C(0x00FF00FF00FF00FF);
    digits = (digits | digits >> 8) & UINT64_C(0x0000FFFF0000FFFF);
    digits = (digits | digits >> 16) & UINT32_MAX;
    return (digits & 0xFF) << 24 | (digits & 0xFF00) << 8 | (digits >> 8 & 0xFF00) | digits >> 24;
}

static inline bool
hex_of_hyphenated(const char *at, uint64_t *high, uint64_t *low)
{
    bool good = true;
    *high = hex_8(load_little(at), &good) << 32 | hex_8(load_4_and_4(at + 9, at + 14), &good);
    *low = hex_8(load_4_and_4(at + 19, at + 24), &good) << 32 |
           hex_8(load_little(at + 28), &good);
    return good;
}

#endif

static inline bool
parse_hyphenated(const char *at, uint64_t *high, uint64_t *low)
{
    return at[8] == '-' && at[13] == '-' && at[18] == '-' && at[23] == '-' &&
           hex_of_hyphenated(at, high, low);
}

static bool
parse_uuid(const char *at, Py_ssize_t size, uint64_t *high, uint64_t *low)
{
    if (size == 36) {
        return parse_hyphenated(at, high, low);
    }
    if (size == 32) {
        char spread[36];
        memcpy(spread, at, 8);
        memcpy(spread + 9, at + 8, 4);
        memcpy(spread + 14, at + 12, 4);
        memcpy(spread + 19, at + 16, 4);
        memcpy(spread + 24, at + 20, 12);
        return hex_of_hyphenated(spread, high, low);
    }
    if (size == 45) {
        return memcmp(at, "urn:uuid:", 9) == 0 && parse_hyphenated(at + 9, high, low);
    }
    return size == 38 && at[0] == '{' && at[37] == '}' && parse_hyphenated(at + 1, high, low);
}

static PyObject *
make_uuid(Reader *reader, uint64_t high, uint64_t low)
{
    const Engine *engine = reader->engine;
    PyObject *number = int_of_128_bits(high, low);
    if (number == NULL) {
        return raised(reader);
    }
    PyObject *uuid = new_instance(engine->uuid_class); /* an int and an enum make no cycle */
    if (uuid == NULL) {
        Py_DECREF(number);
        return raised(reader);
    }
    *slot_of(uuid, engine->uuid_int_offset) = number;
    *slot_of(uuid, engine->uuid_safety_offset) = Py_NewRef(engine->uuid_safety);
    return uuid;
}

/* Read a UUID from the inside of a string, which has no escapes. */
PyObject *
uuid_of(Reader *reader, const Span *span)
{
    uint64_t high, low;
    return parse_uuid(span->start, span->size, &high, &low) ? make_uuid(reader, high, low)
                                                            : refuse(reader);
}

/* Read a UUID in its usual form without looking for the end of the string first; NULL where it is
   not in that form. */
PyObject *
usual_uuid(Reader *reader, bool *is_usual)
{
    const char *at = reader->at;
    uint64_t high, low;
    *is_usual = reader->end - at >= 38 && at[0] == '"' && at[37] == '"' &&
                parse_hyphenated(at + 1, &high, &low);
    if (!*is_usual) {
        return NULL;
    }
    reader->at += 38;
    return make_uuid(reader, high, low);
}

#ifdef HAS_SSE2

static inline __m128i
letters_of(__m128i digits)
{
    __m128i is_letter = _mm_cmpgt_epi8(digits, _mm_set1_epi8(9));
    return _mm_add_epi8(_mm_add_epi8(digits, _mm_set1_epi8('0')),
                        _mm_and_si128(is_letter, _mm_set1_epi8('a' - '0' - 10)));
}

/* Put 32 digits. */
static inline void
put_hex(char *to, uint64_t high, uint64_t low)
{
    __m128i bytes = _mm_set_epi64x((long long)reverse_8(low),
                                   (long long)reverse_8(high));
    __m128i firsts = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0xF));
    __m128i seconds = _mm_and_si128(bytes, _mm_set1_epi8(0xF));
    _mm_storeu_si128((__m128i *)to, letters_of(_mm_unpacklo_epi8(firsts, seconds)));
    _mm_storeu_si128((__m128i *)(to + 16), letters_of(_mm_unpackhi_epi8(firsts, seconds)));
}

#else

/* Put eight digits. */
static inline void
put_hex_8(char *to, uint64_t number)
{
    /* Spread the half bytes, the first of them into the lowest byte. */
    uint64_t digits = (number & 0xFFFF) << 32 | (number >> 16 & 0xFFFF);
    const uint64_t bytes = UINT64_C(0x000000FF000000FF), halves = UINT64_C(0x000F000F000F000F);
    digits = (digits & bytes) << 16 | (digits >> 8 & bytes);
    digits = (digits & halves) << 8 | (digits >> 4 & halves);
    /* A digit from ten on is a letter, 39 places further on. */
    uint64_t is_letter = (digits + EACH_BYTE(6)) >> 4 & EACH_BYTE(1);
    uint64_t text = digits + EACH_BYTE('0') + is_letter * ('a' - '0' - 10);
    store_little(to, text);
}

static inline void
put_hex(char *to, uint64_t high, uint64_t low)
{
    put_hex_8(to, high >> 32);
    put_hex_8(to + 8, high & UINT32_MAX);
    put_hex_8(to + 16, low >> 32);
    put_hex_8(to + 24, low & UINT32_MAX);
}

#endif

/* Write a UUID with its quotes. */
static bool
write_uuid_bits(Writer *writer, uint64_t high, uint64_t low)
{
    char digits[32];
    if (!reserve(writer, 38)) {
        return false;
    }
    put_hex(digits, high, low);
    char *to = writer->data + writer->size;
    to[0] = '"';
    memcpy(to + 1, digits, 8);
    to[9] = '-';
    memcpy(to + 10, digits + 8, 4);
    to[14] = '-';
    memcpy(to + 15, digits + 12, 4);
    to[19] = '-';
    memcpy(to + 20, digits + 16, 4);
    to[24] = '-';
    memcpy(to + 25, digits + 20, 12);
    to[37] = '"';
    writer->size += 38;
    return true;
}

bool
write_uuid(Writer *writer, PyObject *value)
{
    const Engine *engine = writer->engine;
    if (!Py_IS_TYPE(value, engine->uuid_class)) {
        return doubt(writer);
    }
    PyObject *number = *slot_of(value, engine->uuid_int_offset);
    uint64_t high, low;
    if (number == NULL || !int_in_128_bits(number, &high, &low)) {
        return doubt(writer);
    }
    return write_uuid_bits(writer, high, low);
}

static bool
refill_random(Writer *writer)
{
    Engine *engine = writer->engine;
    const Py_ssize_t size = (Py_ssize_t)sizeof engine->random;
    PyObject *bytes = PyObject_CallFunction(engine->urandom, "n", size);
    if (bytes == NULL) {
        writer->verdict = RAISED;
        return false;
    }
    if (!PyBytes_CheckExact(bytes) || PyBytes_GET_SIZE(bytes) != size) {
        Py_DECREF(bytes);
        return doubt(writer);
    }
    memcpy(engine->random, PyBytes_AS_STRING(bytes), sizeof engine->random);
    Py_DECREF(bytes);
    engine->random_left = size;
    engine->random_owner = (long)getpid();
    engine->random_forks = engine->shared->forks;
    return true;
}

/* Write a random UUID, with its quotes. */
bool
write_new_uuid(Writer *writer)
{
    Engine *engine = writer->engine;
    /* Python tells of a fork; where it was not asked, the process has another number. */
    bool is_ours = engine->random_forks == engine->shared->forks &&
                   engine->random_owner == (long)getpid();
    if ((engine->random_left < 16 || !is_ours) && !refill_random(writer)) {
        return false;
    }
    uint64_t bits[2];
    engine->random_left -= 16;
    unsigned char *taken = engine->random + engine->random_left;
    memcpy(bits, taken, sizeof bits);
    memset(taken, 0, sizeof bits);
    uint64_t high = (bits[0] & UINT64_C(0xFFFFFFFFFFFF0FFF)) | UINT64_C(0x4000);
    uint64_t low = (bits[1] & UINT64_C(0x3FFFFFFFFFFFFFFF)) | UINT64_C(0x8000000000000000);
    return write_uuid_bits(writer, high, low);
}
