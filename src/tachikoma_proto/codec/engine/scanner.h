/* The small steps through a frame that every reading function takes. */

#ifndef TACHIKOMA_SCANNER_H
#define TACHIKOMA_SCANNER_H

#include "engine.h"
#include "text.h"

static inline bool
is_space(char byte)
{
    return (unsigned char)byte <= ' ' &&
           (byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r');
}

/* Go over white space, and tell what comes after it. */
static inline char
skip_space(Reader *reader)
{
    while (is_space(*reader->at)) {
        reader->at++;
    }
    return *reader->at;
}

/* Go over white space and one character that must be there. */
static inline bool
expect(Reader *reader, char byte)
{
    if (skip_space(reader) != byte) {
        return refused(reader);
    }
    reader->at++;
    return true;
}

/* Go over a string's opening quote. */
static inline bool
expect_quote(Reader *reader)
{
    if (*reader->at != '"') {
        return refused(reader);
    }
    reader->at++;
    return true;
}

/* Go over one of `true`, `false` and `null`, of which the first letter was seen. The comparison
   stops at the NUL behind the frame. */
static inline bool
expect_word(Reader *reader, const char *word)
{
    const char *at = reader->at;
    while (*word != '\0') {
        if (*at++ != *word++) {
            return refused(reader);
        }
    }
    reader->at = at;
    return true;
}

static inline bool
enter(Reader *reader)
{
    if (++reader->depth > MAX_DEPTH) {
        return refused(reader);
    }
    return true;
}

static inline void
leave(Reader *reader)
{
    reader->depth--;
}

/* After a value in an object or an array: tell whether another one follows. */
typedef enum { NEXT_NONE, NEXT_ANOTHER, NEXT_FAULT } Next;

static inline Next
next_after(Reader *reader, char closing)
{
    char byte = *reader->at == ',' ? ',' : skip_space(reader);
    if (byte == ',') {
        reader->at++;
        skip_space(reader);
        return NEXT_ANOTHER;
    }
    if (byte == closing) {
        reader->at++;
        return NEXT_NONE;
    }
    reader->verdict = REFUSED;
    return NEXT_FAULT;
}

static inline bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* ---- Strings ---- */

bool scan_measured(Reader *reader, Span *span);

/* Go over the rest of a string, the opening quote being behind. Mostly it is plain and ASCII. */
static inline bool
scan_string(Reader *reader, Span *span)
{
    const char *at = reader->at;
    while (reader->end - at >= RUN) {
        int count = plain_before(at);
        at += count;
        if (count < RUN) {
            break;
        }
    }
    unsigned char byte = (unsigned char)*at;
    while (byte < 0x80 && !is_escaped(byte)) {
        byte = (unsigned char)*++at;
    }
    if (byte != '"') {
        return scan_measured(reader, span);
    }
    span->start = reader->at;
    span->size = at - span->start;
    span->is_in_scratch = false;
    span->is_ascii = true;
    reader->at = at + 1;
    return true;
}

/* Make the text of a string. */
static inline PyObject *
text_of(Reader *reader, const Span *span)
{
    PyObject *text = span->is_ascii ? text_of_bytes(span->start, span->size, true)
                                    : text_of_measured(span->start, span->size, &span->extent);
    return text != NULL ? text : raised(reader);
}

/* ---- The keys of an object that no record names, to find those that are repeated ---- */

enum { FEW_KEYS = 8 };

typedef struct {
    const char *start;
    Py_ssize_t size;
} Key;

typedef struct {
    int count;
    PyObject *more;    /* a set, once there are many, or one that lies in the scratch */
    Key few[FEW_KEYS]; /* in the frame */
} Keys;

bool add_key(Reader *reader, Keys *keys, const Span *key);

static inline void
start_keys(Keys *keys)
{
    keys->count = 0;
    keys->more = NULL;
}

static inline void
release_keys(Keys *keys)
{
    Py_CLEAR(keys->more);
}

static inline bool
is_span(const Span *span, const char *text, Py_ssize_t size)
{
    return span->size == size && memcmp(span->start, text, (size_t)size) == 0;
}

#endif
