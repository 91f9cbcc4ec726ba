/* Bits flipped in what a story left. */
#include "tests/power_cut/run.h"

#include "base/check.h"
#include "base/prng.h"
#include "tests/power_cut/image.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILES_MAX = 64,
    PAGE_BYTES = 4096,
    META_END = 152 /* of what LMDB reads in a meta page */
};

struct file {
    char path[PATH_MAX];
    uint64_t bytes;
};

static struct {
    struct file items[FILES_MAX];
    size_t count;
} files;

static int add_file(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)walk;
    if (kind == FTW_F && info->st_size > 0 && files.count < FILES_MAX) {
        struct file *file = &files.items[files.count++];

        (void)snprintf(file->path, sizeof file->path, "%s", path);
        file->bytes = (uint64_t)info->st_size;
    }
    return 0;
}

/* Mostly one of LMDB's, which hold everything. */
static const struct file *draw_file(struct prng *prng)
{
    bool wants_data = prng_below(prng, 8) != 0;
    const struct file *file;

    do {
        file = &files.items[prng_below(prng, files.count)];
    } while (wants_data && strstr(file->path, "data.mdb") == NULL);
    return file;
}

/* Anywhere, or where a flip does the most harm: in a meta page, or in the head of a page. */
static uint64_t draw_offset(struct prng *prng, const struct file *file)
{
    uint64_t offset = prng_below(prng, file->bytes);

    switch (prng_below(prng, 4)) {
    case 0:
        offset = prng_below(prng, 2) * PAGE_BYTES + prng_below(prng, META_END);
        break;
    case 1:
        offset = offset / PAGE_BYTES * PAGE_BYTES + prng_below(prng, 64);
        break;
    default:
        break;
    }
    return offset < file->bytes ? offset : file->bytes - 1;
}

static void flip(struct run *run, const char *folder)
{
    struct prng prng;
    const struct file *file;
    uint64_t offset;
    uint8_t byte;
    uint8_t bit;
    int descriptor;

    prng_init(&prng, run->flip_seed);
    files.count = 0;
    CHECK(nftw(folder, add_file, 16, FTW_PHYS) == 0 && files.count > 0);
    file = draw_file(&prng);
    offset = draw_offset(&prng, file);
    bit = (uint8_t)prng_below(&prng, 8);
    descriptor = open(file->path, O_RDWR | O_CLOEXEC);
    CHECK(descriptor >= 0 && pread(descriptor, &byte, 1, (off_t)offset) == 1);
    byte ^= (uint8_t)(1U << bit);
    CHECK(pwrite(descriptor, &byte, 1, (off_t)offset) == 1);
    (void)close(descriptor);
    (void)snprintf(run->flipped, sizeof run->flipped, "bit %d of byte %" PRIu64 " of %.80s", bit,
                   offset, file->path + strlen(folder) + 1);
}

void run_judge_flips(struct run *run, const struct stores *stores)
{
    struct image *image = image_new(run->seed);
    char path[RUN_PATH_BYTES_MAX];
    struct prng prng;

    prng_init(&prng, run->seed);
    run_path(run, "damaged", path);
    image_advance(image, tape_count());
    run->in_flip = run->flips_wanted > 0;
    for (uint64_t i = 0; run->is_right && i < run->flips_wanted; i++) {
        bool is_named = false;

        if (!run->has_flip) {
            run->flip_seed = prng_next(&prng) % 1000000;
        }
        image_write(image, IMAGE_WHOLE, path);
        flip(run, path);
        run->is_right = stores_judge_damaged(stores, path, &is_named, run->text);
        run->flips++;
        run->flips_named += is_named;
        if (!run->keep) {
            run_remove_tree(path);
        }
    }
    image_free(image);
}
