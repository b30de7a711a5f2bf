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
int read_odd_key(Reader *reader, const Record *record, Span *key);
bool check_odd_tag(Reader *reader, const char *tag, Py_ssize_t size);

/* Tell whether the name of a member comes next, in its usual form. */
static inline bool
is_key(const Reader *reader, const Member *member)
{
    const char *at = reader->at;
    Py_ssize_t size = member->key_size;
    Py_ssize_t left = reader->end - at;
    if (left < 8 || left < size || (load_8(at) & member->head_mask) != member->head) {
        return false;
    }
    return size <= 8 || (load_8(at + size - 8) == member->tail &&
                         (size <= 16 || memcmp(at + 8, member->key + 8, (size_t)size - 16) == 0));
}

/* Read a key and the colon behind it; tell which member of a record it names. The one that is
   expected next is tried first, then those behind it, then the others. */
static inline int
read_key(Reader *reader, const Record *record, int next, Span *key)
{
    for (int step = 0, i = next; step < record->count; step++, i++) {
        i = i < record->count ? i : 0;
        if (is_key(reader, &record->members[i])) {
            reader->at += record->members[i].key_size;
            skip_space(reader);
            return i;
        }
    }
    return read_odd_key(reader, record, key);
}

/* Go over a tag, which must be what it has to be. It has no character that JSON escapes. */
static inline bool
check_tag(Reader *reader, const char *tag, Py_ssize_t size)
{
    const char *at = reader->at;
    if (reader->end - at >= size + 2 && at[0] == '"' && at[size + 1] == '"' &&
        memcmp(at + 1, tag, (size_t)size) == 0) {
        reader->at += size + 2;
        return true;
    }
    return check_odd_tag(reader, tag, size);
}

#endif
