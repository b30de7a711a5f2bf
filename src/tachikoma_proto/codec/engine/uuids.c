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

static const char HEX[] = "0123456789abcdef";

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

static bool
parse_hyphenated(const char *at, uint64_t *high, uint64_t *low)
{
    unsigned seen = 0;
    if (at[8] != '-' || at[13] != '-' || at[18] != '-' || at[23] != '-') {
        return false;
    }
    *high = hex_number(at, 8, &seen) << 32 | hex_number(at + 9, 4, &seen) << 16 |
            hex_number(at + 14, 4, &seen);
    *low = hex_number(at + 19, 4, &seen) << 48 | hex_number(at + 24, 12, &seen);
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

/* Read a UUID from the inside of a string, which has no escapes. */
PyObject *
read_uuid(Reader *reader, const Span *span)
{
    const Engine *engine = reader->engine;
    uint64_t high, low;
    if (!parse_uuid(span->start, span->size, &high, &low)) {
        return refuse(reader);
    }
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

static inline char *
put_hex(char *to, uint64_t number, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        to[i] = HEX[number & 0xF];
        number >>= 4;
    }
    return to + count;
}

/* Write a UUID with its quotes. */
static bool
write_uuid_bits(Writer *writer, uint64_t high, uint64_t low)
{
    if (!reserve(writer, 38)) {
        return false;
    }
    char *to = writer->data + writer->size;
    *to++ = '"';
    to = put_hex(to, high >> 32, 8);
    *to++ = '-';
    to = put_hex(to, high >> 16, 4);
    *to++ = '-';
    to = put_hex(to, high, 4);
    *to++ = '-';
    to = put_hex(to, low >> 48, 4);
    *to++ = '-';
    to = put_hex(to, low, 12);
    *to = '"';
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

/* Throw away what randomness was kept. */
void
forget_random(Engine *engine)
{
    engine->random_left = 0;
}

static bool
refill_random(Writer *writer)
{
    Engine *engine = writer->engine;
    PyObject *bytes = PyObject_CallFunction(engine->urandom, "n", (Py_ssize_t)sizeof engine->random);
    if (bytes == NULL) {
        writer->verdict = RAISED;
        return false;
    }
    if (!PyBytes_CheckExact(bytes) || PyBytes_GET_SIZE(bytes) != (Py_ssize_t)sizeof engine->random) {
        Py_DECREF(bytes);
        return doubt(writer);
    }
    memcpy(engine->random, PyBytes_AS_STRING(bytes), sizeof engine->random);
    Py_DECREF(bytes);
    engine->random_left = (Py_ssize_t)sizeof engine->random;
    engine->random_owner = (long)getpid();
    return true;
}

/* Write a random UUID, with its quotes. */
bool
write_new_uuid(Writer *writer)
{
    Engine *engine = writer->engine;
    if (engine->random_left < 16 || engine->random_owner != (long)getpid()) {
        if (!refill_random(writer)) {
            return false;
        }
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
