/* Byte strings: borrowed slices, growable buffers, and a reader that cannot run past the end.
 * All integers are big endian, as on the wire and on disk. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/status.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A slice of memory that somebody else owns. `data` may be NULL when `size` is 0. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

#define BYTES_EMPTY ((struct bytes){.data = NULL, .size = 0})

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){.data = data, .size = size};
}

static inline struct bytes bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

bool bytes_equal(struct bytes left, struct bytes right);
/* <0, 0, >0 in the order of memcmp, a prefix first: the order of LMDB's keys. */
int bytes_compare(struct bytes left, struct bytes right);
/* For a person: text as it is, other bytes as \xNN, cut to fit with a NUL behind. */
void bytes_print(struct bytes bytes, char *text, size_t capacity);
/* As much of `text` as fits, always with its end. */
static inline void bytes_copy_text(char *to, size_t capacity, const char *text)
{
    size_t size = strnlen(text, capacity - 1);

    memcpy(to, text, size);
    to[size] = '\0';
}

/* An owned copy, released with free(). */
uint8_t *bytes_copy(struct bytes bytes);

/* Here, like bytes_of, because every record and every key is made of them. */
static inline void bytes_store_u16(uint8_t *to, uint16_t value)
{
    uint16_t big = htobe16(value);

    memcpy(to, &big, sizeof big);
}

static inline void bytes_store_u32(uint8_t *to, uint32_t value)
{
    uint32_t big = htobe32(value);

    memcpy(to, &big, sizeof big);
}

static inline void bytes_store_u64(uint8_t *to, uint64_t value)
{
    uint64_t big = htobe64(value);

    memcpy(to, &big, sizeof big);
}

static inline uint16_t bytes_load_u16(const uint8_t *from)
{
    uint16_t big;

    memcpy(&big, from, sizeof big);
    return be16toh(big);
}

static inline uint32_t bytes_load_u32(const uint8_t *from)
{
    uint32_t big;

    memcpy(&big, from, sizeof big);
    return be32toh(big);
}

static inline uint64_t bytes_load_u64(const uint8_t *from)
{
    uint64_t big;

    memcpy(&big, from, sizeof big);
    return be64toh(big);
}

/* A growable byte string. Allocation failure ends the process (base/alloc.h). */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

#define BUFFER_INIT                                                                                \
    {                                                                                              \
        .data = NULL, .size = 0, .capacity = 0                                                     \
    }

void buffer_release(struct buffer *buffer);
/* Empty it, keeping the memory. */
void buffer_clear(struct buffer *buffer);
/* Append `size` uninitialised bytes and return their address, valid until the next append. */
uint8_t *buffer_extend(struct buffer *buffer, size_t size);
/* Memory for `size` more bytes, so that appending them moves nothing. The memory doubles as it has
 * to grow, but not beyond `size_all`, which all bytes in the end will not exceed. */
void buffer_reserve(struct buffer *buffer, size_t size, size_t size_all);
void buffer_put(struct buffer *buffer, struct bytes bytes);
void buffer_put_u8(struct buffer *buffer, uint8_t value);
void buffer_put_u16(struct buffer *buffer, uint16_t value);
void buffer_put_u32(struct buffer *buffer, uint32_t value);
void buffer_put_u64(struct buffer *buffer, uint64_t value);
/* The contents, valid until the next change. */
struct bytes buffer_lend(const struct buffer *buffer);
/* Give the memory away (free() it) and leave the buffer empty. */
uint8_t *buffer_take(struct buffer *buffer, size_t *ret_size);

/* Reads a slice from front to back. After a failed get the reader stays failed and every further
 * get fails too, so a decoder may check once at its end. */
struct reader {
    struct bytes rest;
    bool failed;
};

struct reader reader_of(struct bytes bytes);
/* STATUS_INVALID when too few bytes are left; the result is then untouched. */
enum status reader_u8(struct reader *reader, uint8_t *ret);
enum status reader_u16(struct reader *reader, uint16_t *ret);
enum status reader_u32(struct reader *reader, uint32_t *ret);
enum status reader_u64(struct reader *reader, uint64_t *ret);
/* Lend `size` bytes of the slice. */
enum status reader_lend(struct reader *reader, size_t size, struct bytes *ret);
/* STATUS_OK if nothing failed and nothing is left. */
MUST_CHECK enum status reader_finish(const struct reader *reader);

#endif
