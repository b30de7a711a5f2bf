/* Objects: the stack of what was read, and instances of attrs classes.

   Rules:

   - What is on the stack is owned by it. Whoever makes a container takes the objects off; whoever
     gives up leaves them, and they are released together.
   - An instance is made by filling the slots of an empty one where the class does no more than
     that in its constructor, which the plan says, or no more than that for the fields that are
     there; by calling the class otherwise.
   - Code that is called back may do anything: raise, or use the same engine. No pointer into the
     stack is kept across a call. */

#include "scanner.h"

/* Make sure that the stack has room for some more. */
bool
reserve_items(Reader *reader, Py_ssize_t count)
{
    if (reader->capacity - reader->count >= count) {
        return true;
    }
    Py_ssize_t capacity = reader->capacity * 2 + count;
    PyObject **items;
    if (reader->items == reader->local) {
        items = PyMem_Malloc((size_t)capacity * sizeof *items);
        if (items != NULL) {
            memcpy(items, reader->local, (size_t)reader->count * sizeof *items);
        }
    }
    else {
        items = PyMem_Realloc(reader->items, (size_t)capacity * sizeof *items);
    }
    if (items == NULL) {
        PyErr_NoMemory();
        reader->verdict = RAISED;
        return false;
    }
    reader->items = items;
    reader->capacity = capacity;
    return true;
}

/* Put an object onto the stack, which owns it from now on, whatever happens. */
bool
push(Reader *reader, PyObject *object)
{
    if (!reserve_items(reader, 1)) {
        Py_DECREF(object);
        return false;
    }
    reader->items[reader->count++] = object;
    return true;
}

/* Release what lies above a place. */
void
drop_items(Reader *reader, Py_ssize_t base)
{
    while (reader->count > base) {
        Py_XDECREF(reader->items[--reader->count]);
    }
}

/* Judge the exception that called code raised. Some are its way to refuse a value; others are its
   mistakes, which the converter reports; what is no mistake of anybody's passes through. */
Verdict
verdict_of_call(const Engine *engine)
{
    if (PyErr_ExceptionMatches(PyExc_RecursionError)) {
        PyErr_Clear();
        return NO_ROOM;
    }
    if (PyErr_ExceptionMatches(engine->refusals)) {
        PyErr_Clear();
        return REFUSED;
    }
    if (PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        return UNSURE;
    }
    return RAISED;
}

/* Tell whether there is a field that the class would convert. */
static bool
has_converted(const Reader *reader, const Record *record, Py_ssize_t base)
{
    for (int i = record->tag_count; i < record->count; i++) {
        if (record->members[i].kind == MEMBER_CONVERTED && reader->items[base + i] != NULL) {
            return true;
        }
    }
    return false;
}

/* Put defaults where fields were missing. */
static bool
fill_defaults(Reader *reader, const Record *record, Py_ssize_t base)
{
    for (int i = record->tag_count; i < record->count; i++) {
        const Member *member = &record->members[i];
        if (reader->items[base + i] != NULL) {
            continue;
        }
        PyObject *value;
        if (member->kind == MEMBER_FACTORY) {
            value = PyObject_CallNoArgs(member->fallback);
            if (value == NULL) {
                reader->verdict = verdict_of_call(reader->engine);
                return false;
            }
        }
        else {
            value = Py_NewRef(member->fallback);
        }
        reader->items[base + i] = value;
    }
    return true;
}

static PyObject *
fill_instance(Reader *reader, const Record *record, Py_ssize_t base)
{
    PyObject *made = record->cls->tp_alloc(record->cls, 0);
    if (made == NULL) {
        return raised(reader);
    }
    PyObject **values = reader->items + base;
    for (int i = record->tag_count; i < record->count; i++) {
        *slot_of(made, record->members[i].offset) = values[i];
        values[i] = NULL;
    }
    return made;
}

/* Give the names of the fields that are there, and move their values together. */
static PyObject *
present_names(Reader *reader, const Record *record, Py_ssize_t base, Py_ssize_t *count)
{
    PyObject **values = reader->items + base + record->tag_count;
    Py_ssize_t total = record->count - record->tag_count;
    Py_ssize_t present = 0;
    for (Py_ssize_t i = 0; i < total; i++) {
        present += values[i] != NULL;
    }
    *count = present;
    if (present == total) {
        return Py_NewRef(record->keywords);
    }
    PyObject *names = PyTuple_New(present);
    if (names == NULL) {
        return NULL;
    }
    Py_ssize_t to = 0;
    for (Py_ssize_t i = 0; i < total; i++) {
        PyObject *value = values[i];
        if (value != NULL) {
            values[i] = NULL;
            values[to] = value;
            PyTuple_SET_ITEM(names, to++, Py_NewRef(PyTuple_GET_ITEM(record->keywords, i)));
        }
    }
    return names;
}

/* Call the class with the values that are there; its own defaults fill the rest. */
PyObject *
call_class(Reader *reader, const Record *record, Py_ssize_t base)
{
    Py_ssize_t count;
    PyObject *names = present_names(reader, record, base, &count);
    if (names == NULL) {
        return raised(reader);
    }
    PyObject *made = PyObject_Vectorcall((PyObject *)record->cls,
                                         reader->items + base + record->tag_count, 0, names);
    Py_DECREF(names);
    if (made == NULL) {
        reader->verdict = verdict_of_call(reader->engine);
    }
    return made;
}

/* Call the class, unless it would do no more than fill its slots with what is there. */
static PyObject *
convert_or_call(Reader *reader, const Record *record, Py_ssize_t base)
{
    if (!record->is_direct_unless_converted || has_converted(reader, record, base)) {
        return call_class(reader, record, base);
    }
    return fill_defaults(reader, record, base) ? fill_instance(reader, record, base) : NULL;
}

/* Make an instance of the values that lie on the stack, a place for each member, empty where the
   frame had none. They are taken off. */
PyObject *
make_instance(Reader *reader, const Record *record, Py_ssize_t base)
{
    PyObject *made = NULL;
    if (!record->is_direct) {
        made = convert_or_call(reader, record, base);
    }
    else if (fill_defaults(reader, record, base)) {
        made = fill_instance(reader, record, base);
    }
    if (made != NULL) {
        drop_items(reader, base);
    }
    return made;
}
