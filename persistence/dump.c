#include "persistence/tree_store.h"

#include "base/check.h"
#include "base/mark.h"
#include "persistence/dump_file.h"
#include "persistence/tree_format.h"
#include "persistence/tree_store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* One transaction of an installation: far below the pages that LMDB keeps in memory at once. */
enum { INSTALL_BYTES_MAX = 16 * 1024 * 1024, INSTALL_RECORDS_MAX = 64 * 1024 };

/* The tree is mapped without read-ahead; before a scan the kernel is asked to read this much. */
enum { READ_AHEAD_BYTES_MAX = 1024 * 1024 * 1024 };

/* --- Writing a dump --- */

static enum status write_records(struct tree_store *store,
                                 MDB_txn *txn,
                                 struct dump_writer *writer,
                                 tree_store_weigh *weigh,
                                 const struct tree_meta *meta,
                                 struct error *error)
{
    uint64_t count = 0;
    uint64_t sum = 0;
    MDB_cursor *cursor;
    MDB_val key_value;
    MDB_val stored;
    enum status status = STATUS_OK;
    int result = mdb_cursor_open(txn, store->environment.database, &cursor);

    if (result != MDB_SUCCESS) {
        return environment_error(&store->environment, result, "writing a dump", error);
    }
    while (status == STATUS_OK &&
           (result = mdb_cursor_get(cursor, &key_value, &stored, MDB_NEXT)) == MDB_SUCCESS) {
        struct bytes stored_key = bytes_of(key_value.mv_data, key_value.mv_size);
        struct bytes key;
        struct bytes value;

        environment_count_touched(&store->environment, stored_key.size + stored.mv_size);
        if (!tree_format_record_key(stored_key, &key)) {
            continue;
        }
        if (tree_format_get_record(stored_key, bytes_of(stored.mv_data, stored.mv_size), SIZE_MAX,
                                   &value)) {
            status = dump_writer_put(writer, key, value, error);
            if (weigh != NULL) {
                weigh(key, value, &count, &sum);
            }
        } else {
            status =
                error_set(error, STATUS_CORRUPT, "no dump of %s: its record %" PRIu64 " is damaged",
                          store->environment.path, writer->record_count + 1);
        }
    }
    mdb_cursor_close(cursor);
    if (status == STATUS_OK && result != MDB_NOTFOUND) {
        status = environment_error(&store->environment, result, "writing a dump", error);
    }
    return status == STATUS_OK && weigh != NULL
               ? tree_store_check_sum(&store->environment, meta, count, sum, error)
               : status;
}

static void read_ahead(const struct tree_store *store)
{
    mdb_filehandle_t file;

    CHECK(mdb_env_get_fd(store->environment.env, &file) == MDB_SUCCESS);
    (void)posix_fadvise(file, 0, READ_AHEAD_BYTES_MAX, POSIX_FADV_WILLNEED);
}

static enum status write_dump(struct tree_store *store,
                              MDB_txn *txn,
                              const char *path,
                              tree_store_weigh *weigh,
                              struct dump_header *header,
                              uint64_t *ret_bytes,
                              struct error *error)
{
    struct dump_writer writer;
    enum status status = dump_writer_open(&writer, path, header, error);

    if (status != STATUS_OK) {
        return status;
    }
    status = write_records(store, txn, &writer, weigh, &header->meta, error);
    return dump_writer_close(&writer, path, status, ret_bytes, error);
}

enum status tree_store_dump(struct tree_store *store,
                            const char *path,
                            const uint8_t cluster_id[16],
                            tree_store_weigh *weigh,
                            struct buffer *config_buffer,
                            struct tree_meta *ret_meta,
                            uint64_t *ret_bytes,
                            struct error *error)
{
    struct dump_header header;
    MDB_txn *txn;
    enum status status;

    read_ahead(store);
    status = environment_begin_read(&store->environment, &txn, error);
    if (status != STATUS_OK) {
        return status;
    }
    memcpy(header.cluster_id, cluster_id, sizeof header.cluster_id);
    status = tree_store_get_meta(&store->environment, txn, &header.meta, error);
    if (status == STATUS_OK) {
        status = write_dump(store, txn, path, weigh, &header, ret_bytes, error);
    }
    if (status == STATUS_OK) {
        buffer_clear(config_buffer);
        buffer_put(config_buffer, header.meta.config);
        *ret_meta = header.meta;
        ret_meta->config = buffer_lend(config_buffer);
    }
    mdb_txn_abort(txn);
    return status;
}

/* --- Reading a dump --- */

static enum status
check_cluster(const struct dump_reader *reader, const uint8_t cluster_id[16], struct error *error)
{
    return memcmp(reader->header.cluster_id, cluster_id, sizeof reader->header.cluster_id) == 0
               ? STATUS_OK
               : error_set(error, STATUS_MISMATCH, "the dump %s is of another cluster",
                           reader->path);
}

enum status dump_inspect(const char *path,
                         const uint8_t cluster_id[16],
                         struct buffer *config_buffer,
                         struct tree_meta *ret_meta,
                         struct error *error)
{
    struct dump_reader reader;
    enum status status = dump_reader_open(&reader, path, error);

    if (status != STATUS_OK) {
        return status;
    }
    status = check_cluster(&reader, cluster_id, error);
    if (status == STATUS_OK) {
        buffer_clear(config_buffer);
        buffer_put(config_buffer, reader.header.meta.config);
        *ret_meta = reader.header.meta;
        ret_meta->config = buffer_lend(config_buffer);
    }
    dump_reader_close(&reader);
    return status;
}

struct installation {
    struct dump_reader *reader;
    bool (*check_record)(struct bytes key, struct bytes value);
};

/* Put records until the transaction is full. NOT_FOUND: that was the last one. */
static enum status put_some(struct installation *installation,
                            const struct environment *environment,
                            MDB_cursor *cursor,
                            struct error *error)
{
    struct dump_reader *reader = installation->reader;
    size_t bytes = 0;

    for (size_t i = 0; i < INSTALL_RECORDS_MAX && bytes < INSTALL_BYTES_MAX; i++) {
        struct bytes key;
        struct bytes value;
        enum status status = dump_reader_next(reader, &key, &value, error);
        int result;

        if (status != STATUS_OK) {
            return status;
        }
        if (installation->check_record != NULL && !installation->check_record(key, value)) {
            return error_set(error, STATUS_CORRUPT,
                             "the dump %s is damaged: record %" PRIu64 " cannot be understood",
                             reader->path, reader->record_count);
        }
        result = tree_store_put_record(cursor, key, value, MDB_APPEND);
        if (result != MDB_SUCCESS) {
            return environment_error(environment, result, "installing a dump", error);
        }
        bytes += key.size + value.size;
    }
    return STATUS_OK;
}

/* One transaction; the last one, which gets the meta record, returns NOT_FOUND. */
static enum status install_some(struct installation *installation,
                                struct environment *environment,
                                struct error *error)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    enum status status = environment_begin_write(environment, &txn, error);
    enum status commit_status;
    int result;

    if (status != STATUS_OK) {
        return status;
    }
    result = mdb_cursor_open(txn, environment->database, &cursor);
    if (result != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return environment_error(environment, result, "installing a dump", error);
    }
    status = put_some(installation, environment, cursor, error);
    mdb_cursor_close(cursor);
    if (status == STATUS_NOT_FOUND) {
        enum status meta_status =
            tree_store_put_meta(environment, txn, &installation->reader->header.meta, error);

        status = meta_status == STATUS_OK ? STATUS_NOT_FOUND : meta_status;
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        mdb_txn_abort(txn);
        return status;
    }
    commit_status = environment_commit(environment, txn, ENVIRONMENT_SYNC_ALL, error);
    return commit_status == STATUS_OK ? status : commit_status;
}

static enum status
fill_from_dump(struct environment *environment, void *context, struct error *error)
{
    enum status status;

    do {
        status = install_some(context, environment, error);
        MARK_IF(status == STATUS_OK, dump_installed_in_several_transactions);
    } while (status == STATUS_OK);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status dump_install(const char *path,
                         const char *tree_path,
                         const struct tree_store_options *options,
                         const uint8_t cluster_id[16],
                         bool (*check_record)(struct bytes key, struct bytes value),
                         struct error *error)
{
    struct environment_options environment_options = tree_store_environment_options(options);
    struct dump_reader reader;
    struct installation installation = {.reader = &reader, .check_record = check_record};
    enum status status = dump_reader_open(&reader, path, error);

    if (status != STATUS_OK) {
        return status;
    }
    status = check_cluster(&reader, cluster_id, error);
    if (status == STATUS_OK) {
        status = environment_create(tree_path, &environment_options, fill_from_dump, &installation,
                                    error);
    }
    dump_reader_close(&reader);
    return status;
}
