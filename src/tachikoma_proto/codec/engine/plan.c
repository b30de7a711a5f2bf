/* The plan: Python's description of the messages, compiled into structures.

   Rules:

   - The plan is made of tuples (see plan.py), checked here once. What is wrong with it is a
     mistake of ours, and raises.
   - The structures live in blocks that go with the engine. They borrow objects and texts from the
     plan, which the engine keeps. */

#include "engine.h"

#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#define Py_T_OBJECT_EX T_OBJECT_EX
#endif

typedef union {
    void *pointer;
    uint64_t number;
    double real;
} Aligned;

struct Block {
    Block *next;
    Aligned data[1];
};

/* Give zeroed memory that lives as long as the engine. */
static void *
allocate(Engine *engine, size_t size)
{
    Block *block = PyMem_Calloc(1, sizeof *block + size);
    if (block == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    block->next = engine->blocks;
    engine->blocks = block;
    return block->data;
}

void
free_plan(Engine *engine)
{
    while (engine->blocks != NULL) {
        Block *next = engine->blocks->next;
        PyMem_Free(engine->blocks);
        engine->blocks = next;
    }
}

/* ---- Tables ---- */

/* Look at a text: its first and its last eight bytes, or four, which are all of it if it is short
   enough. */
static inline TableKey
key_of_text(const char *text, Py_ssize_t size)
{
    TableKey key = {size, 0, 0};
    if (size >= 8) {
        key.first = load_8(text);
        key.last = load_8(text + size - 8);
    }
    else if (size >= 4) {
        key.first = load_4(text);
        key.last = load_4(text + size - 4);
    }
    else if (size > 0) {
        key.first = (unsigned char)text[0];
        key.last = (uint64_t)(unsigned char)text[size / 2] << 8 | (unsigned char)text[size - 1];
    }
    return key;
}

static inline size_t
place_of(const TableKey *key)
{
    uint64_t mixed = key->first * UINT64_C(0x9E3779B97F4A7C15) ^ key->last;
    mixed = (mixed ^ (uint64_t)key->size) * UINT64_C(0xC2B2AE3D27D4EB4F);
    return (size_t)(mixed >> 32);
}

static bool
make_table(Engine *engine, Table *table, Py_ssize_t count)
{
    size_t places = 4;
    while (places < (size_t)count * 2) {
        places *= 2;
    }
    table->entries = allocate(engine, places * sizeof *table->entries);
    table->mask = places - 1;
    return table->entries != NULL;
}

static void
put_into_table(Table *table, const char *text, Py_ssize_t size, const void *value)
{
    TableKey key = key_of_text(text, size);
    size_t place = place_of(&key) & table->mask;
    while (table->entries[place].text != NULL) {
        place = (place + 1) & table->mask;
    }
    table->entries[place] = (TableEntry){key, text, value};
}

/* Find what belongs to a text; NULL if nothing does. */
const void *
find_in_table(const Table *table, const char *text, Py_ssize_t size)
{
    TableKey key = key_of_text(text, size);
    size_t place = place_of(&key) & table->mask;
    const TableEntry *entry;
    while ((entry = &table->entries[place])->text != NULL) {
        if (entry->key.size == size && entry->key.first == key.first &&
            entry->key.last == key.last &&
            (size <= 16 || memcmp(entry->text, text, (size_t)size) == 0)) {
            return entry->value;
        }
        place = (place + 1) & table->mask;
    }
    return NULL;
}

/* Keep a text that is written into frames; false, with an exception, where there is no memory. */
static bool
keep_text(Engine *engine, PyObject *text, Planned *planned)
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) < 0) {
        return false;
    }
#endif
    if (PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) {
        planned->wide = text;
        return true;
    }
    planned->size = PyUnicode_GET_LENGTH(text);
    planned->is_ascii = PyUnicode_IS_ASCII(text);
    char *copy = allocate(engine, (size_t)planned->size + PADDING);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, PyUnicode_1BYTE_DATA(text), (size_t)planned->size);
    planned->at = copy;
    return true;
}

/* ---- Shapes ---- */

static bool compile_shape(Engine *engine, PyObject *given, Shape *shape);

static Shape *
compile_inner(Engine *engine, PyObject *given)
{
    Shape *shape = allocate(engine, sizeof *shape);
    return shape != NULL && compile_shape(engine, given, shape) ? shape : NULL;
}

/* Compile the bounds of an integer: (least below zero, most below zero, least, most), magnitudes
   of 64 bits, None for both of a sign that is not taken. */
static bool
compile_bounds(PyObject *given, Shape *shape)
{
    Bounds *bounds = &shape->as.bounds;
    PyObject *parts[4];
    if (!PyArg_ParseTuple(given, "sOOOO", &(const char *){NULL}, &parts[0], &parts[1], &parts[2],
                          &parts[3])) {
        return false;
    }
    uint64_t numbers[4] = {0, 0, 0, 0};
    for (int i = 0; i < 4; i++) {
        if (parts[i] != Py_None) {
            numbers[i] = PyLong_AsUnsignedLongLong(parts[i]);
            if (PyErr_Occurred()) {
                return false;
            }
        }
    }
    bounds->takes_negative = parts[0] != Py_None;
    bounds->takes_others = parts[2] != Py_None;
    bounds->least_below_zero = numbers[0];
    bounds->most_below_zero = numbers[1];
    bounds->least = numbers[2];
    bounds->most = numbers[3];
    return true;
}

/* Compile a choice: (is it an enum, ((wire, value, text), ...)). */
static bool
compile_choice(Engine *engine, PyObject *given, Shape *shape)
{
    Choice *choice = &shape->as.choice;
    PyObject *members;
    int by_identity;
    if (!PyArg_ParseTuple(given, "spO!", &(const char *){NULL}, &by_identity, &PyTuple_Type,
                          &members)) {
        return false;
    }
    choice->by_identity = by_identity;
    choice->count = PyTuple_GET_SIZE(members);
    choice->members = allocate(engine, (size_t)choice->count * sizeof *choice->members);
    if (choice->members == NULL || !make_table(engine, &choice->by_text, choice->count)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < choice->count; i++) {
        ChoiceMember *member = &choice->members[i];
        PyObject *text;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(members, i), "OOU", &member->wire, &member->value,
                              &text) ||
            !keep_text(engine, text, &member->text)) {
            return false;
        }
        if (PyUnicode_CheckExact(member->wire)) {
            Py_ssize_t size;
            const char *wire = PyUnicode_AsUTF8AndSize(member->wire, &size);
            if (wire == NULL) {
                return false;
            }
            put_into_table(&choice->by_text, wire, size, member);
        }
    }
    return true;
}

/* Compile a scalar of an extension's own: (wire shape, read, write, class). */
static bool
compile_custom(Engine *engine, PyObject *given, Shape *shape)
{
    Custom *custom = &shape->as.custom;
    PyObject *wire;
    if (!PyArg_ParseTuple(given, "sOOOO", &(const char *){NULL}, &wire, &custom->read,
                          &custom->write, &custom->cls)) {
        return false;
    }
    custom->wire = compile_inner(engine, wire);
    return custom->wire != NULL;
}

static bool
compile_array(Engine *engine, PyObject *given, Shape *shape)
{
    PyObject *inner;
    int container;
    if (!PyArg_ParseTuple(given, "siO", &(const char *){NULL}, &container, &inner)) {
        return false;
    }
    if (container < CONTAINER_TUPLE || container > CONTAINER_FROZENSET) {
        PyErr_SetString(PyExc_ValueError, "no such container");
        return false;
    }
    shape->as.array.container = (Container)container;
    shape->as.array.inner = compile_inner(engine, inner);
    return shape->as.array.inner != NULL;
}

static bool
compile_map(Engine *engine, PyObject *given, Shape *shape)
{
    PyObject *inner;
    if (!PyArg_ParseTuple(given, "sO", &(const char *){NULL}, &inner)) {
        return false;
    }
    shape->as.inner = compile_inner(engine, inner);
    return shape->as.inner != NULL;
}

static const Record *
record_at(const Engine *engine, Py_ssize_t index)
{
    if (index < 0 || index >= engine->record_count) {
        PyErr_SetString(PyExc_IndexError, "no such record");
        return NULL;
    }
    return &engine->records[index];
}

static bool
compile_nested(Engine *engine, PyObject *given, Shape *shape)
{
    Py_ssize_t index;
    if (!PyArg_ParseTuple(given, "sn", &(const char *){NULL}, &index)) {
        return false;
    }
    shape->as.record = record_at(engine, index);
    return shape->as.record != NULL;
}

static bool
compile_kind(Engine *engine, PyObject *given, Shape *shape)
{
    switch (shape->kind) {
    case SHAPE_INTEGER:
        return compile_bounds(given, shape);
    case SHAPE_NUMBER:
        return PyArg_ParseTuple(given, "sd", &(const char *){NULL}, &shape->as.limit);
    case SHAPE_CHOICE:
        return compile_choice(engine, given, shape);
    case SHAPE_CUSTOM:
        return compile_custom(engine, given, shape);
    case SHAPE_ARRAY:
        return compile_array(engine, given, shape);
    case SHAPE_MAP:
        return compile_map(engine, given, shape);
    case SHAPE_RECORD:
        return compile_nested(engine, given, shape);
    default:
        return true;
    }
}

/* Compile a shape: (kind, ...), or ("maybe", shape). */
static bool
compile_shape(Engine *engine, PyObject *given, Shape *shape)
{
    static const char *const KINDS[] = {"text",   "boolean", "uuid",   "timestamp", "json",
                                        "integer", "number", "choice", "custom",    "array",
                                        "map",    "record",  "type",   "payload",   "unknown"};
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) == 0) {
        PyErr_SetString(PyExc_TypeError, "a shape is a tuple that begins with its kind");
        return false;
    }
    const char *kind = PyUnicode_AsUTF8(PyTuple_GET_ITEM(given, 0));
    if (kind == NULL) {
        return false;
    }
    if (strcmp(kind, "maybe") == 0) {
        PyObject *inner;
        if (!PyArg_ParseTuple(given, "sO!", &kind, &PyTuple_Type, &inner) ||
            !compile_shape(engine, inner, shape)) {
            return false;
        }
        shape->is_optional = true;
        return true;
    }
    for (int i = 0; i <= SHAPE_UNKNOWN; i++) {
        if (strcmp(kind, KINDS[i]) == 0) {
            shape->kind = (ShapeKind)i;
            return compile_kind(engine, given, shape);
        }
    }
    PyErr_Format(PyExc_ValueError, "no shape is called %s", kind);
    return false;
}

/* ---- Records ---- */

/* Find where in an instance a slot lies; 0 where the name is not that of a slot. */
static Py_ssize_t
slot_offset(PyTypeObject *cls, PyObject *name)
{
    PyObject *mro = cls->tp_mro;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        PyObject *names = PyObject_GetAttrString(base, "__dict__"); /* of the class: a proxy */
        PyObject *found = names ? PyObject_GetItem(names, name) : NULL;
        Py_XDECREF(names);
        if (found == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
                return -1;
            }
            PyErr_Clear();
            continue;
        }
        Py_ssize_t offset = 0;
        if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
            const PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
            if (member->type == Py_T_OBJECT_EX && member->flags == 0) { /* of a Python class */
                offset = member->offset;
            }
        }
        Py_DECREF(found);
        return offset;
    }
    return 0;
}

/* Find what a frame without white space has for the name of a member, which is in its prefix. */
static bool
compile_key(Member *member, PyObject *prefix)
{
    const char *text = PyUnicode_AsUTF8AndSize(prefix, &member->key_size);
    if (text == NULL) {
        return false;
    }
    if (member->key_size < 4 || text[0] != ',') {
        PyErr_SetString(PyExc_ValueError, "a prefix has a comma, a name, and a colon");
        return false;
    }
    member->key = text + 1;
    member->key_size--;
    size_t size = member->key_size < 8 ? (size_t)member->key_size : 8;
    memcpy(&member->head, member->key, size);
    memset(&member->head_mask, 0xFF, size);
    if (member->key_size > 8) {
        member->tail = load_8(member->key + member->key_size - 8);
    }
    return true;
}

/* Compile a member: (name, kind, role, shape, default, prefix). */
static bool
compile_member(Engine *engine, const Record *record, PyObject *given, Member *member,
               bool has_slots)
{
    PyObject *shape, *prefix;
    int kind, role;
    if (!PyArg_ParseTuple(given, "UiiOOU", &member->name, &kind, &role, &shape, &member->fallback,
                          &prefix) ||
        !keep_text(engine, prefix, &member->prefix) || !compile_key(member, prefix)) {
        return false;
    }
    if (kind < MEMBER_TAG || kind > MEMBER_CONVERTED || role < ROLE_NONE || role > ROLE_PAYLOAD) {
        PyErr_SetString(PyExc_ValueError, "no such kind of member");
        return false;
    }
    member->kind = (MemberKind)kind;
    member->role = (Role)role;
    if (member->kind == MEMBER_TAG) {
        member->tag = PyUnicode_AsUTF8AndSize(member->fallback, &member->tag_size);
        return member->tag != NULL;
    }
    if (has_slots) {
        member->offset = slot_offset(record->cls, member->name);
        if (member->offset < 0) {
            return false;
        }
    }
    return compile_shape(engine, shape, &member->shape);
}

/* Tell whether an instance of a class is nothing but its slots, made in the usual way. */
static bool
is_plain_class(const PyTypeObject *cls)
{
    return cls->tp_alloc == PyType_GenericAlloc && cls->tp_itemsize == 0 &&
           cls->tp_dictoffset == 0;
}

/* Compile a record: (class, may it be filled, members, opening, names of the fields); None stands
   for the members where it is left to the converter. */
static bool
compile_record(Engine *engine, PyObject *given, Record *record)
{
    PyObject *members, *opening;
    int is_direct;
    if (!PyArg_ParseTuple(given, "O!pOUO!", &PyType_Type, &record->cls, &is_direct, &members,
                          &opening, &PyTuple_Type, &record->keywords)) {
        return false;
    }
    record->is_unsure = members == Py_None;
    if (record->is_unsure) {
        return true;
    }
    if (!PyTuple_Check(members)) {
        PyErr_SetString(PyExc_TypeError, "members are a tuple, or None");
        return false;
    }
    if (!keep_text(engine, opening, &record->opening)) {
        return false;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(members);
    if (count > MAX_MEMBERS) {
        PyErr_SetString(PyExc_ValueError, "a record has too many members");
        return false;
    }
    record->is_direct = is_direct && is_plain_class(record->cls);
    record->count = (int)count;
    record->members = allocate(engine, (size_t)count * sizeof *record->members);
    if (record->members == NULL) {
        return false;
    }
    bool has_converted = false;
    /* Who asks for an attribute of such a class gets what is in the slot. */
    bool has_slots = record->cls->tp_getattro == PyObject_GenericGetAttr;
    for (int i = 0; i < record->count; i++) {
        Member *member = &record->members[i];
        if (!compile_member(engine, record, PyTuple_GET_ITEM(members, i), member, has_slots)) {
            return false;
        }
        if (member->kind == MEMBER_TAG) {
            record->tag_count++;
        }
        else {
            record->is_direct = record->is_direct && member->offset > 0;
        }
        if (member->kind == MEMBER_REQUIRED) {
            record->required |= UINT64_C(1) << i;
        }
        if (member->kind == MEMBER_OPEN) {
            record->is_direct = false;
        }
        has_converted = has_converted || member->kind == MEMBER_CONVERTED;
    }
    record->is_direct_unless_converted = record->is_direct && has_converted;
    record->is_direct = record->is_direct && !has_converted;
    if (PyTuple_GET_SIZE(record->keywords) != count - record->tag_count) {
        PyErr_SetString(PyExc_ValueError, "a record has a name for each of its fields");
        return false;
    }
    return true;
}

static bool
compile_records(Engine *engine, PyObject *given)
{
    /* All are there before the first is compiled: they refer to one another. */
    engine->record_count = PyTuple_GET_SIZE(given);
    engine->records = allocate(engine, (size_t)engine->record_count * sizeof *engine->records);
    if (engine->records == NULL) {
        return false;
    }
    for (Py_ssize_t i = 0; i < engine->record_count; i++) {
        if (!compile_record(engine, PyTuple_GET_ITEM(given, i), &engine->records[i])) {
            return false;
        }
    }
    return true;
}

/* ---- Messages ---- */

static bool
compile_events(Engine *engine, PyObject *given, Incoming *incoming)
{
    if (!make_table(engine, &incoming->events, PyTuple_GET_SIZE(given))) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given); i++) {
        const char *tag;
        Py_ssize_t size, index;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(given, i), "s#n", &tag, &size, &index)) {
            return false;
        }
        const Record *record = record_at(engine, index);
        if (record == NULL) {
            return false;
        }
        put_into_table(&incoming->events, tag, size, record);
    }
    return true;
}

/* Compile what goes by a message type: (type, kind, record, None, None), or
   (type, kind, record of the tags, category, events). */
static bool
compile_incoming(Engine *engine, PyObject *given, Side *side)
{
    Incoming *incoming = allocate(engine, sizeof *incoming);
    int kind;
    PyObject *events = NULL;
    Py_ssize_t index;
    if (incoming == NULL || !PyArg_ParseTuple(given, "Uinz#O", &incoming->type, &kind, &index,
                                              &incoming->category, &incoming->category_size,
                                              &events)) {
        return false;
    }
    incoming->kind = (MessageKind)kind;
    const Record *record = record_at(engine, index);
    if (record == NULL) {
        return false;
    }
    if (incoming->kind != MESSAGE_EVENTS) {
        incoming->record = record;
    }
    else {
        incoming->tags = record;
        if (!PyTuple_Check(events) || !compile_events(engine, events, incoming)) {
            return false;
        }
    }
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(incoming->type, &size);
    if (text == NULL) {
        return false;
    }
    put_into_table(&side->types, text, size, incoming);
    return true;
}

/* Find what the reader of frames fills in an envelope itself. */
static void
find_places(Side *side)
{
    for (int i = 0; i < side->envelope->count; i++) {
        switch (side->envelope->members[i].role) {
        case ROLE_ID:
        case ROLE_TIMESTAMP:
            side->bare |= UINT64_C(1) << i;
            break;
        case ROLE_TYPE:
            side->type_place = i;
            break;
        case ROLE_PAYLOAD:
            side->payload_place = i;
            break;
        default:
            break;
        }
    }
}

/* Compile a side: (record of its envelope, does it keep what is unknown, messages). */
static bool
compile_side(Engine *engine, PyObject *given, Side *side)
{
    Py_ssize_t index;
    int keeps_unknown;
    PyObject *messages;
    if (!PyArg_ParseTuple(given, "npO!", &index, &keeps_unknown, &PyTuple_Type, &messages)) {
        return false;
    }
    side->envelope = record_at(engine, index);
    side->keeps_unknown = keeps_unknown;
    if (side->envelope == NULL || !make_table(engine, &side->types, PyTuple_GET_SIZE(messages))) {
        return false;
    }
    find_places(side);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(messages); i++) {
        if (!compile_incoming(engine, PyTuple_GET_ITEM(messages, i), side)) {
            return false;
        }
    }
    return true;
}

static size_t
place_of_class(const Engine *engine, const PyTypeObject *cls)
{
    uintptr_t address = (uintptr_t)cls;
    return (size_t)(address >> 4 ^ address >> 10) & engine->outgoing_mask;
}

/* Find how a payload is written; NULL if the engine does not know its class. */
const Outgoing *
find_outgoing(const Engine *engine, PyTypeObject *cls)
{
    size_t place = place_of_class(engine, cls);
    while (engine->outgoing[place].cls != NULL) {
        if (engine->outgoing[place].cls == cls) {
            return &engine->outgoing[place];
        }
        place = (place + 1) & engine->outgoing_mask;
    }
    return NULL;
}

/* Compile how classes are written: (record, type, quoted type, envelopes, command, keepalive). */
static bool
compile_outgoing(Engine *engine, PyObject *given)
{
    size_t places = 4;
    while (places < (size_t)PyTuple_GET_SIZE(given) * 2) {
        places *= 2;
    }
    engine->outgoing = allocate(engine, places * sizeof *engine->outgoing);
    if (engine->outgoing == NULL) {
        return false;
    }
    engine->outgoing_mask = places - 1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given); i++) {
        Outgoing one = {0};
        Py_ssize_t index;
        int is_command, is_keepalive;
        PyObject *quoted;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(given, i), "nUUipp", &index, &one.type, &quoted,
                              &one.envelopes, &is_command, &is_keepalive) ||
            !keep_text(engine, quoted, &one.quoted)) {
            return false;
        }
        one.record = record_at(engine, index);
        if (one.record == NULL) {
            return false;
        }
        one.cls = one.record->cls;
        one.is_command = is_command;
        one.is_keepalive = is_keepalive;
        size_t place = place_of_class(engine, one.cls);
        while (engine->outgoing[place].cls != NULL) {
            place = (place + 1) & engine->outgoing_mask;
        }
        engine->outgoing[place] = one;
    }
    return true;
}

/* Find what is used of UUID: its slots. */
static bool
compile_uuid(Engine *engine, PyObject *given)
{
    if (!PyArg_ParseTuple(given, "O!O", &PyType_Type, &engine->uuid_class, &engine->uuid_safety)) {
        return false;
    }
    PyObject *names[2] = {PyUnicode_FromString("int"), PyUnicode_FromString("is_safe")};
    Py_ssize_t offsets[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        offsets[i] = names[i] != NULL ? slot_offset(engine->uuid_class, names[i]) : -1;
        Py_XDECREF(names[i]);
    }
    if (offsets[0] < 0 || offsets[1] < 0) {
        return false;
    }
    if (offsets[0] == 0 || offsets[1] == 0 || !is_plain_class(engine->uuid_class)) {
        PyErr_SetString(PyExc_TypeError, "this version's UUIDs are not known to the engine");
        return false;
    }
    engine->uuid_int_offset = offsets[0];
    engine->uuid_safety_offset = offsets[1];
    return true;
}

static bool
compile_envelopes(Engine *engine, PyObject *given)
{
    Py_ssize_t indices[5];
    if (!PyArg_ParseTuple(given, "nnnnn", &indices[0], &indices[1], &indices[2], &indices[3],
                          &indices[4])) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        engine->envelopes[i] = record_at(engine, indices[i]);
        if (engine->envelopes[i] == NULL) {
            return false;
        }
    }
    engine->unknown_message = record_at(engine, indices[3]);
    engine->unknown_event = engine->unknown_message ? record_at(engine, indices[4]) : NULL;
    return engine->unknown_event != NULL;
}

/* Compile a plan, which the engine keeps:
   (records, client's side, server's side, written messages, envelopes, UUID, tools). */
bool
compile_plan(Engine *engine, PyObject *plan)
{
    PyObject *records, *client, *server, *outgoing, *envelopes, *uuid;
    engine->plan = Py_NewRef(plan);
    return PyArg_ParseTuple(plan, "O!O!O!O!O!O!(OOOO!O!UUOOO)", &PyTuple_Type, &records,
                            &PyTuple_Type, &client, &PyTuple_Type, &server, &PyTuple_Type,
                            &outgoing, &PyTuple_Type, &envelopes, &PyTuple_Type, &uuid,
                            &engine->refusals, &engine->urandom, &engine->now, &PyDict_Type,
                            &engine->time_names, &PyDict_Type, &engine->datetime_names,
                            &engine->time_name, &engine->datetime_name, &engine->unsure,
                            &engine->refused, &engine->no_room) &&
           compile_records(engine, records) && compile_side(engine, client, &engine->client) &&
           compile_side(engine, server, &engine->server) && compile_outgoing(engine, outgoing) &&
           compile_envelopes(engine, envelopes) && compile_uuid(engine, uuid);
}
