#include "tests/simulation/stores.h"

#include "base/alloc.h"
#include "base/check.h"
#include "persistence/log_store_internal.h"
#include "tests/support/folder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_FORMAT "confer-simulate-%jd-"

enum { MAP_BYTES = 64 << 20, FOLDER_BYTES_MAX = 128 };

struct stores {
    struct stores_observer observer;
    raft_id id;
    char path[2 * FOLDER_BYTES_MAX];
    struct disks *disks;          /* NULL while no process has them open */
    struct log_identity identity; /* as of the last opening */
};

/* --- Folders --- */

static char folder[FOLDER_BYTES_MAX];
static pid_t folder_owner;
static uint64_t folder_count;

/* What processes left that were killed: the name tells whose it is. */
static void sweep(const char *parent)
{
    DIR *entries = opendir(parent);
    char path[FOLDER_BYTES_MAX + NAME_MAX];
    const struct dirent *entry;

    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        intmax_t owner;

        if (sscanf(entry->d_name, NAME_FORMAT, &owner) == 1 && kill((pid_t)owner, 0) != 0 &&
            errno == ESRCH) {
            (void)snprintf(path, sizeof path, "%s/%s", parent, entry->d_name);
            folder_remove(path);
        }
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
}

const char *stores_folder(void)
{
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

    if (folder[0] == '\0') {
        parent = parent == NULL ? "/tmp" : parent;
        sweep(parent);
        folder_owner = getpid();
        (void)snprintf(folder, sizeof folder, "%s/" NAME_FORMAT "XXXXXX", parent,
                       (intmax_t)folder_owner);
        if (mkdtemp(folder) == NULL) {
            perror(folder);
            abort();
        }
    }
    return folder;
}

void stores_remove_folder(void)
{
    if (folder[0] != '\0' && folder_owner == getpid()) {
        folder_remove(folder);
        folder[0] = '\0';
    }
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    char bytes[1 << 16];
    size_t count;

    CHECK(in != NULL && out != NULL);
    while ((count = fread(bytes, 1, sizeof bytes, in)) > 0) {
        CHECK(fwrite(bytes, 1, count, out) == count);
    }
    (void)fclose(in);
    CHECK(fclose(out) == 0);
}

/* A folder of files, and of folders of files. */
static void copy_all(const char *from, const char *to, bool has_folders)
{
    DIR *entries = opendir(from);
    const struct dirent *entry;

    if (entries == NULL) {
        return; /* no process ever began on it */
    }
    CHECK(mkdir(to, 0700) == 0);
    while ((entry = readdir(entries)) != NULL) {
        char source[PATH_MAX];
        char target[PATH_MAX];
        struct stat stat;

        (void)snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        CHECK(lstat(source, &stat) == 0);
        if (S_ISREG(stat.st_mode)) {
            copy_file(source, target);
        } else if (has_folders && S_ISDIR(stat.st_mode) && entry->d_name[0] != '.') {
            copy_all(source, target, false);
        }
    }
    (void)closedir(entries);
}

/* --- Differences --- */

void stores_differ(const struct stores *stores, const char *format, ...)
{
    char text[2 * ERROR_TEXT_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    stores->observer.on_difference(stores->observer.context, text);
}

void stores_must(const struct stores *stores, enum status status, const struct error *error)
{
    if (status != STATUS_OK) {
        stores_differ(stores, "%s: %s", status_text(status), error->text);
    }
}

/* --- Life --- */

struct stores *stores_new(raft_id id, const struct stores_observer *observer)
{
    struct stores *stores = xcalloc(1, sizeof *stores);

    stores->observer = *observer;
    stores->id = id;
    (void)snprintf(stores->path, sizeof stores->path, "%s/%jd-%" PRIu64, stores_folder(),
                   (intmax_t)getpid(), folder_count++);
    return stores;
}

struct stores *stores_copy(const struct stores *stores)
{
    struct stores *copy = stores_new(stores->id, &stores->observer);

    copy->identity = stores->identity;
    copy_all(stores->path, copy->path, true);
    return copy;
}

void stores_free(struct stores *stores)
{
    if (stores != NULL) {
        stores_close(stores);
        folder_remove(stores->path);
        free(stores);
    }
}

static struct disks_options options_of(const struct stores *stores)
{
    return (struct disks_options){.path = stores->path,
                                  .node_id = stores->id,
                                  .log_map_bytes = MAP_BYTES,
                                  .tree_map_bytes = MAP_BYTES};
}

void stores_must_refuse(const struct stores *stores)
{
    const struct disks_options options = options_of(stores);
    struct disks *disks;
    struct error error;
    enum status status = disks_open(&options, &disks, &error);

    CHECK(stores->disks == NULL);
    if (status != STATUS_MISMATCH) {
        stores_differ(stores, "an old copy is opened: %s", status_text(status));
    }
}

void stores_open(struct stores *stores)
{
    const struct disks_options options = options_of(stores);
    struct log_identity before = stores->identity;
    struct error error;

    CHECK(stores->disks == NULL);
    stores_must(stores, disks_open(&options, &stores->disks, &error), &error);
    stores->identity = *log_store_identity(disks_log(stores->disks));
    if (before.start_count > 0 && (stores->identity.start_count != before.start_count + 1 ||
                                   memcmp(stores->identity.incarnation, before.incarnation,
                                          sizeof before.incarnation) != 0)) {
        stores_differ(stores, "start %" PRIu64 " came after start %" PRIu64,
                      stores->identity.start_count, before.start_count);
    }
}

void stores_close(struct stores *stores)
{
    disks_close(stores->disks);
    stores->disks = NULL;
}

struct disks *stores_disks(const struct stores *stores)
{
    CHECK(stores->disks != NULL);
    return stores->disks;
}

void stores_write(struct stores *stores,
                  const struct log_write *const *writes,
                  size_t count,
                  raft_index trim,
                  size_t trim_count)
{
    struct log_store *log = disks_log(stores_disks(stores));
    struct error error;
    bool more;

    stores_must(stores, log_store_write_batch(log, writes, count, &error), &error);
    stores_must(stores, log_store_trim(log, trim, trim_count, &more, &error), &error);
}
