/* Bits flipped in what a story left, and in what a start saved that ended in its middle. */
#include "tests/power_cut/run.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "tests/power_cut/image.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FILES_MAX = 64,
    PAGE_BYTES = 4096,
    PAGES_MAX = STORES_MAP_BYTES / PAGE_BYTES,
    SPOTS_MAX = 2 * PAGES_MAX,
    PAGE_HEAD_BYTES = 64, /* with the first of its nodes' places */
    META_END = 152,       /* of what LMDB reads in a meta page */
    DUMP_HEAD_BYTES = 80, /* and the configuration, which is empty here */
    DUMP_TRAILER_BYTES = 40,
    FLIPS_PER_TAIL = 8,
    START_CALLS_MAX = 400,
    IMAGES_PER_WRITE = 4
};

/* --- Where a bit can be flipped --- */

/* A page, or a part of a file that is no array of pages. */
struct spot {
    size_t file;
    size_t cell;
    uint64_t offset;
    uint64_t bytes;
    uint64_t bytes_that_count; /* from its beginning */
};

static struct {
    char paths[FILES_MAX][PATH_MAX];
    size_t file_count;
    struct spot spots[SPOTS_MAX];
    size_t spot_count;
    size_t cells[RUN_CELLS_MAX]; /* that have spots, as numbers of the run's */
    size_t cell_count;
} found;

static int add_file(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)walk;
    if (kind == FTW_F && info->st_size > 0) {
        CHECK_OP(found.file_count, <, FILES_MAX);
        (void)snprintf(found.paths[found.file_count++], PATH_MAX, "%s", path);
    }
    return 0;
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp(left, right);
}

struct run_cell *run_cell(struct run *run, const char *name)
{
    size_t i = 0;

    while (i < run->cell_count && strcmp(run->cells[i].name, name) != 0) {
        i++;
    }
    if (i == run->cell_count) {
        CHECK_OP(i, <, RUN_CELLS_MAX);
        run->cell_count++;
        (void)snprintf(run->cells[i].name, sizeof run->cells[i].name, "%s", name);
    }
    return &run->cells[i];
}

static void
add_spot(struct run *run, size_t file, const char *cell_name, const char *kind, struct spot spot)
{
    char name[sizeof run->cells[0].name];
    size_t i = 0;

    (void)snprintf(name, sizeof name, "%.40s%s%s", cell_name, kind[0] == '\0' ? "" : " ", kind);
    spot.file = file;
    spot.cell = (size_t)(run_cell(run, name) - run->cells);
    while (i < found.cell_count && found.cells[i] != spot.cell) {
        i++;
    }
    if (i == found.cell_count) {
        found.cells[found.cell_count++] = spot.cell;
    }
    CHECK_OP(found.spot_count, <, SPOTS_MAX);
    found.spots[found.spot_count++] = spot;
}

/* --- The pages of an LMDB file, as docs/DISK_FORMAT.md tells of them --- */

enum {
    PAGE_BRANCH = 1,
    NODE_IS_LARGE = 1,
    META_FREE_ROOT = 80,
    META_ROOT = 128,
    META_TRANSACTION = 144,
    NODES_AT = 16,
    NODE_HEAD_BYTES = 8
};

static struct {
    uint8_t *bytes;
    uint64_t count;
    const char *kinds[PAGES_MAX]; /* NULL = not used by the newest transaction */
} pages;

static uint64_t load(const uint8_t *from, size_t size)
{
    uint64_t number = 0;

    memcpy(&number, from, size); /* in the machine's order, which is the file's */
    return number;
}

static void note_large_value(uint64_t first)
{
    uint64_t count = load(pages.bytes + first * PAGE_BYTES + 12, 4);

    for (uint64_t i = 0; i < count && first + i < pages.count; i++) {
        pages.kinds[first + i] = i == 0 ? "large value" : "within a large value";
    }
}

static void note_tree(uint64_t number)
{
    const uint8_t *page = pages.bytes + number * PAGE_BYTES;
    bool is_branch;
    size_t lower;

    if (number >= pages.count) {
        return; /* no root */
    }
    is_branch = load(page + 10, 2) == PAGE_BRANCH;
    lower = (size_t)load(page + 12, 2);
    pages.kinds[number] = is_branch ? "branch" : "leaf";
    for (size_t at = NODES_AT; at < lower; at += 2) {
        const uint8_t *node = page + load(page + at, 2);

        if (is_branch) {
            note_tree(load(node, 6));
        } else if (load(node + 4, 2) == NODE_IS_LARGE) {
            note_large_value(load(node + NODE_HEAD_BYTES + load(node + 6, 2), 8));
        }
    }
}

static void note_pages(void)
{
    const uint8_t *second = pages.bytes + PAGE_BYTES;
    const uint8_t *meta =
        load(pages.bytes + META_TRANSACTION, 8) > load(second + META_TRANSACTION, 8) ? pages.bytes
                                                                                     : second;

    memset(pages.kinds, 0, sizeof pages.kinds);
    pages.kinds[0] = "meta";
    pages.kinds[1] = "meta";
    note_tree(load(meta + META_FREE_ROOT, 8));
    note_tree(load(meta + META_ROOT, 8));
}

static const char *kind_of_page(uint64_t number)
{
    static const uint8_t zeros[PAGE_BYTES];

    if (pages.kinds[number] != NULL) {
        return pages.kinds[number];
    }
    return memcmp(pages.bytes + number * PAGE_BYTES, zeros, PAGE_BYTES) == 0 ? "zeros" : "unused";
}

static void add_pages(struct run *run, size_t file, const char *name, int descriptor, uint64_t size)
{
    pages.count = size / PAGE_BYTES;
    CHECK_OP(pages.count, <=, PAGES_MAX);
    pages.bytes = xmalloc((size_t)size);
    CHECK(pread(descriptor, pages.bytes, (size_t)size, 0) == (ssize_t)size);
    note_pages();
    for (uint64_t number = 0; number < pages.count; number++) {
        add_spot(run, file, name, kind_of_page(number),
                 (struct spot){.offset = number * PAGE_BYTES,
                               .bytes = PAGE_BYTES,
                               .bytes_that_count = number < 2 ? META_END : PAGE_HEAD_BYTES});
    }
    free(pages.bytes);
}

static void add_part(
    struct run *run, size_t file, const char *name, const char *kind, uint64_t from, uint64_t to)
{
    add_spot(run, file, name, kind,
             (struct spot){.offset = from, .bytes = to - from, .bytes_that_count = to - from});
}

/* "tree-3/data.mdb" is one of the trees, "dumps/out" a dump. */
static void name_file(const char *path, char name[64])
{
    const char *tree = strncmp(path, "tree-", 5) == 0 ? strchr(path, '/') : NULL;

    (void)snprintf(name, 64, "%s%.40s", tree == NULL ? "" : "tree-N", tree == NULL ? path : tree);
}

static void add_spots(struct run *run, size_t file, const char *name)
{
    int descriptor = open(found.paths[file], O_RDONLY | O_CLOEXEC);
    struct stat info;
    uint64_t size;

    CHECK(descriptor >= 0 && fstat(descriptor, &info) == 0);
    size = (uint64_t)info.st_size;
    if (strstr(name, "data.mdb") != NULL) {
        add_pages(run, file, name, descriptor, size);
    } else if (strncmp(name, "dumps/", 6) == 0 && size > DUMP_HEAD_BYTES + DUMP_TRAILER_BYTES) {
        add_part(run, file, name, "head", 0, DUMP_HEAD_BYTES);
        add_part(run, file, name, "records", DUMP_HEAD_BYTES, size - DUMP_TRAILER_BYTES);
        add_part(run, file, name, "trailer", size - DUMP_TRAILER_BYTES, size);
    } else {
        add_part(run, file, name, "", 0, size);
    }
    (void)close(descriptor);
}

/* Those of files whose names begin with `prefix`. */
static void find_spots(struct run *run, const char *folder, const char *prefix)
{
    found.file_count = 0;
    found.spot_count = 0;
    found.cell_count = 0;
    CHECK(nftw(folder, add_file, 16, FTW_PHYS) == 0);
    qsort(found.paths, found.file_count, sizeof found.paths[0], compare_paths);
    for (size_t i = 0; i < found.file_count; i++) {
        const char *path = found.paths[i] + strlen(folder) + 1;
        char name[64];

        if (strncmp(path, prefix, strlen(prefix)) == 0) {
            name_file(path, name);
            add_spots(run, i, name);
        }
    }
    CHECK_OP(found.cell_count, >, 0);
}

/* --- One flip --- */

/* In the cell that the seed chooses by its remainder. */
static const struct spot *draw_spot(struct prng *prng, uint64_t seed)
{
    size_t cell = found.cells[seed % found.cell_count];
    const struct spot *drawn = &found.spots[0];
    uint64_t count = 0;

    for (size_t i = 0; i < found.spot_count; i++) {
        if (found.spots[i].cell == cell && prng_below(prng, ++count) == 0) {
            drawn = &found.spots[i];
        }
    }
    return drawn;
}

static struct run_cell *flip(struct run *run, const char *folder)
{
    struct prng prng;
    const struct spot *spot;
    uint64_t offset;
    uint8_t byte;
    uint8_t bit;
    int descriptor;

    prng_init(&prng, run->flip_seed);
    spot = draw_spot(&prng, run->flip_seed);
    offset = spot->offset +
             prng_below(&prng, prng_below(&prng, 2) == 0 ? spot->bytes_that_count : spot->bytes);
    bit = (uint8_t)prng_below(&prng, 8);
    descriptor = open(found.paths[spot->file], O_RDWR | O_CLOEXEC);
    CHECK(descriptor >= 0 && pread(descriptor, &byte, 1, (off_t)offset) == 1);
    byte ^= (uint8_t)(1U << bit);
    CHECK(pwrite(descriptor, &byte, 1, (off_t)offset) == 1);
    (void)close(descriptor);
    (void)snprintf(run->flipped, sizeof run->flipped, "bit %d of byte %" PRIu64 " of %.60s, %s",
                   bit, offset, found.paths[spot->file] + strlen(folder) + 1,
                   run->cells[spot->cell].name);
    return &run->cells[spot->cell];
}

/* The first flips go round the cells, the others anywhere. */
static void choose_flip(struct run *run, struct prng *prng, uint64_t number)
{
    if (!run->has_flip) {
        uint64_t round = prng_next(prng) % 1000000;

        run->flip_seed = number < found.cell_count ? round * found.cell_count + number : round;
    }
}

static void judge_flip(struct run *run,
                       const struct stores *stores,
                       const char *folder,
                       uint64_t step,
                       struct run_cell *cell)
{
    bool is_named = false;

    run->is_right = stores_judge_damaged(stores, folder, step, &is_named, run->text);
    cell->flips++;
    cell->named += is_named;
    if (!run->keep) {
        run_remove_tree(folder);
    }
}

static void flip_whole(struct run *run, const struct stores *stores, struct prng *prng)
{
    struct image *image = image_new(run->seed);
    char path[RUN_PATH_BYTES_MAX];

    run_path(run, "damaged", path);
    image_advance(image, tape_count());
    run->of_tail = false;
    for (uint64_t i = 0; run->is_right && i < run->flips_wanted; i++) {
        image_write(image, IMAGE_WHOLE, path);
        find_spots(run, path, "");
        choose_flip(run, prng, i);
        judge_flip(run, stores, path, stores_last_step(stores), flip(run, path));
    }
    image_free(image);
}

/* --- In the middle of a start --- */

/* A power cut, and a start whose device is gone before its file operation `call`. */
struct tail {
    struct image *image;
    uint64_t seed;
    uint64_t call;
    uint64_t step;
};

static void write_tail(const struct tail *tail, const char *folder)
{
    pid_t child;
    int status;

    image_write(tail->image, tail->seed, folder);
    (void)fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        tape_start(folder);
        tape_fail(tail->call, UINT64_MAX, TAPE_FAULT_REFUSED, EIO);
        (void)stores_start(folder);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* The first call after which the end of the log is saved. */
static bool find_call(struct tail *tail, const char *folder)
{
    char path[RUN_PATH_BYTES_MAX + 16];
    bool is_saved = false;

    (void)snprintf(path, sizeof path, "%s/log-tail", folder);
    for (tail->call = 0; !is_saved && tail->call < START_CALLS_MAX; tail->call++) {
        write_tail(tail, folder);
        is_saved = access(path, F_OK) == 0;
        run_remove_tree(folder);
    }
    tail->call--;
    return is_saved;
}

/* A cut after a write of the log that took its meta page. */
static bool find_tail(struct tail *tail, const struct stores *stores, const char *folder)
{
    for (size_t i = 1; i < tape_count(); i++) {
        if (tape_at(i)->kind != TAPE_DONE || stores_step_at(stores, i) != STEP_WRITE) {
            continue;
        }
        image_advance(tail->image, i + 1);
        tail->step = tape_at(i)->number;
        for (tail->seed = 0; tail->seed < IMAGES_PER_WRITE; tail->seed++) {
            bool must_save;

            image_write(tail->image, tail->seed, folder);
            must_save = stores_must_save_end(folder);
            run_remove_tree(folder);
            if (must_save && find_call(tail, folder)) {
                return true;
            }
        }
    }
    return false;
}

static void flip_tail(struct run *run, const struct stores *stores, struct prng *prng)
{
    struct tail tail = {.image = image_new(run->seed)};
    char path[RUN_PATH_BYTES_MAX];
    bool is_found;

    run_path(run, "damaged", path);
    is_found = find_tail(&tail, stores, path);
    run->of_tail = true;
    for (uint64_t i = 0; is_found && run->is_right && i < (run->has_flip ? 1 : FLIPS_PER_TAIL);
         i++) {
        write_tail(&tail, path);
        find_spots(run, path, "log-tail/data.mdb");
        choose_flip(run, prng, i);
        judge_flip(run, stores, path, tail.step, flip(run, path));
    }
    image_free(tail.image);
}

void run_judge_flips(struct run *run, const struct stores *stores)
{
    bool only_tail = run->has_flip && run->of_tail;
    bool only_whole = run->has_flip && !run->of_tail;
    struct prng prng;

    prng_init(&prng, run->seed);
    run->in_flip = run->flips_wanted > 0;
    if (run->in_flip && !only_tail) {
        flip_whole(run, stores, &prng);
    }
    if (run->in_flip && run->is_right && !only_whole) {
        flip_tail(run, stores, &prng);
    }
}
