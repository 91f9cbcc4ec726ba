#include "persistence/environment.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/mark.h"
#include "persistence/map_fault.h"
#include "persistence/page_walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* LMDB's own table of free pages. */
enum { FREE_DATABASE = 0, META_PAGES = 2, META_USED_BYTES = 152 };

/* A short write is reported by LMDB as EIO. With less than this left, it was a full disk. */
enum { DISK_FULL_BYTES = 1024 * 1024 };

enum { TOUCHED_BYTES_MAX = 8 * 1024 * 1024 };

static bool is_disk_full(const struct environment *environment, int result)
{
    struct statvfs info;

    if (result == ENOSPC || result == EDQUOT || result == EFBIG) {
        return true;
    }
    return result == EIO && statvfs(environment->path, &info) == 0 &&
           (uint64_t)info.f_bavail * info.f_frsize < DISK_FULL_BYTES;
}

MDB_val environment_value(const void *data, size_t size)
{
    union {
        const void *in;
        void *out;
    } pointer = {.in = data};

    return (MDB_val){.mv_size = size, .mv_data = pointer.out};
}

enum status environment_error(const struct environment *environment,
                              int result,
                              const char *what,
                              struct error *error)
{
    const char *path = environment->path;

    if (is_disk_full(environment, result)) {
        return error_set(error, STATUS_NO_SPACE,
                         "no space on the disk of %s while %s: %s; free some", path, what,
                         mdb_strerror(result));
    }
    switch (result) {
    case MDB_MAP_FULL:
        return error_set(error, STATUS_NO_SPACE,
                         "the store %s is full while %s: its map has %llu bytes; remove data, or "
                         "restart with a larger map",
                         path, what, (unsigned long long)environment->map_bytes);
    case MDB_NOTFOUND:
        return error_set(error, STATUS_NOT_FOUND, "nothing found in %s while %s", path, what);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_BAD_VALSIZE:
        return error_set(error, STATUS_CORRUPT, "%s is damaged (%s, while %s): " DAMAGE_WAY_OUT,
                         path, mdb_strerror(result), what);
    case MDB_VERSION_MISMATCH:
        return error_set(error, STATUS_FORMAT,
                         "%s was written by another version of LMDB: use the version that wrote it",
                         path);
    case MDB_TXN_FULL:
        return error_set(error, STATUS_LIMIT, "too much for one transaction in %s while %s", path,
                         what);
    case ENOMEM:
        return error_set(error, STATUS_NO_MEMORY,
                         "not enough memory or address space for %s while %s: give a smaller map",
                         path, what);
    default:
        return error_set(error, STATUS_IO, "%s failed while %s: %s", path, what,
                         mdb_strerror(result));
    }
}

static uint64_t round_to_pages(uint64_t bytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t smallest = 16 * page;

    CHECK_OP(bytes, <=, UINT64_MAX / 2);
    return bytes < smallest ? smallest : (bytes + page - 1) / page * page;
}

/* Without the freed pages: these are LMDB's to use again, so a store that was emptied has space
 * though its file stays long. */
static uint64_t used_bytes(MDB_txn *txn, MDB_dbi database, size_t page_bytes)
{
    MDB_stat data;
    MDB_stat free;
    size_t pages;

    CHECK(mdb_stat(txn, database, &data) == MDB_SUCCESS);
    CHECK(mdb_stat(txn, FREE_DATABASE, &free) == MDB_SUCCESS);
    pages = META_PAGES + data.ms_branch_pages + data.ms_leaf_pages + data.ms_overflow_pages +
            free.ms_branch_pages + free.ms_leaf_pages + free.ms_overflow_pages;
    return (uint64_t)pages * page_bytes;
}

static void on_assertion(MDB_env *env, const char *message)
{
    const char *path = "";

    (void)mdb_env_get_path(env, &path);
    map_fault_assertion(path, message);
}

static enum status open_env(struct environment *environment,
                            const struct environment_options *options,
                            struct error *error)
{
    MDB_envinfo info;
    MDB_stat stat;
    int result = mdb_env_create(&environment->env);

    if (result != MDB_SUCCESS) {
        environment->env = NULL;
        return environment_error(environment, result, "opening", error);
    }
    (void)mdb_env_set_assert(environment->env, on_assertion);
    environment->map_bytes = round_to_pages(options->map_bytes);
    result = mdb_env_set_mapsize(environment->env, (size_t)environment->map_bytes);
    if (result == MDB_SUCCESS) {
        result =
            mdb_env_open(environment->env, environment->path, options->env_flags | MDB_NOTLS, 0600);
    }
    if (result != MDB_SUCCESS) {
        mdb_env_close(environment->env);
        environment->env = NULL;
        return environment_error(environment, result, "opening", error);
    }
    CHECK(mdb_env_info(environment->env, &info) == MDB_SUCCESS);
    CHECK(mdb_env_stat(environment->env, &stat) == MDB_SUCCESS);
    environment->map_bytes = info.me_mapsize;
    environment->page_bytes = stat.ms_psize;
    return STATUS_OK;
}

static enum status open_database(struct environment *environment,
                                 MDB_txn *txn,
                                 const struct environment_options *options,
                                 struct error *error)
{
    unsigned flags;
    int result = mdb_dbi_open(txn, NULL, 0, &environment->database);

    if (result == MDB_SUCCESS) {
        result = mdb_dbi_flags(txn, environment->database, &flags);
    }
    if (result != MDB_SUCCESS) {
        return environment_error(environment, result, "opening its database", error);
    }
    if (flags != options->database_flags) {
        return error_set(error, STATUS_CORRUPT,
                         "%s holds a database of another kind: it is not Confer's, or "
                         "damaged; " DAMAGE_WAY_OUT,
                         environment->path);
    }
    environment->used_bytes = used_bytes(txn, environment->database, environment->page_bytes);
    return STATUS_OK;
}

struct examination {
    const char *path;
    struct error *error;
    bool is_damaged;
};

static bool note_damage(void *context, const char *text)
{
    struct examination *examination = context;

    (void)error_set(examination->error, STATUS_CORRUPT, "%s is damaged: %s; " DAMAGE_WAY_OUT,
                    examination->path, text);
    examination->is_damaged = true;
    return false;
}

/* Look at the pages before LMDB follows them. A large tree's leaves are left to be looked at when
 * they are read: their number is what makes it large. */
static enum status examine(const char *data,
                           const struct environment_options *options,
                           struct page_walk *walk,
                           struct error *error)
{
    struct examination examination = {.path = data, .error = error};
    struct stat info;
    enum status status;

    *walk = (struct page_walk){.path = data,
                               .integer_keys = (options->database_flags & MDB_INTEGERKEY) != 0,
                               .depth = PAGE_WALK_LEAVES,
                               .on_damage = note_damage,
                               .context = &examination};
    if (stat(data, &info) == 0 && (uint64_t)info.st_size > ENVIRONMENT_EXAMINED_BYTES_MAX) {
        walk->depth = PAGE_WALK_BRANCHES;
    }
    status = page_walk(walk, error);
    return status == STATUS_OK && examination.is_damaged ? STATUS_CORRUPT : status;
}

/* Whether a line of /proc/self/maps is of this file: "7f00-7fff r--s 0000 08:01 17 /path". The
 * device is not compared: some file systems tell another one there than stat does. */
static bool parse_map(const char *line, ino_t inode, uintptr_t *ret_from, uintptr_t *ret_end)
{
    enum { FIELDS_BETWEEN = 3 };
    char *rest;

    *ret_from = (uintptr_t)strtoull(line, &rest, 16);
    *ret_end = (uintptr_t)strtoull(rest + (*rest == '-'), &rest, 16);
    for (size_t i = 0; rest != NULL && i < FIELDS_BETWEEN; i++) {
        rest = *rest == ' ' ? strchr(rest + 1, ' ') : NULL;
    }
    return rest != NULL && strtoull(rest, NULL, 10) == inode && strstr(rest, "/data.mdb") != NULL;
}

/* Where the first record lies in memory; NULL: there is none. */
static const void *find_record(struct environment *environment)
{
    MDB_val key = {.mv_data = NULL};
    MDB_val value = {.mv_data = NULL};
    MDB_cursor *cursor;
    MDB_txn *txn;
    struct error error;

    if (environment_begin_read(environment, &txn, &error) != STATUS_OK) {
        return NULL;
    }
    if (mdb_cursor_open(txn, environment->database, &cursor) == MDB_SUCCESS) {
        if (mdb_cursor_get(cursor, &key, &value, MDB_FIRST) != MDB_SUCCESS) {
            key.mv_data = NULL;
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return key.mv_data;
}

/* LMDB does not say where its map is: it is the one of this file that a record lies in. Neither
 * alone is enough. The place is reckoned from a number on a page, which may be wrong; and another
 * file system may have a file of the same number. Other memory would be emptied. */
static void find_map(struct environment *environment)
{
    uintptr_t record = (uintptr_t)find_record(environment);
    FILE *maps = fopen("/proc/self/maps", "re");
    mdb_filehandle_t file;
    struct stat info = {.st_ino = 0};
    char *line = NULL;
    size_t capacity = 0;
    uintptr_t from;
    uintptr_t end;

    if (maps == NULL) {
        return;
    }
    CHECK(mdb_env_get_fd(environment->env, &file) == MDB_SUCCESS);
    (void)fstat(file, &info); /* no file has the number 0 */
    while (getline(&line, &capacity, maps) > 0) {
        if (parse_map(line, info.st_ino, &from, &end) && record >= from && record < end) {
            environment->map = (void *)from;
            environment->map_length = end - from;
        }
    }
    free(line);
    (void)fclose(maps);
}

/* A page of the map beyond the file's end kills the reader with SIGBUS; where pages are missing,
 * all of them free, the file is extended with a hole. */
static enum status
extend(const struct environment *environment, const struct page_walk *walk, struct error *error)
{
    mdb_filehandle_t file;

    if (walk->free_pages_behind_end == 0) {
        return STATUS_OK;
    }
    MARK(store_file_is_shorter_than_its_pages);
    CHECK(mdb_env_get_fd(environment->env, &file) == MDB_SUCCESS);
    return ftruncate(file, (off_t)(walk->page_count * walk->page_bytes)) == 0
               ? STATUS_OK
               : environment_error(environment, errno, "extending data.mdb", error);
}

/* 0 or the errno. What was found is what the page cache holds. An earlier process may have died in
 * the middle of a commit, or seen one fail: then the disk can hold an older meta page, or one that
 * LMDB took back in the cache alone. Before anything is built upon what was found, both meta pages
 * are written again as they are; each fits into a sector, so this cannot tear one. Their pages were
 * synced before they were first written. */
static int make_durable(const struct environment *environment)
{
    uint8_t *page = xmalloc(environment->page_bytes);
    mdb_filehandle_t file;
    int result = 0;

    CHECK(mdb_env_get_fd(environment->env, &file) == MDB_SUCCESS);
    for (size_t i = 0; result == 0 && i < META_PAGES; i++) {
        off_t offset = (off_t)(i * environment->page_bytes);
        ssize_t bytes = (ssize_t)environment->page_bytes;

        errno = EIO; /* of a short one */
        if (pread(file, page, environment->page_bytes, offset) != bytes ||
            pwrite(file, page, environment->page_bytes, offset) != bytes) {
            result = errno;
        }
    }
    if (result == 0 && fdatasync(file) != 0) {
        result = errno;
    }
    free(page);
    return result;
}

/* LMDB writes over what no snapshot but the newest holds. With late metas the disk may be one
 * transaction behind, so the one before is kept whole as well: at any time both meta pages on the
 * disk tell of whole trees. */
static enum status pin(struct environment *environment, struct error *error)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < 2; i++) {
        status = environment_begin_read(environment, &environment->pins[i], error);
    }
    return status;
}

/* Hold the newest transaction instead of the older of the two. */
static void move_pin(struct environment *environment)
{
    MDB_txn *oldest = environment->pins[environment->oldest_pin];

    if (oldest != NULL) {
        mdb_txn_reset(oldest);
        CHECK(mdb_txn_renew(oldest) == MDB_SUCCESS);
        environment->oldest_pin ^= 1;
    }
}

static enum status open_existing(struct environment *environment,
                                 const char *data,
                                 const struct environment_options *options,
                                 struct error *error)
{
    struct page_walk walk;
    MDB_txn *txn;
    int dead;
    enum status status = examine(data, options, &walk, error);

    if (status == STATUS_OK) {
        status = open_env(environment, options, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = extend(environment, &walk, error);
    if (status == STATUS_OK) {
        int result = make_durable(environment);

        status = result == 0 ? STATUS_OK
                             : environment_error(environment, result,
                                                 "writing its meta pages again", error);
    }
    if (status == STATUS_OK) {
        status = environment_begin_read(environment, &txn, error);
    }
    if (status == STATUS_OK) {
        status = open_database(environment, txn, options, error);
        mdb_txn_abort(txn);
    }
    if (status == STATUS_OK && options->late_metas) {
        status = pin(environment, error);
    }
    if (status == STATUS_OK) {
        find_map(environment);
        (void)mdb_reader_check(environment->env, &dead);
    } else {
        environment_close(environment);
    }
    return status;
}

enum status environment_open(struct environment *environment,
                             const char *path,
                             const struct environment_options *options,
                             struct error *error)
{
    char data[FILES_PATH_BYTES_MAX];
    struct stat info;
    enum status status;

    memset(environment, 0, sizeof *environment);
    status = files_join(path, "", environment->path, error);
    if (status == STATUS_OK) {
        status = files_join(path, "/data.mdb", data, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (stat(path, &info) != 0) {
        return errno == ENOENT
                   ? error_set(error, STATUS_NOT_FOUND, "there is no folder %s", path)
                   : error_set(error, STATUS_IO, "cannot look at %s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) {
        return error_set(error, STATUS_IO,
                         "%s is not a folder: move it away, or give another --data", path);
    }
    if (stat(data, &info) == 0) {
        return open_existing(environment, data, options, error);
    }
    if (errno != ENOENT) {
        return error_set(error, STATUS_IO, "cannot look at %s: %s", data, strerror(errno));
    }
    /* Only what is empty may be replaced by something new. */
    if (rmdir(path) == 0) {
        return error_set(error, STATUS_NOT_FOUND, "the folder %s is empty", path);
    }
    return error_set(error, STATUS_CORRUPT, "%s is missing: " DAMAGE_WAY_OUT, data);
}

static enum status
fill_new(struct environment *environment,
         const struct environment_options *options,
         enum status (*fill)(struct environment *environment, void *context, struct error *error),
         void *context,
         struct error *error)
{
    MDB_txn *txn = NULL;
    int result;
    enum status status = open_env(environment, options, error);

    if (status != STATUS_OK) {
        return status;
    }
    status = environment_begin_write(environment, &txn, error);
    if (status == STATUS_OK) {
        result =
            mdb_dbi_open(txn, NULL, MDB_CREATE | options->database_flags, &environment->database);
        if (result == MDB_SUCCESS) {
            status = environment_commit(environment, txn, ENVIRONMENT_SYNC_ALL, error);
        } else {
            mdb_txn_abort(txn);
            status = environment_error(environment, result, "making its database", error);
        }
    }
    if (status == STATUS_OK) {
        status = fill(environment, context, error);
    }
    environment_close(environment);
    return status;
}

/* What a failed creation left, under either name: nobody shall take it for a whole one. What
 * cannot be removed now is removed by the next creation and the sweep, or, when it has its name,
 * is whole. */
static void remove_made(const struct environment *environment, const char *path)
{
    (void)!files_empty_folder(environment->path, true, NULL);
    (void)!files_empty_folder(path, true, NULL);
}

enum status environment_create(const char *path,
                               const struct environment_options *options,
                               enum status (*fill)(struct environment *environment,
                                                   void *context,
                                                   struct error *error),
                               void *context,
                               struct error *error)
{
    struct environment environment;
    struct stat info;
    enum status status;

    memset(&environment, 0, sizeof environment);
    status = files_join(path, FILES_PART_SUFFIX, environment.path, error);
    if (status != STATUS_OK) {
        return status;
    }
    if (lstat(path, &info) == 0) {
        return error_set(error, STATUS_EXISTS, "%s exists already", path);
    }
    status = files_empty_folder(environment.path, true, error);
    if (status == STATUS_OK) {
        status = files_make_folders(environment.path, error);
    }
    if (status == STATUS_OK) {
        status = fill_new(&environment, options, fill, context, error);
    }
    /* The names in the folder first, its own name last. */
    if (status == STATUS_OK) {
        status = files_sync_folder(environment.path, error);
    }
    if (status == STATUS_OK) {
        status = files_rename(environment.path, path, error);
    }
    if (status != STATUS_OK) {
        remove_made(&environment, path);
    }
    return status;
}

void environment_close(struct environment *environment)
{
    if (environment->env == NULL) {
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        mdb_txn_abort(environment->pins[i]);
        environment->pins[i] = NULL;
    }
    mdb_env_close(environment->env);
    environment->env = NULL;
    environment->map = NULL;
}

static enum status fail_again(const struct environment *environment, struct error *error)
{
    return error_set(error, environment->failure.status, "%s", environment->failure.text);
}

enum status
environment_fail(struct environment *environment, int result, const char *what, struct error *error)
{
    struct error *failure = &environment->failure;

    (void)environment_error(environment, result, what, failure);
    if (failure->status == STATUS_NO_SPACE) {
        /* That status promises that nothing happened. */
        failure->status = STATUS_IO;
    }
    MARK(store_failed_for_good);
    environment->failed = true;
    return fail_again(environment, error);
}

enum status
environment_begin_write(struct environment *environment, MDB_txn **ret_txn, struct error *error)
{
    int result;

    if (environment->failed) {
        return fail_again(environment, error);
    }
    result = mdb_txn_begin(environment->env, NULL, 0, ret_txn);
    return result == MDB_SUCCESS
               ? STATUS_OK
               : environment_error(environment, result, "starting a write", error);
}

enum status environment_begin_read(const struct environment *environment,
                                   MDB_txn **ret_txn,
                                   struct error *error)
{
    int result = mdb_txn_begin(environment->env, NULL, MDB_RDONLY, ret_txn);

    return result == MDB_SUCCESS ? STATUS_OK
                                 : environment_error(environment, result, "starting a read", error);
}

/* After a failure in the meta page LMDB refuses every further transaction. */
static bool takes_transactions(struct environment *environment)
{
    MDB_txn *txn;

    if (mdb_txn_begin(environment->env, NULL, 0, &txn) != MDB_SUCCESS) {
        return false;
    }
    mdb_txn_abort(txn);
    return true;
}

/* When LMDB cannot write a meta page it takes back only the number of the transaction, so that the
 * page in the cache is neither the old one nor the new one. Put the old one back whole, on the disk
 * too: a start after a power cut would take that page for damage. */
struct old_meta {
    uint8_t bytes[META_USED_BYTES];
    off_t offset;
    bool is_known;
};

static void save_meta(const struct environment *environment, MDB_txn *txn, struct old_meta *old)
{
    mdb_filehandle_t file;

    CHECK(mdb_env_get_fd(environment->env, &file) == MDB_SUCCESS);
    old->offset = (off_t)(mdb_txn_id(txn) % META_PAGES * environment->page_bytes);
    old->is_known = pread(file, old->bytes, META_USED_BYTES, old->offset) == META_USED_BYTES;
}

static void restore_meta(const struct environment *environment, const struct old_meta *old)
{
    mdb_filehandle_t file;

    CHECK(mdb_env_get_fd(environment->env, &file) == MDB_SUCCESS);
    if (old->is_known) {
        /* The disk fails already; the next start looks at what it finds. */
        (void)!pwrite(file, old->bytes, META_USED_BYTES, old->offset);
        (void)fdatasync(file);
    }
}

enum status environment_commit(struct environment *environment,
                               MDB_txn *txn,
                               enum environment_sync sync,
                               struct error *error)
{
    bool meta_is_late = sync == ENVIRONMENT_SYNC_PAGES;
    uint64_t used = used_bytes(txn, environment->database, environment->page_bytes);
    size_t transaction = mdb_txn_id(txn);
    struct old_meta old;
    MDB_envinfo info;
    int result;

    CHECK(!meta_is_late || environment->pins[0] != NULL);
    CHECK(mdb_env_set_flags(environment->env, MDB_NOMETASYNC, meta_is_late) == MDB_SUCCESS);
    save_meta(environment, txn, &old);
    result = mdb_txn_commit(txn);
    if (result == MDB_SUCCESS) {
        environment->used_bytes = used;
        /* One that changed nothing is none. */
        CHECK(mdb_env_info(environment->env, &info) == MDB_SUCCESS);
        if (info.me_last_txnid == transaction) {
            move_pin(environment);
        }
        return STATUS_OK;
    }
    if ((result == MDB_MAP_FULL || is_disk_full(environment, result)) &&
        takes_transactions(environment)) {
        MARK(commit_found_no_space_and_the_store_goes_on);
        return environment_error(environment, result, "writing to the disk", error);
    }
    restore_meta(environment, &old);
    /* The pages may or may not be on the disk, and a second sync would not tell: the kernel reports
     * a failed write-back once. */
    return environment_fail(environment, result, "writing to the disk", error);
}

enum status environment_settle(struct environment *environment, struct error *error)
{
    int result;

    if (environment->failed) {
        return fail_again(environment, error);
    }
    /* Written again, not only synced: a sync that failed may have been the one that told of the
     * meta page, and the kernel tells once. */
    result = make_durable(environment);
    if (result != 0) {
        return environment_fail(environment, result, "writing its meta pages again", error);
    }
    move_pin(environment);
    move_pin(environment);
    return STATUS_OK;
}

void environment_forget_pages(struct environment *environment)
{
    if (environment->map != NULL) {
        (void)madvise(environment->map, environment->map_length, MADV_DONTNEED);
    }
}

void environment_count_touched(struct environment *environment, uint64_t bytes)
{
    uint64_t before = atomic_fetch_add(&environment->touched_bytes, bytes);

    if (before < TOUCHED_BYTES_MAX && before + bytes >= TOUCHED_BYTES_MAX) {
        MARK(store_forgets_its_pages);
        atomic_store(&environment->touched_bytes, 0);
        environment_forget_pages(environment);
    }
}
