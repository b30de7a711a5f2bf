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

enum { NO_DIGIT = 0xFF };

/* The value of a hexadecimal digit; NO_DIGIT for everything else. */
static const unsigned char DIGITS[256] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0,   1,   2,   3,   4,   5,   6,   7,   8,
    9,   255, 255, 255, 255, 255, 255, 255, 10,  11,  12,  13,  14,  15,  255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 10,  11,  12,  13,  14,  15,  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255,
};

/* Read some digits, of which `*seen` gets a high bit where one was none. */
static inline uint64_t
hex_number(const char *at, int count, unsigned *seen)
{
    uint64_t number = 0;
    for (int i = 0; i < count; i++) {
        unsigned digit = DIGITS[(unsigned char)at[i]];
        *seen |= digit;
        number = number << 4 | (digit & 0xF);
    }
    return number;
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* Mark the bytes that are at least a limit; all are less than 128. */
static inline uint64_t
at_least(uint64_t bytes, unsigned char limit)
{
    return ((bytes | EACH_BYTE(0x80)) - EACH_BYTE(limit)) & EACH_BYTE(0x80);
}

/* Read eight digits at once. */
static inline uint64_t
hex_8(uint64_t bytes, unsigned *seen)
{
    uint64_t lower = bytes | EACH_BYTE(0x20);
    uint64_t is_number = at_least(bytes, '0') & ~at_least(bytes, '9' + 1);
    uint64_t is_letter = at_least(lower, 'a') & ~at_least(lower, 'f' + 1);
    bool is_good = (bytes & EACH_BYTE(0x80)) == 0 && (is_number | is_letter) == EACH_BYTE(0x80);
    *seen |= is_good ? 0 : NO_DIGIT;
    /* A letter is 9 more than its last four bits. */
    uint64_t digits = (bytes & EACH_BYTE(0xF)) + (is_letter >> 7) * 9;
    digits = (digits << 4 | digits >> 8) & UINT64_C(0x00FF00FF00FF00FF);
    digits = (digits | digits >> 8) & UINT64_C(0x0000FFFF0000FFFF);
    digits = (digits | digits >> 16) & UINT32_MAX;
    return digits << 24 | (digits & 0xFF00) << 8 | (digits >> 8 & 0xFF00) | digits >> 24;
}

static inline uint64_t
hex_pair(const char *one, const char *other, unsigned *seen)
{
    uint64_t bytes = (uint64_t)load_4(one) | (uint64_t)load_4(other) << 32;
    return hex_8(bytes, seen) & UINT32_MAX;
}

static inline uint64_t
hex_block(const char *at, unsigned *seen)
{
    return hex_8(load_8(at), seen) & UINT32_MAX;
}

#else

static inline uint64_t
hex_pair(const char *one, const char *other, unsigned *seen)
{
    return hex_number(one, 4, seen) << 16 | hex_number(other, 4, seen);
}

static inline uint64_t
hex_block(const char *at, unsigned *seen)
{
    return hex_number(at, 8, seen);
}

#endif

static inline bool
parse_hyphenated(const char *at, uint64_t *high, uint64_t *low)
{
    unsigned seen = 0;
    if (at[8] != '-' || at[13] != '-' || at[18] != '-' || at[23] != '-') {
        return false;
    }
    *high = hex_block(at, &seen) << 32 | hex_pair(at + 9, at + 14, &seen);
    *low = hex_pair(at + 19, at + 24, &seen) << 32 | hex_block(at + 28, &seen);
    return seen < 0x10;
}

static bool
parse_uuid(const char *at, Py_ssize_t size, uint64_t *high, uint64_t *low)
{
    if (size == 36) {
        return parse_hyphenated(at, high, low);
    }
    if (size == 32) {
        unsigned seen = 0;
        *high = hex_number(at, 16, &seen);
        *low = hex_number(at + 16, 16, &seen);
        return seen < 0x10;
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
    PyObject *uuid = engine->uuid_class->tp_alloc(engine->uuid_class, 0);
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

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* Put eight digits at once. */
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
    memcpy(to, &text, 8);
}

#else

static inline void
put_hex_8(char *to, uint64_t number)
{
    static const char HEX[] = "0123456789abcdef";
    for (int i = 7; i >= 0; i--) {
        to[i] = HEX[number & 0xF];
        number >>= 4;
    }
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
    put_hex_8(digits, high >> 32);
    put_hex_8(digits + 8, high & UINT32_MAX);
    put_hex_8(digits + 16, low >> 32);
    put_hex_8(digits + 24, low & UINT32_MAX);
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
