/* The writer: messages become text, in one growing buffer.

   Rules:

   - It writes what the converter would: members in their declared order, tags first, what is None
     left out, nothing escaped beyond need.
   - An object is of exactly the type that its field asks for, or the converter decides. What no
     peer could read is not written.
   - An object that is being written is held: code that is called back may change whatever holds
     it.
   - There is a function for each kind of shape, in a table. */

#include "scanner.h"

#include <math.h>

static bool write_value(Writer *writer, const Shape *shape, PyObject *value);

/* ---- The buffer ---- */

/* Make room for more; the buffer at least doubles. */
bool
grow(Writer *writer, Py_ssize_t size)
{
    if (size > PY_SSIZE_T_MAX / 4 - writer->capacity) {
        PyErr_NoMemory();
        writer->verdict = RAISED;
        return false;
    }
    Py_ssize_t capacity = writer->capacity * 2 + size;
    char *data;
    if (writer->data == writer->local) {
        data = PyMem_Malloc((size_t)capacity);
        if (data != NULL) {
            memcpy(data, writer->local, (size_t)writer->size);
        }
    }
    else {
        data = PyMem_Realloc(writer->data, (size_t)capacity);
    }
    if (data == NULL) {
        PyErr_NoMemory();
        writer->verdict = RAISED;
        return false;
    }
    writer->data = data;
    writer->capacity = capacity;
    return true;
}

/* ---- Leaves ---- */

static bool
write_text_value(Writer *writer, const Shape *Py_UNUSED(shape), PyObject *value)
{
    return write_text(writer, value);
}

static bool
write_uuid_value(Writer *writer, const Shape *Py_UNUSED(shape), PyObject *value)
{
    return write_uuid(writer, value);
}

static bool
write_timestamp_value(Writer *writer, const Shape *Py_UNUSED(shape), PyObject *value)
{
    return write_timestamp(writer, value);
}

static bool
write_boolean(Writer *writer, const Shape *Py_UNUSED(shape), PyObject *value)
{
    if (value == Py_True) {
        return write_bytes(writer, "true", 4);
    }
    return value == Py_False ? write_bytes(writer, "false", 5) : doubt(writer);
}

/* Take an int of 64 bits apart; false, without an exception, where it has more. */
static bool
magnitude_of(PyObject *value, bool *is_negative, uint64_t *magnitude)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow < 0) {
        return false;
    }
    *is_negative = overflow == 0 && number < 0;
    if (overflow == 0) {
        *magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
        return true;
    }
    *magnitude = PyLong_AsUnsignedLongLong(value);
    if (*magnitude == UINT64_MAX && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return true;
}

static bool
write_integer(Writer *writer, const Shape *shape, PyObject *value)
{
    const Bounds *bounds = &shape->as.bounds;
    bool is_negative;
    uint64_t magnitude;
    if (!PyLong_CheckExact(value) || !magnitude_of(value, &is_negative, &magnitude)) {
        return doubt(writer);
    }
    if (is_negative) {
        bool is_inside = bounds->takes_negative && magnitude >= bounds->least_below_zero &&
                         magnitude <= bounds->most_below_zero;
        return is_inside ? write_byte(writer, '-') && write_unsigned(writer, magnitude)
                         : doubt(writer);
    }
    bool is_inside =
        bounds->takes_others && magnitude >= bounds->least && magnitude <= bounds->most;
    return is_inside ? write_unsigned(writer, magnitude) : doubt(writer);
}

/* Write a number of a float field, in which an int may stand, too. */
static bool
write_number(Writer *writer, const Shape *shape, PyObject *value)
{
    const double limit = shape->as.limit;
    double number;
    if (PyFloat_CheckExact(value)) {
        number = PyFloat_AS_DOUBLE(value);
    }
    else if (PyLong_CheckExact(value)) {
        number = PyLong_AsDouble(value);
        if (number == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return doubt(writer);
        }
    }
    else {
        return doubt(writer);
    }
    return number < limit && number > -limit ? write_double(writer, number) : doubt(writer);
}

static bool
is_member(const Choice *choice, const ChoiceMember *member, PyObject *value)
{
    if (choice->by_identity) {
        return member->value == value;
    }
    if (PyUnicode_CheckExact(value)) {
        return PyUnicode_CheckExact(member->wire) && PyUnicode_Compare(value, member->wire) == 0;
    }
    return PyLong_CheckExact(value) && PyLong_CheckExact(member->wire) &&
           PyObject_RichCompareBool(value, member->wire, Py_EQ) == 1;
}

static bool
write_choice(Writer *writer, const Shape *shape, PyObject *value)
{
    const Choice *choice = &shape->as.choice;
    for (Py_ssize_t i = 0; i < choice->count; i++) {
        const ChoiceMember *member = &choice->members[i];
        if (is_member(choice, member, value)) {
            return write_planned(writer, &member->text, 0);
        }
    }
    return doubt(writer);
}

static bool
write_custom(Writer *writer, const Shape *shape, PyObject *value)
{
    const Custom *custom = &shape->as.custom;
    int is_one = PyObject_IsInstance(value, custom->cls);
    if (is_one == 0) {
        return doubt(writer);
    }
    PyObject *wire = is_one == 1 ? PyObject_CallOneArg(custom->write, value) : NULL;
    if (wire == NULL) {
        writer->verdict = verdict_of_call(writer->engine);
        return false;
    }
    bool is_written = write_value(writer, custom->wire, wire);
    Py_DECREF(wire);
    return is_written;
}

/* ---- Containers ---- */

static bool
open_container(Writer *writer, char opening)
{
    return ++writer->depth <= MAX_DEPTH ? write_byte(writer, opening) : doubt(writer);
}

static bool
close_container(Writer *writer, char closing)
{
    writer->depth--;
    return write_byte(writer, closing);
}

static bool write_json(Writer *writer, PyObject *value);

/* Write the item of an array or a map; of free JSON where there is no shape. */
static bool
write_item(Writer *writer, const Shape *inner, PyObject *item)
{
    Py_INCREF(item);
    bool is_written = inner != NULL ? write_value(writer, inner, item) : write_json(writer, item);
    Py_DECREF(item);
    return is_written;
}

/* Write a tuple or a list, whose size is asked for again after each item. */
static bool
write_sequence(Writer *writer, const Shape *inner, PyObject *value)
{
    bool is_list = PyList_CheckExact(value);
    if (!is_list && !PyTuple_CheckExact(value)) {
        return doubt(writer);
    }
    if (!open_container(writer, '[')) {
        return false;
    }
    for (Py_ssize_t i = 0; i < Py_SIZE(value); i++) {
        PyObject *item = is_list ? PyList_GET_ITEM(value, i) : PyTuple_GET_ITEM(value, i);
        if ((i > 0 && !write_byte(writer, ',')) || !write_item(writer, inner, item)) {
            return false;
        }
    }
    return close_container(writer, ']');
}

/* Write a dict. Where it changes meanwhile, nothing can be said of what was written. */
static bool
write_dict(Writer *writer, const Shape *inner, PyObject *value)
{
    if (!PyDict_CheckExact(value)) {
        return doubt(writer);
    }
    if (!open_container(writer, '{')) {
        return false;
    }
    Py_ssize_t size = PyDict_GET_SIZE(value);
    Py_ssize_t at = 0;
    Py_ssize_t count = 0;
    PyObject *key, *item;
    while (PyDict_Next(value, &at, &key, &item)) {
        Py_INCREF(item);
        bool is_written = (count++ == 0 || write_byte(writer, ',')) && write_text(writer, key) &&
                          write_byte(writer, ':') && write_item(writer, inner, item);
        Py_DECREF(item);
        if (!is_written) {
            return false;
        }
        if (PyDict_GET_SIZE(value) != size || count > size) {
            return doubt(writer);
        }
    }
    return count == size ? close_container(writer, '}') : doubt(writer);
}

typedef struct {
    Py_ssize_t start;
    Py_ssize_t size;
} Piece;

/* Put the pieces of a buffer in order, by merging, since there may be many. */
static void
sort_pieces(const char *data, Piece *pieces, Piece *spare, Py_ssize_t count)
{
    if (count < 2) {
        return;
    }
    Py_ssize_t half = count / 2;
    sort_pieces(data, pieces, spare, half);
    sort_pieces(data, pieces + half, spare, count - half);
    memcpy(spare, pieces, (size_t)half * sizeof *pieces);
    Py_ssize_t left = 0, right = half;
    for (Py_ssize_t to = 0; left < half; to++) {
        bool takes_right = false;
        if (right < count) {
            const Piece *one = &spare[left], *other = &pieces[right];
            Py_ssize_t common = one->size < other->size ? one->size : other->size;
            int order = memcmp(data + other->start, data + one->start, (size_t)common);
            takes_right = order < 0 || (order == 0 && other->size < one->size);
        }
        pieces[to] = takes_right ? pieces[right++] : spare[left++];
    }
}

/* Tell whether an item's text is what `json.dumps` gives for it, by which items are sorted. */
static bool
is_sortable(const char *text, Py_ssize_t size, bool is_number)
{
    for (Py_ssize_t i = 0; i < size; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E || (is_number && text[i] == 'e')) {
            return false;
        }
    }
    return true;
}

/* Put the items that were written, in order, into the place of what they were written over. */
static bool
arrange_pieces(Writer *writer, Piece *pieces, Py_ssize_t count, Py_ssize_t start)
{
    sort_pieces(writer->data, pieces, pieces + count, count);
    Py_ssize_t total = writer->size - start;
    char *copy = PyMem_Malloc((size_t)total + 1);
    if (copy == NULL) {
        PyErr_NoMemory();
        writer->verdict = RAISED;
        return false;
    }
    memcpy(copy, writer->data + start, (size_t)total);
    writer->size = start;
    bool is_written = true;
    for (Py_ssize_t i = 0; i < count && is_written; i++) {
        is_written = (i == 0 || write_byte(writer, ',')) &&
                     write_bytes(writer, copy + (pieces[i].start - start), pieces[i].size);
    }
    PyMem_Free(copy);
    return is_written;
}

static bool
write_pieces(Writer *writer, const Shape *inner, PyObject *items, Piece *pieces)
{
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    Py_ssize_t start = writer->size;
    Py_ssize_t wide_count = writer->wide_count;
    for (Py_ssize_t i = 0; i < count; i++) {
        pieces[i].start = writer->size;
        if (!write_value(writer, inner, PyTuple_GET_ITEM(items, i))) {
            return false;
        }
        pieces[i].size = writer->size - pieces[i].start;
        if (writer->wide_count > wide_count ||
            !is_sortable(writer->data + pieces[i].start, pieces[i].size,
                         inner->kind == SHAPE_NUMBER || inner->kind == SHAPE_CUSTOM)) {
            return doubt(writer);
        }
    }
    return arrange_pieces(writer, pieces, count, start);
}

/* Write a frozenset, in the order of its items' text. */
static bool
write_frozenset(Writer *writer, const Shape *inner, PyObject *value)
{
    const Shape *wire = inner->kind == SHAPE_CUSTOM ? inner->as.custom.wire : inner;
    if (!PyFrozenSet_CheckExact(value) || wire->kind == SHAPE_JSON || wire->kind > SHAPE_CHOICE) {
        return doubt(writer); /* whose text is not that by which they are sorted */
    }
    PyObject *items = PySequence_Tuple(value);
    if (items == NULL) {
        writer->verdict = RAISED;
        return false;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    Piece *pieces = PyMem_Calloc((size_t)count * 2 + 1, sizeof *pieces);
    bool is_written = false;
    if (pieces == NULL) {
        PyErr_NoMemory();
        writer->verdict = RAISED;
    }
    else {
        is_written = open_container(writer, '[') && write_pieces(writer, inner, items, pieces) &&
                     close_container(writer, ']');
    }
    PyMem_Free(pieces);
    Py_DECREF(items);
    return is_written;
}

static bool
write_array(Writer *writer, const Shape *shape, PyObject *value)
{
    return shape->as.array.container == CONTAINER_FROZENSET
               ? write_frozenset(writer, shape->as.array.inner, value)
               : write_sequence(writer, shape->as.array.inner, value);
}

static bool
write_json_integer(Writer *writer, PyObject *value)
{
    bool is_negative;
    uint64_t magnitude;
    if (!magnitude_of(value, &is_negative, &magnitude)) {
        return doubt(writer);
    }
    return (!is_negative || write_byte(writer, '-')) && write_unsigned(writer, magnitude);
}

/* Write free JSON. */
static bool
write_json(Writer *writer, PyObject *value)
{
    if (value == Py_None) {
        return write_bytes(writer, "null", 4);
    }
    if (PyUnicode_CheckExact(value)) {
        return write_text(writer, value);
    }
    if (PyBool_Check(value)) {
        return write_boolean(writer, NULL, value);
    }
    if (PyLong_CheckExact(value)) {
        return write_json_integer(writer, value);
    }
    if (PyFloat_CheckExact(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        return isfinite(number) ? write_double(writer, number) : doubt(writer);
    }
    if (PyDict_CheckExact(value)) {
        return write_dict(writer, NULL, value);
    }
    return write_sequence(writer, NULL, value);
}

/* ---- Records ---- */

/* Get a field of an instance; a new reference. */
static PyObject *
field_of(Writer *writer, PyObject *object, const Member *member)
{
    if (member->offset > 0) {
        PyObject *value = *slot_of(object, member->offset);
        if (value == NULL) {
            writer->verdict = UNSURE; /* a slot that was emptied */
            return NULL;
        }
        return Py_NewRef(value);
    }
    PyObject *value = PyObject_GetAttr(object, member->name);
    if (value == NULL) {
        writer->verdict = verdict_of_call(writer->engine);
    }
    return value;
}

/* Write a member with its name, unless it is None and may be left out. */
static bool
write_member(Writer *writer, const Member *member, PyObject *value, bool *is_first)
{
    if (value == Py_None && member->shape.is_optional) {
        return true;
    }
    int comma = *is_first ? 1 : 0;
    *is_first = false;
    return write_planned(writer, &member->prefix, comma) &&
           write_value(writer, &member->shape, value);
}

static bool
write_map(Writer *writer, const Shape *shape, PyObject *value)
{
    return write_dict(writer, shape->as.inner, value);
}

static bool
write_json_value(Writer *writer, const Shape *Py_UNUSED(shape), PyObject *value)
{
    return write_json(writer, value);
}

static bool
write_record(Writer *writer, const Record *record, PyObject *value)
{
    if (record->is_unsure || !Py_IS_TYPE(value, record->cls)) {
        return doubt(writer);
    }
    if (++writer->depth > MAX_DEPTH) {
        return doubt(writer);
    }
    if (!write_planned(writer, &record->opening, 0)) {
        return false;
    }
    bool is_first = record->tag_count == 0;
    for (int i = record->tag_count; i < record->count; i++) {
        const Member *member = &record->members[i];
        PyObject *field = field_of(writer, value, member);
        if (field == NULL) {
            return false;
        }
        bool is_written = write_member(writer, member, field, &is_first);
        Py_DECREF(field);
        if (!is_written) {
            return false;
        }
    }
    return close_container(writer, '}');
}

static bool
write_record_value(Writer *writer, const Shape *shape, PyObject *value)
{
    return write_record(writer, shape->as.record, value);
}

/* Leave a value to the converter; an envelope's own ones are written with the frame. */
static bool
write_nothing(Writer *writer, const Shape *Py_UNUSED(shape), PyObject *Py_UNUSED(value))
{
    return doubt(writer);
}

static bool
write_value(Writer *writer, const Shape *shape, PyObject *value)
{
    static bool (*const WRITERS[])(Writer *writer, const Shape *shape, PyObject *value) = {
        [SHAPE_TEXT] = write_text_value,     [SHAPE_BOOLEAN] = write_boolean,
        [SHAPE_UUID] = write_uuid_value,     [SHAPE_TIMESTAMP] = write_timestamp_value,
        [SHAPE_JSON] = write_json_value,     [SHAPE_INTEGER] = write_integer,
        [SHAPE_NUMBER] = write_number,       [SHAPE_CHOICE] = write_choice,
        [SHAPE_CUSTOM] = write_custom,       [SHAPE_ARRAY] = write_array,
        [SHAPE_MAP] = write_map,             [SHAPE_RECORD] = write_record_value,
        [SHAPE_TYPE] = write_nothing,        [SHAPE_PAYLOAD] = write_nothing,
        [SHAPE_UNKNOWN] = write_nothing,
    };
    if (shape->is_optional && value == Py_None) {
        return write_bytes(writer, "null", 4);
    }
    return WRITERS[shape->kind](writer, shape, value);
}

/* ---- Frames ---- */

static void
start_writer(Writer *writer, Engine *engine)
{
    writer->engine = engine;
    writer->data = writer->local;
    writer->size = 0;
    writer->capacity = (Py_ssize_t)sizeof writer->local;
    writer->depth = 1;
    writer->is_ascii = true;
    writer->wide_count = 0;
    writer->wide_capacity = LOCAL_WIDE;
    writer->wide_length = 0;
    writer->wide = writer->local_wide;
    writer->verdict = TAKEN;
}

/* Tell whether what was written is not too large in UTF-8. */
static bool
is_small_enough(const Writer *writer)
{
    Py_ssize_t most = writer->engine->max_size;
    if (writer->wide_count == 0 && writer->is_ascii) {
        return writer->size <= most;
    }
    Py_ssize_t size = writer->size;
    for (Py_ssize_t i = 0; i < writer->size; i++) {
        size += (unsigned char)writer->data[i] >> 7;
    }
    return size <= most && (writer->wide_length <= (most - size) / 4 ||
                            size_of_wide(writer) <= most - size);
}

static PyObject *
text_that_was_written(const Writer *writer)
{
    return writer->wide_count > 0 ? join_wide(writer)
                                  : text_of_bytes(writer->data, writer->size, writer->is_ascii);
}

/* Give the text that was written, or what the engine has to say instead. */
static PyObject *
finish_writer(Writer *writer, bool is_written)
{
    PyObject *text = is_written && (is_small_enough(writer) || doubt(writer))
                         ? text_that_was_written(writer)
                         : answer(writer->engine, writer->verdict);
    release_wide(writer);
    if (writer->data != writer->local) {
        PyMem_Free(writer->data);
    }
    return text;
}

/* Write a payload in an envelope of its own. What is NULL, and has to be there, is made. */
static bool
write_new_envelope(Writer *writer, const Outgoing *outgoing, PyObject *payload,
                   PyObject *reply_to, PyObject *id, PyObject *timestamp)
{
    const Record *envelope = writer->engine->envelopes[outgoing->is_command ? 0 : 2];
    bool is_first = true;
    if (!write_byte(writer, '{')) {
        return false;
    }
    for (int i = 0; i < envelope->count; i++) {
        const Member *member = &envelope->members[i];
        if (member->role == ROLE_NONE || (member->role == ROLE_REPLY_TO && reply_to == Py_None)) {
            continue;
        }
        int comma = is_first ? 1 : 0;
        is_first = false;
        if (!write_planned(writer, &member->prefix, comma)) {
            return false;
        }
        bool is_written;
        switch (member->role) {
        case ROLE_ID:
            is_written = id == Py_None ? write_new_uuid(writer) : write_uuid(writer, id);
            break;
        case ROLE_TIMESTAMP:
            is_written = timestamp == Py_None ? write_present(writer)
                                              : write_timestamp(writer, timestamp);
            break;
        case ROLE_REPLY_TO:
            is_written = write_uuid(writer, reply_to);
            break;
        case ROLE_TYPE:
            is_written = write_planned(writer, &outgoing->quoted, 0);
            break;
        default:
            is_written = write_record(writer, outgoing->record, payload);
            break;
        }
        if (!is_written) {
            return false;
        }
    }
    return write_byte(writer, '}');
}

/* Write a payload; id, timestamp and reply_to may be None. */
PyObject *
write_payload_frame(Engine *engine, PyObject *payload, PyObject *reply_to, PyObject *id,
                    PyObject *timestamp)
{
    const Outgoing *outgoing = find_outgoing(engine, Py_TYPE(payload));
    if (outgoing == NULL || outgoing->is_keepalive ||
        (outgoing->is_command && reply_to != Py_None)) {
        return Py_NewRef(engine->unsure);
    }
    Writer writer;
    start_writer(&writer, engine);
    bool is_written = write_new_envelope(&writer, outgoing, payload, reply_to, id, timestamp);
    return finish_writer(&writer, is_written);
}

/* Write one member of an envelope that somebody made. */
static bool
write_envelope_member(Writer *writer, const Member *member, PyObject *value,
                      const Outgoing *outgoing, bool *is_first)
{
    if (member->role != ROLE_TYPE && member->role != ROLE_PAYLOAD) {
        return write_member(writer, member, value, is_first);
    }
    int comma = *is_first ? 1 : 0;
    *is_first = false;
    if (!write_planned(writer, &member->prefix, comma)) {
        return false;
    }
    if (member->role == ROLE_PAYLOAD) {
        return write_record(writer, outgoing->record, value);
    }
    if (value != outgoing->type && (!PyUnicode_CheckExact(value) ||
                                    PyUnicode_Compare(value, outgoing->type) != 0)) {
        return doubt(writer);
    }
    return write_planned(writer, &outgoing->quoted, 0);
}

static bool
write_envelope(Writer *writer, const Record *envelope, PyObject *message,
               const Outgoing *outgoing)
{
    bool is_first = true;
    if (!write_byte(writer, '{')) {
        return false;
    }
    for (int i = 0; i < envelope->count; i++) {
        const Member *member = &envelope->members[i];
        PyObject *value = field_of(writer, message, member);
        if (value == NULL) {
            return false;
        }
        bool is_written = write_envelope_member(writer, member, value, outgoing, &is_first);
        Py_DECREF(value);
        if (!is_written) {
            return false;
        }
    }
    return write_byte(writer, '}');
}

/* Find how the payload of an envelope is written; NULL where the engine is not sure. */
static const Outgoing *
outgoing_of(Writer *writer, const Record *envelope, PyObject *message)
{
    for (int i = 0; i < envelope->count; i++) {
        if (envelope->members[i].role == ROLE_PAYLOAD) {
            PyObject *payload = field_of(writer, message, &envelope->members[i]);
            if (payload == NULL) {
                return NULL;
            }
            const Outgoing *outgoing = find_outgoing(writer->engine, Py_TYPE(payload));
            Py_DECREF(payload); /* which the message still holds */
            return outgoing;
        }
    }
    return NULL;
}

/* Write a message in the envelope that it has. */
PyObject *
write_message_frame(Engine *engine, PyObject *message)
{
    static const int FITS[] = {IN_ENVELOPE, IN_INCOMING, IN_OUTGOING};
    for (int i = 0; i < 3; i++) {
        const Record *envelope = engine->envelopes[i];
        if (!Py_IS_TYPE(message, envelope->cls)) {
            continue;
        }
        Writer writer;
        start_writer(&writer, engine);
        bool is_written = false;
        const Outgoing *outgoing = outgoing_of(&writer, envelope, message);
        if (outgoing == NULL || outgoing->is_keepalive || !(outgoing->envelopes & FITS[i])) {
            if (writer.verdict == TAKEN) {
                doubt(&writer);
            }
        }
        else {
            is_written = write_envelope(&writer, envelope, message, outgoing);
        }
        return finish_writer(&writer, is_written);
    }
    return Py_NewRef(engine->unsure);
}
