/* The reader: values, and the objects of attrs classes.

   Rules:

   - Nothing is coerced. The rules for each kind of value are those of the converter's hooks.
   - A key stands once in its object: there is a bit for each member that a record has, and a list
     of the others.
   - A missing optional field is None, a missing field with a default has that.
   - There is a function for each kind of shape, in a table. */

#include "reader.h"

/* ---- Leaves ---- */

PyObject *
read_text(Reader *reader)
{
    Span span;
    if (!expect_quote(reader) || !scan_string(reader, &span)) {
        return NULL;
    }
    return text_of(reader, &span);
}

static PyObject *
read_text_value(Reader *reader, const Shape *Py_UNUSED(shape))
{
    return read_text(reader);
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
    return read(reader, &span);
}

static PyObject *
read_uuid(Reader *reader, const Shape *Py_UNUSED(shape))
{
    bool is_usual;
    PyObject *uuid = usual_uuid(reader, &is_usual);
    return is_usual ? uuid : read_inside(reader, uuid_of);
}

static PyObject *
read_timestamp(Reader *reader, const Shape *Py_UNUSED(shape))
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
read_boolean_value(Reader *reader, const Shape *Py_UNUSED(shape))
{
    return read_boolean(reader);
}

static PyObject *
read_integer(Reader *reader, const Shape *shape)
{
    const Bounds *bounds = &shape->as.bounds;
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
read_number(Reader *reader, const Shape *shape)
{
    const double limit = shape->as.limit;
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
    if (!expect_quote(reader) || !scan_string(reader, &span)) {
        return NULL;
    }
    const ChoiceMember *member = find_in_table(&choice->by_text, span.start, span.size);
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
read_choice(Reader *reader, const Shape *shape)
{
    const Choice *choice = &shape->as.choice;
    return *reader->at == '"' ? choose_text(reader, choice) : choose_integer(reader, choice);
}

static PyObject *
read_custom(Reader *reader, const Shape *shape)
{
    const Custom *custom = &shape->as.custom;
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

static PyObject *
read_array_value(Reader *reader, const Shape *shape)
{
    return read_array(reader, shape->as.array.container, shape->as.array.inner);
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
read_map_value(Reader *reader, const Shape *shape)
{
    return read_map(reader, shape->as.inner);
}

PyObject *
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

static PyObject *
read_json_value(Reader *reader, const Shape *Py_UNUSED(shape))
{
    return read_json(reader);
}

/* ---- Records ---- */

/* Look for a member by its name. */
static int
search_member(const Record *record, const Span *key)
{
    for (int i = 0; i < record->count; i++) {
        const Member *member = &record->members[i];
        if (member->key_size == key->size + 3 && /* quotes and a colon */
            memcmp(member->key + 1, key->start, (size_t)key->size) == 0) {
            return i;
        }
    }
    return MEMBER_UNKNOWN;
}

/* Read a key and the colon behind it, as read_key does, in whatever form the key is. */
int
read_odd_key(Reader *reader, const Record *record, Span *key)
{
    if (!expect_quote(reader) || !scan_string(reader, key) || !expect(reader, ':')) {
        return MEMBER_FAULT;
    }
    skip_space(reader);
    return search_member(record, key);
}

/* Go over a tag, as check_tag does, in whatever form it is. */
bool
check_odd_tag(Reader *reader, const char *tag, Py_ssize_t size)
{
    Span span;
    if (!expect_quote(reader) || !scan_string(reader, &span)) {
        return false;
    }
    return is_span(&span, tag, size) || refused(reader);
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
bool
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
PyObject *
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

PyObject *
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

static PyObject *
read_record_value(Reader *reader, const Shape *shape)
{
    return read_record(reader, shape->as.record);
}

/* ---- Values ---- */

/* Leave a value to the converter; an envelope's own ones are read with the frame. */
static PyObject *
read_nothing(Reader *reader, const Shape *Py_UNUSED(shape))
{
    reader->verdict = UNSURE;
    return NULL;
}

PyObject *
read_value(Reader *reader, const Shape *shape)
{
    static PyObject *(*const READERS[])(Reader *reader, const Shape *shape) = {
        [SHAPE_TEXT] = read_text_value,      [SHAPE_BOOLEAN] = read_boolean_value,
        [SHAPE_UUID] = read_uuid,            [SHAPE_TIMESTAMP] = read_timestamp,
        [SHAPE_JSON] = read_json_value,      [SHAPE_INTEGER] = read_integer,
        [SHAPE_NUMBER] = read_number,        [SHAPE_CHOICE] = read_choice,
        [SHAPE_CUSTOM] = read_custom,        [SHAPE_ARRAY] = read_array_value,
        [SHAPE_MAP] = read_map_value,        [SHAPE_RECORD] = read_record_value,
        [SHAPE_TYPE] = read_nothing,         [SHAPE_PAYLOAD] = read_nothing,
        [SHAPE_UNKNOWN] = read_nothing,
    };
    if (shape->is_optional && *reader->at == 'n') {
        return read_word(reader, "null", Py_None);
    }
    return READERS[shape->kind](reader, shape);
}
