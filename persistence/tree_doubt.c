#include "persistence/tree_doubt.h"

#include "persistence/files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char borrowed[] = "borrowed";
static const char differs[] = "differs-";

enum { NAME_BYTES_MAX = 64 };

static bool has_member(const struct tree_doubt *doubt, uint64_t member)
{
    for (size_t i = 0; i < doubt->count; i++) {
        if (doubt->members[i] == member) {
            return true;
        }
    }
    return false;
}

bool tree_doubt_is_same(const struct tree_doubt *left, const struct tree_doubt *right)
{
    for (size_t i = 0; i < left->count; i++) {
        if (!has_member(right, left->members[i])) {
            return false;
        }
    }
    return left->is_borrowed == right->is_borrowed && left->count == right->count;
}

static enum status put(int folder, const char *path, const char *name, struct error *error)
{
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (file < 0) {
        return error_set(error, errno == ENOSPC ? STATUS_NO_SPACE : STATUS_IO,
                         "cannot make %s/%s: %s", path, name, strerror(errno));
    }
    (void)close(file);
    return STATUS_OK;
}

static enum status take(int folder, const char *path, const char *name, struct error *error)
{
    if (unlinkat(folder, name, 0) != 0 && errno != ENOENT) {
        return error_set(error, STATUS_IO, "cannot delete %s/%s: %s", path, name, strerror(errno));
    }
    return STATUS_OK;
}

static const char *name_of(uint64_t member, char name[NAME_BYTES_MAX])
{
    (void)snprintf(name, NAME_BYTES_MAX, "%s%" PRIu64, differs, member);
    return name;
}

/* What is new first, so nothing that stays in doubt is ever without a file. */
static enum status change(int folder,
                          const char *path,
                          const struct tree_doubt *from,
                          const struct tree_doubt *to,
                          struct error *error)
{
    enum status status = to->is_borrowed ? put(folder, path, borrowed, error) : STATUS_OK;
    char name[NAME_BYTES_MAX];

    for (size_t i = 0; i < to->count && status == STATUS_OK; i++) {
        status = put(folder, path, name_of(to->members[i], name), error);
    }
    for (size_t i = 0; i < from->count && status == STATUS_OK; i++) {
        if (!has_member(to, from->members[i])) {
            status = take(folder, path, name_of(from->members[i], name), error);
        }
    }
    return status == STATUS_OK && !to->is_borrowed ? take(folder, path, borrowed, error) : status;
}

enum status
tree_doubt_write(const char *tree_path, const struct tree_doubt *doubt, struct error *error)
{
    struct tree_doubt before;
    enum status status = tree_doubt_read(tree_path, &before, error);
    int folder;

    if (status != STATUS_OK) {
        return status;
    }
    folder = open(tree_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return error_set(error, STATUS_IO, "cannot open %s: %s", tree_path, strerror(errno));
    }
    status = change(folder, tree_path, &before, doubt, error);
    (void)close(folder);
    return status == STATUS_OK ? files_sync_folder(tree_path, error) : status;
}

static void note(struct tree_doubt *doubt, const char *name)
{
    const char *digits = name + strlen(differs);
    char *end;
    uint64_t member;

    if (strcmp(name, borrowed) == 0) {
        doubt->is_borrowed = true;
    }
    if (strncmp(name, differs, strlen(differs)) != 0 || !isdigit((unsigned char)*digits)) {
        return;
    }
    member = strtoull(digits, &end, 10);
    if (*end == '\0' && doubt->count < TREE_DOUBT_MEMBERS_MAX && !has_member(doubt, member)) {
        doubt->members[doubt->count++] = member;
    }
}

enum status
tree_doubt_read(const char *tree_path, struct tree_doubt *ret_doubt, struct error *error)
{
    DIR *folder = opendir(tree_path);
    const struct dirent *entry;

    *ret_doubt = (struct tree_doubt){.count = 0};
    if (folder == NULL) {
        return errno == ENOENT
                   ? STATUS_OK
                   : error_set(error, STATUS_IO, "cannot read %s: %s", tree_path, strerror(errno));
    }
    while ((entry = readdir(folder)) != NULL) {
        note(ret_doubt, entry->d_name);
    }
    (void)closedir(folder);
    return STATUS_OK;
}
