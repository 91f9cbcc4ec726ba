/* One story, played in a process of its own, and what is asked of it: that a call fails, that
 * images of power cuts are judged, that bits are flipped in what it left. */
#ifndef TESTS_POWER_CUT_RUN_H
#define TESTS_POWER_CUT_RUN_H

#include "tests/power_cut/stores.h"
#include "tests/power_cut/tape.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum { RUN_STEPS = 40, RUN_CUTS_MAX = 25, RUN_CELLS_MAX = 48, RUN_PATH_BYTES_MAX = PATH_MAX + 16 };

/* A way in which a call fails. */
struct run_fault {
    const char *name;
    enum tape_fault kind;
    int error_number;
    uint64_t count; /* of the calls that do, from the chosen one on */
    bool of_reads;  /* the chosen call is counted among those that read */
};

/* Flips in one kind of page of one file, as "log/data.mdb leaf". */
struct run_cell {
    char name[64];
    uint64_t flips;
    uint64_t named;
};

/* Shared between the process of the story and the one that waits for it. */
struct run {
    uint64_t seed;
    const struct run_fault *fault; /* NULL = none */
    uint64_t call;
    uint64_t cuts_wanted; /* at random; at most RUN_CUTS_MAX */
    bool every_cut;       /* one image at each */
    uint64_t flips_wanted;
    bool has_cut;  /* this one alone */
    bool has_flip; /* this one, of_tail or not */
    bool keep;
    /* Out. */
    uint64_t calls;
    uint64_t reads;
    uint64_t events;
    uint64_t operations[STEP_KIND_COUNT]; /* events, by the step that they are part of */
    uint64_t images[STEP_KIND_COUNT];     /* by the step in which the power was cut */
    uint64_t half_commits;                /* images that were right to be named as damaged */
    bool has_failed;                      /* the fault came */
    bool in_image;
    uint64_t cut;
    uint64_t image_seed;
    bool in_flip;
    bool of_tail; /* the flip is in what a start saved of the log's lost end */
    uint64_t flip_seed;
    char flipped[128]; /* where */
    struct run_cell cells[RUN_CELLS_MAX];
    size_t cell_count;
    bool is_right;
    char failed_call[32];
    char folder[PATH_MAX];
    char text[STORES_TEXT_BYTES_MAX];
};

struct run *run_new(uint64_t seed);
void run_free(struct run *run);
/* False: something was wrong, and it was told. */
bool run_perform(struct run *run);

/* --- In the process of the story, when it has been played --- */

void run_judge_images(struct run *run, const struct stores *stores);
void run_judge_flips(struct run *run, const struct stores *stores);
/* The cell of this name, made if there is none. */
struct run_cell *run_cell(struct run *run, const char *name);
void run_path(const struct run *run, const char *name, char path[RUN_PATH_BYTES_MAX]);
void run_remove_tree(const char *path);

#endif
