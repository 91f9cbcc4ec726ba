#include "persistence/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum status files_join(const char *folder,
                       const char *name,
                       char path[FILES_PATH_BYTES_MAX],
                       struct error *error)
{
    int length = snprintf(path, FILES_PATH_BYTES_MAX, "%s%s", folder, name);

    if (length < 0 || length >= FILES_PATH_BYTES_MAX - FILES_NAME_BYTES_MAX) {
        return error_set(error, STATUS_INVALID,
                         "the path %.200s... is too long: give a path of less than %d bytes",
                         folder, FILES_PATH_BYTES_MAX - 2 * FILES_NAME_BYTES_MAX);
    }
    return STATUS_OK;
}

enum status files_sync_folder(const char *path, struct error *error)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status status = STATUS_OK;

    if (folder < 0 || fsync(folder) != 0) {
        status =
            error_set(error, STATUS_IO, "cannot sync the folder %s: %s", path, strerror(errno));
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    return status;
}

/* The folder that holds `path`. */
static void parent_of(const char *path, char parent[FILES_PATH_BYTES_MAX])
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    while (length > 0 && path[length - 1] != '/') {
        length--;
    }
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    if (length == 0) {
        memcpy(parent, ".", sizeof ".");
        return;
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
}

enum status files_sync_way(const char *path, struct error *error)
{
    char at[FILES_PATH_BYTES_MAX];
    enum status status = files_join(path, "", at, error);

    if (status == STATUS_OK) {
        status = files_sync_folder(at, error);
    }
    while (status == STATUS_OK && strcmp(at, "/") != 0 && strcmp(at, ".") != 0) {
        char parent[FILES_PATH_BYTES_MAX];

        parent_of(at, parent);
        memcpy(at, parent, sizeof at);
        if (access(at, R_OK) == 0) {
            status = files_sync_folder(at, error);
        }
    }
    return status;
}

static enum status make_folder(const char *path, struct error *error)
{
    char parent[FILES_PATH_BYTES_MAX];
    struct stat info;

    if (mkdir(path, 0700) == 0) {
        parent_of(path, parent);
        return files_sync_folder(parent, error);
    }
    if (errno == EEXIST && stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            return STATUS_OK;
        }
        return error_set(error, STATUS_IO, "%s is not a folder: give another path", path);
    }
    return error_set(error, STATUS_IO, "cannot make the folder %s: %s", path, strerror(errno));
}

enum status files_make_folders(const char *path, struct error *error)
{
    char part[FILES_PATH_BYTES_MAX];
    struct stat info;
    enum status status = files_join(path, "", part, error);

    if (status != STATUS_OK || (stat(path, &info) == 0 && S_ISDIR(info.st_mode))) {
        return status;
    }
    for (char *at = part + 1; status == STATUS_OK && part[0] != '\0' && *at != '\0'; at++) {
        if (*at == '/' && at[-1] != '/') {
            *at = '\0';
            status = make_folder(part, error);
            *at = '/';
        }
    }
    return status == STATUS_OK ? make_folder(path, error) : status;
}

enum status files_rename(const char *from, const char *to, struct error *error)
{
    char parent[FILES_PATH_BYTES_MAX];

    if (rename(from, to) != 0) {
        return error_set(error, STATUS_IO, "cannot rename %s to %s: %s", from, to, strerror(errno));
    }
    parent_of(to, parent);
    return files_sync_folder(parent, error);
}

static enum status remove_files(DIR *folder, const char *path, struct error *error)
{
    for (;;) {
        struct dirent *item;

        errno = 0;
        item = readdir(folder);
        if (item == NULL) {
            return errno == 0 ? STATUS_OK
                              : error_set(error, STATUS_IO, "cannot list the folder %s: %s", path,
                                          strerror(errno));
        }
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(dirfd(folder), item->d_name, 0) != 0) {
            return error_set(error, STATUS_IO, "cannot delete %s in %s: %s", item->d_name, path,
                             strerror(errno));
        }
    }
}

enum status files_empty_folder(const char *path, bool itself, struct error *error)
{
    DIR *folder = opendir(path);
    enum status status;

    if (folder == NULL) {
        return errno == ENOENT ? STATUS_OK
                               : error_set(error, STATUS_IO, "cannot open the folder %s: %s", path,
                                           strerror(errno));
    }
    status = remove_files(folder, path, error);
    (void)closedir(folder);
    if (status == STATUS_OK && itself && rmdir(path) != 0) {
        status =
            error_set(error, STATUS_IO, "cannot delete the folder %s: %s", path, strerror(errno));
    }
    return status;
}
