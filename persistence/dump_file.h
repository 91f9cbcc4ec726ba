/* Writing and reading the records of a dump file, one after another. */
#ifndef PERSISTENCE_DUMP_FILE_H
#define PERSISTENCE_DUMP_FILE_H

#include "persistence/dump_format.h"
#include "persistence/files.h"

#include <stdio.h>

struct dump_writer {
    int file;
    char path[FILES_PATH_BYTES_MAX]; /* the temporary name */
    struct buffer buffer;            /* not written yet */
    uint64_t bytes;                  /* of the file, with these */
    uint64_t record_count;
    uint64_t chain;
};

/* Begin a new file under a temporary name, replacing what is left of an earlier one. IO, NO_SPACE.
 */
MUST_CHECK enum status dump_writer_open(struct dump_writer *writer,
                                        const char *path,
                                        const struct dump_header *header,
                                        struct error *error);
/* Keys in ascending order. LIMIT: the value is too large. */
MUST_CHECK enum status dump_writer_put(struct dump_writer *writer,
                                       struct bytes key,
                                       struct bytes value,
                                       struct error *error);
/* With `status` OK write the trailer, sync, and give the file its name; else delete it. Returns
 * what became of it. */
MUST_CHECK enum status dump_writer_close(struct dump_writer *writer,
                                         const char *path,
                                         enum status status,
                                         uint64_t *ret_bytes,
                                         struct error *error);

struct dump_reader {
    FILE *file;
    const char *path;
    struct dump_header header; /* its config lent by `head` */
    struct dump_trailer trailer;
    uint64_t position; /* of the next record */
    uint64_t record_count;
    uint64_t chain;
    struct buffer head;
    struct buffer record;
    struct tree_record_key {
        size_t size;
        uint8_t data[TREE_STORE_KEY_BYTES_MAX];
    } previous;
};

/* Open and check header, trailer and length. NOT_FOUND, CORRUPT, FORMAT, IO. */
MUST_CHECK enum status
dump_reader_open(struct dump_reader *reader, const char *path, struct error *error);
/* The next record, lent until the next call. NOT_FOUND: that was all, and count and sums agree.
 * CORRUPT names the record's number. */
MUST_CHECK enum status dump_reader_next(struct dump_reader *reader,
                                        struct bytes *ret_key,
                                        struct bytes *ret_value,
                                        struct error *error);
void dump_reader_close(struct dump_reader *reader);

#endif
