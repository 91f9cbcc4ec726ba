#include "tests/simulation/dump_files.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct dump_file {
    struct list link;
    char *path;
    struct buffer bytes;
};

static struct dump_file *find(const struct dump_files *files, const char *path)
{
    LIST_FOR_EACH (link, &files->list) {
        struct dump_file *file = CONTAINER_OF(link, struct dump_file, link);

        if (strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

static void release(struct dump_file *file)
{
    list_remove(&file->link);
    buffer_release(&file->bytes);
    free(file->path);
    free(file);
}

void dump_files_init(struct dump_files *files)
{
    list_init(&files->list);
}

void dump_files_clear(struct dump_files *files)
{
    LIST_FOR_EACH (link, &files->list) {
        release(CONTAINER_OF(link, struct dump_file, link));
    }
}

struct buffer *dump_files_find(const struct dump_files *files, const char *path)
{
    struct dump_file *file = find(files, path);

    return file == NULL ? NULL : &file->bytes;
}

struct buffer *dump_files_make(struct dump_files *files, const char *path)
{
    struct dump_file *file = find(files, path);

    if (file == NULL) {
        file = xcalloc(1, sizeof *file);
        file->path = xstrdup(path);
        list_append(&files->list, &file->link);
    }
    return &file->bytes;
}

void dump_files_remove(struct dump_files *files, const char *path)
{
    struct dump_file *file = find(files, path);

    if (file != NULL) {
        release(file);
    }
}
