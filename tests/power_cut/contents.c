#include "tests/power_cut/contents.h"

#include "base/alloc.h"
#include "base/check.h"
#include "persistence/log_format.h"

#include <string.h>

void contents_drop_front(struct contents *contents, raft_index base)
{
    size_t dropped = (size_t)(base - contents->base);

    if (dropped == 0) {
        return;
    }
    contents->base_term = contents->entries[dropped - 1].term;
    memmove(contents->entries, contents->entries + dropped,
            (CONTENTS_ENTRIES_MAX - dropped) * sizeof *contents->entries);
    contents->base = base;
}

void contents_note_log(struct contents *contents, uint64_t step, bool is_late)
{
    contents->is_late = is_late && (contents->log_step != step || contents->is_late);
    contents->log_step = step;
}

void contents_note_write(struct contents *contents,
                         uint64_t step,
                         const struct log_write *write,
                         raft_index last)
{
    bool is_late =
        !write->hard_state && (write->entry_count == 0 || write->entries[0].index == last + 1);

    if (write->hard_state || write->entry_count > 0) {
        contents_note_log(contents, step, is_late);
    }
    for (size_t i = 0; i < write->entry_count; i++) {
        const struct planned *planned =
            &contents->entries[write->entries[i].index - contents->base - 1];

        contents_note_log(contents, step, log_format_pieces(planned->size) == 1);
        if (contents->is_late) {
            CHECK_OP(contents->appended_count, <, CONTENTS_ENTRIES_MAX);
            contents->appended[contents->appended_count++] = *planned;
        }
    }
    if (write->witnesses != NULL) {
        contents_note_log(contents, step, false);
    }
}

static bool is_same_witness(const struct log_witness *left, const struct log_witness *right)
{
    return left->id == right->id && left->start_count == right->start_count &&
           left->start == right->start && left->term == right->term &&
           left->index == right->index &&
           memcmp(left->incarnation, right->incarnation, sizeof left->incarnation) == 0;
}

bool contents_has_witnesses(const struct contents *contents, const struct contents_found *found)
{
    bool has = contents->witness_count == found->witness_count;

    for (size_t i = 0; has && i < contents->witness_count; i++) {
        has = is_same_witness(&contents->witnesses[i], &found->witnesses[i]);
    }
    return has;
}

/* --- How far a step came --- */

/* With the first of what `next` appended, up to `last`. */
static void append(struct contents *contents, const struct contents *next, raft_index last)
{
    for (size_t i = 0; contents->last < last; i++) {
        contents->entries[contents->last - contents->base] = next->appended[i];
        contents->last++;
    }
}

static void bring_back(struct contents *contents, const struct contents *before)
{
    size_t count = (size_t)(contents->base - before->base);

    CHECK_OP(contents->last - before->base, <=, CONTENTS_ENTRIES_MAX);
    memmove(contents->entries + count, contents->entries,
            (CONTENTS_ENTRIES_MAX - count) * sizeof *contents->entries);
    memcpy(contents->entries, before->entries, count * sizeof *contents->entries);
    contents->base = before->base;
    contents->base_term = before->base_term;
}

/* With the front that a log which begins after `base` has, if it may. */
static void follow_base(struct contents *contents,
                        struct contents *const *after,
                        uint64_t step,
                        raft_index base)
{
    if (base < contents->base_min || base > contents->base_max || base > contents->last) {
        return;
    }
    for (; step > 0 && contents->base > base; step--) {
        if (after[step - 1]->base < contents->base) {
            bring_back(contents, after[step - 1]);
        }
    }
    if (contents->base < base) {
        contents_drop_front(contents, base);
    }
}

static bool has_doubt_of(const struct tree_doubt *doubt, uint64_t member)
{
    bool has = false;

    for (size_t i = 0; i < doubt->count; i++) {
        has = has || doubt->members[i] == member;
    }
    return has;
}

/* None that is in both is missing, and there is none that is in neither. */
static bool is_between(const struct tree_doubt *found,
                       const struct tree_doubt *before,
                       const struct tree_doubt *after)
{
    bool is_right = found->is_borrowed ? before->is_borrowed || after->is_borrowed
                                       : !before->is_borrowed || !after->is_borrowed;

    for (size_t i = 0; i < before->count; i++) {
        is_right = is_right && (!has_doubt_of(after, before->members[i]) ||
                                has_doubt_of(found, before->members[i]));
    }
    for (size_t i = 0; i < found->count; i++) {
        is_right = is_right && (has_doubt_of(before, found->members[i]) ||
                                has_doubt_of(after, found->members[i]));
    }
    return is_right;
}

struct contents *contents_expected(struct contents *const *after,
                                   uint64_t step,
                                   bool is_done,
                                   const struct contents_found *found)
{
    const struct contents *next = after[step];
    const struct contents *before = step > 0 ? after[step - 1] : next;
    const struct log_state *log = &found->log;
    bool is_whole = log->term == next->term && log->vote == next->vote && log->last == next->last &&
                    contents_has_witnesses(next, found);
    bool is_in_part = !is_done && !is_whole && next->log_step == step &&
                      log->last >= before->last && log->last <= before->last + next->appended_count;
    struct contents *expected = xmemdup(is_in_part ? before : next, sizeof *next);

    if (is_in_part) {
        append(expected, next, log->last);
    }
    follow_base(expected, after, step, log->base);
    if (!is_done && next->generation == before->generation) {
        if (is_between(&found->doubt, &before->doubt, &next->doubt)) {
            expected->doubt = found->doubt;
        }
        if (found->is_condemned == before->is_condemned) {
            expected->is_condemned = found->is_condemned;
        }
    }
    return expected;
}
