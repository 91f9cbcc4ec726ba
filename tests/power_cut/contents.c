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
}

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

    memmove(contents->entries + count, contents->entries,
            (CONTENTS_ENTRIES_MAX - count) * sizeof *contents->entries);
    memcpy(contents->entries, before->entries, count * sizeof *contents->entries);
    contents->base = before->base;
    contents->base_term = before->base_term;
}

struct contents *contents_expected(struct contents *const *after,
                                   uint64_t step,
                                   bool is_done,
                                   const struct log_state *found)
{
    const struct contents *next = after[step];
    const struct contents *before = step > 0 ? after[step - 1] : next;
    bool is_whole = found->term == next->term && found->vote == next->vote &&
                    found->base == next->base && found->last == next->last;
    bool is_in_part = !is_done && !is_whole && next->log_step == step &&
                      found->last >= before->last &&
                      found->last <= before->last + next->appended_count;
    struct contents *expected = xmemdup(is_in_part ? before : next, sizeof *next);

    if (is_in_part) {
        append(expected, next, found->last);
    }
    if (expected->log_step > 0 && expected->is_late &&
        found->base == after[expected->log_step - 1]->base && found->base < expected->base) {
        bring_back(expected, after[expected->log_step - 1]);
    }
    return expected;
}
