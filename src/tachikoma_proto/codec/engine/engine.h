/* What the files of the engine share: the plan, compiled, and how a verdict travels.

   Rules:

   - The engine may only say yes. What it is not sure of, or refuses, it hands back, and the
     converter decides. A function that cannot give its result returns NULL (or false), and the
     reader's or writer's `verdict` says why.
   - Everything that a plan refers to is owned by the Python tuples that it was compiled from. The
     engine keeps those alive, and the structures below borrow from them.
   - Nothing is global and nothing of a call is kept in the engine, so that code that is called
     back may use the same engine again.
   - A frame is UTF-8 text with a NUL behind it. No JSON token holds a NUL, so that nobody has to
     look for the end of the text before he reads the next byte. */

#ifndef TACHIKOMA_ENGINE_H
#define TACHIKOMA_ENGINE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "text.h"

#ifdef Py_GIL_DISABLED
#error "The engine relies on the GIL; without it, the converter does everything."
#endif

/* How deep objects and arrays may be nested; the frame itself is the first level. */
enum { MAX_DEPTH = 128 };

/* How many members a record may have, tags included: one bit for each. */
enum { MAX_MEMBERS = 64 };

/* ---- Texts that the plan brings into frames ---- */

/* How many bytes lie behind such a text, so that it can be copied by pieces of so many. */
enum { PADDING = 16 };

typedef struct {
    const char *at; /* a byte a character */
    Py_ssize_t size;
    bool is_ascii;
    PyObject *wide; /* the text itself, where a byte does not hold each of its characters */
} Planned;

/* ---- Tables: from text to whatever belongs to it ---- */

typedef struct {
    Py_ssize_t size;
    uint64_t first;
    uint64_t last;
} TableKey;

typedef struct {
    TableKey key;
    const char *text; /* NULL where the place is free */
    const void *value;
} TableEntry;

typedef struct {
    TableEntry *entries;
    size_t mask; /* the number of entries, a power of two, less one */
} Table;

/* ---- Shapes: what may stand in a field ---- */

typedef enum {
    SHAPE_TEXT,
    SHAPE_BOOLEAN,
    SHAPE_UUID,
    SHAPE_TIMESTAMP,
    SHAPE_JSON,
    SHAPE_INTEGER,
    SHAPE_NUMBER,
    SHAPE_CHOICE,
    SHAPE_CUSTOM,
    SHAPE_ARRAY,
    SHAPE_MAP,
    SHAPE_RECORD,
    SHAPE_TYPE,    /* the message type, in an envelope */
    SHAPE_PAYLOAD, /* the payload, in an envelope */
    SHAPE_UNKNOWN, /* what the plan does not know, and the converter reads and writes */
} ShapeKind;

typedef enum { CONTAINER_TUPLE, CONTAINER_LIST, CONTAINER_FROZENSET } Container;

typedef struct Shape Shape;
typedef struct Record Record;

/* The integers that a field takes, by sign, so that both ends of 64 bits have their place. */
typedef struct {
    bool takes_negative;
    bool takes_others;
    uint64_t least_below_zero; /* of the negative ones, the magnitudes */
    uint64_t most_below_zero;
    uint64_t least;
    uint64_t most;
} Bounds;

typedef struct {
    PyObject *wire;   /* str or int */
    PyObject *value;  /* what stands for it in Python */
    Planned text; /* how it is written */
} ChoiceMember;

typedef struct {
    bool by_identity; /* an enum's members are; those of a Literal go by type and value */
    Py_ssize_t count;
    ChoiceMember *members;
    Table by_text;
} Choice;

typedef struct {
    PyObject *read;
    PyObject *write;
    PyObject *cls;
    Shape *wire;
} Custom;

struct Shape {
    ShapeKind kind;
    bool is_optional; /* None stands for null */
    union {
        Bounds bounds;
        double limit; /* not included */
        Choice choice;
        Custom custom;
        struct {
            Container container;
            Shape *inner;
        } array;
        Shape *inner; /* of a map */
        const Record *record;
    } as;
};

/* ---- Records: attrs classes and their fields ---- */

typedef enum {
    MEMBER_TAG,       /* no field: may be missing, and must agree where it is there */
    MEMBER_REQUIRED,  /* a field without a default */
    MEMBER_DEFAULT,   /* a field whose default is a value */
    MEMBER_FACTORY,   /* a field whose default is made */
    MEMBER_OPEN,      /* a field whose default only the class can tell */
    MEMBER_CONVERTED, /* a field whose default is None, which its converter leaves as it is */
} MemberKind;

typedef enum { ROLE_NONE, ROLE_ID, ROLE_TIMESTAMP, ROLE_REPLY_TO, ROLE_TYPE, ROLE_PAYLOAD } Role;

typedef struct {
    PyObject *name;
    MemberKind kind;
    Role role;           /* in an envelope */
    Py_ssize_t offset;   /* of the slot that holds it; 0 where it has to be asked for */
    PyObject *fallback;  /* the default, or what makes it */
    const char *key;     /* what a frame without white space has for its name: "name": */
    Py_ssize_t key_size;
    uint64_t head;       /* the first eight bytes of that as they lie in memory, then zeros */
    uint64_t head_mask;  /* the bits of it that count */
    uint64_t tail;       /* the last eight bytes, if there are more than that */
    Planned prefix;      /* what stands before the value where it is written: ,"name": */
    const char *tag;
    Py_ssize_t tag_size;
    Shape shape;
} Member;

struct Record {
    PyTypeObject *cls;
    bool is_unsure; /* the converter reads and writes it */
    bool is_direct; /* its instances may be made by filling their slots */
    bool is_direct_unless_converted; /* the same, if no field is there that the class converts */
    int count;
    int tag_count; /* the tags are the first members */
    uint64_t required; /* a bit for each member that must be there */
    Member *members;
    Planned opening; /* how its text begins: the brace and the tags */
    PyObject *keywords; /* the names of its fields */
};

/* ---- Messages ---- */

typedef enum {
    MESSAGE_PLAIN,
    MESSAGE_KEEPALIVE, /* may be bare */
    MESSAGE_EVENTS,    /* its payload's tag says which event of a category it is */
} MessageKind;

/* What is read where a frame has a certain type. */
typedef struct {
    MessageKind kind;
    PyObject *type;
    const Record *record; /* of the payload, unless it is an event's */
    Table events;         /* records by tag */
    const char *category;
    Py_ssize_t category_size;
    const Record *tags;   /* of an event's payload: those that all the events have */
} Incoming;

/* One side's messages as they are read: their envelope, and what goes by which type. */
typedef struct {
    const Record *envelope;
    int type_place; /* among the members of the envelope */
    int payload_place;
    uint64_t bare; /* a bit for each member that a keepalive does without: id and time */
    Table types;
    bool keeps_unknown;
} Side;

enum { IN_ENVELOPE = 1, IN_INCOMING = 2, IN_OUTGOING = 4 };

/* How a payload of some class is written. */
typedef struct {
    PyTypeObject *cls;
    const Record *record;
    PyObject *type;
    Planned quoted; /* the type as a JSON string */
    int envelopes;     /* which may carry it */
    bool is_command;   /* sent by a client */
    bool is_keepalive; /* written bare */
} Outgoing;

typedef struct Block Block;

/* What the engines of an interpreter share. */
typedef struct {
    long forks; /* how often this process, and those it comes from, were forked */
} Shared;

typedef struct {
    PyObject_HEAD
    PyObject *plan; /* owns what is borrowed; NULL once the collector has cleared the engine */
    Block *blocks;  /* the memory of the structures */
    Py_ssize_t max_size;
    bool forbids_unknown;

    Record *records;
    Py_ssize_t record_count;
    Side client;
    Side server;
    Outgoing *outgoing; /* an open table by class */
    size_t outgoing_mask;
    const Record *envelopes[3]; /* Envelope, IncomingMessage, OutgoingMessage */
    const Record *unknown_message;
    const Record *unknown_event;

    PyTypeObject *uuid_class;
    Py_ssize_t uuid_int_offset;
    Py_ssize_t uuid_safety_offset;
    PyObject *uuid_safety;
    PyObject *refusals; /* the exceptions by which called code refuses a value */
    PyObject *urandom;
    PyObject *now;
    PyObject *time_names;     /* the namespace of the module `time` */
    PyObject *datetime_names; /* and that of `datetime` */
    PyObject *time_name;      /* the key "time" */
    PyObject *datetime_name;  /* the key "datetime" */
    PyCFunction clock;        /* what time.time runs; NULL where it was replaced at the start */
    PyObject *unsure;
    PyObject *refused;
    PyObject *no_room;
    PyObject *otherwise[4]; /* what is called instead of giving a verdict, or NULL; owned */

    const void *datetime_api;
    unsigned char random[1024];
    Py_ssize_t random_left;
    long random_owner; /* the process that the random bytes belong to, */
    long random_forks; /* and of which generation it is */
    const Shared *shared;
} Engine;

/* ---- Reading ---- */

enum { LOCAL_ITEMS = 48, LOCAL_SCRATCH = 256 };

/* How much room a step may need in the scratch: for a run, the escape that its end cuts, as much as
   is copied too much, and a NUL. */
enum { SCRATCH_MARGIN = 2 * RUN + 8 };

/* A frame that is being read. Objects that are not yet in a container of their own are on a
   stack, so that whoever gives up leaves them to be released in one place. */
typedef struct {
    Engine *engine;
    const char *start;
    const char *at;
    const char *end;
    int depth;
    Verdict verdict;
    Py_ssize_t count;
    Py_ssize_t capacity;
    PyObject **items;
    char *scratch; /* of the string that had escapes last */
    char *scratch_end;
    PyObject *local[LOCAL_ITEMS];
    char local_scratch[LOCAL_SCRATCH];
} Reader;

/* The inside of a JSON string, escapes resolved, as UTF-8. */
typedef struct {
    const char *start;
    Py_ssize_t size;
    bool is_in_scratch; /* and there until the next string with escapes is read */
    bool is_ascii;
    Extent extent; /* only where it had escapes, or is not ASCII */
} Span;

/* A JSON number, as it stands in the frame. */
typedef struct {
    const char *start;
    Py_ssize_t size;
    bool is_negative;
    bool is_integer;
    bool is_exact; /* `digits` holds all of them */
    int exponent;  /* of ten, by which `digits` is to be multiplied */
    uint64_t digits;
} Number;

static inline PyObject *
refuse(Reader *reader)
{
    reader->verdict = REFUSED;
    return NULL;
}

static inline bool
refused(Reader *reader)
{
    reader->verdict = REFUSED;
    return false;
}

static inline PyObject *
raised(Reader *reader)
{
    reader->verdict = RAISED;
    return NULL;
}

/* ---- Writing ---- */

enum { LOCAL_WIDE = 4 };

/* Text that comes in where a byte does not hold a character. */
typedef struct {
    Py_ssize_t at; /* how many bytes were written before it */
    PyObject *text;
    Py_ssize_t start; /* of what is written of it */
    Py_ssize_t length; /* of that, once it is escaped */
} WideText;

/* Text that is being written: a byte a character, and the wide text between them. */
typedef struct {
    Engine *engine;
    char *data;
    Py_ssize_t size;
    Py_ssize_t capacity;
    int depth;
    bool is_ascii; /* there is nothing but ASCII in the bytes so far */
    Verdict verdict;
    Py_ssize_t wide_count;
    Py_ssize_t wide_capacity;
    Py_ssize_t wide_length; /* in characters, together */
    WideText *wide;
    WideText local_wide[LOCAL_WIDE];
    char local[1024];
} Writer;

static inline bool
doubt(Writer *writer)
{
    writer->verdict = UNSURE;
    return false;
}

bool grow(Writer *writer, Py_ssize_t size);
bool write_wide_planned(Writer *writer, PyObject *text, Py_ssize_t start);

/* Make sure that some bytes have room. */
static inline bool
reserve(Writer *writer, Py_ssize_t size)
{
    return writer->capacity - writer->size >= size || grow(writer, size);
}

/* Write bytes that have room. */
static inline void
put(Writer *writer, const char *text, Py_ssize_t size)
{
    memcpy(writer->data + writer->size, text, (size_t)size);
    writer->size += size;
}

static inline bool
write_bytes(Writer *writer, const char *text, Py_ssize_t size)
{
    if (!reserve(writer, size)) {
        return false;
    }
    put(writer, text, size);
    return true;
}

/* Write text of the plan from one of its first characters on. */
static inline bool
write_planned(Writer *writer, const Planned *text, int start)
{
    if (text->wide != NULL) {
        return write_wide_planned(writer, text->wide, start);
    }
    Py_ssize_t size = text->size - start;
    if (!reserve(writer, size + PADDING)) {
        return false;
    }
    char *to = writer->data + writer->size;
    for (Py_ssize_t i = 0; i < size; i += PADDING) {
        memcpy(to + i, text->at + start + i, PADDING);
    }
    writer->size += size;
    writer->is_ascii = writer->is_ascii && text->is_ascii;
    return true;
}

static inline bool
write_byte(Writer *writer, char byte)
{
    if (!reserve(writer, 1)) {
        return false;
    }
    writer->data[writer->size++] = byte;
    return true;
}

/* Give what a verdict stands for to Python. */
static inline PyObject *
answer(const Engine *engine, Verdict verdict)
{
    switch (verdict) {
    case RAISED:
        return NULL;
    case REFUSED:
        return Py_NewRef(engine->refused);
    case NO_ROOM:
        return Py_NewRef(engine->no_room);
    default:
        return Py_NewRef(engine->unsure);
    }
}

/* ---- Objects ---- */

static inline PyObject **
slot_of(PyObject *object, Py_ssize_t offset)
{
    return (PyObject **)((char *)object + offset);
}

/* plan.c */
bool compile_plan(Engine *engine, PyObject *plan);
void free_plan(Engine *engine);
const void *find_in_table(const Table *table, const char *text, Py_ssize_t size);
const Outgoing *find_outgoing(const Engine *engine, PyTypeObject *cls);

/* scanner.c */
bool scan_number(Reader *reader, Number *number);
bool skip_value(Reader *reader);

/* numbers.c */
extern const char PAIRS[]; /* 00, 01, and so on to 99 */
bool number_as_double(const Number *number, double *value);
PyObject *number_as_object(Reader *reader, const Number *number);
bool write_double(Writer *writer, double value);
bool write_unsigned(Writer *writer, uint64_t value);
PyObject *int_of_128_bits(uint64_t high, uint64_t low);
bool int_in_128_bits(PyObject *value, uint64_t *high, uint64_t *low);

/* uuids.c */
PyObject *uuid_of(Reader *reader, const Span *span);
PyObject *usual_uuid(Reader *reader, bool *is_usual);
bool write_uuid(Writer *writer, PyObject *value);
bool write_new_uuid(Writer *writer);

/* times.c */
bool load_times(Engine *engine);
PyCFunction present_clock(void);
PyObject *timestamp_of(Reader *reader, const Span *span);
PyObject *usual_timestamp(Reader *reader, bool *is_usual);
bool write_timestamp(Writer *writer, PyObject *value);
bool write_present(Writer *writer);

/* objects.c */
Verdict verdict_of_call(const Engine *engine);
PyObject *new_instance(PyTypeObject *cls);
PyObject *make_instance(Reader *reader, const Record *record, Py_ssize_t base);
PyObject *call_class(Reader *reader, const Record *record, Py_ssize_t base);
bool push(Reader *reader, PyObject *object);
bool reserve_items(Reader *reader, Py_ssize_t count);
void drop_items(Reader *reader, Py_ssize_t base);

/* frames.c */
PyObject *read_frame(Engine *engine, const Side *side, PyObject *frame);

/* strings.c */
bool write_text(Writer *writer, PyObject *value);
PyObject *join_wide(const Writer *writer);
Py_ssize_t size_of_wide(const Writer *writer);
void release_wide(Writer *writer);

/* writer.c */
PyObject *write_payload_frame(Engine *engine, PyObject *payload, PyObject *reply_to, PyObject *id,
                              PyObject *timestamp);
PyObject *write_message_frame(Engine *engine, PyObject *message);

#endif
