#include "persistence/log_prezero.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { BATCHES_AFTER_FULL_DISK = 4096, WRITE_BYTES = 256 * 1024 };

struct file_end {
    mdb_filehandle_t file;
    uint64_t used; /* LMDB's next page starts here */
    uint64_t end;
};

/* The file's end is asked for once: afterwards only these zeros and LMDB's pages move it. Where it
 * is short of what is said here, nothing is written twice or lost. */
static bool find_end(struct log_store *store, struct file_end *ret_end)
{
    MDB_envinfo info;
    struct stat stat;

    CHECK(mdb_env_info(store->environment.env, &info) == MDB_SUCCESS);
    CHECK(mdb_env_get_fd(store->environment.env, &ret_end->file) == MDB_SUCCESS);
    if (store->file_bytes == 0) {
        if (fstat(ret_end->file, &stat) != 0) {
            return false;
        }
        store->file_bytes = (uint64_t)stat.st_size;
    }
    ret_end->used = ((uint64_t)info.me_last_pgno + 1) * store->environment.page_bytes;
    if (store->file_bytes < ret_end->used) {
        store->file_bytes = ret_end->used;
    }
    ret_end->end = store->file_bytes;
    return true;
}

static uint64_t wanted_ahead(uint64_t used)
{
    if (used < LOG_PREZERO_BYTES_MIN) {
        return LOG_PREZERO_BYTES_MIN;
    }
    return used < LOG_PREZERO_BYTES_MAX ? used : LOG_PREZERO_BYTES_MAX;
}

static enum log_prezero_need find_need(struct log_store *store)
{
    struct file_end end;
    uint64_t ahead;
    uint64_t wanted;

    if (store->environment.failed || !find_end(store, &end)) {
        return LOG_PREZERO_NONE;
    }
    if (store->prezero_rest > 0) {
        store->prezero_rest--;
        return LOG_PREZERO_NONE;
    }
    ahead = end.end - end.used;
    wanted = wanted_ahead(end.used);
    if (ahead >= wanted || end.end >= store->environment.map_bytes) {
        return LOG_PREZERO_NONE;
    }
    return ahead < wanted / 2 ? LOG_PREZERO_NOW : LOG_PREZERO_IDLE;
}

enum log_prezero_need log_prezero_need(struct log_store *store)
{
    enum log_prezero_need need;

    if (!store->prezero) {
        return LOG_PREZERO_NONE;
    }
    (void)pthread_mutex_lock(&store->write_lock);
    need = find_need(store);
    (void)pthread_mutex_unlock(&store->write_lock);
    return need;
}

static bool has_room(const struct log_store *store)
{
    struct statvfs info;

    return statvfs(store->environment.path, &info) == 0 &&
           (uint64_t)info.f_bavail * info.f_frsize >=
               LOG_PREZERO_KEPT_FREE_BYTES + LOG_PREZERO_STEP_BYTES;
}

/* 0 or the errno. */
static int write_zeros(const struct file_end *end, uint64_t until)
{
    static const uint8_t zeros[WRITE_BYTES];
    uint64_t at = end->end;

    while (at < until) {
        uint64_t bytes = until - at < WRITE_BYTES ? until - at : WRITE_BYTES;
        ssize_t written = pwrite(end->file, zeros, (size_t)bytes, (off_t)at);

        if (written < 0 && errno != EINTR) {
            return errno;
        }
        at += written < 0 ? 0 : (uint64_t)written;
    }
    /* Here, so that the next commit's sync has nothing of this to wait for. */
    return fdatasync(end->file) == 0 ? 0 : errno;
}

enum status log_prezero_step(struct log_store *store, struct error *error)
{
    struct file_end end;
    uint64_t until;
    enum status status = STATUS_OK;
    int result;

    (void)pthread_mutex_lock(&store->write_lock);
    if (!find_end(store, &end) || !has_room(store)) {
        store->prezero_rest = BATCHES_AFTER_FULL_DISK;
        (void)pthread_mutex_unlock(&store->write_lock);
        return STATUS_OK;
    }
    until = end.end + LOG_PREZERO_STEP_BYTES;
    if (until > store->environment.map_bytes) {
        until = store->environment.map_bytes;
    }
    result = write_zeros(&end, until);
    store->file_bytes = result == 0 ? until : 0;
    if (result == ENOSPC || result == EDQUOT || result == EFBIG) {
        store->prezero_rest = BATCHES_AFTER_FULL_DISK;
        /* The sync may have told of more than these zeros. */
        status = environment_settle(&store->environment, error);
    } else if (result != 0) {
        status = environment_fail(&store->environment, result, "writing zeros ahead", error);
    }
    (void)pthread_mutex_unlock(&store->write_lock);
    return status;
}
