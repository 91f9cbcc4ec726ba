/* confer-server --check on the folders of real servers: sound ones, used ones, and one for each
 * kind of damage; and what a start says to the same damage. */
#include "persistence/tree_store.h"
#include "tests/support/cluster.h"
#include "tests/support/damage.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"

#include <confer.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000, EXIT_DAMAGED = 3, PAGE = 4096, TRIES = 100 };

#define SECRET_VALUE "a value that is found in the file"

static struct cluster cluster;
static char folder[600];

static const struct outcome *check(const char *path)
{
    return outcome_of(
        (const char *const[]){cluster_program("server/confer-server"), "--check", path, NULL},
        DEADLINE_MS);
}

static void stop(void)
{
    cluster_signal(&cluster, 1, SIGTERM);
    EXPECT(process_wait(&cluster.servers[1].process, DEADLINE_MS));
}

/* A server that wrote log and checkpoint, and was stopped. */
static void make_server(void)
{
    cluster_init(&cluster, 1);
    cluster.options[0] = "--checkpoint-records=1";
    cluster_form(&cluster);
    EXPECT_EQ(cluster_cli(&cluster, 1, "set", "/app/db/url", SECRET_VALUE, NULL)->exit_code, 0);
    for (int i = 0; i < TRIES; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "/app/node-%d", i);
        EXPECT_EQ(cluster_cli(&cluster, 1, "set", path, "x", NULL)->exit_code, 0);
        if (i < 5) {
            continue;
        }
        stop();
        if (strstr(check(cluster.servers[1].data)->out, "tree-0: applied 0 ") == NULL) {
            return;
        }
        cluster_start(&cluster, 1);
    }
    EXPECT(false);
}

/* A copy of its folder, to be damaged. */
static void copy(void)
{
    (void)snprintf(folder, sizeof folder, "%s/copy", test_folder());
    folder_copy(cluster.servers[1].data, folder);
}

static const char *in_folder(const char *name)
{
    static char path[700];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* One line, with a place in the folder and what to do, and the exit code for damage. */
static void expect_start_refused(void)
{
    const struct outcome *outcome = outcome_of(
        (const char *const[]){cluster_program("server/confer-server"), "--id", "1", "--server",
                              cluster.servers[1].address, "--data", folder, NULL},
        DEADLINE_MS);

    EXPECT_EQ(outcome->exit_code, EXIT_DAMAGED);
    EXPECT_CONTAINS(outcome->err, "confer-server: ");
    EXPECT_CONTAINS(outcome->err, folder);
    EXPECT_CONTAINS(outcome->err, "take this server out of the cluster");
    EXPECT(strchr(outcome->err, '\n') == outcome->err + strlen(outcome->err) - 1);
}

static void expect_wrong(const char *words)
{
    const struct outcome *outcome = check(folder);

    EXPECT_EQ(outcome->exit_code, 1);
    EXPECT_CONTAINS(outcome->out, "wrong: ");
    EXPECT_CONTAINS(outcome->out, words);
    EXPECT_CONTAINS(outcome->out, "take this server out of the cluster");
}

static void test_a_sound_folder_is_described_and_not_changed(void)
{
    static const char *const files[] = {"lock", "log/data.mdb", "tree-0/data.mdb"};
    const struct outcome *outcome;
    uint8_t *before[3];
    size_t bytes[3];

    make_server();
    copy();
    for (size_t i = 0; i < 3; i++) {
        before[i] = damage_read(in_folder(files[i]), &bytes[i]);
    }
    EXPECT_EQ(unlink(in_folder("log/lock.mdb")), 0);
    outcome = check(folder);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_TEXT(outcome->err, "");
    EXPECT_CONTAINS(outcome->out, folder);
    EXPECT_CONTAINS(outcome->out, "node 1, incarnation ");
    EXPECT_CONTAINS(outcome->out, "; started ");
    EXPECT_CONTAINS(outcome->out, "voted for 1");
    EXPECT_CONTAINS(outcome->out, " records, ");
    EXPECT_CONTAINS(outcome->out, "all sound\n");
    for (size_t i = 0; i < 3; i++) {
        size_t bytes_after;
        uint8_t *after = damage_read(in_folder(files[i]), &bytes_after);

        EXPECT_BYTES(bytes_of(after, bytes_after), bytes_of(before[i], bytes[i]));
        free(after);
        free(before[i]);
    }
    EXPECT(access(in_folder("log/lock.mdb"), F_OK) != 0);
    cluster_release(&cluster);
}

static void test_a_folder_in_use_is_refused(void)
{
    const struct outcome *outcome;

    cluster_init(&cluster, 1);
    cluster_start(&cluster, 1);
    outcome = check(cluster.servers[1].data);
    EXPECT_EQ(outcome->exit_code, 1);
    EXPECT_CONTAINS(outcome->out, "is in use by process ");
    cluster_release(&cluster);
}

static void test_wrong_usage_and_missing_folders_are_told(void)
{
    const char *program = cluster_program("server/confer-server");
    const struct outcome *outcome =
        outcome_of((const char *const[]){program, "--check", NULL}, DEADLINE_MS);

    EXPECT_EQ(outcome->exit_code, 2);
    EXPECT_CONTAINS(outcome->err, "--check DIR");
    outcome = check("/nowhere/at-all");
    EXPECT_EQ(outcome->exit_code, 1);
    EXPECT_CONTAINS(outcome->out, "/nowhere/at-all");
}

static void test_damage_that_a_start_meets_is_named_by_both(void)
{
    static const struct {
        const char *file;
        const char *content;
        const char *words;
    } flips[] = {
        {"log/data.mdb", "CONFRLOG", "log: the identity is damaged"},
        {"log/data.mdb", SECRET_VALUE, "is damaged"},
        {"tree-0/data.mdb", "CONFRTRE", "tree-0: there is no sound meta record"},
    };

    make_server();
    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        copy();
        EXPECT(damage_flip(in_folder(flips[i].file), bytes_of_text(flips[i].content)) > 0);
        expect_wrong(flips[i].words);
        expect_start_refused();
    }
    cluster_release(&cluster);
}

static void test_damaged_pages_are_named_by_both(void)
{
    static const char *const files[] = {"log/data.mdb", "tree-0/data.mdb"};
    uint8_t garbage[16];

    memset(garbage, 0xA5, sizeof garbage);
    make_server();
    for (size_t i = 0; i < 2; i++) {
        copy();
        damage_write(in_folder(files[i]), 0, bytes_of(garbage, sizeof garbage));
        expect_wrong("page 0 is no meta page");
        expect_start_refused();
        copy();
        damage_truncate(in_folder(files[i]), 3 * PAGE);
        expect_wrong("cut off");
        expect_start_refused();
        copy();
        EXPECT_EQ(unlink(in_folder(files[i])), 0);
        expect_wrong("data.mdb");
        expect_start_refused();
    }
    cluster_release(&cluster);
}

/* What lies in a tree is asked for when it is needed; a check reads it all. */
static void test_a_damaged_record_of_the_tree_is_named_by_its_key(void)
{
    make_server();
    copy();
    EXPECT(damage_flip(in_folder("tree-0/data.mdb"), bytes_of_text(SECRET_VALUE)) > 0);
    expect_wrong("tree-0: the record 'n");
    cluster_release(&cluster);
}

static bool find_node(void *visitor, struct bytes key, struct bytes value)
{
    struct tree_record *record = visitor;

    (void)value;
    record->key = bytes_of(bytes_copy(key), key.size);
    return false;
}

/* A record that is sound and should not be missing: only the digest tells. */
static void test_a_missing_record_is_told_by_the_digest(void)
{
    static const struct tree_store_options options = {.map_bytes = 1 << 26};
    struct tree_record record = {.removed = true};
    struct tree_store *store;
    struct tree_meta meta;
    struct error error;

    make_server();
    copy();
    EXPECT_OK(tree_store_open(in_folder("tree-0"), &options, &store, &error));
    EXPECT_OK(
        tree_store_range(store, BYTES_EMPTY, bytes_of_text("n"), SIZE_MAX, find_node, &record));
    meta = tree_store_meta(store);
    EXPECT_OK(tree_store_commit(store, &record, 1, &meta, &error));
    tree_store_close(store);
    expect_wrong("tree-0: the records are not those");
    free((void *)(uintptr_t)record.key.data);
    cluster_release(&cluster);
}

/* Another checkpoint than the log's: sound by itself. */
static void test_a_checkpoint_of_another_time_is_told(void)
{
    static const struct tree_store_options options = {.map_bytes = 1 << 26};
    struct tree_store *store;
    struct tree_meta meta;
    struct error error;

    make_server();
    copy();
    EXPECT_OK(tree_store_open(in_folder("tree-0"), &options, &store, &error));
    meta = tree_store_meta(store);
    meta.applied_index += 1000;
    EXPECT_OK(tree_store_commit(store, NULL, 0, &meta, &error));
    tree_store_close(store);
    expect_wrong("before the checkpoint's");
    cluster_release(&cluster);
}

/* Which its bytes do not tell. */
static void test_what_a_server_found_out_about_its_state_is_told(void)
{
    const struct outcome *outcome;

    make_server();
    copy();
    damage_write(in_folder("tree-0/borrowed"), 0, BYTES_EMPTY);
    damage_write(in_folder("tree-0/differs-2"), 0, BYTES_EMPTY);
    outcome = check(folder);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_CONTAINS(outcome->out, "a copy of another member's state");
    EXPECT_CONTAINS(outcome->out, "voter 2 held another state");
    damage_write(in_folder("tree-0/condemned"), 0, BYTES_EMPTY);
    expect_wrong("tree-0: its state was found damaged, or other than that of a majority");
    cluster_release(&cluster);
}

static void test_damaged_dumps_and_left_overs_are_told(void)
{
    const struct outcome *outcome;

    make_server();
    copy();
    (void)mkdir(in_folder("dumps"), 0700);
    (void)mkdir(in_folder("tree-7"), 0700);
    damage_write(in_folder("dumps/send-1"), 0, bytes_of_text("not a dump"));
    damage_write(in_folder("dumps/receive-1"), 0, bytes_of_text("the beginning of one"));
    damage_write(in_folder("notes.txt"), 0, bytes_of_text("somebody's"));
    expect_wrong("dumps/send-1");
    outcome = check(folder);
    EXPECT_CONTAINS(outcome->out, "1 thing is wrong");
    EXPECT_CONTAINS(outcome->out, "dumps/receive-1: unfinished");
    EXPECT_CONTAINS(outcome->out, "tree-7: of another generation");
    EXPECT_CONTAINS(outcome->out, "notes.txt: not Confer's");
    cluster_release(&cluster);
}

/* Pages that are gone from under a running server: no status can tell of that, the process ends. */
static void test_a_file_cut_under_a_running_server_ends_it_with_a_reason(void)
{
    struct process *process = &cluster.servers[1].process;
    char path[600];
    size_t bytes;
    char *text;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    (void)snprintf(path, sizeof path, "%s/log/data.mdb", cluster.servers[1].data);
    damage_truncate(path, 2 * PAGE);
    (void)cluster_cli(&cluster, 1, "--timeout", "1s", "set", "/a", "b", NULL);
    EXPECT(process_wait(process, DEADLINE_MS));
    EXPECT_EQ(process->exit_code, EXIT_DAMAGED);
    text = (char *)damage_read(cluster.servers[1].log, &bytes);
    text[bytes - 1] = '\0';
    /* By the kernel's fault, or by what LMDB read where zeros were put ahead meanwhile. */
    EXPECT_CONTAINS(text, "confer-server: ");
    EXPECT_CONTAINS(text, "/log");
    EXPECT_CONTAINS(text, "take this server out of the cluster");
    free(text);
    cluster_release(&cluster);
}

/* A killed server leaves in the journal what LMDB does not have yet; one that stops does not. */
static void test_what_only_the_journal_has_is_told_and_comes_back(void)
{
    const struct outcome *outcome;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    EXPECT_EQ(cluster_cli(&cluster, 1, "set", "/last", "value", NULL)->exit_code, 0);
    cluster_kill(&cluster, 1);
    outcome = check(cluster.servers[1].data);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_CONTAINS(outcome->out, " entries behind them");
    cluster_start(&cluster, 1);
    EXPECT_TEXT(cluster_cli(&cluster, 1, "get", "/last", NULL)->out, "value");
    stop();
    outcome = check(cluster.servers[1].data);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT(strstr(outcome->out, "behind them") == NULL);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_sound_folder_is_described_and_not_changed),
        TEST_CASE(test_a_folder_in_use_is_refused),
        TEST_CASE(test_wrong_usage_and_missing_folders_are_told),
        TEST_CASE(test_damage_that_a_start_meets_is_named_by_both),
        TEST_CASE(test_damaged_pages_are_named_by_both),
        TEST_CASE(test_a_damaged_record_of_the_tree_is_named_by_its_key),
        TEST_CASE(test_what_only_the_journal_has_is_told_and_comes_back),
        TEST_CASE(test_a_missing_record_is_told_by_the_digest),
        TEST_CASE(test_a_checkpoint_of_another_time_is_told),
        TEST_CASE(test_what_a_server_found_out_about_its_state_is_told),
        TEST_CASE(test_damaged_dumps_and_left_overs_are_told),
        TEST_CASE(test_a_file_cut_under_a_running_server_ends_it_with_a_reason),
        TEST_END,
    };

    return test_main("check", cases, argc, argv);
}
