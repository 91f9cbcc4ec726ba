/* What the units of a story share: the stores as they are opened, what a step may leave, and
 * comparing the two. */
#ifndef TESTS_POWER_CUT_STORES_INTERNAL_H
#define TESTS_POWER_CUT_STORES_INTERNAL_H

#include "base/prng.h"
#include "persistence/data_folder.h"
#include "persistence/tree_store.h"
#include "tests/power_cut/contents.h"
#include "tests/power_cut/stores.h"

enum { STORES_VALUE_BYTES_MAX = 700 * 1024 };

struct stores {
    char folder_path[DATA_FOLDER_PATH_BYTES_MAX];
    char scratch[DATA_FOLDER_PATH_BYTES_MAX];
    struct prng prng;
    struct data_folder folder;
    bool has_folder;
    struct log_store *log;
    struct tree_store *tree;
    struct contents *after[STORES_STEPS_MAX + 1]; /* by step; 0 = nothing yet */
    enum step_kind kinds[STORES_STEPS_MAX + 1];
    uint64_t step;             /* the last one */
    struct contents installed; /* its generation and tree alone, while it waits for the switch */
    bool has_installed;
};

enum finding {
    FINDING_SAME,
    FINDING_DIFFERENT,
    FINDING_DAMAGED /* the store says so itself */
};

/* False, with a text. */
__attribute__((format(printf, 2, 3))) bool
stores_say(char text[STORES_TEXT_BYTES_MAX], const char *format, ...);

/* --- stores_compare.c --- */

/* The bytes of a value or payload, and a key. */
struct bytes stores_fill(uint8_t *to, uint32_t salt, uint32_t size);
struct bytes stores_key_of(size_t position, char text[32]);

/* As server/disks.c does. */
enum status stores_open(struct stores *stores, struct error *error);
void stores_close(struct stores *stores);
enum status stores_open_tree(struct stores *stores,
                             uint64_t generation,
                             struct tree_store **ret_tree,
                             struct error *error);

/* The id of the cluster, and the incarnation, after so many recoveries. */
void stores_cluster_id(uint8_t recovered, uint8_t id[LOG_STORE_CLUSTER_ID_BYTES]);
void stores_incarnation(uint8_t recovered, uint8_t incarnation[RAFT_INCARNATION_BYTES]);
/* What the opened stores say of themselves. */
void stores_look(struct stores *stores, struct contents_found *ret_found);

enum finding stores_compare(struct stores *stores,
                            const struct contents *expected,
                            uint64_t starts,
                            char text[STORES_TEXT_BYTES_MAX]);
enum finding stores_failed(char text[STORES_TEXT_BYTES_MAX], const struct error *error);

/* --- stores_steps.c --- */

/* What the last step left. */
const struct contents *stores_present(const struct stores *stores);
enum step_kind stores_draw_step(struct stores *stores);
/* Plans what it will leave in `next`, then does it. */
enum status stores_take_step(struct stores *stores,
                             enum step_kind kind,
                             struct contents *next,
                             struct error *error);
enum status stores_commit_values(struct tree_store *tree,
                                 const struct contents *before,
                                 const struct contents *next,
                                 struct error *error);

#endif
