/* What the reader offers to those who read frames. */

#ifndef TACHIKOMA_READER_H
#define TACHIKOMA_READER_H

#include "scanner.h"

/* What read_key gives in the place of a member. */
enum { MEMBER_UNKNOWN = -1, MEMBER_FAULT = -2 };

PyObject *read_text(Reader *reader);
PyObject *read_json(Reader *reader);
PyObject *read_value(Reader *reader, const Shape *shape);
PyObject *read_record(Reader *reader, const Record *record);
PyObject *read_record_inside(Reader *reader, const Record *record, uint64_t seen, int next);
bool make_places(Reader *reader, const Record *record);
int read_key(Reader *reader, const Record *record, int next, Span *key);
bool check_tag(Reader *reader, const char *tag, Py_ssize_t size);

#endif
