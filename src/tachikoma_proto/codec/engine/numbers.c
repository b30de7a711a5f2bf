/* Numbers: decimal text ⇄ doubles and integers.

   Rules:

   - What is short is done here, exactly: a decimal of at most 15 digits (2 to the 53rd, in
     reading) times or divided by a power of ten that a double holds is rounded once, and so is
     correct. Everything else goes to Python's own functions.
   - A float is written as `repr` writes it, but for the exponent, which has no `+` and no
     leading zero.
   - UUIDs are integers of 128 bits; how those are got at differs between versions of Python. */

#include "scanner.h"

#include <float.h>
#include <math.h>

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

enum { LARGEST_POWER = 22 };

/* Where the processor keeps more digits than a double has, a result is rounded twice. */
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
enum { ROUNDS_ONCE = 1 };
#else
enum { ROUNDS_ONCE = 0 };
#endif

/* Read a number by Python's own function, which wants a NUL behind it. */
static bool
parse_double(const Number *number, double *value)
{
    char local[64];
    char *text = local;
    if (number->size >= (Py_ssize_t)sizeof local) {
        text = PyMem_Malloc((size_t)number->size + 1);
        if (text == NULL) {
            PyErr_NoMemory();
            return false;
        }
    }
    memcpy(text, number->start, (size_t)number->size);
    text[number->size] = '\0';
    *value = PyOS_string_to_double(text, NULL, NULL);
    if (text != local) {
        PyMem_Free(text);
    }
    return !(*value == -1.0 && PyErr_Occurred()) && isfinite(*value);
}

/* Read a number as a double; false where none holds it, or with an exception. */
bool
number_as_double(const Number *number, double *value)
{
    if (ROUNDS_ONCE && number->is_exact && number->digits <= UINT64_C(1) << 53 &&
        number->exponent >= -LARGEST_POWER && number->exponent <= LARGEST_POWER) {
        double digits = (double)number->digits;
        double made = number->exponent < 0 ? digits / POWERS[-number->exponent]
                                           : digits * POWERS[number->exponent];
        *value = number->is_negative ? -made : made;
        return true;
    }
    return parse_double(number, value);
}

/* Read an integer that has too many digits for 64 bits. */
static PyObject *
parse_integer(Reader *reader, const Number *number)
{
    double value;
    if (number->size > 308 && !number_as_double(number, &value)) {
        return PyErr_Occurred() ? raised(reader) : refuse(reader);
    }
    char text[512]; /* what a double holds has 310 characters at most */
    if (number->size >= (Py_ssize_t)sizeof text) {
        return refuse(reader);
    }
    memcpy(text, number->start, (size_t)number->size);
    text[number->size] = '\0';
    PyObject *made = PyLong_FromString(text, NULL, 10);
    return made != NULL ? made : raised(reader);
}

/* Give a number of free JSON: an int, or a float where it has a fraction or an exponent. */
PyObject *
number_as_object(Reader *reader, const Number *number)
{
    PyObject *made;
    bool is_negative_zero = number->is_negative && number->is_exact && number->digits == 0;
    if (number->is_integer && !is_negative_zero) {
        if (!number->is_exact) {
            return parse_integer(reader, number);
        }
        if (!number->is_negative) {
            made = PyLong_FromUnsignedLongLong(number->digits);
        }
        else if (number->digits <= INT64_MAX) {
            made = PyLong_FromLongLong(-(long long)number->digits);
        }
        else {
            return parse_integer(reader, number);
        }
    }
    else {
        double value;
        if (!number_as_double(number, &value)) {
            return PyErr_Occurred() ? raised(reader) : refuse(reader);
        }
        made = PyFloat_FromDouble(value);
    }
    return made != NULL ? made : raised(reader);
}

const char PAIRS[] =
    "00010203040506070809"
    "10111213141516171819"
    "20212223242526272829"
    "30313233343536373839"
    "40414243444546474849"
    "50515253545556575859"
    "60616263646566676869"
    "70717273747576777879"
    "80818283848586878889"
    "90919293949596979899";

/* Put the digits of a number before a place; give where they begin. */
static char *
digits_before(char *end, uint64_t value)
{
    while (value >= 100) {
        end -= 2;
        memcpy(end, PAIRS + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, PAIRS + value * 2, 2);
        return end;
    }
    *--end = (char)('0' + value);
    return end;
}

bool
write_unsigned(Writer *writer, uint64_t value)
{
    if (value < 10) {
        return write_byte(writer, (char)('0' + value));
    }
    char digits[20];
    char *start = digits_before(digits + sizeof digits, value);
    return write_bytes(writer, start, digits + sizeof digits - start);
}

typedef struct {
    uint64_t high;
    uint64_t low;
} Wide;

/* Multiply two numbers of 64 bits. */
static Wide
multiply(uint64_t one, uint64_t other)
{
    uint64_t a = one >> 32, b = one & UINT32_MAX;
    uint64_t c = other >> 32, d = other & UINT32_MAX;
    uint64_t middle = b * c + (b * d >> 32);
    uint64_t rest = a * d + (middle & UINT32_MAX);
    Wide product = {a * c + (middle >> 32) + (rest >> 32), rest << 32 | (b * d & UINT32_MAX)};
    return product;
}

/* Find the integer nearest to a double times a power of ten, the even one of two, exactly: the
   double is `mantissa` times two to the power of -`shift`. Tell whether it lies near enough to
   read as the double, which it does when it is less than half of the mantissa's last unit away. */
static bool
nearest_digits(uint64_t mantissa, int shift, int power, uint64_t *digits)
{
    static const uint64_t FIVES[] = {
        UINT64_C(1),
        UINT64_C(5),
        UINT64_C(25),
        UINT64_C(125),
        UINT64_C(625),
        UINT64_C(3125),
        UINT64_C(15625),
        UINT64_C(78125),
        UINT64_C(390625),
        UINT64_C(1953125),
        UINT64_C(9765625),
        UINT64_C(48828125),
        UINT64_C(244140625),
        UINT64_C(1220703125),
        UINT64_C(6103515625),
        UINT64_C(30517578125),
        UINT64_C(152587890625),
        UINT64_C(762939453125),
        UINT64_C(3814697265625),
        UINT64_C(19073486328125),
        UINT64_C(95367431640625),
    };
    /* mantissa * 10**power / 2**shift = product / 2**places */
    Wide product = multiply(mantissa, FIVES[power]);
    int places = shift - power;
    if (places < 1 || places > 62) {
        return false;
    }
    uint64_t below = product.low & ((UINT64_C(1) << places) - 1);
    uint64_t half = UINT64_C(1) << (places - 1);
    uint64_t floor = product.high << (64 - places) | product.low >> places;
    bool is_up = below > half || (below == half && (floor & 1) != 0);
    uint64_t distance = is_up ? (UINT64_C(1) << places) - below : below;
    *digits = floor + is_up;
    return distance < FIVES[power] / 2 + 1;
}

/* Find the shortest decimal, of 16 or 17 digits, that reads as a double of a middling size which
   has none of 15; among those, the nearest. */
static bool
long_decimal(double value, uint64_t *digits, int *places)
{
    int exponent;
    double fraction = frexp(value, &exponent); /* at least 0.5, less than 1 */
    uint64_t mantissa = (uint64_t)ldexp(fraction, 53);
    if (mantissa == UINT64_C(1) << 52) {
        return false; /* the doubles below it are nearer */
    }
    int power = 0;
    while (value * POWERS[power] < 1e15) {
        power++;
    }
    for (; power <= 20; power++) {
        if (nearest_digits(mantissa, 53 - exponent, power, digits)) {
            *places = power;
            return *digits < UINT64_C(100000000000000000);
        }
        if (*digits >= UINT64_C(10000000000000000)) {
            return false;
        }
    }
    return false;
}

/* Find the decimal of at most 15 digits that reads as a double: it is the shortest, since no two
   of them read as the same. `*places` of its digits stand behind the point. */
static bool
short_decimal(double value, uint64_t *digits, int *places)
{
    int most = 0;
    while (value * POWERS[most + 1] < 1e15 && most < LARGEST_POWER - 1) {
        if (most < 4) {
            /* Most have few places, and no zero behind them then. */
            uint64_t few = (uint64_t)(value * POWERS[most] + 0.5);
            if ((double)few / POWERS[most] == value) {
                *digits = few;
                *places = most;
                return true;
            }
        }
        most++;
    }
    uint64_t all = (uint64_t)(value * POWERS[most] + 0.5);
    if (all >= UINT64_C(1000000000000000) || (double)all / POWERS[most] != value) {
        return false;
    }
    while (most > 0 && all % 10 == 0) {
        all /= 10;
        most--;
    }
    *digits = all;
    *places = most;
    return true;
}

/* Write a positive number with a point in its digits. */
static bool
write_decimal(Writer *writer, uint64_t digits, int places)
{
    char text[48];
    char *end = text + sizeof text;
    char *start = digits_before(end, digits);
    if (places == 0) {
        return write_bytes(writer, start, end - start) && write_bytes(writer, ".0", 2);
    }
    while (end - start <= places) {
        *--start = '0';
    }
    return write_bytes(writer, start, end - start - places) && write_byte(writer, '.') &&
           write_bytes(writer, end - places, places);
}

/* Write the text of `repr` with the exponent as JSON's other writers have it: 1e16, 1e-7. */
static bool
write_repr(Writer *writer, const char *text)
{
    const char *exponent = strchr(text, 'e');
    if (exponent == NULL) {
        return write_bytes(writer, text, (Py_ssize_t)strlen(text));
    }
    if (!write_bytes(writer, text, exponent + 1 - text)) {
        return false;
    }
    const char *at = exponent + 1;
    if (*at == '-' && !write_byte(writer, '-')) {
        return false;
    }
    at += *at == '-' || *at == '+';
    while (*at == '0' && at[1] != '\0') {
        at++;
    }
    return write_bytes(writer, at, (Py_ssize_t)strlen(at));
}

/* Write a finite number. */
bool
write_double(Writer *writer, double value)
{
    double magnitude = fabs(value);
    uint64_t digits;
    int places;
    /* From here to there `repr` writes without an exponent. */
    if (ROUNDS_ONCE && magnitude >= 1e-4 && magnitude < 1e15 &&
        (short_decimal(magnitude, &digits, &places) ||
         long_decimal(magnitude, &digits, &places))) {
        return (value > 0 || write_byte(writer, '-')) && write_decimal(writer, digits, places);
    }
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        writer->verdict = RAISED;
        return false;
    }
    bool is_written = write_repr(writer, text);
    PyMem_Free(text);
    return is_written;
}

/* ---- Integers of 128 bits ---- */

#if PYLONG_BITS_IN_DIGIT == 30 && PY_VERSION_HEX < 0x030E0000
#define KNOWS_DIGITS 1 /* of Python's integers, each of 30 bits, the lowest first */
#endif

#ifdef KNOWS_DIGITS

enum { DIGITS = 5 };

static inline void
split_digits(uint64_t high, uint64_t low, digit *digits)
{
    digits[0] = (digit)(low & 0x3FFFFFFF);
    digits[1] = (digit)(low >> 30 & 0x3FFFFFFF);
    digits[2] = (digit)((low >> 60 | high << 4) & 0x3FFFFFFF);
    digits[3] = (digit)(high >> 26 & 0x3FFFFFFF);
    digits[4] = (digit)(high >> 56);
}

/* Make an int of its 128 bits. */
PyObject *
int_of_128_bits(uint64_t high, uint64_t low)
{
    digit digits[DIGITS];
    split_digits(high, low, digits);
    if (digits[DIGITS - 1] == 0) { /* which is not allowed at the end */
        unsigned char bytes[16];
        for (int i = 0; i < 8; i++) {
            bytes[i] = (unsigned char)(low >> 8 * i);
            bytes[8 + i] = (unsigned char)(high >> 8 * i);
        }
        return _PyLong_FromByteArray(bytes, sizeof bytes, 1, 0);
    }
#if PY_VERSION_HEX >= 0x030C0000
    return (PyObject *)_PyLong_FromDigits(0, DIGITS, digits);
#else
    PyLongObject *made = _PyLong_New(DIGITS);
    if (made != NULL) {
        memcpy(made->ob_digit, digits, sizeof digits);
    }
    return (PyObject *)made;
#endif
}

/* Take the bits of an int; false, without an exception, where it has more than 128 or is below
   zero, or is no int. */
bool
int_in_128_bits(PyObject *value, uint64_t *high, uint64_t *low)
{
    digit digits[DIGITS];
    if (!PyLong_CheckExact(value)) {
        return false;
    }
    const PyLongObject *number = (const PyLongObject *)value;
#if PY_VERSION_HEX >= 0x030C0000
    /* The lowest bits tell the sign: 0 is positive, 1 is zero, 2 is negative. */
    Py_ssize_t count = (Py_ssize_t)(number->long_value.lv_tag >> 3);
    const digit *held = number->long_value.ob_digit;
    bool is_negative = (number->long_value.lv_tag & 3) == 2;
#else
    Py_ssize_t count = Py_SIZE(number);
    const digit *held = number->ob_digit;
    bool is_negative = count < 0;
#endif
    if (is_negative || count > DIGITS) {
        return false;
    }
    if (count == DIGITS) { /* as it is for nearly all */
        memcpy(digits, held, sizeof digits);
    }
    else {
        memset(digits, 0, sizeof digits);
        memcpy(digits, held, (size_t)count * sizeof *digits);
    }
    if (digits[4] > 0xFF) {
        return false;
    }
    *low = (uint64_t)digits[0] | (uint64_t)digits[1] << 30 | (uint64_t)digits[2] << 60;
    *high = (uint64_t)digits[2] >> 4 | (uint64_t)digits[3] << 26 | (uint64_t)digits[4] << 56;
    return true;
}

#else

static uint64_t
load_big_endian(const unsigned char *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static void
store_big_endian(unsigned char *bytes, uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        bytes[i] = (unsigned char)value;
        value >>= 8;
    }
}

PyObject *
int_of_128_bits(uint64_t high, uint64_t low)
{
    unsigned char bytes[16];
    store_big_endian(bytes, high);
    store_big_endian(bytes + 8, low);
#if PY_VERSION_HEX >= 0x030D0000
    return PyLong_FromUnsignedNativeBytes(bytes, sizeof bytes, Py_ASNATIVEBYTES_BIG_ENDIAN);
#else
    return _PyLong_FromByteArray(bytes, sizeof bytes, 0, 0);
#endif
}

bool
int_in_128_bits(PyObject *value, uint64_t *high, uint64_t *low)
{
    unsigned char bytes[16];
    if (!PyLong_CheckExact(value)) {
        return false;
    }
#if PY_VERSION_HEX >= 0x030D0000
    int flags = Py_ASNATIVEBYTES_BIG_ENDIAN | Py_ASNATIVEBYTES_UNSIGNED_BUFFER |
                Py_ASNATIVEBYTES_REJECT_NEGATIVE;
    Py_ssize_t needed = PyLong_AsNativeBytes(value, bytes, sizeof bytes, flags);
    if (needed < 0 || needed > (Py_ssize_t)sizeof bytes) {
        PyErr_Clear();
        return false;
    }
#else
    if (_PyLong_AsByteArray((PyLongObject *)value, bytes, sizeof bytes, 0, 0) < 0) {
        PyErr_Clear();
        return false;
    }
#endif
    *high = load_big_endian(bytes);
    *low = load_big_endian(bytes + 8);
    return true;
}

#endif
