/* Frames: envelopes, and what goes by which type.

   Rules:

   - A frame is looked at once, from front to end. Only what came too early is looked at twice: a
     payload before its type, fields before the tag that says whose they are, the members of a
     message that turns out to be unknown.
   - A keepalive may be bare. What else it may have then, and what is odd otherwise, the converter
     decides.
   - What the registry does not hold is kept whole on the client's side, and refused on the
     server's. */

#include "reader.h"

/* What was found out about a frame so far. */
typedef struct {
    const Side *side;
    const Incoming *incoming; /* NULL before the type was seen, or where it is unknown */
    PyObject *type;           /* borrowed from the plan, or from the stack where it is unknown */
    bool is_unknown;          /* as a whole: its type, or its event's tag */
    const char *payload_at;   /* where a payload stands that came before the type, */
    const char *payload_end;  /* and where it seems to end */
    PyObject *members;        /* of what is unknown as a whole; NULL at first */
    uint64_t seen;
    Keys unknown;
} Frame;

static const char EVENT_PREFIX[] = "event.";

/* Read the message type, and find what goes by it. */
static bool
read_type(Reader *reader, Frame *frame, Py_ssize_t base)
{
    Span span;
    if (!expect_quote(reader) || !scan_string(reader, &span)) {
        return false;
    }
    frame->incoming = find_in_table(&frame->side->types, span.start, span.size);
    PyObject *type;
    if (frame->incoming != NULL) {
        type = Py_NewRef(frame->incoming->type);
    }
    else if (!frame->side->keeps_unknown) {
        return refused(reader);
    }
    else {
        frame->is_unknown = true;
        type = text_of(reader, &span);
        if (type == NULL) {
            return false;
        }
    }
    frame->type = type;
    reader->items[base + frame->side->type_place] = type;
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
    bool is_leading = true;
    *seen = 0;
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
            if (!check_tag(reader, incoming->category, incoming->category_size)) {
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

/* Go over a payload that came too early, and is read later. Only then is it judged, so that for an
   object it is enough to find the brace that closes it. */
static bool
postpone_payload(Reader *reader, Frame *frame)
{
    frame->payload_at = reader->at;
    if (*reader->at != '{') {
        bool is_skipped = skip_value(reader);
        frame->payload_end = reader->at;
        return is_skipped;
    }
    Py_ssize_t depth = 0;
    do {
        Span span;
        char byte = *reader->at++;
        if (byte == '"') {
            if (!scan_string(reader, &span)) {
                return false;
            }
        }
        else if (byte == '\0') {
            return refused(reader);
        }
        else {
            depth += (byte == '{' || byte == '[') - (byte == '}' || byte == ']');
        }
    } while (depth > 0);
    frame->payload_end = reader->at;
    return true;
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
            return postpone_payload(reader, frame);
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
            if (frame->members != NULL && i == frame->side->payload_place) {
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
        if (payload != NULL && reader->at != frame->payload_end) {
            Py_DECREF(payload);
            return refused(reader);
        }
    }
    else {
        payload = make_empty_payload(reader, frame);
    }
    if (payload == NULL) {
        return false;
    }
    reader->items[base + frame->side->payload_place] = payload;
    return true;
}

/* Make the envelope of a message that the registry holds. */
static PyObject *
make_envelope(Reader *reader, Frame *frame, Py_ssize_t base)
{
    const Record *envelope = frame->side->envelope;
    if (reader->items[base + frame->side->payload_place] == NULL &&
        !read_late_payload(reader, frame, base)) {
        return NULL;
    }
    if (frame->unknown.count > 0 || frame->unknown.more != NULL) {
        if (reader->engine->forbids_unknown) {
            return refuse(reader);
        }
    }
    bool is_bare = (frame->seen & frame->side->bare) == 0;
    if (frame->incoming->kind == MESSAGE_KEEPALIVE) {
        uint64_t usual = UINT64_C(1) << frame->side->type_place |
                         UINT64_C(1) << frame->side->payload_place;
        if (is_bare && (frame->seen & ~usual) != 0) {
            reader->verdict = UNSURE; /* what else a bare keepalive may have is a fine point */
            return NULL;
        }
        if (is_bare) { /* the class makes an id and a time, or leaves them out */
            return call_class(reader, envelope, base);
        }
        if (!frame->side->keeps_unknown) {
            return refuse(reader); /* a client's keepalive is one only where it is bare */
        }
    }
    frame->seen |= UINT64_C(1) << frame->side->payload_place;
    if ((envelope->required & ~frame->seen) != 0) {
        return refuse(reader);
    }
    return make_instance(reader, envelope, base);
}

/* The places of the fields of UnknownEvent, of which the tags have the same names. */
enum { UNKNOWN_TYPE, UNKNOWN_CATEGORY, UNKNOWN_EVENT, UNKNOWN_MEMBERS, UNKNOWN_COUNT };

/* Get what a dict of JSON has for the name of a member; it is borrowed. Text is compared with text,
   which cannot fail. */
static PyObject *
item_of(PyObject *dict, const Member *member)
{
    return PyDict_GetItemWithError(dict, member->name);
}

/* Find in the payload of an unknown event what it is; the objects are borrowed. */
static bool
read_unknown_tags(Reader *reader, const Frame *frame, PyObject *category, PyObject **tag)
{
    const Side *side = frame->side;
    const Member *fields = reader->engine->unknown_event->members;
    PyObject *payload = item_of(frame->members, &side->envelope->members[side->payload_place]);
    if (payload == NULL || !PyDict_CheckExact(payload)) {
        return refused(reader);
    }
    PyObject *said = item_of(payload, &fields[UNKNOWN_CATEGORY]);
    *tag = item_of(payload, &fields[UNKNOWN_EVENT]);
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
    if (!reserve_items(reader, UNKNOWN_COUNT)) {
        Py_DECREF(category);
        return NULL;
    }
    reader->items[base + UNKNOWN_TYPE] = Py_NewRef(frame->type);
    reader->items[base + UNKNOWN_CATEGORY] = category;
    reader->items[base + UNKNOWN_EVENT] = Py_NewRef(tag);
    reader->items[base + UNKNOWN_MEMBERS] = Py_NewRef(frame->members);
    reader->count += UNKNOWN_COUNT;
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
    Py_ssize_t size = (Py_ssize_t)strlen(EVENT_PREFIX);
    if (PyUnicode_GET_LENGTH(type) < size) {
        return false;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        if (PyUnicode_READ_CHAR(type, i) != (unsigned char)EVENT_PREFIX[i]) {
            return false;
        }
    }
    return true;
}

static void
start_frame(Frame *frame, const Side *side)
{
    memset(frame, 0, offsetof(Frame, unknown));
    start_keys(&frame->unknown);
    frame->side = side;
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
        return NULL;
    }
    reader->items[base + frame->side->payload_place] = payload;
    frame->seen |= UINT64_C(1) << frame->side->payload_place;
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

/* Read a frame as a JSON object, whatever it says. */
static PyObject *
read_object(Reader *reader)
{
    if (skip_space(reader) != '{') {
        return refuse(reader);
    }
    PyObject *members = read_json(reader);
    if (members != NULL && !finish(reader)) {
        Py_DECREF(members);
        return NULL;
    }
    return members;
}

static PyObject *
read_utf8_frame(Engine *engine, const Side *side, const char *text, Py_ssize_t size)
{
    Reader reader;
    reader.engine = engine;
    reader.start = text;
    reader.at = text;
    reader.end = text + size;
    reader.depth = 0;
    reader.verdict = TAKEN;
    reader.count = 0;
    reader.capacity = LOCAL_ITEMS;
    reader.items = reader.local;
    reader.scratch = reader.local_scratch;
    reader.scratch_end = reader.local_scratch + LOCAL_SCRATCH;
    PyObject *made = side != NULL ? read_message(&reader, side) : read_object(&reader);
    drop_items(&reader, 0);
    if (reader.items != reader.local) {
        PyMem_Free(reader.items);
    }
    if (reader.scratch != reader.local_scratch) {
        PyMem_Free(reader.scratch);
    }
    return made != NULL ? made : answer(engine, reader.verdict);
}

static PyObject *
read_str_frame(Engine *engine, const Side *side, PyObject *frame)
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(frame) < 0) {
        return NULL;
    }
#endif
    if (PyUnicode_GET_LENGTH(frame) > engine->max_size) {
        return answer(engine, UNSURE);
    }
    if (PyUnicode_IS_ASCII(frame)) {
        return read_utf8_frame(engine, side, (const char *)PyUnicode_1BYTE_DATA(frame),
                               PyUnicode_GET_LENGTH(frame));
    }
    Utf8 utf8;
    Verdict verdict = utf8_of_text(frame, &utf8);
    if (verdict == TAKEN && utf8.size > engine->max_size) {
        verdict = UNSURE;
    }
    PyObject *made = verdict == TAKEN ? read_utf8_frame(engine, side, utf8.data, utf8.size)
                                      : answer(engine, verdict);
    release_utf8(&utf8);
    return made;
}

static PyObject *
read_bytes_frame(Engine *engine, const Side *side, PyObject *frame)
{
    const char *text = PyBytes_AS_STRING(frame);
    Py_ssize_t size = PyBytes_GET_SIZE(frame);
    if (size > engine->max_size) {
        return answer(engine, UNSURE);
    }
    return is_utf8(text, size) ? read_utf8_frame(engine, side, text, size)
                               : answer(engine, REFUSED);
}

/* Read a frame: give the message, or what the engine has to say instead. Without a side, give the
   JSON object. */
PyObject *
read_frame(Engine *engine, const Side *side, PyObject *frame)
{
    if (PyUnicode_CheckExact(frame)) {
        return read_str_frame(engine, side, frame);
    }
    if (PyBytes_CheckExact(frame)) {
        return read_bytes_frame(engine, side, frame);
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
    PyObject *made = read_bytes_frame(engine, side, copy);
    Py_DECREF(copy);
    return made;
}
