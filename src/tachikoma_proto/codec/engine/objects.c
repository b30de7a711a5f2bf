/* Objects: the stack of what was read, and instances of attrs classes.

   Rules:

   - What is on the stack is owned by it. Whoever makes a container takes the objects off; whoever
     gives up leaves them, and they are released together.
   - An instance is made by filling the slots of an empty one where the class does no more than
     that in its constructor, which the plan says, or no more than that for the fields that are
     there; by calling the class otherwise.
   - Code that is called back may do anything: raise, or use the same engine, whose next frame has a
     stack of its own. */

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

/* Make the value of a field that is missing. */
static PyObject *
make_default(Reader *reader, const Member *member)
{
    if (member->kind != MEMBER_FACTORY) {
        return Py_NewRef(member->fallback);
    }
    PyObject *value = PyObject_CallNoArgs(member->fallback);
    if (value == NULL) {
        reader->verdict = verdict_of_call(reader->engine);
    }
    return value;
}

/* Make an empty instance, which the collector does not look at yet. */
PyObject *
new_instance(PyTypeObject *cls)
{
    if (!PyType_IS_GC(cls)) {
        return cls->tp_alloc(cls, 0);
    }
    PyObject *made = PyObject_GC_New(PyObject, cls);
    if (made != NULL) {
        memset(made + 1, 0, (size_t)cls->tp_basicsize - sizeof *made);
    }
    return made;
}

static PyObject *
fill_instance(Reader *reader, const Record *record, Py_ssize_t base)
{
    PyObject *made = new_instance(record->cls);
    if (made == NULL) {
        return raised(reader);
    }
    for (int i = record->tag_count; i < record->count; i++) {
        const Member *member = &record->members[i];
        PyObject *value = reader->items[base + i];
        if (value == NULL && (value = make_default(reader, member)) == NULL) {
            Py_DECREF(made);
            return NULL;
        }
        reader->items[base + i] = NULL;
        *slot_of(made, member->offset) = value;
    }
    if (PyType_IS_GC(record->cls)) {
        PyObject_GC_Track(made);
    }
    reader->count = base;
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
        return NULL;
    }
    drop_items(reader, base);
    return made;
}

/* Make an instance of the values that lie on the stack, a place for each member, empty where the
   frame had none, and for a tag. They are taken off. */
PyObject *
make_instance(Reader *reader, const Record *record, Py_ssize_t base)
{
    bool is_filled = record->is_direct || (record->is_direct_unless_converted &&
                                           !has_converted(reader, record, base));
    return is_filled ? fill_instance(reader, record, base) : call_class(reader, record, base);
}
