/* Bytes as LMDB's file: the walk ends, within them, and what it calls sound LMDB itself reads to
 * the end, with the same keys and values in the same order. What lies on pages without use is read
 * too. The first byte says of which kind the keys are. */
#include "base/check.h"
#include "base/checksum.h"
#include "persistence/page_walk.h"

#include <lmdb.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INTEGER_KEYS = 1, INPUT_BYTES_MAX = 64 * 1024, MAP_BYTES = 1024 * 1024 };

struct seen {
    uint64_t entries;
    uint64_t chain;
    uint64_t damages;
    uint64_t loose_sum;
};

static void see(struct seen *seen, struct bytes key, struct bytes value)
{
    uint64_t sums[2] = {seen->chain, checksum_pair(key, value)};

    seen->entries++;
    seen->chain = checksum(bytes_of(sums, sizeof sums));
}

static void on_entry(void *context, struct bytes key, struct bytes value)
{
    see(context, key, value);
}

/* Any bytes; that they can be read is what is asked. */
static void on_loose(void *context, struct bytes key, struct bytes value)
{
    struct seen *seen = context;

    seen->loose_sum ^= checksum_pair(key, value);
}

static bool wants_loose(void *context, struct bytes key, struct bytes beginning, uint64_t bytes)
{
    struct seen *seen = context;

    seen->loose_sum ^= checksum_pair(key, beginning);
    return bytes <= INPUT_BYTES_MAX;
}

static bool on_damage(void *context, const char *text)
{
    struct seen *seen = context;

    (void)text;
    seen->damages++;
    return true;
}

static enum status
walk(const char *path, enum page_walk_depth depth, bool integer_keys, struct seen *seen)
{
    struct page_walk walk = {.path = path,
                             .integer_keys = integer_keys,
                             .depth = depth,
                             .on_entry = on_entry,
                             .on_loose = on_loose,
                             .wants_loose = wants_loose,
                             .on_damage = on_damage,
                             .context = seen};
    struct error error;
    enum status status = page_walk(&walk, &error);

    CHECK(status == STATUS_OK || status == STATUS_CORRUPT);
    CHECK(status == STATUS_OK || seen->damages > 0);
    return status;
}

static void read_with_lmdb(const char *path, struct seen *seen)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi database;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int result;

    CHECK(mdb_env_create(&env) == MDB_SUCCESS);
    CHECK(mdb_env_set_mapsize(env, MAP_BYTES) == MDB_SUCCESS);
    CHECK(mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR, 0600) == MDB_SUCCESS);
    CHECK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == MDB_SUCCESS);
    CHECK(mdb_dbi_open(txn, NULL, 0, &database) == MDB_SUCCESS);
    CHECK(mdb_cursor_open(txn, database, &cursor) == MDB_SUCCESS);
    while ((result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        see(seen, bytes_of(key.mv_data, key.mv_size), bytes_of(value.mv_data, value.mv_size));
    }
    CHECK(result == MDB_NOTFOUND);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen walked = {.damages = 0};
    struct seen upper = {.damages = 0};
    struct seen read = {.damages = 0};
    bool integer_keys;
    char path[32];
    int file;

    if (size < 1 || size > INPUT_BYTES_MAX) {
        return 0;
    }
    integer_keys = (data[0] & INTEGER_KEYS) != 0;
    file = memfd_create("pages", MFD_CLOEXEC);
    CHECK(file >= 0);
    CHECK(write(file, data + 1, size - 1) == (ssize_t)(size - 1));
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    (void)walk(path, PAGE_WALK_VALUES, integer_keys, &walked);
    (void)walk(path, PAGE_WALK_BRANCHES, integer_keys, &upper);
    if (walked.damages == 0) {
        CHECK_OP(upper.damages, ==, 0);
        read_with_lmdb(path, &read);
        CHECK_OP(read.entries, ==, walked.entries);
        CHECK_OP(read.chain, ==, walked.chain);
    }
    (void)close(file);
    return 0;
}
