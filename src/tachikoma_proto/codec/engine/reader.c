/* The reader: frames become messages, in one pass.

   Rules:

   - A frame is looked at once, from front to end. Only what came too early is looked at twice: a
     payload before its type, fields before the tag that says whose they are, the members of a
     message that turns out to be unknown.
   - Nothing is coerced. The rules for each kind of value are those of the converter's hooks.
   - A key stands once in its object: there is a bit for each member that a record has, and a list
     of the others.
   - A missing optional field is None, a missing field with a default has that. */

#include "scanner.h"

static PyObject *read_value(Reader *reader, const Shape *shape);
static PyObject *read_json(Reader *reader);

/* ---- Leaves ---- */

static PyObject *
read_text(Reader *reader)
{
    Span span;
    if (!expect_quote(reader) || !scan_string(reader, &span)) {
        return NULL;
    }
    return text_of(reader, &span);
}

typedef PyObject *(*ReadSpan)(Reader *reader, const Span *span);

/* Read a string by what stands in it. */
static PyObject *
read_inside(Reader *reader, ReadSpan read)
{
    Span span;
    if (!expect_quote(reader) || !scan_string(reader, &span)) {
        return NULL;
    }
    if (!span.has_escapes) {
        return read(reader, &span);
    }
    Scratch scratch;
    Span plain;
    if (!unescape(reader, &span, &scratch, &plain)) {
        return NULL;
    }
    PyObject *made = read(reader, &plain);
    release_scratch(&scratch);
    return made;
}

static PyObject *
read_uuid(Reader *reader)
{
    bool is_usual;
    PyObject *uuid = usual_uuid(reader, &is_usual);
    return is_usual ? uuid : read_inside(reader, uuid_of);
}

static PyObject *
read_timestamp(Reader *reader)
{
    bool is_usual;
    PyObject *moment = usual_timestamp(reader, &is_usual);
    return is_usual ? moment : read_inside(reader, timestamp_of);
}

static PyObject *
read_word(Reader *reader, const char *word, PyObject *value)
{
    return expect_word(reader, word) ? Py_NewRef(value) : NULL;
}

static PyObject *
read_boolean(Reader *reader)
{
    switch (*reader->at) {
    case 't':
        return read_word(reader, "true", Py_True);
    case 'f':
        return read_word(reader, "false", Py_False);
    default:
        return refuse(reader);
    }
}

static PyObject *
read_integer(Reader *reader, const Bounds *bounds)
{
    Number number;
    if (!scan_number(reader, &number)) {
        return NULL;
    }
    if (!number.is_integer || !number.is_exact) {
        return refuse(reader);
    }
    uint64_t digits = number.digits;
    PyObject *made;
    if (!number.is_negative) {
        if (!bounds->takes_others || digits < bounds->least || digits > bounds->most) {
            return refuse(reader);
        }
        made = PyLong_FromUnsignedLongLong(digits);
    }
    else {
        /* -0 is no integer, which the least magnitude below zero sees to. */
        if (!bounds->takes_negative || digits < bounds->least_below_zero ||
            digits > bounds->most_below_zero) {
            return refuse(reader);
        }
        made = PyLong_FromLongLong((long long)(0 - digits));
    }
    return made != NULL ? made : raised(reader);
}

static PyObject *
read_number(Reader *reader, double limit)
{
    Number number;
    double value;
    if (!scan_number(reader, &number)) {
        return NULL;
    }
    if (!number_as_double(&number, &value)) {
        return PyErr_Occurred() ? raised(reader) : refuse(reader);
    }
    if (!(value < limit && value > -limit)) {
        return refuse(reader);
    }
    PyObject *made = PyFloat_FromDouble(value);
    return made != NULL ? made : raised(reader);
}

static PyObject *
choose_text(Reader *reader, const Choice *choice)
{
    Span span;
    const ChoiceMember *member = NULL;
    if (!expect_quote(reader) || !scan_string(reader, &span)) {
        return NULL;
    }
    if (!span.has_escapes) {
        member = find_in_table(&choice->by_text, span.start, span.size);
    }
    else {
        Scratch scratch;
        Span plain;
        if (!unescape(reader, &span, &scratch, &plain)) {
            return NULL;
        }
        member = find_in_table(&choice->by_text, plain.start, plain.size);
        release_scratch(&scratch);
    }
    return member != NULL ? Py_NewRef(member->value) : refuse(reader);
}

static PyObject *
choose_integer(Reader *reader, const Choice *choice)
{
    Number number;
    if (!scan_number(reader, &number)) {
        return NULL;
    }
    PyObject *value = number_as_object(reader, &number);
    if (value == NULL) {
        return NULL;
    }
    PyObject *found = NULL;
    for (Py_ssize_t i = 0; i < choice->count && found == NULL; i++) {
        const ChoiceMember *member = &choice->members[i];
        if (PyLong_CheckExact(value) && PyLong_CheckExact(member->wire) &&
            PyObject_RichCompareBool(value, member->wire, Py_EQ) == 1) {
            found = Py_NewRef(member->value);
        }
    }
    Py_DECREF(value);
    return found != NULL ? found : refuse(reader);
}

static PyObject *
read_choice(Reader *reader, const Choice *choice)
{
    return *reader->at == '"' ? choose_text(reader, choice) : choose_integer(reader, choice);
}

static PyObject *
read_custom(Reader *reader, const Custom *custom)
{
    PyObject *wire = read_value(reader, custom->wire);
    if (wire == NULL) {
        return NULL;
    }
    PyObject *made = PyObject_CallOneArg(custom->read, wire);
    Py_DECREF(wire);
    if (made == NULL) {
        reader->verdict = verdict_of_call(reader->engine);
        return NULL;
    }
    int is_one = PyObject_IsInstance(made, custom->cls);
    if (is_one == 1) {
        return made;
    }
    Py_DECREF(made);
    reader->verdict = is_one == 0 ? REFUSED : verdict_of_call(reader->engine);
    return NULL;
}

/* ---- Arrays and maps ---- */

/* Make a tuple or a list of what lies on the stack above a place. */
static PyObject *
gather(Reader *reader, Py_ssize_t base, bool is_list)
{
    Py_ssize_t count = reader->count - base;
    PyObject *made = is_list ? PyList_New(count) : PyTuple_New(count);
    if (made == NULL) {
        return raised(reader);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (is_list) {
            PyList_SET_ITEM(made, i, reader->items[base + i]);
        }
        else {
            PyTuple_SET_ITEM(made, i, reader->items[base + i]);
        }
    }
    reader->count = base;
    return made;
}

static PyObject *
freeze(Reader *reader, Py_ssize_t base)
{
    PyObject *items = gather(reader, base, false);
    if (items == NULL) {
        return NULL;
    }
    PyObject *made = PyFrozenSet_New(items);
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    Py_DECREF(items);
    if (made == NULL) { /* the hash or the comparison of an item may be anybody's */
        reader->verdict = verdict_of_call(reader->engine);
        return NULL;
    }
    if (PySet_GET_SIZE(made) != count) {
        Py_DECREF(made);
        return refuse(reader);
    }
    return made;
}

/* Read the items of an array onto the stack; of free JSON where there is no shape. */
static bool
read_items(Reader *reader, const Shape *inner)
{
    if (*reader->at != '[') {
        return refused(reader);
    }
    reader->at++;
    if (!enter(reader)) {
        return false;
    }
    if (skip_space(reader) == ']') {
        reader->at++;
        leave(reader);
        return true;
    }
    for (;;) {
        PyObject *item = inner != NULL ? read_value(reader, inner) : read_json(reader);
        if (item == NULL || !push(reader, item)) {
            return false;
        }
        Next next = next_after(reader, ']');
        if (next == NEXT_NONE) {
            leave(reader);
            return true;
        }
        if (next == NEXT_FAULT) {
            return false;
        }
    }
}

static PyObject *
read_array(Reader *reader, Container container, const Shape *inner)
{
    Py_ssize_t base = reader->count;
    if (!read_items(reader, inner)) {
        return NULL;
    }
    return container == CONTAINER_FROZENSET ? freeze(reader, base)
                                            : gather(reader, base, container == CONTAINER_LIST);
}

/* Read one member of an object into a dict; the key must be new. */
static bool
read_item(Reader *reader, const Shape *inner, PyObject *dict)
{
    PyObject *key = read_text(reader);
    if (key == NULL) {
        return false;
    }
    PyObject *value = NULL;
    if (expect(reader, ':')) {
        skip_space(reader);
        value = inner != NULL ? read_value(reader, inner) : read_json(reader);
    }
    if (value == NULL) {
        Py_DECREF(key);
        return false;
    }
    Py_ssize_t before = PyDict_GET_SIZE(dict);
    int failed = PyDict_SetItem(dict, key, value);
    Py_DECREF(key);
    Py_DECREF(value);
    if (failed) {
        reader->verdict = RAISED;
        return false;
    }
    return PyDict_GET_SIZE(dict) > before || refused(reader);
}

static bool
read_members_of_map(Reader *reader, const Shape *inner, PyObject *dict)
{
    if (skip_space(reader) == '}') {
        reader->at++;
        return true;
    }
    for (;;) {
        if (!read_item(reader, inner, dict)) {
            return false;
        }
        Next next = next_after(reader, '}');
        if (next != NEXT_ANOTHER) {
            return next == NEXT_NONE;
        }
    }
}

/* Read an object with free keys; of free JSON where there is no shape. */
static PyObject *
read_map(Reader *reader, const Shape *inner)
{
    if (*reader->at != '{' || !enter(reader)) {
        return refuse(reader);
    }
    reader->at++;
    PyObject *dict = PyDict_New();
    if (dict == NULL) {
        return raised(reader);
    }
    if (!read_members_of_map(reader, inner, dict)) {
        Py_DECREF(dict);
        return NULL;
    }
    leave(reader);
    return dict;
}

static PyObject *
read_json(Reader *reader)
{
    switch (*reader->at) {
    case '"':
        return read_text(reader);
    case '{':
        return read_map(reader, NULL);
    case '[':
        return read_array(reader, CONTAINER_LIST, NULL);
    case 't':
    case 'f':
        return read_boolean(reader);
    case 'n':
        return read_word(reader, "null", Py_None);
    default: {
        Number number;
        return scan_number(reader, &number) ? number_as_object(reader, &number) : NULL;
    }
    }
}

/* ---- Records ---- */

enum { MEMBER_UNKNOWN = -1, MEMBER_FAULT = -2 };

/* Look for a member by its name, first at the place where it is expected. */
static int
search_member(const Record *record, int next, const Span *key)
{
    for (int step = 0, i = next; step < record->count; step++, i++) {
        if (i >= record->count) {
            i -= record->count;
        }
        const Member *member = &record->members[i];
        if (member->quoted_size == key->size + 2 &&
            memcmp(member->quoted + 1, key->start, (size_t)key->size) == 0) {
            return i;
        }
    }
    return MEMBER_UNKNOWN;
}

/* Tell whether the name of a member comes next. */
static inline bool
is_key(const Reader *reader, const Member *member)
{
    const char *at = reader->at;
    Py_ssize_t size = member->quoted_size;
    if (reader->end - at < 8 || reader->end - at < size ||
        (load_8(at) & member->head_mask) != member->head) {
        return false;
    }
    for (Py_ssize_t i = 8; i < size; i += 8) {
        if (size - i < 8) { /* the last eight bytes, whatever of them was compared before */
            return load_8(at + size - 8) == load_8(member->quoted + size - 8);
        }
        if (load_8(at + i) != load_8(member->quoted + i)) {
            return false;
        }
    }
    return true;
}

/* Read a key and the colon behind it; tell which member of a record it names. */
static inline int
read_key(Reader *reader, const Record *record, int next, Span *key)
{
    if (next < record->count && is_key(reader, &record->members[next])) {
        reader->at += record->members[next].quoted_size;
        if (*reader->at != ':' && skip_space(reader) != ':') {
            reader->verdict = REFUSED;
            return MEMBER_FAULT;
        }
        reader->at++;
        skip_space(reader);
        return next;
    }
    int found;
    if (!expect_quote(reader) || !scan_string(reader, key)) {
        return MEMBER_FAULT;
    }
    if (!key->has_escapes) {
        found = search_member(record, next, key);
    }
    else {
        Scratch scratch;
        Span plain;
        if (!unescape(reader, key, &scratch, &plain)) {
            return MEMBER_FAULT;
        }
        found = search_member(record, next, &plain);
        release_scratch(&scratch);
    }
    if (!expect(reader, ':')) {
        return MEMBER_FAULT;
    }
    skip_space(reader);
    return found;
}

/* Go over a tag, which must be what it has to be. */
static bool
check_tag(Reader *reader, const char *tag, Py_ssize_t size)
{
    Span span;
    if (!expect_quote(reader) || !scan_string(reader, &span)) {
        return false;
    }
    if (!span.has_escapes) {
        return is_span(&span, tag, size) || refused(reader);
    }
    Scratch scratch;
    Span plain;
    if (!unescape(reader, &span, &scratch, &plain)) {
        return false;
    }
    bool agrees = is_span(&plain, tag, size);
    release_scratch(&scratch);
    return agrees || refused(reader);
}

/* Go over a member that the record does not have. */
static bool
skip_unknown(Reader *reader, Keys *unknown, const Span *key)
{
    if (reader->engine->forbids_unknown) {
        return refused(reader);
    }
    return add_key(reader, unknown, key) && skip_value(reader);
}

/* Read the members of a record onto their places on the stack.

   `seen` has a bit for each member that is already behind; if there are any, the last of them was
   just read. */
static bool
read_fields(Reader *reader, const Record *record, Py_ssize_t base, uint64_t *seen, int next,
            Keys *unknown)
{
    Next more;
    if (*seen != 0) {
        more = next_after(reader, '}');
    }
    else if (skip_space(reader) == '}') {
        reader->at++;
        more = NEXT_NONE;
    }
    else {
        more = NEXT_ANOTHER;
    }
    while (more == NEXT_ANOTHER) {
        Span key;
        int i = read_key(reader, record, next, &key);
        if (i >= 0) {
            const Member *member = &record->members[i];
            uint64_t bit = UINT64_C(1) << i;
            if (*seen & bit) {
                return refused(reader);
            }
            *seen |= bit;
            next = i + 1;
            if (member->kind == MEMBER_TAG) {
                if (!check_tag(reader, member->tag, member->tag_size)) {
                    return false;
                }
            }
            else {
                PyObject *value = read_value(reader, &member->shape);
                if (value == NULL) {
                    return false;
                }
                reader->items[base + i] = value;
            }
        }
        else if (i == MEMBER_FAULT || !skip_unknown(reader, unknown, &key)) {
            return false;
        }
        more = next_after(reader, '}');
    }
    return more == NEXT_NONE;
}

/* Make places on the stack for the members of a record. */
static bool
make_places(Reader *reader, const Record *record)
{
    if (!reserve_items(reader, record->count)) {
        return false;
    }
    for (int i = 0; i < record->count; i++) {
        reader->items[reader->count++] = NULL;
    }
    return true;
}

/* Read the inside of a record's object, and what closes it. */
static PyObject *
read_record_inside(Reader *reader, const Record *record, uint64_t seen, int next)
{
    Py_ssize_t base = reader->count;
    Keys unknown;
    if (record->is_unsure) {
        reader->verdict = UNSURE;
        return NULL;
    }
    if (!make_places(reader, record)) {
        return NULL;
    }
    start_keys(&unknown);
    bool is_read = read_fields(reader, record, base, &seen, next, &unknown);
    release_keys(&unknown);
    if (!is_read) {
        return NULL;
    }
    if ((record->required & ~seen) != 0) {
        return refuse(reader);
    }
    return make_instance(reader, record, base);
}

static PyObject *
read_record(Reader *reader, const Record *record)
{
    if (*reader->at != '{' || !enter(reader)) {
        return refuse(reader);
    }
    reader->at++;
    PyObject *made = read_record_inside(reader, record, 0, 0);
    leave(reader);
    return made;
}

/* ---- Values ---- */

static PyObject *
read_value(Reader *reader, const Shape *shape)
{
    if (shape->is_optional && *reader->at == 'n') {
        return read_word(reader, "null", Py_None);
    }
    switch (shape->kind) {
    case SHAPE_TEXT:
        return read_text(reader);
    case SHAPE_BOOLEAN:
        return read_boolean(reader);
    case SHAPE_UUID:
        return read_uuid(reader);
    case SHAPE_TIMESTAMP:
        return read_timestamp(reader);
    case SHAPE_JSON:
        return read_json(reader);
    case SHAPE_INTEGER:
        return read_integer(reader, &shape->as.bounds);
    case SHAPE_NUMBER:
        return read_number(reader, shape->as.limit);
    case SHAPE_CHOICE:
        return read_choice(reader, &shape->as.choice);
    case SHAPE_CUSTOM:
        return read_custom(reader, &shape->as.custom);
    case SHAPE_ARRAY:
        return read_array(reader, shape->as.array.container, shape->as.array.inner);
    case SHAPE_MAP:
        return read_map(reader, shape->as.inner);
    case SHAPE_RECORD:
        return read_record(reader, shape->as.record);
    default: /* also an envelope's own, which its reader knows */
        reader->verdict = UNSURE;
        return NULL;
    }
}

/* ---- Frames ---- */

/* What was found out about a frame so far. */
typedef struct {
    const Side *side;
    const Incoming *incoming; /* NULL before the type was seen, or where it is unknown */
    PyObject *type;           /* borrowed from the plan, or from the stack where it is unknown */
    bool has_type;
    bool is_unknown;          /* as a whole: its type, or its event's tag */
    const char *payload_at;   /* where a payload stands that came before the type */
    PyObject *members;        /* of what is unknown as a whole; NULL at first */
    uint64_t seen;
    uint64_t id_bit;
    uint64_t timestamp_bit;
    int type_place;
    int payload_place;
    Keys unknown;
} Frame;

static const char EVENT_PREFIX[] = "event.";

/* Read the message type, and find what goes by it. */
static bool
read_type(Reader *reader, Frame *frame, Py_ssize_t base)
{
    Span span;
    if (*reader->at != '"') {
        return refused(reader);
    }
    const char *at = ++reader->at;
    if (!scan_string(reader, &span)) {
        return false;
    }
    frame->has_type = true;
    if (!span.has_escapes) {
        frame->incoming = find_in_table(&frame->side->types, span.start, span.size);
    }
    else {
        Scratch scratch;
        Span plain;
        if (!unescape(reader, &span, &scratch, &plain)) {
            return false;
        }
        frame->incoming = find_in_table(&frame->side->types, plain.start, plain.size);
        release_scratch(&scratch);
    }
    PyObject *type;
    if (frame->incoming != NULL) {
        type = Py_NewRef(frame->incoming->type);
    }
    else if (!frame->side->keeps_unknown) {
        return refused(reader);
    }
    else {
        frame->is_unknown = true;
        reader->at = at - 1;
        type = read_text(reader);
        if (type == NULL) {
            return false;
        }
    }
    frame->type = type;
    reader->items[base + frame->type_place] = type;
    return true;
}

/* The places of the tags among the members of an event. */
enum { TAG_CATEGORY, TAG_EVENT };

static const Record *
refuse_record(Reader *reader)
{
    reader->verdict = REFUSED;
    return NULL;
}

/* Find out which event a payload is, having gone over its brace. Where its tags come first, as they
   should, reading goes on behind them: `*seen` tells which. Otherwise it starts again. */
static const Record *
find_event(Reader *reader, Frame *frame, uint64_t *seen)
{
    const Incoming *incoming = frame->incoming;
    const char *start = reader->at;
    Py_ssize_t category_size;
    const char *category = PyUnicode_AsUTF8AndSize(incoming->category, &category_size);
    bool is_leading = true;
    *seen = 0;
    if (category == NULL) {
        reader->verdict = RAISED;
        return NULL;
    }
    if (skip_space(reader) == '}') {
        return refuse_record(reader);
    }
    int next = 0;
    for (;;) {
        Span key, tag;
        int i = read_key(reader, incoming->tags, next, &key);
        if (i == MEMBER_FAULT) {
            return NULL;
        }
        next = i + 1;
        if (i == TAG_EVENT) {
            if (!expect_quote(reader) || !scan_string(reader, &tag)) {
                return NULL;
            }
            if (tag.has_escapes) { /* which nobody writes in a tag, unless to trip us up */
                reader->verdict = UNSURE;
                return NULL;
            }
            const Record *record = find_in_table(&incoming->events, tag.start, tag.size);
            frame->is_unknown = record == NULL;
            *seen |= UINT64_C(1) << TAG_EVENT;
            if (!is_leading) {
                *seen = 0;
                reader->at = start;
            }
            return record;
        }
        if (i == TAG_CATEGORY && is_leading && *seen == 0) {
            if (!check_tag(reader, category, category_size)) {
                return NULL;
            }
            *seen = UINT64_C(1) << TAG_CATEGORY;
        }
        else {
            is_leading = false;
            if (!skip_value(reader)) {
                return NULL;
            }
        }
        if (next_after(reader, '}') != NEXT_ANOTHER) {
            return refuse_record(reader);
        }
    }
}

static PyObject *
read_event(Reader *reader, Frame *frame)
{
    if (*reader->at != '{' || !enter(reader)) {
        return refuse(reader);
    }
    reader->at++;
    uint64_t seen;
    const Record *record = find_event(reader, frame, &seen);
    if (record == NULL) {
        return NULL;
    }
    PyObject *made = read_record_inside(reader, record, seen, seen != 0 ? record->tag_count : 0);
    leave(reader);
    return made;
}

/* Make the payload of a frame that has none, or null. */
static PyObject *
make_empty_payload(Reader *reader, const Frame *frame)
{
    const Record *record = frame->incoming->record;
    if (frame->incoming->kind == MESSAGE_EVENTS || record->required != 0) {
        return refuse(reader);
    }
    if (record->is_unsure) {
        reader->verdict = UNSURE;
        return NULL;
    }
    Py_ssize_t base = reader->count;
    return make_places(reader, record) ? make_instance(reader, record, base) : NULL;
}

/* Read a payload whose type is known. */
static PyObject *
read_payload(Reader *reader, Frame *frame)
{
    if (frame->incoming->kind == MESSAGE_EVENTS) {
        return read_event(reader, frame);
    }
    if (*reader->at == 'n') {
        return expect_word(reader, "null") ? make_empty_payload(reader, frame) : NULL;
    }
    return read_record(reader, frame->incoming->record);
}

/* Read one member of the envelope, of which the key is behind. */
static bool
read_envelope_member(Reader *reader, Frame *frame, Py_ssize_t base, int place)
{
    const Member *member = &frame->side->envelope->members[place];
    PyObject *value;
    switch (member->role) {
    case ROLE_TYPE:
        return read_type(reader, frame, base);
    case ROLE_PAYLOAD:
        if (frame->incoming == NULL) {
            frame->payload_at = reader->at;
            return skip_value(reader);
        }
        value = read_payload(reader, frame);
        break;
    default:
        value = read_value(reader, &member->shape);
        break;
    }
    if (value == NULL) {
        return false;
    }
    reader->items[base + place] = value;
    return true;
}

/* Keep a member of a message that is unknown as a whole. */
static bool
keep_member(Reader *reader, Frame *frame, PyObject *key)
{
    PyObject *value = read_json(reader);
    if (value == NULL) {
        return false;
    }
    Py_ssize_t before = PyDict_GET_SIZE(frame->members);
    int failed = PyDict_SetItem(frame->members, key, value);
    Py_DECREF(value);
    if (failed) {
        reader->verdict = RAISED;
        return false;
    }
    return PyDict_GET_SIZE(frame->members) > before || refused(reader);
}

/* Go over, or keep, a member that the envelope does not have. */
static bool
read_other_member(Reader *reader, Frame *frame, const Span *key)
{
    if (frame->members == NULL) {
        /* Whether it may be there, the type decides, which may come later. */
        return add_key(reader, &frame->unknown, key) && skip_value(reader);
    }
    PyObject *name = text_of(reader, key);
    if (name == NULL) {
        return false;
    }
    bool is_kept = keep_member(reader, frame, name);
    Py_DECREF(name);
    return is_kept;
}

static bool
read_envelope_members(Reader *reader, Frame *frame, Py_ssize_t base)
{
    const Record *envelope = frame->side->envelope;
    int next = 0;
    Next more = NEXT_ANOTHER;
    if (skip_space(reader) == '}') {
        return refused(reader); /* which has no type */
    }
    while (more == NEXT_ANOTHER) {
        Span key;
        int i = read_key(reader, envelope, next, &key);
        if (i == MEMBER_FAULT) {
            return false;
        }
        if (i == MEMBER_UNKNOWN) {
            if (!read_other_member(reader, frame, &key)) {
                return false;
            }
        }
        else {
            uint64_t bit = UINT64_C(1) << i;
            if (frame->seen & bit) {
                return refused(reader);
            }
            frame->seen |= bit;
            next = i + 1;
            if (frame->members != NULL && i == frame->payload_place) {
                if (!keep_member(reader, frame, envelope->members[i].name)) {
                    return false;
                }
            }
            else if (!read_envelope_member(reader, frame, base, i)) {
                return false;
            }
        }
        more = next_after(reader, '}');
    }
    return more == NEXT_NONE;
}

/* Find the end of the frame, behind the brace that closes it. */
static bool
finish(Reader *reader)
{
    skip_space(reader);
    return reader->at == reader->end || refused(reader);
}

/* Read the payload that came before its type, or make one where there was none. */
static bool
read_late_payload(Reader *reader, Frame *frame, Py_ssize_t base)
{
    PyObject *payload;
    if (frame->payload_at != NULL) {
        reader->at = frame->payload_at;
        payload = read_payload(reader, frame);
    }
    else {
        payload = make_empty_payload(reader, frame);
    }
    if (payload == NULL) {
        return false;
    }
    reader->items[base + frame->payload_place] = payload;
    return true;
}

/* Make the envelope of a message that the registry holds. */
static PyObject *
make_envelope(Reader *reader, Frame *frame, Py_ssize_t base)
{
    const Record *envelope = frame->side->envelope;
    if (reader->items[base + frame->payload_place] == NULL &&
        !read_late_payload(reader, frame, base)) {
        return NULL;
    }
    if (frame->unknown.count > 0 || frame->unknown.more != NULL) {
        if (reader->engine->forbids_unknown) {
            return refuse(reader);
        }
    }
    bool is_bare = (frame->seen & (frame->id_bit | frame->timestamp_bit)) == 0;
    if (frame->incoming->kind == MESSAGE_KEEPALIVE) {
        uint64_t usual = UINT64_C(1) << frame->type_place | UINT64_C(1) << frame->payload_place;
        if (is_bare && (frame->seen & ~usual) != 0) {
            reader->verdict = UNSURE; /* what else a bare keepalive may have is a fine point */
            return NULL;
        }
        if (is_bare) { /* the class makes an id and a time, or leaves them out */
            PyObject *made = call_class(reader, envelope, base);
            return made;
        }
        if (!frame->side->keeps_unknown) {
            return refuse(reader); /* a client's keepalive is one only where it is bare */
        }
    }
    frame->seen |= UINT64_C(1) << frame->payload_place;
    if ((envelope->required & ~frame->seen) != 0) {
        return refuse(reader);
    }
    return make_instance(reader, envelope, base);
}

/* Find in the payload of an unknown event what it is; the objects are borrowed. */
static bool
read_unknown_tags(Reader *reader, const Frame *frame, PyObject *category, PyObject **tag)
{
    PyObject *payload = PyDict_GetItemString(frame->members, "payload");
    if (payload == NULL || !PyDict_CheckExact(payload)) {
        return refused(reader);
    }
    PyObject *said = PyDict_GetItemString(payload, "category");
    *tag = PyDict_GetItemString(payload, "event");
    if (*tag == NULL || !PyUnicode_CheckExact(*tag)) {
        return refused(reader);
    }
    if (said == NULL) {
        return true;
    }
    return (PyUnicode_CheckExact(said) && PyUnicode_Compare(said, category) == 0) ||
           refused(reader);
}

static PyObject *
make_unknown_event(Reader *reader, const Frame *frame)
{
    Py_ssize_t base = reader->count;
    PyObject *tag;
    PyObject *category = PyUnicode_Substring(frame->type, (Py_ssize_t)strlen(EVENT_PREFIX),
                                             PyUnicode_GET_LENGTH(frame->type));
    if (category == NULL) {
        return raised(reader);
    }
    if (!read_unknown_tags(reader, frame, category, &tag)) {
        Py_DECREF(category);
        return NULL;
    }
    if (!reserve_items(reader, 4)) {
        Py_DECREF(category);
        return NULL;
    }
    reader->items[reader->count++] = Py_NewRef(frame->type);
    reader->items[reader->count++] = category;
    reader->items[reader->count++] = Py_NewRef(tag);
    reader->items[reader->count++] = Py_NewRef(frame->members);
    return make_instance(reader, reader->engine->unknown_event, base);
}

static PyObject *
make_unknown_message(Reader *reader, const Frame *frame)
{
    Py_ssize_t base = reader->count;
    if (!reserve_items(reader, 2)) {
        return NULL;
    }
    reader->items[reader->count++] = Py_NewRef(frame->type);
    reader->items[reader->count++] = Py_NewRef(frame->members);
    return make_instance(reader, reader->engine->unknown_message, base);
}

static bool
is_event_type(PyObject *type)
{
    const char *text = PyUnicode_AsUTF8(type);
    return text != NULL && strncmp(text, EVENT_PREFIX, strlen(EVENT_PREFIX)) == 0;
}

static void
start_frame(Frame *frame, const Side *side)
{
    memset(frame, 0, offsetof(Frame, unknown));
    start_keys(&frame->unknown);
    frame->side = side;
    for (int i = 0; i < side->envelope->count; i++) {
        switch (side->envelope->members[i].role) {
        case ROLE_ID:
            frame->id_bit = UINT64_C(1) << i;
            break;
        case ROLE_TIMESTAMP:
            frame->timestamp_bit = UINT64_C(1) << i;
            break;
        case ROLE_TYPE:
            frame->type_place = i;
            break;
        case ROLE_PAYLOAD:
            frame->payload_place = i;
            break;
        default:
            break;
        }
    }
}

/* Read a message again that is unknown as a whole, and keep everything. */
static PyObject *
read_unknown(Reader *reader, Frame *frame)
{
    Py_ssize_t base = reader->count;
    if (!make_places(reader, frame->side->envelope)) {
        return NULL;
    }
    reader->depth = 1;
    if (!read_envelope_members(reader, frame, base) || !finish(reader)) {
        return NULL;
    }
    PyObject *payload = is_event_type(frame->type) ? make_unknown_event(reader, frame)
                                                   : make_unknown_message(reader, frame);
    if (payload == NULL) {
        if (reader->verdict == TAKEN) {
            reader->verdict = RAISED;
        }
        return NULL;
    }
    reader->items[base + frame->payload_place] = payload;
    frame->seen |= UINT64_C(1) << frame->payload_place;
    if ((frame->side->envelope->required & ~frame->seen) != 0) {
        return refuse(reader);
    }
    return make_instance(reader, frame->side->envelope, base);
}

static PyObject *
read_known(Reader *reader, Frame *frame)
{
    Py_ssize_t base = reader->count;
    if (!make_places(reader, frame->side->envelope) ||
        !read_envelope_members(reader, frame, base) || !finish(reader)) {
        return NULL;
    }
    if (frame->incoming == NULL) {
        return frame->is_unknown ? NULL : refuse(reader);
    }
    return make_envelope(reader, frame, base);
}

static PyObject *
read_message(Reader *reader, const Side *side)
{
    Frame frame;
    if (skip_space(reader) != '{') {
        return refuse(reader);
    }
    const char *inside = ++reader->at;
    reader->depth = 1;
    start_frame(&frame, side);
    PyObject *made = read_known(reader, &frame);
    release_keys(&frame.unknown);
    if (made != NULL || !frame.is_unknown || reader->verdict != TAKEN) {
        return made;
    }
    drop_items(reader, 0);
    start_frame(&frame, side);
    frame.members = PyDict_New();
    if (frame.members == NULL) {
        return raised(reader);
    }
    reader->at = inside;
    made = read_unknown(reader, &frame);
    release_keys(&frame.unknown);
    Py_DECREF(frame.members);
    return made;
}

static PyObject *
read_text_frame(Engine *engine, const Side *side, const char *text, Py_ssize_t size,
                bool is_known_utf8)
{
    if (size > engine->max_size) {
        return answer(engine, UNSURE);
    }
    Reader reader;
    reader.engine = engine;
    reader.start = text;
    reader.at = text;
    reader.end = text + size;
    reader.depth = 0;
    reader.is_known_utf8 = is_known_utf8;
    reader.verdict = TAKEN;
    reader.count = 0;
    reader.capacity = LOCAL_ITEMS;
    reader.items = reader.local;
    PyObject *made = read_message(&reader, side);
    drop_items(&reader, 0);
    if (reader.items != reader.local) {
        PyMem_Free(reader.items);
    }
    return made != NULL ? made : answer(engine, reader.verdict);
}

static PyObject *
read_str_frame(Engine *engine, const Side *side, PyObject *frame)
{
    if (PyUnicode_GET_LENGTH(frame) > engine->max_size) {
        return answer(engine, UNSURE);
    }
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(frame) < 0) {
        return NULL;
    }
#endif
    if (PyUnicode_IS_ASCII(frame)) {
        return read_text_frame(engine, side, (const char *)PyUnicode_1BYTE_DATA(frame),
                               PyUnicode_GET_LENGTH(frame), true);
    }
    Utf8 utf8;
    Verdict verdict = utf8_of_text(frame, &utf8);
    PyObject *made = verdict == TAKEN
                         ? read_text_frame(engine, side, utf8.data, utf8.size, true)
                         : answer(engine, verdict);
    release_utf8(&utf8);
    return made;
}

/* Read a frame: give the message, or what the engine has to say instead. */
PyObject *
read_frame(Engine *engine, const Side *side, PyObject *frame)
{
    if (PyUnicode_CheckExact(frame)) {
        return read_str_frame(engine, side, frame);
    }
    if (PyBytes_CheckExact(frame)) {
        return read_text_frame(engine, side, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame),
                               false);
    }
    if (!PyByteArray_CheckExact(frame) && !PyMemoryView_Check(frame)) {
        return answer(engine, UNSURE);
    }
    /* Code that is called back might change it: it is read from a copy. */
    PyObject *copy = PyBytes_FromObject(frame);
    if (copy == NULL) {
        if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
            return NULL;
        }
        PyErr_Clear(); /* a view that was released, which is the caller's mistake */
        return answer(engine, UNSURE);
    }
    PyObject *made = read_text_frame(engine, side, PyBytes_AS_STRING(copy),
                                     PyBytes_GET_SIZE(copy), false);
    Py_DECREF(copy);
    return made;
}
