#include "tests/power_cut/stores.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/prng.h"
#include "persistence/damage.h"
#include "persistence/data_folder.h"
#include "persistence/dump_file.h"
#include "tests/power_cut/contents.h"
#include "tests/power_cut/stores_internal.h"
#include "tests/power_cut/tape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const step_names[STEP_KIND_COUNT] = {
    [STEP_NONE] = "between steps",    [STEP_FIRST_OPEN] = "first start",
    [STEP_OPEN] = "restart",          [STEP_CLUSTER] = "cluster id",
    [STEP_WRITE] = "log write",       [STEP_TRIM] = "trimming",
    [STEP_CHECKPOINT] = "checkpoint", [STEP_DUMP] = "dump",
    [STEP_INSTALL] = "dump install",  [STEP_SWITCH] = "generation switch",
    [STEP_PREZERO] = "zeros ahead",   [STEP_KEEP_LOG] = "generation repaired",
    [STEP_WITNESS] = "witnesses",     [STEP_CONDEMN] = "condemned",
    [STEP_DOUBT] = "doubts",          [STEP_RECOVER] = "recovery",
    [STEP_SUPERSEDE] = "superseded",
};

const char *stores_step_name(enum step_kind kind)
{
    CHECK_OP(kind, <, STEP_KIND_COUNT);
    return step_names[kind];
}

enum step_kind stores_step_at(const struct stores *stores, size_t count)
{
    size_t at = count;

    while (at > 0 && tape_at(at - 1)->kind != TAPE_BEGIN && tape_at(at - 1)->kind != TAPE_DONE) {
        at--;
    }
    return at == 0 || at == count || tape_at(at - 1)->kind == TAPE_DONE
               ? STEP_NONE
               : stores->kinds[tape_at(at - 1)->number];
}

/* --- The whole --- */

static struct contents *begin_step(struct stores *stores, enum step_kind kind)
{
    CHECK_OP(stores->step, <, STORES_STEPS_MAX);
    stores->kinds[stores->step + 1] = kind;
    tape_begin(stores->step + 1);
    free(stores->after[stores->step + 1]);
    stores->after[stores->step + 1] = xmemdup(stores_present(stores), sizeof(struct contents));
    stores->after[stores->step + 1]->appended_count = 0;
    return stores->after[stores->step + 1];
}

static void end_step(struct stores *stores)
{
    stores->step++;
    tape_done(stores->step);
}

/* The contents of the opened stores, to be freed: what step `done` left, or one that was under way
 * up to `begun`. NULL: of none of them, `text` says why. */
static struct contents *find_contents(const struct stores *story,
                                      struct stores *opened,
                                      uint64_t done,
                                      uint64_t begun,
                                      uint64_t starts,
                                      char text[STORES_TEXT_BYTES_MAX])
{
    struct contents_found found;

    stores_look(opened, &found);
    (void)stores_say(text, "it holds what no step left:");
    for (uint64_t step = done; step <= begun; step++) {
        struct contents *expected = NULL;
        char why[STORES_TEXT_BYTES_MAX] = "it was superseded";
        size_t used = strlen(text);

        if (!story->after[step]->is_superseded) {
            expected = contents_expected(story->after, step, step == done, &found);
            if (stores_compare(opened, expected, starts, why) == FINDING_SAME) {
                return expected;
            }
        }
        free(expected);
        (void)snprintf(text + used, STORES_TEXT_BYTES_MAX - used, " not %" PRIu64 ": %s;", step,
                       why);
    }
    return NULL;
}

static bool is_refused_as_superseded(enum status status, const struct error *error)
{
    return status == STATUS_MISMATCH && strstr(error->text, "is an old copy of the data") != NULL;
}

/* After a failure of unknown outcome: start anew, and go on from what is found. That it is found
 * superseded ends the story, without a word on what a power cut leaves of that. */
static bool restart(struct stores *stores, const char *why, char text[STORES_TEXT_BYTES_MAX])
{
    uint64_t starts = stores_present(stores)->starts;
    struct contents *found;
    struct error error;
    enum status status;

    tape_fail(UINT64_MAX, 0, TAPE_FAULT_NONE, 0);
    stores->step++; /* whose outcome is unknown: it is begun, and never done */
    (void)begin_step(stores, STEP_OPEN);
    stores_close(stores);
    stores->has_installed = false;
    status = stores_open(stores, &error);
    if (stores->after[stores->step]->is_superseded && is_refused_as_superseded(status, &error)) {
        return true;
    }
    if (status != STATUS_OK) {
        return stores_say(text, "no restart after '%s': %s", why, error.text);
    }
    found = find_contents(stores, stores, stores->step - 1, stores->step, starts, text);
    if (found == NULL) {
        return false;
    }
    found->starts = log_store_identity(stores->log)->start_count;
    contents_note_log(found, stores->step + 1, false);
    free(stores->after[stores->step + 1]);
    stores->after[stores->step + 1] = found;
    end_step(stores);
    return true;
}

static bool play_step(struct stores *stores, enum step_kind kind, char text[STORES_TEXT_BYTES_MAX])
{
    struct prng prng = stores->prng;
    struct contents *next = begin_step(stores, kind);
    struct error error = {.text = ""};
    const char *name;
    enum status status = stores_take_step(stores, kind, next, &error);

    if (status == STATUS_NO_SPACE && kind != STEP_OPEN && kind != STEP_FIRST_OPEN &&
        tape_failed(&name) > 0) {
        tape_fail(UINT64_MAX, 0, TAPE_FAULT_NONE, 0);
        stores->prng = prng;
        next = begin_step(stores, kind);
        status = stores_take_step(stores, kind, next, &error);
        if (status != STATUS_OK) {
            return stores_say(text, "%s does not go on after a full disk: %s",
                              stores_step_name(kind), error.text);
        }
    }
    if (status == STATUS_OK) {
        end_step(stores);
        return true;
    }
    if (tape_failed(&name) == 0) {
        return stores_say(text, "%s failed without a fault: %s", stores_step_name(kind),
                          error.text);
    }
    if (strstr(error.text, stores->folder_path) == NULL) {
        return stores_say(text, "the reason names no place: '%s'", error.text);
    }
    return restart(stores, error.text, text);
}

bool stores_play(const char *folder,
                 const char *scratch,
                 uint64_t seed,
                 unsigned steps,
                 bool supersede,
                 struct stores **ret_stores,
                 char text[STORES_TEXT_BYTES_MAX])
{
    struct stores *stores = xcalloc(1, sizeof *stores);
    bool is_right = true;

    CHECK_OP(steps, <, STORES_STEPS_MAX / 2);
    CHECK(snprintf(stores->folder_path, sizeof stores->folder_path, "%s", folder) <
          (int)sizeof stores->folder_path);
    CHECK(snprintf(stores->scratch, sizeof stores->scratch, "%s", scratch) <
          (int)sizeof stores->scratch);
    prng_init(&stores->prng, seed);
    stores->after[0] = xcalloc(1, sizeof(struct contents));
    for (unsigned i = 0; is_right && i < steps; i++) {
        is_right = play_step(stores, stores_draw_step(stores), text);
    }
    if (is_right && supersede) {
        is_right = play_step(stores, STEP_SUPERSEDE, text);
    }
    stores_close(stores);
    *ret_stores = stores;
    return is_right;
}

void stores_free(struct stores *stores)
{
    if (stores != NULL) {
        stores_close(stores);
        for (size_t i = 0; i <= STORES_STEPS_MAX; i++) {
            free(stores->after[i]);
        }
        free(stores);
    }
}

/* --- Judging --- */

/* A dump has its name only when it is complete. */
static enum finding judge_dump(const char *folder, char text[STORES_TEXT_BYTES_MAX])
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    struct dump_reader reader;
    struct error error;
    struct bytes key;
    struct bytes value;
    enum status status;

    CHECK(snprintf(path, sizeof path, "%s/dumps/out", folder) < (int)sizeof path);
    status = dump_reader_open(&reader, path, &error);
    if (status == STATUS_NOT_FOUND) {
        return FINDING_SAME;
    }
    if (status != STATUS_OK) {
        return stores_failed(text, &error);
    }
    while (status == STATUS_OK) {
        status = dump_reader_next(&reader, &key, &value, &error);
    }
    dump_reader_close(&reader);
    return status == STATUS_NOT_FOUND ? FINDING_SAME : stores_failed(text, &error);
}

/* One more entry, one more checkpoint, and another start. */
static enum finding
go_on(struct stores *stores, const struct contents *found, char text[STORES_TEXT_BYTES_MAX])
{
    struct contents *next = xmemdup(found, sizeof *found);
    struct log_entry entry = {
        .index = found->last + 1, .term = found->term, .type = RAFT_ENTRY_NOOP};
    const struct log_write write = {.entries = &entry, .entry_count = 1};
    struct error error = {.text = ""};
    enum finding finding;

    next->entries[next->last - next->base] =
        (struct planned){.term = found->term, .type = RAFT_ENTRY_NOOP};
    next->last++;
    next->applied = next->last;
    next->values[0] = (struct value){.salt = next->values[0].salt ^ 1U << 20, .size = 100};
    if (log_store_write(stores->log, &write, &error) != STATUS_OK ||
        stores_commit_values(stores->tree, found, next, &error) != STATUS_OK) {
        finding = stores_failed(text, &error);
    } else {
        stores_close(stores);
        finding = stores_open(stores, &error) == STATUS_OK
                      ? stores_compare(stores, next, next->starts, text)
                      : stores_failed(text, &error);
    }
    free(next);
    return finding;
}

static void init_judged(struct stores *judged, const char *folder)
{
    memset(judged, 0, sizeof *judged);
    prng_init(&judged->prng, 1);
    CHECK(snprintf(judged->folder_path, sizeof judged->folder_path, "%s", folder) <
          (int)sizeof judged->folder_path);
}

static bool may_be_superseded(const struct stores *stores, uint64_t done, uint64_t begun)
{
    for (uint64_t step = done; step <= begun; step++) {
        if (stores->after[step]->is_superseded) {
            return true;
        }
    }
    return false;
}

bool stores_judge(const struct stores *stores,
                  const char *folder,
                  uint64_t done,
                  uint64_t begun,
                  char text[STORES_TEXT_BYTES_MAX])
{
    uint64_t least = stores->after[done]->starts;
    struct contents *found;
    struct stores judged;
    struct error error;
    enum status status;
    bool is_right = false;

    init_judged(&judged, folder);
    if (judge_dump(folder, text) != FINDING_SAME) {
        return false;
    }
    status = stores_open(&judged, &error);
    if (status != STATUS_OK) {
        stores_close(&judged);
        return (is_refused_as_superseded(status, &error) &&
                may_be_superseded(stores, done, begun)) ||
               stores_say(text, "no start: %s", error.text);
    }
    found = find_contents(stores, &judged, done, begun, least + 1, text);
    if (found != NULL) {
        is_right = go_on(&judged, found, text) == FINDING_SAME;
        free(found);
    }
    stores_close(&judged);
    return is_right;
}

bool stores_start(const char *folder)
{
    struct stores started;
    struct error error;
    bool is_open;

    init_judged(&started, folder);
    is_open = stores_open(&started, &error) == STATUS_OK;
    stores_close(&started);
    return is_open;
}

uint64_t stores_last_step(const struct stores *stores)
{
    return stores->step;
}

/* What a damaged folder holds that is read, and whether it goes on. */
static enum finding read_damaged(const struct stores *stores,
                                 struct stores *judged,
                                 uint64_t step,
                                 char text[STORES_TEXT_BYTES_MAX])
{
    struct contents *expected;
    struct contents_found found;
    struct error error;
    enum finding finding;

    if (stores_open(judged, &error) != STATUS_OK) {
        return stores_failed(text, &error);
    }
    stores_look(judged, &found);
    expected = step == stores->step ? xmemdup(stores->after[step], sizeof *expected)
                                    : contents_expected(stores->after, step, true, &found);
    finding = stores_compare(judged, expected, expected->starts + 1, text);
    if (finding == FINDING_SAME) {
        finding = go_on(judged, expected, text);
    }
    free(expected);
    return finding;
}

static bool says_place_and_way_out(const char *folder, const char *text)
{
    static const char *const ways_out[] = {DAMAGE_WAY_OUT, "fetch or make it again",
                                           "use the version that wrote it, or a newer one"};

    for (size_t i = 0; i < sizeof ways_out / sizeof ways_out[0]; i++) {
        if (strstr(text, ways_out[i]) != NULL) {
            return strstr(text, folder) != NULL;
        }
    }
    return false;
}

bool stores_judge_damaged(const struct stores *stores,
                          const char *folder,
                          uint64_t step,
                          bool *ret_is_named,
                          char text[STORES_TEXT_BYTES_MAX])
{
    char seen[STORES_TEXT_BYTES_MAX];
    char said[STORES_TEXT_BYTES_MAX];
    bool is_sound = stores_inspect(folder, seen);
    struct stores judged;
    enum finding finding = judge_dump(folder, text);

    init_judged(&judged, folder);
    if (finding == FINDING_SAME) {
        finding = read_damaged(stores, &judged, step, text);
        stores_close(&judged);
        if (finding == FINDING_DAMAGED && is_sound) {
            (void)snprintf(said, sizeof said, "%s", text);
            return stores_say(text, "--check sees nothing of what a start names: %.900s", said);
        }
    }
    *ret_is_named = finding == FINDING_DAMAGED;
    if (*ret_is_named && !says_place_and_way_out(folder, text)) {
        (void)snprintf(said, sizeof said, "%s", text);
        return stores_say(text, "damage without its place or a way out: '%.900s'", said);
    }
    return finding != FINDING_DIFFERENT;
}
