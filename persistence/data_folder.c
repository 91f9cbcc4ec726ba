#include "persistence/data_folder.h"

#include "base/check.h"
#include "base/mark.h"
#include "persistence/files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PID_BYTES_MAX = 32 };

_Static_assert((int)DATA_FOLDER_PATH_BYTES_MAX == (int)FILES_PATH_BYTES_MAX,
               "paths of this folder and of its parts have one size");

static void
join(const struct data_folder *folder, const char *name, char path[DATA_FOLDER_PATH_BYTES_MAX])
{
    int length = snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "%s/%s", folder->path, name);

    CHECK(length > 0 && length < DATA_FOLDER_PATH_BYTES_MAX);
}

/* The holder wrote its pid right after it got the lock; a reader that comes between finds nothing.
 */
static enum status locked(int lock, const char *path, const char *way_out, struct error *error)
{
    char pid[PID_BYTES_MAX];
    ssize_t length = pread(lock, pid, sizeof pid - 1, 0);
    size_t digits = 0;

    while (length > 0 && digits < (size_t)length && isdigit((unsigned char)pid[digits])) {
        digits++;
    }
    pid[digits] = '\0';
    return error_set(error, STATUS_LOCKED, "data folder %s is in use by process %s: %s", path,
                     digits > 0 ? pid : "(starting)", way_out);
}

static enum status write_pid(int lock, const char *path, struct error *error)
{
    char pid[PID_BYTES_MAX];
    int length = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());

    /* Written first and cut afterwards, so that the file is never seen empty while it is held. */
    if (pwrite(lock, pid, (size_t)length, 0) != length || ftruncate(lock, length) != 0) {
        return error_set(error, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO,
                         "cannot write %s/lock: %s", path, strerror(errno));
    }
    return STATUS_OK;
}

static enum status take_lock(const char *path, int *ret_lock, struct error *error)
{
    char lock_path[FILES_PATH_BYTES_MAX];
    enum status status = files_join(path, "/lock", lock_path, error);
    int lock = -1;

    if (status != STATUS_OK) {
        return status;
    }
    lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) {
        return error_set(error, STATUS_IO, "cannot open %s: %s; give a --data that you may write",
                         lock_path, strerror(errno));
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? locked(lock, path, "stop it, or give another --data", error)
                                      : error_set(error, STATUS_IO, "cannot lock %s: %s", lock_path,
                                                  strerror(errno));
    } else {
        status = write_pid(lock, path, error);
    }
    if (status != STATUS_OK) {
        (void)close(lock);
        return status;
    }
    *ret_lock = lock;
    return STATUS_OK;
}

enum status data_folder_open(const char *path, struct data_folder *ret_folder, struct error *error)
{
    char checked[FILES_PATH_BYTES_MAX];
    enum status status;
    int lock = -1;

    if (path[0] == '\0') {
        return error_set(error, STATUS_IO, "the data folder has an empty name: give --data DIR");
    }
    status = files_join(path, "", checked, error);
    /* Room for the names below, and below those. */
    if (status == STATUS_OK && strlen(checked) >= FILES_PATH_BYTES_MAX - 2 * FILES_NAME_BYTES_MAX) {
        status = error_set(error, STATUS_IO,
                           "the path %.200s... is too long: give a shorter --data", path);
    }
    if (status == STATUS_OK) {
        status = files_make_folders(path, error);
    }
    if (status == STATUS_OK) {
        status = take_lock(path, &lock, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    /* Nothing may be built upon a name that a power cut could take back. */
    status = files_sync_way(path, error);
    if (status != STATUS_OK) {
        (void)close(lock);
        return status;
    }
    memcpy(ret_folder->path, checked, strlen(checked) + 1);
    ret_folder->lock = lock;
    return STATUS_OK;
}

static enum status take_lock_of_stopped(struct data_folder *folder, struct error *error)
{
    char lock_path[FILES_PATH_BYTES_MAX];
    enum status status = STATUS_OK;

    join(folder, "lock", lock_path);
    folder->lock = open(lock_path, O_RDONLY | O_CLOEXEC);
    if (folder->lock < 0) {
        return errno == ENOENT
                   ? STATUS_OK
                   : error_set(error, STATUS_IO, "cannot open %s: %s", lock_path, strerror(errno));
    }
    if (flock(folder->lock, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? locked(folder->lock, folder->path, "stop it first", error)
                                      : error_set(error, STATUS_IO, "cannot lock %s: %s", lock_path,
                                                  strerror(errno));
        (void)close(folder->lock);
    }
    return status;
}

enum status
data_folder_open_stopped(const char *path, struct data_folder *ret_folder, struct error *error)
{
    struct data_folder folder;
    struct stat info;
    enum status status = files_join(path, "", folder.path, error);

    if (status != STATUS_OK) {
        return status;
    }
    if (stat(path, &info) != 0) {
        return error_set(error, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO,
                         "cannot look at the folder %s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) {
        return error_set(error, STATUS_NOT_FOUND, "%s is not a folder", path);
    }
    status = take_lock_of_stopped(&folder, error);
    if (status == STATUS_OK) {
        *ret_folder = folder;
    }
    return status;
}

void data_folder_close(struct data_folder *folder)
{
    /* The file stays: deleting it would let two processes lock two files of one name. */
    if (folder->lock >= 0) {
        (void)close(folder->lock);
    }
    folder->lock = -1;
}

void data_folder_log_path(const struct data_folder *folder, char path[DATA_FOLDER_PATH_BYTES_MAX])
{
    join(folder, "log", path);
}

void data_folder_tree_path(const struct data_folder *folder,
                           uint64_t generation,
                           char path[DATA_FOLDER_PATH_BYTES_MAX])
{
    char name[64];

    (void)snprintf(name, sizeof name, "tree-%" PRIu64, generation);
    join(folder, name, path);
}

enum status data_folder_dump_path(const struct data_folder *folder,
                                  const char *name,
                                  char path[DATA_FOLDER_PATH_BYTES_MAX],
                                  struct error *error)
{
    char dumps[FILES_PATH_BYTES_MAX];
    enum status status;

    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL ||
        strlen(name) > FILES_NAME_BYTES_MAX / 2) {
        return error_set(error, STATUS_INVALID, "'%.64s' cannot be the name of a dump", name);
    }
    join(folder, "dumps", dumps);
    status = files_make_folders(dumps, error);
    if (status != STATUS_OK) {
        return status;
    }
    CHECK(snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "%s/dumps/%s", folder->path, name) <
          DATA_FOLDER_PATH_BYTES_MAX);
    return STATUS_OK;
}

static void condemned_path(const struct data_folder *folder,
                           uint64_t generation,
                           char path[DATA_FOLDER_PATH_BYTES_MAX])
{
    char name[64];

    (void)snprintf(name, sizeof name, "tree-%" PRIu64 "/condemned", generation);
    join(folder, name, path);
}

enum status
data_folder_condemn_tree(const struct data_folder *folder, uint64_t generation, struct error *error)
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    int file;

    condemned_path(folder, generation, path);
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        return error_set(error, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO, "cannot make %s: %s",
                         path, strerror(errno));
    }
    (void)close(file);
    data_folder_tree_path(folder, generation, path);
    return files_sync_folder(path, error);
}

bool data_folder_tree_is_condemned(const struct data_folder *folder, uint64_t generation)
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];

    condemned_path(folder, generation, path);
    return access(path, F_OK) == 0;
}

/* Where the digits of tree-DIGITS end; NULL: another name. */
static const char *end_of_tree_name(const char *name)
{
    const char *at = name + strlen("tree-");

    if (strncmp(name, "tree-", strlen("tree-")) != 0 || !isdigit((unsigned char)*at)) {
        return NULL;
    }
    while (isdigit((unsigned char)*at)) {
        at++;
    }
    return at;
}

bool data_folder_is_tree(const char *name, uint64_t *ret_generation)
{
    const char *end = end_of_tree_name(name);

    if (end == NULL || *end != '\0') {
        return false;
    }
    *ret_generation = strtoull(name + strlen("tree-"), NULL, 10);
    return true;
}

/* tree-DIGITS or tree-DIGITS.part: nothing else in the folder is ours to delete. */
static bool is_tree_name(const char *name)
{
    const char *end = end_of_tree_name(name);

    return end != NULL && (*end == '\0' || strcmp(end, FILES_PART_SUFFIX) == 0);
}

static enum status
sweep_trees(DIR *listing, const struct data_folder *folder, const char *kept, struct error *error)
{
    for (;;) {
        char path[FILES_PATH_BYTES_MAX];
        struct dirent *item;
        enum status status;

        errno = 0;
        item = readdir(listing);
        if (item == NULL) {
            return errno == 0 ? STATUS_OK
                              : error_set(error, STATUS_IO, "cannot list the folder %s: %s",
                                          folder->path, strerror(errno));
        }
        if (!is_tree_name(item->d_name)) {
            continue;
        }
        join(folder, item->d_name, path);
        if (strcmp(path, kept) == 0) {
            continue;
        }
        MARK(tree_of_another_generation_swept);
        status = files_empty_folder(path, true, error);
        if (status != STATUS_OK) {
            return status;
        }
    }
}

enum status
data_folder_sweep(const struct data_folder *folder, uint64_t generation, struct error *error)
{
    char kept[FILES_PATH_BYTES_MAX];
    char dumps[FILES_PATH_BYTES_MAX];
    DIR *listing = opendir(folder->path);
    enum status status;

    if (listing == NULL) {
        return error_set(error, STATUS_IO, "cannot list the folder %s: %s", folder->path,
                         strerror(errno));
    }
    data_folder_tree_path(folder, generation, kept);
    status = sweep_trees(listing, folder, kept, error);
    (void)closedir(listing);
    /* An earlier process may have condemned or doubted it, and not lived to sync that. */
    if (status == STATUS_OK && access(kept, F_OK) == 0) {
        status = files_sync_folder(kept, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    join(folder, "dumps", dumps);
    return files_empty_folder(dumps, false, error);
}

enum status
data_folder_free_bytes(const struct data_folder *folder, uint64_t *ret_bytes, struct error *error)
{
    struct statvfs info;

    if (statvfs(folder->path, &info) != 0) {
        return error_set(error, STATUS_IO, "cannot ask for the free space of %s: %s", folder->path,
                         strerror(errno));
    }
    *ret_bytes = (uint64_t)info.f_bavail * (uint64_t)info.f_frsize;
    return STATUS_OK;
}
