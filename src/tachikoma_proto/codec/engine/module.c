/* The module `tachikoma_proto.codec._engine`: the type Engine.

   Rules:

   - An engine is made of a plan and never changed. It keeps no message and no frame.
   - What belongs to an interpreter is in the module's state, so that each has its own. One
     without the GIL of the main one is not supported: there the converter does everything. */

#include "engine.h"

typedef struct {
    PyTypeObject *engine_type;
    PyCFunction clock; /* what time.time ran when the module was loaded; NULL: unknown */
    Shared shared;
} State;

static struct PyModuleDef engine_module;

static State *
state_of(PyTypeObject *cls)
{
    PyObject *module = PyType_GetModule(cls);
    return module != NULL ? PyModule_GetState(module) : NULL;
}

static PyObject *
engine_new(PyTypeObject *cls, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"plan", "max_size", "forbid_unknown_fields", "otherwise", NULL};
    PyObject *plan;
    Py_ssize_t max_size = 1 << 20;
    int forbids_unknown = 0;
    PyObject *otherwise[4] = {NULL, NULL, NULL, NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|$np(OOOO)", names, &PyTuple_Type, &plan,
                                     &max_size, &forbids_unknown, &otherwise[0], &otherwise[1],
                                     &otherwise[2], &otherwise[3])) {
        return NULL;
    }
    State *state = state_of(cls);
    if (state == NULL) {
        return NULL;
    }
    Engine *engine = (Engine *)cls->tp_alloc(cls, 0);
    if (engine == NULL) {
        return NULL;
    }
    engine->max_size = max_size;
    engine->forbids_unknown = forbids_unknown;
    engine->clock = state->clock;
    for (int i = 0; i < 4; i++) {
        engine->otherwise[i] = Py_XNewRef(otherwise[i]);
    }
    engine->shared = &state->shared; /* which lives as long as the type */
    if (!load_times(engine) || !compile_plan(engine, plan)) {
        Py_DECREF(engine);
        return NULL;
    }
    return (PyObject *)engine;
}

static int
engine_traverse(Engine *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->plan);
    for (int i = 0; i < 4; i++) {
        Py_VISIT(self->otherwise[i]);
    }
    return 0;
}

static int
engine_clear(Engine *self)
{
    Py_CLEAR(self->plan);
    for (int i = 0; i < 4; i++) {
        Py_CLEAR(self->otherwise[i]);
    }
    return 0;
}

static void
engine_dealloc(Engine *self)
{
    PyTypeObject *cls = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    engine_clear(self);
    free_plan(self);
    cls->tp_free(self);
    Py_DECREF(cls);
}

/* An engine of which the collector has taken the plan serves nobody. */
static bool
is_alive(Engine *self)
{
    if (self->plan == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the engine was cleared by the garbage collector");
        return false;
    }
    return true;
}

/* What is called where the engine does not do it, and where a verdict is not what is wanted. */
enum { OTHERWISE_COMMAND, OTHERWISE_SERVER_MESSAGE, OTHERWISE_ENCODE, OTHERWISE_ENCODE_MESSAGE };

/* Give a result; in the place of a verdict, what is made of it elsewhere. */
static inline PyObject *
or_otherwise(Engine *self, PyObject *result, int method, PyObject *const *args, Py_ssize_t count)
{
    if (result != self->unsure && result != self->refused && result != self->no_room) {
        return result;
    }
    PyObject *otherwise = self->otherwise[method];
    if (otherwise == NULL) {
        return result;
    }
    PyObject *given[5] = {result};
    memcpy(given + 1, args, (size_t)count * sizeof *args);
    Py_INCREF(otherwise);
    PyObject *made = PyObject_Vectorcall(otherwise, given, (size_t)count + 1, NULL);
    Py_DECREF(otherwise);
    Py_DECREF(result);
    return made;
}

static PyObject *
engine_decode_command(Engine *self, PyObject *frame)
{
    if (!is_alive(self)) {
        return NULL;
    }
    PyObject *made = read_frame(self, &self->client, frame);
    return or_otherwise(self, made, OTHERWISE_COMMAND, &frame, 1);
}

static PyObject *
engine_decode_server_message(Engine *self, PyObject *frame)
{
    if (!is_alive(self)) {
        return NULL;
    }
    PyObject *made = read_frame(self, &self->server, frame);
    return or_otherwise(self, made, OTHERWISE_SERVER_MESSAGE, &frame, 1);
}

static PyObject *
engine_read_object(Engine *self, PyObject *frame)
{
    return is_alive(self) ? read_frame(self, NULL, frame) : NULL;
}

/* Find which keyword of encode() a name is; 0 if it is none. */
static int
find_keyword(PyObject *name)
{
    static const char *const NAMES[] = {"reply_to", "id", "timestamp"};
    for (int i = 0; i < 3; i++) {
        if (PyUnicode_CompareWithASCIIString(name, NAMES[i]) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static PyObject *
engine_encode(Engine *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *given[4] = {NULL, Py_None, Py_None, Py_None};
    if (!is_alive(self)) {
        return NULL;
    }
    if (count == 1) {
        given[0] = args[0];
    }
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int place = find_keyword(name);
        bool is_payload = place == 0 && PyUnicode_CompareWithASCIIString(name, "payload") == 0;
        if (place == 0 && (!is_payload || count > 0)) {
            PyErr_Format(PyExc_TypeError, "encode() got an unexpected keyword argument %R", name);
            return NULL;
        }
        given[place] = args[count + i];
    }
    if (count > 1 || given[0] == NULL) {
        PyErr_SetString(PyExc_TypeError, "encode() takes one positional argument, the payload");
        return NULL;
    }
    PyObject *text = write_payload_frame(self, given[0], given[1], given[2], given[3]);
    return or_otherwise(self, text, OTHERWISE_ENCODE, given, 4);
}

static PyObject *
engine_encode_message(Engine *self, PyObject *message)
{
    if (!is_alive(self)) {
        return NULL;
    }
    PyObject *text = write_message_frame(self, message);
    return or_otherwise(self, text, OTHERWISE_ENCODE_MESSAGE, &message, 1);
}

static PyMethodDef engine_methods[] = {
    {"decode_command", (PyCFunction)engine_decode_command, METH_O,
     PyDoc_STR("decode_command($self, frame, /)\n--\n\n"
               "Read what a client sent; a verdict where the engine does not.")},
    {"decode_server_message", (PyCFunction)engine_decode_server_message, METH_O,
     PyDoc_STR("decode_server_message($self, frame, /)\n--\n\n"
               "Read what a server sent; a verdict where the engine does not.")},
    {"read_object", (PyCFunction)engine_read_object, METH_O,
     PyDoc_STR("read_object($self, frame, /)\n--\n\n"
               "Read the JSON object that a frame is; a verdict where the engine does not.")},
    {"encode", (PyCFunction)(void (*)(void))engine_encode, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("encode($self, payload, *, reply_to=None, id=None, timestamp=None)\n--\n\n"
               "Write a payload; a verdict where the engine does not.")},
    {"encode_message", (PyCFunction)engine_encode_message, METH_O,
     PyDoc_STR("encode_message($self, envelope, /)\n--\n\n"
               "Write a message in its envelope; a verdict where the engine does not.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, PyDoc_STR("Engine(plan, *, max_size, forbid_unknown_fields, otherwise)\n--\n\n"
                          "Reads and writes the frames of a plan's messages.")},
    {Py_tp_new, engine_new},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_traverse, engine_traverse},
    {Py_tp_clear, engine_clear},
    {Py_tp_methods, engine_methods},
    {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "tachikoma_proto.codec._engine.Engine",
    .basicsize = sizeof(Engine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = engine_slots,
};

/* In a process that was forked: throw away what randomness the engines keep. */
static PyObject *
module_after_fork(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    State *state = PyModule_GetState(module);
    state->shared.forks++;
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"_after_fork", module_after_fork, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* Have the system's forks told to us, where there are any. */
static bool
watch_forks(PyObject *module)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *watch = os != NULL ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    Py_XDECREF(os);
    if (watch == NULL) {
        bool has_none = os != NULL && PyErr_ExceptionMatches(PyExc_AttributeError);
        if (has_none) {
            PyErr_Clear();
        }
        return has_none;
    }
    PyObject *callback = PyObject_GetAttrString(module, "_after_fork");
    PyObject *nothing = PyTuple_New(0);
    PyObject *options = callback ? Py_BuildValue("{sO}", "after_in_child", callback) : NULL;
    PyObject *done = nothing && options ? PyObject_Call(watch, nothing, options) : NULL;
    Py_DECREF(watch);
    Py_XDECREF(callback);
    Py_XDECREF(nothing);
    Py_XDECREF(options);
    Py_XDECREF(done);
    return done != NULL;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->engine_type =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &engine_spec, NULL);
    if (state->engine_type == NULL) {
        return -1;
    }
    state->clock = present_clock();
    if (!watch_forks(module)) {
        return -1;
    }
    return PyModule_AddType(module, state->engine_type);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->engine_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->engine_type);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef engine_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_engine",
    .m_doc = PyDoc_STR("Frames become messages, and messages frames, as a plan says."),
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_methods = module_methods,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit__engine(void)
{
    return PyModuleDef_Init(&engine_module);
}
