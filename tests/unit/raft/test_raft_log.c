#include "raft/raft_log.h"

#include "base/prng.h"
#include "raft/raft_writes.h"
#include "tests/support/test.h"

#include <stdlib.h>

enum { ROUNDS = 2000, PROBES = 50 };

static struct raft *new_log(uint32_t entries_max, raft_index base, raft_term base_term)
{
    struct raft_options options = raft_options_default(1);
    options.log_entries_max = entries_max;
    struct raft *raft = raft_init(calloc(1, raft_size(&options)), &options);
    raft->term = 1000;
    raft->log = (struct raft_log){.base = base, .base_term = base_term, .last = base};
    return raft;
}

static void append(struct raft *raft, raft_term term, uint32_t bytes)
{
    struct raft_entry entry = {.term = term, .bytes = bytes, .type = RAFT_ENTRY_COMMAND};
    raft_log_append(raft, &entry);
}

/* The twin: walk down until the term fits. */
static raft_index naive_find(const struct raft *raft, raft_index at_most, raft_term term)
{
    raft_index index = at_most < raft->log.last ? at_most : raft->log.last;
    while (index > raft->log.base && raft_log_term(raft, index) > term) {
        index--;
    }
    return index > raft->log.base ? index : raft->log.base;
}

static void test_term_search_agrees_with_walking(void)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (int round = 0; round < ROUNDS; round++) {
        raft_index base = prng_below(&prng, 100);
        raft_term term = base > 0 ? prng_between(&prng, 1, 5) : 0;
        struct raft *raft = new_log(64, base, term);
        uint64_t count = prng_below(&prng, 64);
        for (uint64_t i = 0; i < count; i++) {
            term += prng_below(&prng, 4) == 0 ? prng_between(&prng, 1, 3) : 0;
            append(raft, term > 0 ? term : 1, 0);
            term = term > 0 ? term : 1;
        }
        for (int probe = 0; probe < PROBES; probe++) {
            raft_index at_most = prng_below(&prng, base + count + 10);
            raft_term wanted = prng_below(&prng, term + 3);
            EXPECT_EQ(raft_log_find_term(raft, at_most, wanted), naive_find(raft, at_most, wanted));
        }
        free(raft);
    }
}

/* Two random logs of one history: the search on both sides must end at their last common entry in
 * at most one question for each term. */
static raft_index common_end(const struct raft *left, const struct raft *right)
{
    raft_index index = 0;
    while (index < left->log.last && index < right->log.last &&
           raft_log_term(left, index + 1) == raft_log_term(right, index + 1)) {
        index++;
    }
    return index;
}

static void grow(struct prng *prng, struct raft *raft, raft_term from, uint64_t terms)
{
    for (raft_term term = from; term < from + terms; term++) {
        for (uint64_t i = prng_below(prng, 6); i > 0 && raft_log_room(raft) > 0; i--) {
            append(raft, term, 0);
        }
    }
}

static void test_two_sided_search_needs_one_probe_for_each_term(void)
{
    struct prng prng;
    prng_init(&prng, 2);
    for (int round = 0; round < ROUNDS; round++) {
        struct raft *leader = new_log(128, 0, 0);
        struct raft *follower = new_log(128, 0, 0);
        uint64_t shared = prng_below(&prng, 10);
        for (uint64_t i = 0; i < shared; i++) {
            append(leader, 1 + i / 3, 0);
            append(follower, 1 + i / 3, 0);
        }
        /* Terms after the fork belong to one of them alone. */
        for (raft_term term = 5; term < 15; term++) {
            grow(&prng, prng_below(&prng, 2) == 0 ? leader : follower, term, 1);
        }
        raft_index previous = leader->log.last;
        int questions = 0;
        while (raft_log_term(follower, previous) != raft_log_term(leader, previous) ||
               previous > follower->log.last) {
            raft_index hint =
                raft_log_find_term(follower, previous, raft_log_term(leader, previous));
            raft_index at_most = hint < previous ? hint : previous - 1;
            previous = raft_log_find_term(leader, at_most, raft_log_term(follower, hint));
            questions++;
        }
        EXPECT_EQ(previous, common_end(leader, follower));
        EXPECT(questions <= 11);
        free(leader);
        free(follower);
    }
}

static void test_terms_outside_the_log_are_zero(void)
{
    struct raft *raft = new_log(8, 10, 3);
    append(raft, 4, 0);
    EXPECT_EQ(raft_log_term(raft, 9), 0);
    EXPECT_EQ(raft_log_term(raft, 10), 3);
    EXPECT_EQ(raft_log_term(raft, 11), 4);
    EXPECT_EQ(raft_log_term(raft, 12), 0);
    free(raft);
}

static void test_ring_wraps_as_the_base_moves(void)
{
    struct raft *raft = new_log(8, 0, 0);
    for (raft_index i = 1; i <= 100; i++) {
        append(raft, i, 0);
        if (raft_log_room(raft) == 0) {
            raft_log_trim(raft, i - 3);
            EXPECT_EQ(raft_log_room(raft), 5);
            EXPECT_EQ(raft->log.base_term, i - 3);
        }
        EXPECT_EQ(raft_log_last_term(raft), i);
    }
    free(raft);
}

static void test_up_to_date_compares_the_term_before_the_index(void)
{
    struct raft *raft = new_log(8, 0, 0);
    append(raft, 1, 0);
    append(raft, 3, 0);
    EXPECT(!raft_log_is_up_to_date(raft, 100, 2));
    EXPECT(!raft_log_is_up_to_date(raft, 1, 3));
    EXPECT(raft_log_is_up_to_date(raft, 2, 3));
    EXPECT(raft_log_is_up_to_date(raft, 1, 4));
    free(raft);
}

static void test_batch_respects_both_limits_but_sends_one_large_entry(void)
{
    struct raft *raft = new_log(16, 0, 0);
    raft->options.message_entries_max = 3;
    raft->options.message_bytes_max = 100;
    uint32_t sizes[] = {10, 20, 30, 40, 500, 60, 40, 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        append(raft, 1, sizes[i]);
    }
    uint64_t bytes = 0;
    EXPECT_EQ(raft_log_batch(raft, 1, &bytes), 3);
    EXPECT_EQ(bytes, 60);
    EXPECT_EQ(raft_log_batch(raft, 4, &bytes), 1);
    EXPECT_EQ(raft_log_batch(raft, 5, &bytes), 1);
    EXPECT_EQ(bytes, 500);
    EXPECT_EQ(raft_log_batch(raft, 6, &bytes), 2);
    EXPECT_EQ(bytes, 100);
    EXPECT_EQ(raft_log_batch(raft, 9, &bytes), 0);
    free(raft);
}

static void test_durable_index_stays_below_every_pending_write(void)
{
    struct raft *raft = new_log(64, 0, 0);
    struct raft_write write;
    for (int i = 0; i < 5; i++) {
        append(raft, 1, 0);
    }
    EXPECT_EQ(raft_writes_durable_index(raft), 0);
    raft_writes_flush(raft, &write);
    EXPECT_EQ(write.seq, 1);
    raft_log_truncate(raft, 3);
    append(raft, 2, 0);
    raft_writes_flush(raft, &write);
    EXPECT_EQ(write.entries.first, 4);
    EXPECT_EQ(write.entries.last, 4);
    append(raft, 2, 0);
    raft_writes_flush(raft, &write);
    /* The first write held other entries 4 and 5 than the log now has. */
    raft_writes_finished(raft, 1);
    EXPECT_EQ(raft_writes_durable_index(raft), 3);
    raft_writes_finished(raft, 2);
    EXPECT_EQ(raft_writes_durable_index(raft), 4);
    raft_writes_finished(raft, 3);
    EXPECT_EQ(raft_writes_durable_index(raft), 5);
    free(raft);
}

/* The twin keeps every pending write. */
static void test_durable_index_agrees_with_keeping_all_writes(void)
{
    struct prng prng;
    prng_init(&prng, 3);
    for (int round = 0; round < 300; round++) {
        struct raft *raft = new_log(2048, 0, 0);
        raft_index lowest[2000] = {0};
        raft_seq done = 0;
        raft_seq last = 0;
        for (int step = 0; step < 1500; step++) {
            struct raft_write write;
            if (raft->log.last > 0 && prng_below(&prng, 8) == 0) {
                raft_log_truncate(raft, raft->log.last - 1 - prng_below(&prng, raft->log.last));
            }
            append(raft, 1, 0);
            raft_writes_flush(raft, &write);
            last = write.seq;
            lowest[last] = write.entries.first;
            if (prng_below(&prng, 4) == 0) {
                done = prng_between(&prng, done, last);
                raft_writes_finished(raft, done);
            }
            raft_index expected = raft->log.last;
            for (raft_seq seq = done + 1; seq <= last; seq++) {
                expected = lowest[seq] - 1 < expected ? lowest[seq] - 1 : expected;
            }
            EXPECT(raft_writes_durable_index(raft) <= expected);
            if (last - done < RAFT_PENDING_WRITES_MAX) {
                EXPECT_EQ(raft_writes_durable_index(raft), expected);
            }
        }
        free(raft);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_term_search_agrees_with_walking),
        TEST_CASE(test_two_sided_search_needs_one_probe_for_each_term),
        TEST_CASE(test_terms_outside_the_log_are_zero),
        TEST_CASE(test_ring_wraps_as_the_base_moves),
        TEST_CASE(test_up_to_date_compares_the_term_before_the_index),
        TEST_CASE(test_batch_respects_both_limits_but_sends_one_large_entry),
        TEST_CASE(test_durable_index_stays_below_every_pending_write),
        TEST_CASE(test_durable_index_agrees_with_keeping_all_writes),
        TEST_END};
    return test_main("raft_log", cases, argc, argv);
}
