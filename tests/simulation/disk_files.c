/* Checkpoints and files, as node_port wants them. */
#include "tests/simulation/disk_internal.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct tree_store *disk_tree_open(struct disk *disk, uint64_t generation)
{
    struct image *image = disk_find_image(disk, generation);

    if (disk->fails_reads) {
        return NULL;
    }
    if (image == NULL) {
        image = image_new(generation);
        list_append(&disk->images, &image->link);
    }
    image_open(image, disk->stores);
    return image_handle(image);
}

void disk_tree_close(struct disk *disk, struct tree_store *tree, bool remove_files)
{
    struct image *image = image_of(tree);
    bool is_removed = remove_files && disk_begins(disk);

    image_close(image, is_removed);
    if (is_removed) {
        CHECK_OP(image->generation, !=, disk_identity(disk)->tree_generation);
        list_remove(&image->link);
        image_free(image);
        (void)disk_ends(disk);
    }
}

struct state_source *disk_tree_source(struct tree_store *tree)
{
    return &image_of(tree)->source;
}

bool disk_tree_renew(struct disk *disk, struct tree_store *tree)
{
    if (disk->fails_reads) {
        return false;
    }
    image_renew(image_of(tree));
    return true;
}

struct tree_meta disk_tree_meta(struct tree_store *tree)
{
    return image_of(tree)->shown_meta;
}

void disk_tree_path(const struct disk *disk, uint64_t generation, char *path)
{
    if (disk->stores != NULL) {
        disks_tree_path(stores_disks(disk->stores), generation, path);
    } else {
        (void)snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "tree-%" PRIu64, generation);
    }
}

void disk_dump_path(const struct disk *disk, const char *name, char *path)
{
    struct error error;

    if (disk->stores != NULL) {
        stores_must(disk->stores, disks_dump_path(stores_disks(disk->stores), name, path, &error),
                    &error);
    } else {
        (void)snprintf(path, DATA_FOLDER_PATH_BYTES_MAX, "dumps/%s", name);
    }
}

enum status disk_file_read(struct disk *disk,
                           const char *path,
                           uint64_t offset,
                           void *buffer,
                           size_t size,
                           struct error *error)
{
    const struct buffer *file = dump_files_find(&disk->files, path);

    if (disk->stores != NULL && !disk->fails_reads) {
        return disks_dump_read(path, offset, buffer, size, error);
    }
    if (disk->fails_reads || file == NULL || offset > file->size || size > file->size - offset) {
        return error_set(error, STATUS_IO, "cannot read %zu bytes of %s", size, path);
    }
    if (size > 0) {
        memcpy(buffer, file->data + offset, size);
    }
    return STATUS_OK;
}

static enum status write_model(
    struct disk *disk, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    struct buffer *file =
        offset == 0 ? dump_files_make(&disk->files, path) : dump_files_find(&disk->files, path);

    if (file == NULL || offset > file->size) {
        return error_set(error, STATUS_IO, "cannot write %s", path);
    }
    file->size = offset;
    buffer_put(file, bytes);
    return STATUS_OK;
}

enum status disk_file_write(
    struct disk *disk, const char *path, uint64_t offset, struct bytes bytes, struct error *error)
{
    enum status status;

    if (disk->full) {
        return error_set(error, STATUS_NO_SPACE, "the modelled disk is full");
    }
    if (!disk_begins(disk)) {
        return STATUS_OK;
    }
    status = disk->stores != NULL ? disks_dump_write(path, offset, bytes, error)
                                  : write_model(disk, path, offset, bytes, error);
    (void)disk_ends(disk);
    return status;
}

void disk_file_remove(struct disk *disk, const char *path)
{
    if (disk->stores != NULL) {
        disks_dump_remove(path);
    } else {
        dump_files_remove(&disk->files, path);
    }
}
