#include "persistence/dump_file.h"

#include "base/alloc.h"
#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024 };

#define WAY_OUT "fetch or make it again"

/* --- Writing --- */

static enum status not_written(const struct dump_writer *writer, struct error *error)
{
    bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

    return error_set(error, is_full ? STATUS_NO_SPACE : STATUS_IO, "cannot write the dump %s: %s%s",
                     writer->path, strerror(errno), is_full ? "; free some space" : "");
}

static enum status write_buffer(struct dump_writer *writer, struct error *error)
{
    struct bytes rest = buffer_lend(&writer->buffer);

    while (rest.size > 0) {
        ssize_t written = write(writer->file, rest.data, rest.size);

        if (written < 0 && errno != EINTR) {
            return not_written(writer, error);
        }
        if (written > 0) {
            rest = bytes_of(rest.data + written, rest.size - (size_t)written);
        }
    }
    buffer_clear(&writer->buffer);
    return STATUS_OK;
}

static enum status
put_bytes(struct dump_writer *writer, const void *data, size_t size, struct error *error)
{
    buffer_put(&writer->buffer, bytes_of(data, size));
    writer->bytes += size;
    return writer->buffer.size < BUFFER_BYTES ? STATUS_OK : write_buffer(writer, error);
}

enum status dump_writer_open(struct dump_writer *writer,
                             const char *path,
                             const struct dump_header *header,
                             struct error *error)
{
    enum status status;

    memset(writer, 0, sizeof *writer);
    status = files_join(path, FILES_PART_SUFFIX, writer->path, error);
    if (status != STATUS_OK) {
        return status;
    }
    writer->file = open(writer->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (writer->file < 0) {
        return not_written(writer, error);
    }
    writer->chain = dump_format_put_header(header, &writer->buffer);
    writer->bytes = writer->buffer.size;
    return STATUS_OK;
}

enum status dump_writer_put(struct dump_writer *writer,
                            struct bytes key,
                            struct bytes value,
                            struct error *error)
{
    uint64_t number = writer->record_count + 1;
    uint8_t head[DUMP_RECORD_HEAD_BYTES];
    uint8_t tail[DUMP_CHECKSUM_BYTES];
    uint64_t sum;
    enum status status;

    CHECK_OP(key.size, <=, TREE_STORE_KEY_BYTES_MAX);
    if (value.size > DUMP_VALUE_BYTES_MAX) {
        return error_set(error, STATUS_LIMIT,
                         "record %" PRIu64 " with %zu bytes is too large for a dump", number,
                         value.size);
    }
    sum = dump_format_record_checksum(number, key, value);
    dump_format_put_record_head(key, value, head);
    bytes_store_u64(tail, sum);
    status = put_bytes(writer, head, sizeof head, error);
    if (status == STATUS_OK) {
        status = put_bytes(writer, key.data, key.size, error);
    }
    if (status == STATUS_OK) {
        status = put_bytes(writer, value.data, value.size, error);
    }
    if (status == STATUS_OK) {
        status = put_bytes(writer, tail, sizeof tail, error);
    }
    writer->record_count = number;
    writer->chain = dump_format_chain(writer->chain, sum);
    return status;
}

static enum status put_trailer(struct dump_writer *writer, struct error *error)
{
    struct dump_trailer trailer = {.record_count = writer->record_count,
                                   .file_bytes = writer->bytes + DUMP_TRAILER_BYTES,
                                   .chain = writer->chain};
    uint8_t encoded[DUMP_TRAILER_BYTES];
    enum status status;

    dump_format_put_trailer(&trailer, encoded);
    status = put_bytes(writer, encoded, sizeof encoded, error);
    if (status == STATUS_OK) {
        status = write_buffer(writer, error);
    }
    if (status == STATUS_OK && fsync(writer->file) != 0) {
        status = not_written(writer, error);
    }
    return status;
}

enum status dump_writer_close(struct dump_writer *writer,
                              const char *path,
                              enum status status,
                              uint64_t *ret_bytes,
                              struct error *error)
{
    if (status == STATUS_OK) {
        status = put_trailer(writer, error);
    }
    if (close(writer->file) != 0 && status == STATUS_OK) {
        status = not_written(writer, error);
    }
    writer->file = -1;
    buffer_release(&writer->buffer);
    if (status == STATUS_OK) {
        status = files_rename(writer->path, path, error);
    }
    if (status == STATUS_OK) {
        *ret_bytes = writer->bytes;
    } else {
        (void)unlink(writer->path);
    }
    return status;
}

/* --- Reading --- */

static enum status damaged(const struct dump_reader *reader, const char *what, struct error *error)
{
    return error_set(error, STATUS_CORRUPT, "the dump %s is damaged: %s; " WAY_OUT, reader->path,
                     what);
}

static enum status
record_damaged(const struct dump_reader *reader, const char *how, struct error *error)
{
    return error_set(error, STATUS_CORRUPT,
                     "the dump %s is damaged: record %" PRIu64 " %s; " WAY_OUT, reader->path,
                     reader->record_count + 1, how);
}

/* The next `size` bytes. They were there when the file was opened. */
static enum status get_bytes(struct dump_reader *reader, void *to, size_t size, struct error *error)
{
    errno = 0;
    if (size == 0 || fread(to, 1, size, reader->file) == size) {
        return STATUS_OK;
    }
    if (ferror(reader->file)) {
        return error_set(error, STATUS_IO, "cannot read the dump %s: %s", reader->path,
                         strerror(errno));
    }
    return damaged(reader, "it ends too early", error);
}

static enum status seek(struct dump_reader *reader, uint64_t to, struct error *error)
{
    return fseeko(reader->file, (off_t)to, SEEK_SET) == 0
               ? STATUS_OK
               : error_set(error, STATUS_IO, "cannot read the dump %s: %s", reader->path,
                           strerror(errno));
}

static enum status open_file(struct dump_reader *reader, uint64_t *ret_bytes, struct error *error)
{
    struct stat info;

    reader->file = fopen(reader->path, "rbe");
    if (reader->file == NULL) {
        return error_set(error, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO,
                         "cannot open the dump %s: %s", reader->path, strerror(errno));
    }
    if (fstat(fileno(reader->file), &info) != 0 || !S_ISREG(info.st_mode)) {
        return error_set(error, STATUS_IO, "the dump %s is not a file", reader->path);
    }
    (void)setvbuf(reader->file, NULL, _IOFBF, BUFFER_BYTES);
    *ret_bytes = (uint64_t)info.st_size;
    return STATUS_OK;
}

static enum status read_header(struct dump_reader *reader, uint64_t file_bytes, struct error *error)
{
    uint8_t fixed[DUMP_HEADER_FIXED_BYTES];
    size_t header_bytes;
    enum status status;

    if (file_bytes < DUMP_HEADER_FIXED_BYTES + DUMP_CHECKSUM_BYTES + DUMP_TRAILER_BYTES) {
        return damaged(reader, "it is too short", error);
    }
    status = get_bytes(reader, fixed, sizeof fixed, error);
    if (status != STATUS_OK) {
        return status;
    }
    status = dump_format_header_bytes(fixed, &header_bytes);
    if (status == STATUS_FORMAT) {
        return error_set(error, STATUS_FORMAT,
                         "the dump %s has format %" PRIu32
                         ", this program knows format %d: use the "
                         "version that wrote it, or a newer one",
                         reader->path, bytes_load_u32(fixed + 8), (int)DUMP_FORMAT);
    }
    if (status != STATUS_OK || header_bytes > file_bytes - DUMP_TRAILER_BYTES) {
        return damaged(reader, "it does not begin like a dump", error);
    }
    buffer_put(&reader->head, bytes_of(fixed, sizeof fixed));
    status = get_bytes(reader, buffer_extend(&reader->head, header_bytes - sizeof fixed),
                       header_bytes - sizeof fixed, error);
    if (status != STATUS_OK) {
        return status;
    }
    reader->position = header_bytes;
    return dump_format_get_header(buffer_lend(&reader->head), &reader->header, &reader->chain) ==
                   STATUS_OK
               ? STATUS_OK
               : damaged(reader, "the header's checksum is wrong", error);
}

static enum status
read_trailer(struct dump_reader *reader, uint64_t file_bytes, struct error *error)
{
    uint8_t encoded[DUMP_TRAILER_BYTES];
    enum status status = seek(reader, file_bytes - DUMP_TRAILER_BYTES, error);

    if (status == STATUS_OK) {
        status = get_bytes(reader, encoded, sizeof encoded, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (!dump_format_get_trailer(encoded, &reader->trailer) ||
        reader->trailer.file_bytes != file_bytes) {
        return damaged(reader, "its end is missing", error);
    }
    return seek(reader, reader->position, error);
}

enum status dump_reader_open(struct dump_reader *reader, const char *path, struct error *error)
{
    uint64_t file_bytes = 0;
    enum status status;

    memset(reader, 0, sizeof *reader);
    reader->path = path;
    status = open_file(reader, &file_bytes, error);
    if (status == STATUS_OK) {
        status = read_header(reader, file_bytes, error);
    }
    if (status == STATUS_OK) {
        status = read_trailer(reader, file_bytes, error);
    }
    if (status != STATUS_OK) {
        dump_reader_close(reader);
    }
    return status;
}

static enum status check_end(struct dump_reader *reader, struct error *error)
{
    if (reader->record_count != reader->trailer.record_count) {
        return damaged(reader, "the number of its records is wrong", error);
    }
    if (reader->chain != reader->trailer.chain) {
        return damaged(reader, "its parts are not of one dump", error);
    }
    return STATUS_NOT_FOUND;
}

/* Sizes are checked against what is left of the file before memory is taken. */
static enum status read_sizes(struct dump_reader *reader,
                              size_t *ret_key_bytes,
                              size_t *ret_value_bytes,
                              struct error *error)
{
    uint64_t left = reader->trailer.file_bytes - DUMP_TRAILER_BYTES - reader->position;
    uint8_t head[DUMP_RECORD_HEAD_BYTES];
    enum status status;

    if (left < DUMP_RECORD_HEAD_BYTES + DUMP_CHECKSUM_BYTES) {
        return record_damaged(reader, "is cut off", error);
    }
    status = get_bytes(reader, head, sizeof head, error);
    if (status != STATUS_OK) {
        return status;
    }
    dump_format_get_record_head(head, ret_key_bytes, ret_value_bytes);
    if (*ret_key_bytes > TREE_STORE_KEY_BYTES_MAX || *ret_value_bytes > DUMP_VALUE_BYTES_MAX ||
        *ret_key_bytes + *ret_value_bytes > left - DUMP_RECORD_HEAD_BYTES - DUMP_CHECKSUM_BYTES) {
        return record_damaged(reader, "has an impossible size", error);
    }
    return STATUS_OK;
}

/* In order, and with the right checksum. */
static enum status check_record(struct dump_reader *reader,
                                struct bytes key,
                                struct bytes value,
                                uint64_t sum,
                                struct error *error)
{
    struct bytes previous = bytes_of(reader->previous.data, reader->previous.size);

    if (sum != dump_format_record_checksum(reader->record_count + 1, key, value)) {
        return record_damaged(reader, "has a wrong checksum", error);
    }
    if (reader->record_count > 0 && bytes_compare(previous, key) >= 0) {
        return record_damaged(reader, "is out of order", error);
    }
    return STATUS_OK;
}

enum status dump_reader_next(struct dump_reader *reader,
                             struct bytes *ret_key,
                             struct bytes *ret_value,
                             struct error *error)
{
    size_t key_bytes = 0;
    size_t value_bytes = 0;
    size_t bytes;
    struct bytes key;
    struct bytes value;
    uint64_t sum;
    enum status status;

    if (reader->position == reader->trailer.file_bytes - DUMP_TRAILER_BYTES) {
        return check_end(reader, error);
    }
    status = read_sizes(reader, &key_bytes, &value_bytes, error);
    if (status != STATUS_OK) {
        return status;
    }
    bytes = key_bytes + value_bytes + DUMP_CHECKSUM_BYTES;
    buffer_clear(&reader->record);
    status = get_bytes(reader, buffer_extend(&reader->record, bytes), bytes, error);
    if (status != STATUS_OK) {
        return status;
    }
    key = bytes_of(reader->record.data, key_bytes);
    value = bytes_of(reader->record.data + key_bytes, value_bytes);
    sum = bytes_load_u64(reader->record.data + key_bytes + value_bytes);
    status = check_record(reader, key, value, sum, error);
    if (status != STATUS_OK) {
        return status;
    }
    memcpy(reader->previous.data, key.data, key_bytes);
    reader->previous.size = key_bytes;
    reader->record_count++;
    reader->chain = dump_format_chain(reader->chain, sum);
    reader->position += DUMP_RECORD_HEAD_BYTES + bytes;
    *ret_key = key;
    *ret_value = value;
    return STATUS_OK;
}

void dump_reader_close(struct dump_reader *reader)
{
    if (reader->file != NULL) {
        (void)fclose(reader->file);
        reader->file = NULL;
    }
    buffer_release(&reader->head);
    buffer_release(&reader->record);
}
