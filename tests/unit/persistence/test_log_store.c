#include "persistence/log_store.h"

#include "base/prng.h"
#include "persistence/log_store_internal.h"
#include "tests/support/damage.h"
#include "tests/unit/persistence/log_store_lab.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Values that hold entries. */
static size_t stored_values(const struct log_store *store)
{
    MDB_stat stat;

    EXPECT_EQ(mdb_env_stat(store->environment.env, &stat), 0);
    return stat.ms_entries - LOG_KEY_STAMP;
}

static void test_entries_survive_a_restart(void)
{
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 100, 2, 200));
    expect_entries(store, 1, 100, 2, 200);
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_state(store).last, 100);
    expect_entries(store, 1, 100, 2, 200);
    expect_entries(store, 40, 60, 2, 200);
    EXPECT_EQ(read_all(store, 40, 101), STATUS_NOT_FOUND);
    EXPECT_EQ(read_all(store, 0, 5), STATUS_NOT_FOUND);
    log_store_close(store);
}

static enum status compare_entry(void *context, const struct log_entry *entry)
{
    const struct log_entry **expected = context;

    EXPECT_EQ(entry->index, (*expected)->index);
    EXPECT_EQ(entry->term, (*expected)->term);
    EXPECT_EQ(entry->type, (*expected)->type);
    EXPECT_BYTES(entry->payload, (*expected)->payload);
    ++*expected;
    return STATUS_OK;
}

static void test_types_terms_and_empty_payloads_are_kept(void)
{
    static const struct log_entry entries[] = {
        {.index = 1, .term = 1, .type = RAFT_ENTRY_CONFIG, .payload = {(const uint8_t *)"c", 1}},
        {.index = 2, .term = 7, .type = RAFT_ENTRY_NOOP, .payload = {NULL, 0}},
        {.index = 3, .term = UINT64_MAX, .type = RAFT_ENTRY_COMMAND, .payload = {NULL, 0}},
    };
    const struct log_entry *expected = entries;
    struct log_write write = {.entries = entries, .entry_count = 3};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(log_store_write(store, &write, &error));
    log_store_close(store);
    store = open_store();
    EXPECT_OK(log_store_read(store, 1, 3, compare_entry, &expected, &error));
    EXPECT(expected == entries + 3);
    log_store_close(store);
}

static enum status stop_at_three(void *context, const struct log_entry *entry)
{
    ++*(size_t *)context;
    return entry->index == 3 ? STATUS_CLOSED : STATUS_OK;
}

static void test_a_visitor_can_stop(void)
{
    struct log_store *store;
    size_t count = 0;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 10, 1, 10));
    EXPECT_EQ(log_store_read(store, 1, 10, stop_at_three, &count, &error), STATUS_CLOSED);
    EXPECT_EQ(count, 3);
    log_store_close(store);
}

static void test_hard_state_survives_and_the_term_never_falls(void)
{
    struct log_write write = {.hard_state = true, .term = 5, .vote = 2};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(log_store_write(store, &write, &error));
    write.term = 4;
    EXPECT_EQ(log_store_write(store, &write, &error), STATUS_INVALID);
    write.term = 6;
    write.vote = 0;
    EXPECT_OK(log_store_write(store, &write, &error));
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_state(store).term, 6);
    EXPECT_EQ(log_store_state(store).vote, 0);
    log_store_close(store);
}

static void test_entries_of_several_pieces_at_the_borders(void)
{
    static const size_t sizes[] = {PIECE - 1,     PIECE,         PIECE + 1,
                                   2 * PIECE - 1, 2 * PIECE,     2 * PIECE + 1,
                                   8 << 20,       (8 << 20) + 5, PIECE - 4096 + 1};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    struct log_store *store;

    new_path();
    store = open_store();
    for (size_t i = 0; i < SIZES; i++) {
        EXPECT_OK(append(store, i + 1, 1, 1, sizes[i]));
    }
    log_store_close(store);
    store = open_store();
    for (size_t i = 0; i < SIZES; i++) {
        expect_entries(store, i + 1, i + 1, 1, sizes[i]);
    }
    /* Overwriting takes all pieces of the old ones. */
    EXPECT_OK(append(store, 2, SIZES, 2, 10));
    expect_entries(store, 2, SIZES + 1, 2, 10);
    expect_entries(store, 1, 1, 1, sizes[0]);
    log_store_close(store);
}

static void test_an_entry_too_large_is_refused(void)
{
    uint8_t byte = 0;
    struct log_entry entry = {.index = 1,
                              .term = 1,
                              .type = RAFT_ENTRY_COMMAND,
                              .payload = {&byte, (size_t)LOG_STORE_ENTRY_BYTES_MAX + 1}};
    struct log_write write = {.entries = &entry, .entry_count = 1};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_EQ(log_store_write(store, &write, &error), STATUS_LIMIT);
    EXPECT_OK(append(store, 1, 1, 1, 10));
    log_store_close(store);
}

static void test_overwriting_drops_everything_behind(void)
{
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 50, 1, 100));
    EXPECT_OK(append(store, 20, 3, 2, 120));
    EXPECT_EQ(log_store_state(store).last, 22);
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_state(store).last, 22);
    expect_entries(store, 1, 19, 1, 100);
    expect_entries(store, 20, 22, 2, 120);
    EXPECT_EQ(read_all(store, 20, 23), STATUS_NOT_FOUND);
    EXPECT_OK(append(store, 1, 1, 3, 5));
    EXPECT_EQ(log_store_state(store).last, 1);
    log_store_close(store);
}

/* What shares a value with the entry from which on others come stays, also after a restart. */
static void test_overwriting_within_a_run_keeps_its_beginning(void)
{
    enum { COUNT = 15 };
    static const raft_index firsts[] = {1, 2, 8, COUNT};

    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        for (raft_index base = 0; base < firsts[i]; base += 6) {
            raft_index first = firsts[i];
            struct log_write trim = {.switch_tree = true, .trim = base, .trim_term = 1};
            struct log_store *store;

            new_path();
            store = open_store();
            EXPECT_OK(append(store, 1, COUNT, 1, 100));
            EXPECT_EQ(stored_values(store), 1);
            EXPECT_OK(log_store_write(store, &trim, &error));
            EXPECT_EQ(log_store_state(store).base, base);
            EXPECT_OK(append(store, first, 1, 2, 120));
            EXPECT_EQ(log_store_state(store).last, first);
            for (int start = 0; start < 2; start++) {
                expect_entries(store, base + 1, first - 1, 1, 100);
                expect_entries(store, first, first, 2, 120);
                log_store_close(store);
                store = open_store();
            }
            log_store_close(store);
        }
    }
}

/* What waits behind a busy disk becomes one transaction: entries may be replaced before they were
 * ever committed, also those behind a reset, which takes even the records away until the end. */
static void test_a_batch_may_replace_what_it_has_appended(void)
{
    enum { COUNT = 8 };

    for (int reset = 0; reset < 2; reset++) {
        for (raft_index replaced = 0; replaced < COUNT; replaced++) {
            raft_index base = reset == 1 ? 100 : 0;
            uint8_t *payloads[2][COUNT];
            struct log_entry entries[2][COUNT];
            struct log_write first = {.reset = reset == 1,
                                      .reset_index = base,
                                      .entries = entries[0],
                                      .entry_count = COUNT};
            struct log_write second = {.entries = entries[1] + replaced, .entry_count = 1};
            const struct log_write *const writes[] = {&first, &second};
            struct log_store *store;

            for (size_t i = 0; i < COUNT; i++) {
                for (raft_term term = 1; term <= 2; term++) {
                    payloads[term - 1][i] = make_payload(base + i + 1, term, 50);
                    entries[term - 1][i] =
                        (struct log_entry){.index = base + i + 1,
                                           .term = term,
                                           .type = RAFT_ENTRY_COMMAND,
                                           .payload = bytes_of(payloads[term - 1][i], 50)};
                }
            }
            new_path();
            store = open_store();
            EXPECT_OK(log_store_write_batch(store, writes, 2, &error));
            for (int start = 0; start < 2; start++) {
                EXPECT_EQ(log_store_state(store).base, base);
                EXPECT_EQ(log_store_state(store).last, base + replaced + 1);
                expect_entries(store, base + 1, base + replaced, 1, 50);
                expect_entries(store, base + replaced + 1, base + replaced + 1, 2, 50);
                log_store_close(store);
                store = open_store();
            }
            log_store_close(store);
            for (size_t i = 0; i < COUNT; i++) {
                free(payloads[0][i]);
                free(payloads[1][i]);
            }
        }
    }
}

/* A run goes as a whole, when the last of its entries does. */
static void test_trimming_within_a_run_keeps_its_end(void)
{
    enum { COUNT = 15 };
    struct log_store *store;
    bool more;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, COUNT, 3, 100));
    EXPECT_OK(append(store, COUNT + 1, 1, 3, 100));
    EXPECT_EQ(stored_values(store), 2);
    for (raft_index base = 1; base <= COUNT; base++) {
        EXPECT_OK(log_store_trim(store, base, 1, &more, &error));
        EXPECT_EQ(log_store_state(store).base, base);
        EXPECT_EQ(log_store_state(store).base_term, 3);
        EXPECT_EQ(stored_values(store), base < COUNT ? 2 : 1);
        expect_entries(store, base + 1, COUNT + 1, 3, 100);
        EXPECT_EQ(read_all(store, base, COUNT + 1), STATUS_NOT_FOUND);
        log_store_close(store);
        store = open_store();
        EXPECT_EQ(log_store_state(store).base, base);
        expect_entries(store, base + 1, COUNT + 1, 3, 100);
    }
    log_store_close(store);
}

static void test_a_gap_is_refused_and_nothing_is_written(void)
{
    struct log_entry entries[2] = {
        {.index = 11, .term = 1, .type = RAFT_ENTRY_COMMAND},
        {.index = 13, .term = 1, .type = RAFT_ENTRY_COMMAND},
    };
    struct log_write write = {.hard_state = true, .term = 9, .entries = entries, .entry_count = 2};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 10, 1, 10));
    EXPECT_EQ(log_store_write(store, &write, &error), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "entry 13");
    EXPECT_EQ(append(store, 12, 1, 1, 10), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "entry 12");
    EXPECT_EQ(append(store, 0, 1, 1, 10), STATUS_INVALID);
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_state(store).last, 10);
    EXPECT_EQ(log_store_state(store).term, 0);
    expect_entries(store, 1, 10, 1, 10);
    log_store_close(store);
}

/* --- Trimming and reset --- */

static void test_trimming_follows_appending_and_moves_the_base(void)
{
    struct log_store *store;
    struct log_entry entry = {.index = 101, .term = 4, .type = RAFT_ENTRY_NOOP};
    struct log_write write = {.entries = &entry, .entry_count = 1, .trim = 90};
    struct log_state state;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 100, 3, 50));
    EXPECT_OK(log_store_write(store, &write, &error));
    state = log_store_state(store);
    EXPECT_EQ(state.base, 3);
    EXPECT_EQ(state.base_term, 3);
    EXPECT_EQ(state.last, 101);
    EXPECT_EQ(read_all(store, 3, 10), STATUS_NOT_FOUND);
    expect_entries(store, 4, 100, 3, 50);
    log_store_close(store);
    store = open_store();
    state = log_store_state(store);
    EXPECT_EQ(state.base, 3);
    EXPECT_EQ(state.base_term, 3);
    EXPECT_EQ(state.last, 101);
    /* Below the base nothing can be written. */
    EXPECT_EQ(append(store, 3, 1, 5, 10), STATUS_INVALID);
    EXPECT_OK(append(store, 4, 1, 5, 10));
    log_store_close(store);
}

static void test_a_write_without_entries_trims_nothing(void)
{
    struct log_write write = {.hard_state = true, .term = 2, .trim = 50};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 100, 1, 50));
    EXPECT_OK(log_store_write(store, &write, &error));
    EXPECT_EQ(log_store_state(store).base, 0);
    log_store_close(store);
}

static void test_idle_trimming_in_steps_to_the_end(void)
{
    struct log_store *store;
    bool more = false;
    size_t steps = 0;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 100, 1, 50));
    do {
        EXPECT_OK(log_store_trim(store, 95, 30, &more, &error));
        steps++;
    } while (more);
    EXPECT_EQ(steps, 4);
    EXPECT_EQ(log_store_state(store).base, 95);
    /* Beyond the end: all of it, and the log goes on behind. */
    EXPECT_OK(log_store_trim(store, 500, 1000, &more, &error));
    EXPECT(!more);
    EXPECT_EQ(log_store_state(store).base, 100);
    EXPECT_EQ(log_store_state(store).last, 100);
    EXPECT_OK(log_store_trim(store, 500, 1000, &more, &error));
    EXPECT_EQ(append(store, 102, 1, 1, 10), STATUS_INVALID);
    EXPECT_OK(append(store, 101, 2, 1, 10));
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_state(store).base, 100);
    EXPECT_EQ(log_store_state(store).base_term, 1);
    expect_entries(store, 101, 102, 1, 10);
    log_store_close(store);
}

static void test_trimmed_space_is_used_again(void)
{
    struct log_store *store;
    size_t file_bytes = 0;
    bool more;

    new_path();
    store = open_store();
    for (raft_index first = 1; first < 20000; first += 1000) {
        EXPECT_OK(append(store, first, 1000, 1, 200));
        EXPECT_OK(log_store_trim(store, first + 500, 10000, &more, &error));
        if (first == 5001) {
            file_bytes = damage_file_bytes(data_path);
        }
    }
    EXPECT(damage_file_bytes(data_path) <= file_bytes + file_bytes / 4);
    EXPECT(log_store_used_bytes(store) < file_bytes);
    log_store_close(store);
}

static void test_reset_keeps_identity_and_vote_and_drops_the_rest(void)
{
    struct log_write vote = {.hard_state = true, .term = 5, .vote = 3};
    struct log_write reset = {
        .reset = true, .reset_index = 1000, .reset_term = 5, .tree_generation = 7};
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    struct log_store *store;
    struct log_state state;

    new_path();
    store = open_store();
    memcpy(incarnation, log_store_identity(store)->incarnation, sizeof incarnation);
    EXPECT_OK(append(store, 1, 5000, 4, 100));
    EXPECT_OK(log_store_write(store, &vote, &error));
    EXPECT_OK(log_store_write(store, &reset, &error));
    EXPECT_EQ(read_all(store, 1, 1), STATUS_NOT_FOUND);
    EXPECT_EQ(append(store, 1002, 1, 5, 10), STATUS_INVALID);
    EXPECT_OK(append(store, 1001, 2, 5, 10));
    EXPECT(log_store_used_bytes(store) < 64 * 1024);
    log_store_close(store);
    store = open_store();
    state = log_store_state(store);
    EXPECT_EQ(state.term, 5);
    EXPECT_EQ(state.vote, 3);
    EXPECT_EQ(state.base, 1000);
    EXPECT_EQ(state.base_term, 5);
    EXPECT_EQ(state.last, 1002);
    EXPECT_EQ(log_store_identity(store)->tree_generation, 7);
    EXPECT_EQ(log_store_identity(store)->start_count, 2);
    EXPECT(memcmp(log_store_identity(store)->incarnation, incarnation, sizeof incarnation) == 0);
    expect_entries(store, 1001, 1002, 5, 10);
    log_store_close(store);
}

static void test_reset_hard_state_and_entries_in_one_write(void)
{
    struct log_entry entries[2] = {{.index = 51, .term = 8, .type = RAFT_ENTRY_NOOP},
                                   {.index = 52, .term = 8, .type = RAFT_ENTRY_NOOP}};
    struct log_write write = {.hard_state = true,
                              .term = 8,
                              .vote = 1,
                              .reset = true,
                              .reset_index = 50,
                              .reset_term = 7,
                              .tree_generation = 1,
                              .entries = entries,
                              .entry_count = 2};
    struct log_store *store;

    new_path();
    store = open_store();
    EXPECT_OK(append(store, 1, 100, 1, 10));
    EXPECT_OK(log_store_write(store, &write, &error));
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_state(store).base, 50);
    EXPECT_EQ(log_store_state(store).last, 52);
    EXPECT_EQ(log_store_state(store).term, 8);
    log_store_close(store);
}

/* --- A full store --- */

static void test_a_full_map_writes_nothing_and_recovers_by_trimming(void)
{
    struct log_store *store;
    raft_index last = 0;
    bool more;

    new_path();
    EXPECT_OK(open_with(NODE, 1024 * 1024, &store));
    while (append(store, last + 1, 10, 1, 1000) == STATUS_OK) {
        last += 10;
    }
    EXPECT_EQ(error.status, STATUS_NO_SPACE);
    EXPECT_CONTAINS(error.text, path);
    EXPECT(last > 100);
    EXPECT_EQ(log_store_state(store).last, last);
    EXPECT(log_store_used_bytes(store) > log_store_map_bytes(store) / 2);
    expect_entries(store, 1, last, 1, 1000);
    EXPECT_OK(log_store_trim(store, last / 2, 100000, &more, &error));
    EXPECT_OK(append(store, last + 1, 1, 1, 10));
    for (int i = 0; i < 10; i++) {
        EXPECT_OK(append(store, last + 2 + (raft_index)i * 10, 10, 1, 1000));
    }
    log_store_close(store);
    EXPECT_OK(open_with(NODE, 1024 * 1024, &store));
    EXPECT_EQ(log_store_state(store).last, last + 101);
    log_store_close(store);
}

/* --- Killed while writing --- */

enum { KILL_ROUNDS = 30 };

/* Append and report each durable end, until killed. */
static void write_until_killed(int reports, uint64_t seed)
{
    struct log_store *store;
    struct prng prng;

    prng_init(&prng, seed);
    if (open_with(NODE, MAP_BYTES, &store) != STATUS_OK) {
        _exit(1);
    }
    for (;;) {
        struct log_state state = log_store_state(store);
        size_t count = (size_t)prng_between(&prng, 1, 20);
        size_t bytes = prng_below(&prng, 20) == 0 ? PIECE + 10 : 100;
        bool more;

        if (append(store, state.last + 1, count, 1, bytes) != STATUS_OK ||
            (state.last > 300 &&
             log_store_trim(store, state.last - 200, 50, &more, &error) != STATUS_OK)) {
            _exit(1);
        }
        state = log_store_state(store);
        if (write(reports, &state.last, sizeof state.last) != sizeof state.last) {
            _exit(1);
        }
    }
}

static void sleep_us(uint64_t microseconds)
{
    struct timespec pause = {.tv_sec = (time_t)(microseconds / 1000000),
                             .tv_nsec = (long)(microseconds % 1000000) * 1000};

    (void)nanosleep(&pause, NULL);
}

static void test_nothing_acknowledged_is_lost_when_killed(void)
{
    struct prng prng;
    raft_index acknowledged = 0;

    new_path();
    prng_init(&prng, 12);
    log_store_close(open_store());
    for (uint64_t round = 0; round < KILL_ROUNDS; round++) {
        struct log_store *store;
        struct log_state state;
        raft_index reported;
        int status;
        int pipes[2];
        pid_t child;

        EXPECT_EQ(pipe(pipes), 0);
        child = fork();
        EXPECT(child >= 0);
        if (child == 0) {
            (void)close(pipes[0]);
            write_until_killed(pipes[1], round);
        }
        (void)close(pipes[1]);
        /* At least one write was acknowledged; then a random moment. */
        EXPECT(read(pipes[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged);
        sleep_us(prng_below(&prng, 30000));
        EXPECT_EQ(kill(child, SIGKILL), 0);
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read(pipes[0], &reported, sizeof reported) == sizeof reported) {
            acknowledged = reported;
        }
        (void)close(pipes[0]);
        store = open_store();
        state = log_store_state(store);
        EXPECT(state.last >= acknowledged);
        EXPECT(state.last <= acknowledged + 20);
        EXPECT_OK(read_all(store, state.base + 1, state.last));
        EXPECT_EQ(log_store_identity(store)->start_count, 3 + 2 * round);
        log_store_close(store);
    }
}

/* --- Against a plain array --- */

enum { TWIN_MAX = 4096, TWIN_STEPS = 3000 };

struct twin {
    struct log_state state;
    raft_term terms[TWIN_MAX];
    size_t sizes[TWIN_MAX];
};

struct twin_check {
    const struct twin *twin;
    raft_index next;
};

static enum status compare_with_twin(void *context, const struct log_entry *entry)
{
    struct twin_check *check = context;
    raft_term term = check->twin->terms[entry->index];
    uint8_t *payload = make_payload(entry->index, term, check->twin->sizes[entry->index]);

    EXPECT_EQ(entry->index, check->next);
    EXPECT_EQ(entry->term, term);
    EXPECT_BYTES(entry->payload, bytes_of(payload, check->twin->sizes[entry->index]));
    free(payload);
    check->next++;
    return STATUS_OK;
}

static void compare_all(struct log_store *store, const struct twin *twin)
{
    struct twin_check check = {.twin = twin, .next = twin->state.base + 1};
    struct log_state state = log_store_state(store);

    EXPECT_EQ(state.term, twin->state.term);
    EXPECT_EQ(state.vote, twin->state.vote);
    EXPECT_EQ(state.base, twin->state.base);
    EXPECT_EQ(state.base_term, twin->state.base_term);
    EXPECT_EQ(state.last, twin->state.last);
    EXPECT_OK(log_store_read(store, state.base + 1, state.last, compare_with_twin, &check, &error));
    EXPECT_EQ(check.next, state.last + 1);
}

static void twin_append(struct log_store *store, struct twin *twin, struct prng *prng)
{
    raft_index low = twin->state.last > twin->state.base + 5 && prng_below(prng, 4) == 0
                         ? twin->state.last - 4
                         : twin->state.last + 1;
    raft_index first = prng_between(prng, low, twin->state.last + 1);
    size_t count = (size_t)prng_between(prng, 1, 10);
    struct log_entry entries[10];
    struct log_write write = {.entries = entries, .entry_count = count};
    raft_index target;

    if (prng_below(prng, 3) == 0) {
        twin->state.term++;
        twin->state.vote = prng_below(prng, 5);
        write.hard_state = true;
        write.term = twin->state.term;
        write.vote = twin->state.vote;
    }
    for (size_t i = 0; i < count; i++) {
        raft_index index = first + i;

        twin->terms[index] = twin->state.term;
        twin->sizes[index] = prng_below(prng, 50) == 0
                                 ? (size_t)prng_between(prng, PIECE - 5, 2 * PIECE + 5)
                                 : (size_t)prng_below(prng, prng_below(prng, 2) == 0 ? 200 : 3000);
        entries[i] = (struct log_entry){
            .index = index,
            .term = twin->terms[index],
            .type = RAFT_ENTRY_COMMAND,
            .payload = bytes_of(make_payload(index, twin->terms[index], twin->sizes[index]),
                                twin->sizes[index])};
    }
    twin->state.last = first + count - 1;
    write.trim = twin->state.last > 60 ? twin->state.last - 60 : 0;
    target = twin->state.base + 3 * count < write.trim ? twin->state.base + 3 * count : write.trim;
    if (target > twin->state.base) {
        twin->state.base = target;
        twin->state.base_term = twin->terms[target];
    }
    EXPECT_OK(log_store_write(store, &write, &error));
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)entries[i].payload.data);
    }
}

static void twin_reset(struct log_store *store, struct twin *twin, struct prng *prng)
{
    struct log_write write = {.reset = true,
                              .reset_index = twin->state.last + prng_below(prng, 20),
                              .reset_term = twin->state.term,
                              .tree_generation = twin->state.last};

    EXPECT_OK(log_store_write(store, &write, &error));
    twin->state.base = write.reset_index;
    twin->state.base_term = write.reset_term;
    twin->state.last = write.reset_index;
}

static void test_random_operations_agree_with_a_plain_array(void)
{
    static struct twin twin;
    struct log_store *store;
    struct prng prng;

    new_path();
    prng_init(&prng, 99);
    memset(&twin, 0, sizeof twin);
    store = open_store();
    for (int step = 0; step < TWIN_STEPS && twin.state.last < TWIN_MAX - 40; step++) {
        uint64_t dice = prng_below(&prng, 100);

        if (dice == 0) {
            twin_reset(store, &twin, &prng);
        } else if (dice < 5) {
            log_store_close(store);
            store = open_store();
        } else if (dice < 10) {
            raft_index trim = prng_between(&prng, twin.state.base, twin.state.last + 3);
            size_t count = (size_t)prng_between(&prng, 1, 20);
            raft_index target = trim < twin.state.last ? trim : twin.state.last;
            bool more;

            target = target > twin.state.base + count ? twin.state.base + count : target;
            EXPECT_OK(log_store_trim(store, trim, count, &more, &error));
            if (target > twin.state.base) {
                twin.state.base = target;
                twin.state.base_term = twin.terms[target];
            }
        } else {
            twin_append(store, &twin, &prng);
        }
        if (dice < 20) {
            compare_all(store, &twin);
        }
    }
    EXPECT(twin.state.last > 1000);
    compare_all(store, &twin);
    log_store_close(store);
}

static void test_switching_the_tree_lets_all_go_that_it_holds_and_keeps_the_rest(void)
{
    struct log_store *store;
    struct log_entry entries[20];
    uint8_t *payloads[20];
    struct log_write write = {.hard_state = true, .term = 4, .vote = 2};
    const struct log_write change = {
        .switch_tree = true, .tree_generation = 3, .trim = 12, .trim_term = 4};
    const struct log_write too_far = {.switch_tree = true, .trim = 21, .trim_term = 4};

    new_path();
    store = open_store();
    for (raft_index i = 0; i < 20; i++) {
        payloads[i] = make_payload(i + 1, 4, 100);
        entries[i] = (struct log_entry){.index = i + 1,
                                        .term = 4,
                                        .type = RAFT_ENTRY_COMMAND,
                                        .payload = bytes_of(payloads[i], 100)};
    }
    write.entries = entries;
    write.entry_count = 20;
    EXPECT_OK(log_store_write(store, &write, &error));
    EXPECT_EQ(log_store_write(store, &too_far, &error), STATUS_INVALID);
    EXPECT_OK(log_store_write(store, &change, &error));
    EXPECT_EQ(log_store_state(store).base, 12);
    EXPECT_EQ(log_store_state(store).base_term, 4);
    EXPECT_EQ(log_store_state(store).last, 20);
    log_store_close(store);
    store = open_store();
    EXPECT_EQ(log_store_identity(store)->tree_generation, 3);
    EXPECT_EQ(log_store_state(store).base, 12);
    EXPECT_EQ(log_store_state(store).vote, 2);
    EXPECT_OK(read_all(store, 13, 20));
    EXPECT_EQ(read_all(store, 12, 20), STATUS_NOT_FOUND);
    log_store_close(store);
    for (size_t i = 0; i < 20; i++) {
        free(payloads[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_entries_survive_a_restart),
        TEST_CASE(test_types_terms_and_empty_payloads_are_kept),
        TEST_CASE(test_a_visitor_can_stop),
        TEST_CASE(test_hard_state_survives_and_the_term_never_falls),
        TEST_CASE(test_entries_of_several_pieces_at_the_borders),
        TEST_CASE(test_an_entry_too_large_is_refused),
        TEST_CASE(test_overwriting_drops_everything_behind),
        TEST_CASE(test_overwriting_within_a_run_keeps_its_beginning),
        TEST_CASE(test_a_batch_may_replace_what_it_has_appended),
        TEST_CASE(test_trimming_within_a_run_keeps_its_end),
        TEST_CASE(test_a_gap_is_refused_and_nothing_is_written),
        TEST_CASE(test_trimming_follows_appending_and_moves_the_base),
        TEST_CASE(test_a_write_without_entries_trims_nothing),
        TEST_CASE(test_idle_trimming_in_steps_to_the_end),
        TEST_CASE(test_trimmed_space_is_used_again),
        TEST_CASE(test_reset_keeps_identity_and_vote_and_drops_the_rest),
        TEST_CASE(test_reset_hard_state_and_entries_in_one_write),
        TEST_CASE(test_a_full_map_writes_nothing_and_recovers_by_trimming),
        TEST_CASE(test_nothing_acknowledged_is_lost_when_killed),
        TEST_CASE(test_random_operations_agree_with_a_plain_array),
        TEST_CASE(test_switching_the_tree_lets_all_go_that_it_holds_and_keeps_the_rest),
        TEST_END,
    };

    return test_main("log_store", cases, argc, argv);
}
