/* Times: RFC 3339 date-times ⇄ datetimes in UTC, and the present time.

   Rules:

   - Seconds and an offset are there, `T` stands between date and time, any number of fraction
     digits is read and truncated to microseconds. A leap second is the last microsecond of its
     minute.
   - It is written with `Z`, without a fraction where that is zero, else with 3 or 6 digits.
   - The clock is the engine's own, unless somebody has put another in the place of Python's: then
     that is asked, as any code in Python would. */

#include "scanner.h"

#include <datetime.h>
#include <time.h>

typedef struct {
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int microsecond;
} Moment;

bool
load_times(Engine *engine)
{
    PyDateTime_IMPORT;
    engine->datetime_api = PyDateTimeAPI;
    return engine->datetime_api != NULL;
}

static inline const PyDateTime_CAPI *
datetime_api(const Engine *engine)
{
    return engine->datetime_api;
}

/* Days since 1970-01-01 in the Gregorian calendar. March comes first: so the day that a leap year
   adds is the last one of the year. */
static int64_t
days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* The reverse. */
static void
date_of(int64_t days, Moment *moment)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    moment->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    moment->month = (int)(month < 10 ? month + 3 : month - 9);
    moment->year = (int)(year_of_era + era * 400 + (moment->month <= 2));
}

static int
days_in_month(int year, int month)
{
    static const unsigned char DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return DAYS[month - 1] + (month == 2 && is_leap);
}

/* Read two digits; a large number where they are none. */
static inline unsigned
two_digits(const char *at)
{
    unsigned tens = (unsigned char)(at[0] - '0');
    unsigned ones = (unsigned char)(at[1] - '0');
    return tens > 9 || ones > 9 ? 1000 : tens * 10 + ones;
}

/* Take an offset from a moment, into UTC; false where that has no year from 1 to 9999. */
static bool
into_utc(Moment *moment, int offset_minutes)
{
    int64_t minutes = days_of(moment->year, moment->month, moment->day) * 1440 +
                      moment->hour * 60 + moment->minute - offset_minutes;
    int64_t days = (minutes >= 0 ? minutes : minutes - 1439) / 1440;
    int64_t rest = minutes - days * 1440;
    date_of(days, moment);
    moment->hour = (int)(rest / 60);
    moment->minute = (int)(rest % 60);
    return moment->year >= 1 && moment->year <= 9999;
}

/* Read what comes after the seconds: a fraction, if any, and the offset. Give what comes after
   that; NULL where it is not of that form. It ends before the NUL behind the text. */
static inline const char *
parse_tail(const char *at, Moment *moment, int *offset)
{
    if (*at == '.') {
        const char *first = ++at;
        int micros = 0;
        int count = 0;
        for (; is_digit(*at) && count < 6; at++, count++) {
            micros = micros * 10 + (*at - '0');
        }
        for (; count < 6; count++) {
            micros *= 10;
        }
        while (is_digit(*at)) {
            at++;
        }
        if (at == first) {
            return NULL;
        }
        moment->microsecond = micros;
    }
    if (*at == 'Z' || *at == 'z') {
        *offset = 0;
        return at + 1;
    }
    bool is_west = *at == '-';
    if (!is_west && *at != '+') {
        return NULL;
    }
    for (int i = 1; i < 6; i++) {
        if (i == 3 ? at[i] != ':' : !is_digit(at[i])) {
            return NULL;
        }
    }
    unsigned hours = two_digits(at + 1);
    unsigned minutes = two_digits(at + 4);
    int sum = (int)(hours * 60 + minutes);
    *offset = is_west ? -sum : sum;
    return hours <= 23 && minutes <= 59 ? at + 6 : NULL;
}

enum { UP_TO_SECONDS = 19 };

/* Read eight bytes that look like a pattern, in which there are zeros for digits: "2026-01-" looks
   like "0000-00-". Exclusive or leaves 2, 0, 2, 6, 0, 0, 1, 0 of it: digits their values, the others
   zeros. `slack` has for each byte what may just be added to the largest that fits before the high
   bit is set: 0x76 to 9, 0x7F to 0. Each digit that another one follows becomes the number of both,
   here 20, 2, 26, 60, 0, 1, 10, 0, of which the caller takes those that it wants. */
static inline bool
read_pattern(const char *at, const char *pattern, const char *slack, unsigned char *numbers)
{
    uint64_t digits = load_8(at) ^ load_8(pattern);
    uint64_t too_large = (digits | (digits + load_8(slack))) & EACH_BYTE(0x80);
    uint64_t sums = digits * 10 + (PY_LITTLE_ENDIAN ? digits >> 8 : digits << 8);
    memcpy(numbers, &sums, 8);
    return too_large == 0;
}

/* Read a moment that has as many bytes as it takes to tell the seconds; give what comes after it,
   NULL where it is none. */
static inline const char *
parse_moment(const char *at, Moment *moment)
{
    unsigned char date[8], time[8];
    if (!read_pattern(at, "0000-00-", "\x76\x76\x76\x76\x7F\x76\x76\x7F", date) ||
        !read_pattern(at + 8, "00T00:00", "\x76\x76\x7F\x76\x76\x7F\x76\x76", time) ||
        at[16] != ':') {
        return NULL;
    }
    unsigned century = date[0], year = date[2], month = date[5];
    unsigned day = time[0], hour = time[3], minute = time[6], second = two_digits(at + 17);
    if (month - 1 > 11 || day < 1 || hour > 23 || minute > 59 || second > 60) {
        return NULL;
    }
    int offset = 0;
    moment->year = (int)(century * 100 + year);
    moment->month = (int)month;
    moment->day = (int)day;
    moment->hour = (int)hour;
    moment->minute = (int)minute;
    moment->second = (int)second;
    moment->microsecond = 0;
    if (moment->year < 1 || moment->day > days_in_month(moment->year, moment->month)) {
        return NULL;
    }
    const char *end = parse_tail(at + UP_TO_SECONDS, moment, &offset);
    if (end == NULL) {
        return NULL;
    }
    if (second == 60) {
        moment->second = 59;
        moment->microsecond = 999999;
    }
    return offset == 0 || into_utc(moment, offset) ? end : NULL;
}

static PyObject *
make_datetime(Reader *reader, const Moment *moment)
{
    const PyDateTime_CAPI *api = datetime_api(reader->engine);
    PyObject *made = api->DateTime_FromDateAndTime(
        moment->year, moment->month, moment->day, moment->hour, moment->minute, moment->second,
        moment->microsecond, api->TimeZone_UTC, api->DateTimeType);
    return made != NULL ? made : raised(reader);
}

/* Read a timestamp from the inside of a string, which has no escapes, and something behind it
   that is no part of a timestamp. */
PyObject *
timestamp_of(Reader *reader, const Span *span)
{
    Moment moment;
    const char *end = span->start + span->size;
    if (span->size <= UP_TO_SECONDS || parse_moment(span->start, &moment) != end) {
        return refuse(reader);
    }
    return make_datetime(reader, &moment);
}

/* Read a timestamp without looking for the end of the string first; NULL where that does not
   do. */
PyObject *
usual_timestamp(Reader *reader, bool *is_usual)
{
    Moment moment;
    const char *end = NULL;
    if (*reader->at == '"' && reader->end - reader->at > UP_TO_SECONDS) {
        end = parse_moment(reader->at + 1, &moment);
    }
    *is_usual = end != NULL && *end == '"';
    if (!*is_usual) {
        return NULL;
    }
    reader->at = end + 1;
    return make_datetime(reader, &moment);
}

static inline char *
put_two(char *to, int number)
{
    memcpy(to, PAIRS + 2 * number, 2);
    return to + 2;
}

/* Write a moment in UTC, with its quotes. */
static bool
write_moment(Writer *writer, const Moment *moment)
{
    if (!reserve(writer, 32)) {
        return false;
    }
    char *start = writer->data + writer->size;
    char *to = start;
    *to++ = '"';
    to = put_two(to, moment->year / 100);
    to = put_two(to, moment->year % 100);
    *to++ = '-';
    to = put_two(to, moment->month);
    *to++ = '-';
    to = put_two(to, moment->day);
    *to++ = 'T';
    to = put_two(to, moment->hour);
    *to++ = ':';
    to = put_two(to, moment->minute);
    *to++ = ':';
    to = put_two(to, moment->second);
    if (moment->microsecond != 0) {
        int thousands = moment->microsecond / 1000;
        int rest = moment->microsecond % 1000;
        *to++ = '.';
        *to++ = (char)('0' + thousands / 100);
        to = put_two(to, thousands % 100);
        if (rest != 0) {
            *to++ = (char)('0' + rest / 100);
            to = put_two(to, rest % 100);
        }
    }
    *to++ = 'Z';
    *to++ = '"';
    writer->size += to - start;
    return true;
}

static bool
write_datetime(Writer *writer, PyObject *value)
{
    Moment moment = {
        .year = PyDateTime_GET_YEAR(value),
        .month = PyDateTime_GET_MONTH(value),
        .day = PyDateTime_GET_DAY(value),
        .hour = PyDateTime_DATE_GET_HOUR(value),
        .minute = PyDateTime_DATE_GET_MINUTE(value),
        .second = PyDateTime_DATE_GET_SECOND(value),
        .microsecond = PyDateTime_DATE_GET_MICROSECOND(value),
    };
    return write_moment(writer, &moment);
}

/* Write a time of another zone: what it is in UTC, the zone has to say. */
static bool
write_zoned(Writer *writer, PyObject *value)
{
    const PyDateTime_CAPI *api = datetime_api(writer->engine);
    PyObject *moved = NULL;
    PyObject *offset = PyObject_CallMethod(value, "utcoffset", NULL);
    if (offset != NULL && offset != Py_None) {
        moved = PyObject_CallMethod(value, "astimezone", "O", api->TimeZone_UTC);
    }
    else if (offset != NULL) { /* a naive time */
        Py_DECREF(offset);
        return doubt(writer);
    }
    Py_XDECREF(offset);
    if (moved == NULL) { /* also where it has no place in UTC */
        writer->verdict = verdict_of_call(writer->engine);
        return false;
    }
    bool is_written = Py_IS_TYPE(moved, api->DateTimeType) &&
                              PyDateTime_DATE_GET_TZINFO(moved) == api->TimeZone_UTC
                          ? write_datetime(writer, moved)
                          : doubt(writer);
    Py_DECREF(moved);
    return is_written;
}

bool
write_timestamp(Writer *writer, PyObject *value)
{
    const PyDateTime_CAPI *api = datetime_api(writer->engine);
    if (!Py_IS_TYPE(value, api->DateTimeType)) {
        return doubt(writer);
    }
    if (PyDateTime_DATE_GET_TZINFO(value) == api->TimeZone_UTC) {
        return write_datetime(writer, value);
    }
    return write_zoned(writer, value);
}

/* ---- The clock ---- */

static bool
read_clock(int64_t *seconds, int *microseconds)
{
    struct timespec now;
    if (timespec_get(&now, TIME_UTC) != TIME_UTC) {
        return false;
    }
    *seconds = now.tv_sec;
    *microseconds = (int)(now.tv_nsec / 1000);
    return true;
}

/* Give the function that `time.time` runs; NULL where it is not the one that Python has, as far
   as can be told: it is another kind of object, or tells another time. */
PyCFunction
present_clock(void)
{
    PyCFunction function = NULL;
    PyObject *module = PyImport_ImportModule("time");
    PyObject *clock = module ? PyObject_GetAttrString(module, "time") : NULL;
    if (clock != NULL && PyCFunction_CheckExact(clock)) {
        PyObject *now = PyObject_CallNoArgs(clock);
        double python = now ? PyFloat_AsDouble(now) : -1.0;
        int64_t seconds;
        int microseconds;
        if (read_clock(&seconds, &microseconds) && python > (double)seconds - 2.0 &&
            python < (double)seconds + 3.0) {
            function = PyCFunction_GET_FUNCTION(clock);
        }
        Py_XDECREF(now);
    }
    Py_XDECREF(clock);
    Py_XDECREF(module);
    PyErr_Clear();
    return function;
}

/* Tell whether Python's clock is what it was: freezegun and its like put other objects in the
   place of `time.time` and `datetime.datetime`, time-machine another function into the first. */
static bool
is_clock_genuine(const Engine *engine)
{
    if (engine->clock == NULL) {
        return false;
    }
    PyObject *clock = PyDict_GetItemWithError(engine->time_names, engine->time_name);
    if (clock == NULL || !PyCFunction_CheckExact(clock) ||
        PyCFunction_GET_FUNCTION(clock) != engine->clock) {
        return false;
    }
    return PyDict_GetItemWithError(engine->datetime_names, engine->datetime_name) ==
           (PyObject *)datetime_api(engine)->DateTimeType;
}

/* Write the present time, with its quotes. */
bool
write_present(Writer *writer)
{
    const Engine *engine = writer->engine;
    int64_t seconds;
    Moment moment;
    if (is_clock_genuine(engine) && read_clock(&seconds, &moment.microsecond)) {
        int64_t days = seconds / 86400;
        int rest = (int)(seconds % 86400);
        if (seconds < 0 || days > 2932896) { /* before 1970, or after the year 9999 */
            return doubt(writer);
        }
        date_of(days, &moment);
        moment.hour = rest / 3600;
        moment.minute = rest / 60 % 60;
        moment.second = rest % 60;
        return write_moment(writer, &moment);
    }
    if (PyErr_Occurred()) {
        writer->verdict = RAISED;
        return false;
    }
    PyObject *now = PyObject_CallNoArgs(engine->now);
    if (now == NULL) {
        writer->verdict = RAISED;
        return false;
    }
    bool is_written = write_timestamp(writer, now);
    Py_DECREF(now);
    return is_written;
}
