/* A coverage-guided fuzzer for the engine: libFuzzer, with an interpreter inside.

   What comes in is a byte that says which side sent the frame and in which form it is given, and
   the frame. What the engine makes of it is written again. With FUZZ_COMPARE=1, the converter is
   asked, too, and must agree (see target.py). */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

PyMODINIT_FUNC PyInit__engine(void);

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static PyObject *try_frame; /* target.try_frame(kind, frame) */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (PyImport_AppendInittab("_engine", PyInit__engine) < 0) {
        abort();
    }
    Py_InitializeEx(0);
    PyObject *target = PyImport_ImportModule("target");
    try_frame = target != NULL ? PyObject_GetAttrString(target, "try_frame") : NULL;
    if (try_frame == NULL) {
        PyErr_Print();
        abort();
    }
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    PyObject *done = PyObject_CallFunction(try_frame, "iy#", (int)data[0], (const char *)data + 1,
                                           (Py_ssize_t)size - 1);
    if (done == NULL) {
        PyErr_Print();
        abort();
    }
    Py_DECREF(done);
    return 0;
}
