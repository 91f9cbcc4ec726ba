/* A story of the real stores of one data folder: steps from a seed, as a server takes them, what
 * each makes of the contents, and whether a folder that a power cut left holds what it must. */
#ifndef TESTS_POWER_CUT_STORES_H
#define TESTS_POWER_CUT_STORES_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORES_STEPS_MAX = 128,
    STORES_TEXT_BYTES_MAX = 1024,
    STORES_MAP_BYTES = 64 * 1024 * 1024 /* of each LMDB file at most */
};

/* What a step does. */
enum step_kind {
    STEP_NONE, /* between two */
    STEP_FIRST_OPEN,
    STEP_OPEN,
    STEP_CLUSTER,
    STEP_WRITE,
    STEP_TRIM,
    STEP_CHECKPOINT,
    STEP_DUMP,
    STEP_INSTALL, /* the new generation is built beside the old one */
    STEP_SWITCH,
    STEP_PREZERO,
    STEP_KEEP_LOG, /* another generation, and the end of the log with it */
    STEP_WITNESS,
    STEP_CONDEMN,
    STEP_DOUBT,
    STEP_RECOVER,
    STEP_SUPERSEDE, /* only at the end */
    STEP_KIND_COUNT
};

struct stores;

/* Take `steps` steps on an empty folder, telling the tape of each, and supersede it in the end if
 * that is wanted. `scratch` is a folder beside it, for dumps that come from elsewhere.
 *
 * After a failure for want of space the same step is taken again and must pass; after any other
 * one the stores are closed, as a server's end does, and opened anew. False: something else was
 * wrong, `text` says what. */
bool stores_play(const char *folder,
                 const char *scratch,
                 uint64_t seed,
                 unsigned steps,
                 bool supersede,
                 struct stores **ret_stores,
                 char text[STORES_TEXT_BYTES_MAX]);
void stores_free(struct stores *stores);
const char *stores_step_name(enum step_kind kind);
/* Of which step the last of the tape's first `count` events is a part. */
enum step_kind stores_step_at(const struct stores *stores, size_t count);

/* Open `folder` as a server does, and read everything. It must hold what step `done` left, or step
 * `begun`; then it must take a write, and open once more; or be refused, if one of these steps
 * superseded it. `text` says what is wrong. */
bool stores_judge(const struct stores *stores,
                  const char *folder,
                  uint64_t done,
                  uint64_t begun,
                  char text[STORES_TEXT_BYTES_MAX]);

/* The same of a folder that step `step` left, but damaged: everything that is read is right, or
 * named as damage (*ret_is_named), with its place and a way out, and by stores_inspect too. */
bool stores_judge_damaged(const struct stores *stores,
                          const char *folder,
                          uint64_t step,
                          bool *ret_is_named,
                          char text[STORES_TEXT_BYTES_MAX]);

/* Is the folder sound, as far as --check sees? `text` is the first thing that is not. */
bool stores_inspect(const char *folder, char text[STORES_TEXT_BYTES_MAX]);
/* Whether the next start has to save what it finds behind the log's newest transaction. */
bool stores_must_save_end(const char *folder);
/* Open the folder as a server does, and close it. */
bool stores_start(const char *folder);
/* The last step of the story. */
uint64_t stores_last_step(const struct stores *stores);

#endif
