#include "persistence/log_journal.h"

#include "base/check.h"
#include "base/checksum.h"
#include "base/mark.h"
#include "persistence/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHECKSUM_BYTES = 8,
    /* A file that is larger was not made here. */
    LOAD_BYTES_MAX = 64 * 1024 * 1024,
    ZERO_BYTES = 64 * 1024
};

/* --- The file --- */

static int write_all(int file, const uint8_t *bytes, size_t size, size_t at)
{
    size_t done = 0;

    while (done < size) {
        ssize_t written = pwrite(file, bytes + done, size - done, (off_t)(at + done));

        if (written == 0) {
            return EIO;
        }
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

/* Zeros, so that later writes change nothing but the blocks' contents. 0, or the errno. */
static int make_zeros(const char *path, size_t bytes)
{
    static const uint8_t zeros[ZERO_BYTES];
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int result = file < 0 ? errno : 0;

    for (size_t at = 0; result == 0 && at < bytes; at += ZERO_BYTES) {
        result = write_all(file, zeros, bytes - at < ZERO_BYTES ? bytes - at : ZERO_BYTES, at);
    }
    if (result == 0 && fsync(file) != 0) {
        result = errno;
    }
    if (file >= 0) {
        (void)close(file);
    }
    return result;
}

static bool is_space(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

static enum status make(const char *path, size_t bytes, struct error *error)
{
    char part[FILES_PATH_BYTES_MAX];
    enum status status = files_join(path, FILES_PART_SUFFIX, part, error);
    int result;

    if (status != STATUS_OK) {
        return status;
    }
    result = make_zeros(part, bytes);
    if (result == 0) {
        return files_rename(part, path, error);
    }
    (void)unlink(part);
    return error_set(error, is_space(result) ? STATUS_NO_SPACE : STATUS_IO, "cannot make %s: %s",
                     path, strerror(result));
}

/* Not through the system's cache, where its file system can do so: nothing is read from there. */
static int open_for_writing(const char *path)
{
    int file = open(path, O_WRONLY | O_DSYNC | O_DIRECT | O_CLOEXEC);

    return file < 0 && errno == EINVAL ? open(path, O_WRONLY | O_DSYNC | O_CLOEXEC) : file;
}

enum status log_journal_open(const char *log_path,
                             size_t bytes,
                             struct log_journal *ret_journal,
                             struct error *error)
{
    char path[FILES_PATH_BYTES_MAX];
    struct stat info;
    enum status status = files_join(log_path, "/journal", path, error);

    CHECK_OP(bytes % LOG_JOURNAL_BLOCK_BYTES, ==, 0);
    CHECK_OP(bytes, <=, LOAD_BYTES_MAX);
    *ret_journal = (struct log_journal){.file = -1, .bytes = bytes};
    if (status == STATUS_OK && (stat(path, &info) != 0 || info.st_size != (off_t)bytes)) {
        status = make(path, bytes, error);
    }
    if (status == STATUS_NO_SPACE) {
        MARK(log_without_a_journal);
        return STATUS_OK;
    }
    if (status != STATUS_OK) {
        return status;
    }
    ret_journal->file = open_for_writing(path);
    if (ret_journal->file < 0) {
        return error_set(error, STATUS_IO, "cannot open %s: %s", path, strerror(errno));
    }
    ret_journal->write = aligned_alloc(LOG_JOURNAL_BLOCK_BYTES, LOG_JOURNAL_WRITE_BYTES_MAX);
    CHECK(ret_journal->write != NULL);
    return STATUS_OK;
}

void log_journal_close(struct log_journal *journal)
{
    if (journal->file >= 0) {
        (void)close(journal->file);
    }
    journal->file = -1;
    free(journal->write);
    journal->write = NULL;
}

/* --- Writing --- */

static size_t whole_blocks(size_t bytes)
{
    return (bytes + LOG_JOURNAL_BLOCK_BYTES - 1) / LOG_JOURNAL_BLOCK_BYTES *
           LOG_JOURNAL_BLOCK_BYTES;
}

uint8_t *log_journal_reserve(struct log_journal *journal, size_t size)
{
    size_t bytes = whole_blocks(LOG_JOURNAL_HEAD_BYTES + size);

    return journal->file < 0 || bytes > LOG_JOURNAL_WRITE_BYTES_MAX ||
                   bytes > journal->bytes - journal->at
               ? NULL
               : journal->write + LOG_JOURNAL_HEAD_BYTES;
}

uint8_t *log_journal_put_record(uint8_t *to, uint64_t key, size_t value_bytes)
{
    bytes_store_u64(to, key);
    bytes_store_u32(to + 8, (uint32_t)value_bytes);
    return to + LOG_JOURNAL_RECORD_HEAD_BYTES;
}

int log_journal_write(struct log_journal *journal, size_t size, uint64_t stamp, raft_index first)
{
    size_t used = LOG_JOURNAL_HEAD_BYTES + size;
    size_t bytes = whole_blocks(used);
    uint8_t *write = journal->write;
    int result;

    bytes_store_u64(write + CHECKSUM_BYTES, stamp);
    bytes_store_u64(write + CHECKSUM_BYTES + 8, first);
    bytes_store_u32(write + CHECKSUM_BYTES + 16, (uint32_t)size);
    bytes_store_u64(write, checksum(bytes_of(write + CHECKSUM_BYTES, used - CHECKSUM_BYTES)));
    memset(write + used, 0, bytes - used);
    result = write_all(journal->file, write, bytes, journal->at);
    if (result == 0) {
        journal->at += bytes;
    }
    return result;
}

void log_journal_restart(struct log_journal *journal)
{
    journal->at = 0;
}

/* --- Reading --- */

static enum status read_all(int file, const char *path, struct buffer *bytes, struct error *error)
{
    for (;;) {
        uint8_t part[ZERO_BYTES];
        ssize_t count = pread(file, part, sizeof part, (off_t)bytes->size);

        if (count < 0 && errno != EINTR) {
            return error_set(error, STATUS_IO, "cannot read %s: %s", path, strerror(errno));
        }
        if (count == 0 || bytes->size >= LOAD_BYTES_MAX) {
            return STATUS_OK;
        }
        buffer_put(bytes, bytes_of(part, count > 0 ? (size_t)count : 0));
    }
}

enum status log_journal_load(const char *log_path, struct buffer *ret_bytes, struct error *error)
{
    char path[FILES_PATH_BYTES_MAX];
    enum status status = files_join(log_path, "/journal", path, error);
    int file;

    if (status != STATUS_OK) {
        return status;
    }
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno == ENOENT
                   ? STATUS_OK
                   : error_set(error, STATUS_IO, "cannot open %s: %s", path, strerror(errno));
    }
    status = read_all(file, path, ret_bytes, error);
    (void)close(file);
    return status;
}

static bool get_write(struct bytes bytes, struct log_journal_write *ret_write)
{
    size_t size;

    if (bytes.size < LOG_JOURNAL_HEAD_BYTES) {
        return false;
    }
    size = bytes_load_u32(bytes.data + CHECKSUM_BYTES + 16);
    if (size == 0 || size > bytes.size - LOG_JOURNAL_HEAD_BYTES ||
        bytes_load_u64(bytes.data) !=
            checksum(bytes_of(bytes.data + CHECKSUM_BYTES,
                              LOG_JOURNAL_HEAD_BYTES - CHECKSUM_BYTES + size))) {
        return false;
    }
    ret_write->stamp = bytes_load_u64(bytes.data + CHECKSUM_BYTES);
    ret_write->first = bytes_load_u64(bytes.data + CHECKSUM_BYTES + 8);
    ret_write->records = bytes_of(bytes.data + LOG_JOURNAL_HEAD_BYTES, size);
    return true;
}

bool log_journal_next(struct bytes *rest, struct log_journal_write *ret_write)
{
    bool is_found = false;

    while (!is_found && rest->size > 0) {
        size_t bytes = LOG_JOURNAL_BLOCK_BYTES;

        is_found = get_write(*rest, ret_write);
        if (is_found) {
            bytes = whole_blocks(LOG_JOURNAL_HEAD_BYTES + ret_write->records.size);
        }
        bytes = bytes < rest->size ? bytes : rest->size;
        *rest = bytes_of(rest->data + bytes, rest->size - bytes);
    }
    return is_found;
}

bool log_journal_next_record(struct bytes *records, uint64_t *ret_key, struct bytes *ret_value)
{
    size_t size;

    if (records->size < LOG_JOURNAL_RECORD_HEAD_BYTES) {
        return false;
    }
    size = bytes_load_u32(records->data + 8);
    if (size > records->size - LOG_JOURNAL_RECORD_HEAD_BYTES) {
        return false;
    }
    *ret_key = bytes_load_u64(records->data);
    *ret_value = bytes_of(records->data + LOG_JOURNAL_RECORD_HEAD_BYTES, size);
    *records =
        bytes_of(ret_value->data + size, records->size - LOG_JOURNAL_RECORD_HEAD_BYTES - size);
    return true;
}
