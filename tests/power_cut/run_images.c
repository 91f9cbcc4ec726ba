/* Images of power cuts in a story. */
#include "tests/power_cut/run.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "tests/power_cut/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = 4096, META_PAGES = 2 };

/* Had folder `node` the name that `text` gives to what is damaged? */
static bool is_named_damaged(int node, const char *text)
{
    for (size_t i = 0; i < tape_count(); i++) {
        const struct tape_event *event = tape_at(i);
        const char *name = event->kind == TAPE_MAKE     ? event->name
                           : event->kind == TAPE_RENAME ? event->new_name
                                                        : NULL;
        char words[TAPE_NAME_BYTES_MAX + 32];

        if (name != NULL && event->node == node) {
            (void)snprintf(words, sizeof words, "/%s/data.mdb is damaged", name);
            if (strstr(text, words) != NULL) {
                return true;
            }
        }
    }
    return false;
}

static int folder_of(int node)
{
    for (size_t i = 0; i < tape_count(); i++) {
        const struct tape_event *event = tape_at(i);

        if (event->kind == TAPE_MAKE && event->node == node) {
            return strcmp(event->name, "data.mdb") == 0 ? event->folder : -1;
        }
    }
    return -1;
}

/* LMDB writes what it uses of a meta page, without the head; others write from the page's start. */
static bool is_commit(const struct tape_event *event)
{
    return event->offset < (uint64_t)META_PAGES * PAGE_BYTES && event->offset % PAGE_BYTES != 0;
}

/* LMDB commits with one write, of a part of one sector; and if that fails it writes the old number
 * into the new page, before it can be put back whole. A kernel that did half of it, for a process
 * that ended then, and a power cut just then leave a page that says two things at once: that this
 * is named is all there is to ask. So it is of the file in which such a write failed, until its
 * next sync. */
static bool is_half_a_commit(const struct run *run)
{
    bool is_expected = false;

    if (strstr(run->text, "a meta page is of transaction") == NULL &&
        strstr(run->text, "the list of free pages is at page") == NULL) {
        return false;
    }
    for (size_t i = 0; i < run->cut; i++) {
        const struct tape_event *event = tape_at(i);
        int folder = folder_of(event->node);

        if (folder >= 0 && is_named_damaged(folder, run->text)) {
            if (event->kind == TAPE_FAILED_WRITE && is_commit(event)) {
                is_expected = true;
            } else if (event->kind == TAPE_SYNC) {
                is_expected = false;
            }
        }
    }
    return is_expected;
}

static void judge_image(struct run *run, const struct stores *stores, const struct image *image)
{
    char path[RUN_PATH_BYTES_MAX];

    run_path(run, "image", path);
    image_write(image, run->image_seed, path);
    run->is_right = stores_judge(stores, path, image_done(image), image_begun(image), run->text);
    if (!run->is_right && is_half_a_commit(run)) {
        run->is_right = true;
        run->half_commits++;
    }
    run->images[stores_step_at(stores, run->cut)]++;
    if (!run->keep) {
        run_remove_tree(path);
    }
}

static int compare_cuts(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

/* Where to cut, in order, to be freed. Most events lie where something is under way. */
static uint64_t *choose_cuts(const struct run *run, struct prng *prng, size_t *ret_count)
{
    size_t end = tape_count();
    size_t count = run->has_cut ? 1 : run->every_cut ? end + 1 : (size_t)run->cuts_wanted;
    uint64_t *cuts = xcalloc(count + 1, sizeof *cuts);

    for (size_t i = 0; i < count; i++) {
        cuts[i] = run->every_cut ? i : prng_below(prng, end + 1);
    }
    if (run->has_cut) {
        cuts[0] = run->cut < end ? run->cut : end;
    }
    qsort(cuts, count, sizeof cuts[0], compare_cuts);
    *ret_count = count;
    return cuts;
}

void run_judge_images(struct run *run, const struct stores *stores)
{
    struct image *image = image_new(run->seed);
    struct prng prng;
    size_t count;
    uint64_t *cuts;

    prng_init(&prng, run->seed ^ run->call << 20);
    cuts = choose_cuts(run, &prng, &count);
    run->in_image = count > 0;
    for (size_t i = 0; run->is_right && i < count; i++) {
        run->cut = cuts[i];
        if (!run->has_cut) {
            run->image_seed = prng_next(&prng) % 1000000;
        }
        image_advance(image, (size_t)cuts[i]);
        judge_image(run, stores, image);
    }
    free(cuts);
    image_free(image);
}
