/* A server whose state is damaged finds out while it serves, fetches the state anew from the others
 * and serves again, be it follower or leader; alone, it says what is damaged. */
#include "persistence/tree_store.h"
#include "server/state/record_key.h"
#include "server/state/state_meta.h"
#include "tests/support/cluster.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOUND_MS = 60000, /* a pass over the checkpoint takes 40 s, and the machine may be busy */
    SPAN = 64,
    NODE_BYTES_MAX = 1024
};

static struct cluster cluster;

/* Long enough to be one place of the file, and like nothing else in it. */
static const char *marked_value(void)
{
    static char value[SPAN + 1];

    for (size_t i = 0; i < SPAN; i++) {
        value[i] = (char)('A' + (i * 7 + i / 26) % 26);
    }
    return value;
}

static unsigned other_than(unsigned id)
{
    return id % 3 + 1;
}

static void set(unsigned id, const char *path, const char *value)
{
    EXPECT_EQ(wire_set_text(cluster.servers[id].address, path, value), CLIENT__CODE__OK);
}

/* What the server itself has, once it answers; it refuses while it is being repaired. */
static void wait_value(unsigned id, const char *path, const char *value)
{
    uint64_t until_ms = process_now_ms() + FOUND_MS;
    char text[2 * SPAN] = "";
    int code;

    do {
        code = wire_get_text(cluster.servers[id].address, path, CLIENT__READ_LEVEL__LINEARIZABLE,
                             text, sizeof text);
        process_pause();
    } while (code != CLIENT__CODE__OK && process_now_ms() < until_ms);
    EXPECT_EQ(code, CLIENT__CODE__OK);
    EXPECT_TEXT(text, value);
}

/* The zxid up to which its last checkpoint reaches, as its log tells. */
static uint64_t checkpointed(unsigned id)
{
    struct process *process = &cluster.servers[id].process;
    const char *at = process_text(process, process->out);
    uint64_t last = 0;

    while ((at = strstr(at, " checkpoint node=")) != NULL && (at = strstr(at, " zxid=")) != NULL) {
        last = strtoull(at + strlen(" zxid="), NULL, 10);
    }
    return last;
}

/* Every server has a checkpoint with all up to `written`: a graceful stop makes none, age does.
 * That its pages are in the file is not enough: they count when it is finished. */
static void settle(uint64_t written)
{
    for (unsigned id = 1; id <= cluster.server_count; id++) {
        uint64_t until_ms = process_now_ms() + CLUSTER_DEADLINE_MS;

        while (checkpointed(id) < written && process_now_ms() < until_ms) {
            process_pause();
        }
        EXPECT(checkpointed(id) >= written);
    }
}

static void flip_in(unsigned id, const char *environment)
{
    char path[600];

    (void)snprintf(path, sizeof path, "%s/%s/data.mdb", cluster.servers[id].data, environment);
    EXPECT(damage_flip(path, bytes_of(marked_value(), SPAN)) > 0);
}

static void flip(unsigned id)
{
    flip_in(id, "tree-0");
}

/* The record of /kept, to be changed. */
struct altered {
    size_t key_bytes;
    size_t value_bytes; /* 0 = not found */
    uint8_t key[TREE_STORE_KEY_BYTES_MAX];
    uint8_t value[NODE_BYTES_MAX];
};

static bool find_kept(void *visitor, struct bytes key, struct bytes value)
{
    struct altered *altered = visitor;

    if (memmem(value.data, value.size, marked_value(), SPAN) == NULL) {
        return true;
    }
    EXPECT(value.size <= sizeof altered->value);
    memcpy(altered->key, key.data, key.size);
    memcpy(altered->value, value.data, value.size);
    altered->key_bytes = key.size;
    altered->value_bytes = value.size;
    return false;
}

/* Give the record that is found another value, with its seal, and correct the digest by it: a state
 * in which everything fits, and which is not the others'. The server is down. */
static void alter(unsigned id)
{
    static const struct tree_store_options options = {.map_bytes = 1 << 26};
    struct tree_record records[2] = {0};
    struct altered altered = {0};
    uint8_t counters[STATE_META_BYTES];
    struct record_key meta_key;
    struct tree_store *store;
    struct tree_meta tree_meta;
    struct state_meta meta;
    struct bytes found;
    struct error error;
    char path[600];
    uint64_t change;

    (void)snprintf(path, sizeof path, "%s/tree-0", cluster.servers[id].data);
    EXPECT_OK(tree_store_open(path, &options, &store, &error));
    EXPECT_OK(
        tree_store_range(store, BYTES_EMPTY, bytes_of_text("n"), SIZE_MAX, find_kept, &altered));
    EXPECT(altered.value_bytes > 0);
    records[1].key = bytes_of(altered.key, altered.key_bytes);
    records[1].value = bytes_of(altered.value, altered.value_bytes);
    change = (uint64_t)0 - state_digest_share(records[1].key, records[1].value).sum;
    altered.value[altered.value_bytes - 1] ^= 4;
    change += state_digest_share(records[1].key, records[1].value).sum;
    record_key_meta(&meta_key);
    EXPECT_OK(tree_store_lookup(store, record_key_lend(&meta_key), SIZE_MAX, &found));
    EXPECT_OK(state_meta_decode(found, &meta, &error));
    meta.records.sum += change;
    state_meta_encode(&meta, counters);
    records[0].key = record_key_lend(&meta_key);
    records[0].value = bytes_of(counters, sizeof counters);
    tree_meta = tree_store_meta(store);
    tree_meta.record_sum += change;
    EXPECT_OK(tree_store_commit(store, records, 2, &tree_meta, &error));
    tree_store_close(store);
}

static void expect_sound_by_itself(unsigned id)
{
    const struct outcome *outcome =
        outcome_of((const char *const[]){cluster_program("server/confer-server"), "--check",
                                         cluster.servers[id].data, NULL},
                   CLUSTER_DEADLINE_MS);

    EXPECT_CONTAINS(outcome->out, "all sound");
    EXPECT_EQ(outcome->exit_code, 0);
}

static void form(unsigned count)
{
    struct wire_set kept;
    struct wire wire;
    Client__Response *response;

    cluster_init(&cluster, count);
    cluster.options[0] = "--log-level=debug";
    /* Leadership stays where it is, however busy the machine is. */
    cluster.options[1] = "--election-timeout=4s";
    cluster_form(&cluster);
    EXPECT(wire_connect(&wire, cluster.servers[1].address) && wire_greet(&wire));
    response = wire_call(&wire, wire_set_init(&kept, "/kept", bytes_of_text(marked_value())),
                         CLUSTER_DEADLINE_MS);
    EXPECT(response != NULL);
    EXPECT_EQ(response->code, CLIENT__CODE__OK);
    settle(response->zxid);
    client__response__free_unpacked(response, NULL);
    wire_close(&wire);
}

/* Three servers; one that does not lead. */
static unsigned form_with_follower(unsigned *ret_leader)
{
    form(3);
    *ret_leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(*ret_leader != 0);
    return other_than(*ret_leader);
}

/* Neither reads of any kind nor writes are answered from a state that is wrong. */
static void expect_serves_nobody(unsigned id)
{
    const char *address = cluster.servers[id].address;
    char text[2 * SPAN];

    EXPECT_EQ(wire_get_text(address, "/kept", CLIENT__READ_LEVEL__LOCAL, text, sizeof text),
              CLIENT__CODE__STOPPING);
    EXPECT_EQ(wire_get_text(address, "/kept", CLIENT__READ_LEVEL__LINEARIZABLE, text, sizeof text),
              CLIENT__CODE__STOPPING);
    EXPECT_EQ(wire_set_text(address, "/refused", "1"), CLIENT__CODE__STOPPING);
}

/* The repaired server has all, and a new generation of its tree without a mark. */
static void expect_repaired(unsigned id)
{
    const struct outcome *outcome;

    cluster_wait_log(&cluster, id, "state_condemned", FOUND_MS);
    cluster_wait_log(&cluster, id, "state_repaired", FOUND_MS);
    wait_value(id, "/kept", marked_value());
    outcome = cluster_cli(&cluster, id, "status", NULL);
    EXPECT(strstr(outcome->out, "damaged") == NULL);
    cluster_kill(&cluster, id);
    cluster_start(&cluster, id);
    wait_value(id, "/kept", marked_value());
}

static void test_a_follower_with_a_damaged_record_is_repaired_from_the_others(void)
{
    unsigned leader;
    unsigned damaged = form_with_follower(&leader);

    /* While it is down, so that nothing of the record is in its memory. */
    cluster_kill(&cluster, damaged);
    flip(damaged);
    cluster_start(&cluster, damaged);
    set(leader, "/later", "1");
    expect_repaired(damaged);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    cluster_release(&cluster);
}

static void test_a_leader_with_a_damaged_record_steps_aside_and_is_repaired(void)
{
    unsigned leader;

    form(3);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    flip(leader); /* under the running server: LMDB's map shows it */
    cluster_wait_log(&cluster, leader, "state_condemned", FOUND_MS);
    EXPECT(cluster_wait_leader(&cluster, leader, CLUSTER_DEADLINE_MS) != 0);
    expect_repaired(leader);
    cluster_release(&cluster);
}

/* Long applied, and nobody asks for it any more: a member that lags might. */
static void test_an_entry_of_the_log_that_breaks_under_a_running_server_is_found(void)
{
    unsigned leader;
    unsigned damaged = form_with_follower(&leader);

    /* So many that its page is not the last one, which each write copies from memory. */
    for (size_t i = 0; i < 100; i++) {
        set(leader, "/later", marked_value() + 1);
    }
    cluster_wait_agreed(&cluster, leader, damaged);
    flip_in(damaged, "log");
    cluster_wait_log(&cluster, damaged, "state_condemned", FOUND_MS);
    cluster_wait_log(&cluster, damaged, "/log", FOUND_MS);
    expect_repaired(damaged);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    cluster_kill(&cluster, damaged);
    expect_sound_by_itself(damaged);
    cluster_release(&cluster);
}

static void test_a_state_that_only_the_others_can_tell_is_wrong_is_found_by_its_digest(void)
{
    unsigned leader;
    unsigned wrong = form_with_follower(&leader);

    cluster_kill(&cluster, wrong);
    alter(wrong);
    expect_sound_by_itself(wrong);
    cluster_start(&cluster, wrong);
    cluster_wait_log(&cluster, wrong, "the state here is another than that of a majority",
                     FOUND_MS);
    expect_repaired(wrong);
    set(leader, "/later", "1");
    cluster_wait_agreed(&cluster, leader, wrong);
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), leader);
    cluster_release(&cluster);
}

static void test_a_condemned_server_serves_nobody_and_goes_on_with_its_repair_after_a_restart(void)
{
    unsigned leader;
    unsigned damaged;
    unsigned third;

    form(3);
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    EXPECT(leader != 0);
    damaged = other_than(leader);
    third = other_than(damaged);
    /* Nobody repairs it meanwhile: the leader stands still, and the third is away. */
    cluster_kill(&cluster, third);
    cluster_kill(&cluster, damaged);
    cluster_signal(&cluster, leader, SIGSTOP);
    flip(damaged);
    cluster_start(&cluster, damaged);
    cluster_wait_log(&cluster, damaged, "state_condemned", FOUND_MS);
    expect_serves_nobody(damaged);
    cluster_kill(&cluster, damaged);
    cluster_start(&cluster, damaged);
    cluster_wait_log(&cluster, damaged, "repair_goes_on", FOUND_MS);
    expect_serves_nobody(damaged);
    cluster_signal(&cluster, leader, SIGCONT);
    cluster_start(&cluster, third);
    cluster_wait_log(&cluster, damaged, "state_repaired", FOUND_MS);
    wait_value(damaged, "/kept", marked_value());
    leader = cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS);
    cluster_wait_agreed(&cluster, leader, damaged);
    cluster_release(&cluster);
}

static void test_a_server_that_is_alone_names_the_damage_and_serves_the_rest(void)
{
    const struct outcome *outcome;

    form(1);
    set(1, "/other", "1");
    cluster_kill(&cluster, 1);
    flip(1);
    cluster_start(&cluster, 1);
    cluster_wait_log(&cluster, 1, "error damaged node=1", FOUND_MS);
    wait_value(1, "/other", "1");
    outcome = cluster_cli(&cluster, 1, "status", NULL);
    EXPECT_CONTAINS(outcome->out, "is damaged");
    EXPECT_CONTAINS(outcome->out, "take this server out");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_follower_with_a_damaged_record_is_repaired_from_the_others),
        TEST_CASE(test_a_leader_with_a_damaged_record_steps_aside_and_is_repaired),
        TEST_CASE(test_an_entry_of_the_log_that_breaks_under_a_running_server_is_found),
        TEST_CASE(test_a_state_that_only_the_others_can_tell_is_wrong_is_found_by_its_digest),
        TEST_CASE(
            test_a_condemned_server_serves_nobody_and_goes_on_with_its_repair_after_a_restart),
        TEST_CASE(test_a_server_that_is_alone_names_the_damage_and_serves_the_rest),
        TEST_END};

    return test_main("repair", cases, argc, argv);
}
