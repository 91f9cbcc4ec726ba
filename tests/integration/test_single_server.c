/* One server: what it acknowledged outlives it, and what it cannot serve it refuses to start on. */
#include "base/alloc.h"
#include "persistence/log_format.h"
#include "tests/integration/writers.h"
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FORMAT_AT = 8, /* in the identity record, behind the magic number */
    LOG_MAP_BYTES = 64 * 1024 * 1024
};

static struct cluster cluster;

static void expect_get(const char *path, const char *value)
{
    char got[64] = "";

    EXPECT_EQ(wire_get_text(cluster.servers[1].address, path, CLIENT__READ_LEVEL__LINEARIZABLE, got,
                            sizeof got),
              CLIENT__CODE__OK);
    EXPECT_TEXT(got, value);
}

static void test_a_value_outlives_a_restart(void)
{
    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/app/db/url", "postgres://db1/app"),
              CLIENT__CODE__OK);
    expect_get("/app/db/url", "postgres://db1/app");
    cluster_signal(&cluster, 1, SIGTERM);
    EXPECT(process_wait(&cluster.servers[1].process, CLUSTER_DEADLINE_MS));
    EXPECT_EQ(cluster.servers[1].process.exit_code, 0);
    cluster_start(&cluster, 1);
    expect_get("/app/db/url", "postgres://db1/app");
    cluster_kill(&cluster, 1);
    cluster_start(&cluster, 1);
    expect_get("/app/db/url", "postgres://db1/app");
    cluster_release(&cluster);
}

static void test_every_acknowledged_write_outlives_kills_amid_writing(void)
{
    static const char *const small[] = {"--checkpoint-records", "50", "--log-tail-entries", "100"};
    struct writers *writers;

    cluster_init(&cluster, 1);
    memcpy(cluster.options, small, sizeof small); /* checkpoints and trimming amid the kills */
    cluster_form(&cluster);
    writers = writers_start(cluster.servers[1].address, 4, "/written");
    for (int round = 0; round < 5; round++) {
        writers_wait(writers, 30, CLUSTER_DEADLINE_MS);
        cluster_kill(&cluster, 1);
        cluster_start(&cluster, 1);
    }
    writers_wait(writers, 30, CLUSTER_DEADLINE_MS);
    writers_stop(writers);
    EXPECT(writers_check(writers, cluster.servers[1].address) >= 4 * 30 * 6);
    writers_free(writers);
    cluster_release(&cluster);
}

/* The server must end by itself, unsuccessfully, and say these words. */
static void expect_refused(unsigned id, const char *words)
{
    struct process *process = &cluster.servers[id].process;

    cluster_launch(&cluster, id);
    EXPECT(process_wait(process, CLUSTER_DEADLINE_MS));
    EXPECT(process->exit_code > 0 && process->exit_code < 128);
    EXPECT_CONTAINS(process_text(process, process->out), words);
}

static void test_a_folder_in_use_is_refused(void)
{
    cluster_init(&cluster, 2);
    cluster_start(&cluster, 1);
    memcpy(cluster.servers[2].data, cluster.servers[1].data, sizeof cluster.servers[2].data);
    expect_refused(2, cluster.servers[1].data);
    EXPECT(!process_wait(&cluster.servers[1].process, 0));
    cluster_release(&cluster);
}

static void test_a_folder_of_another_id_is_refused(void)
{
    cluster_init(&cluster, 2);
    cluster_start(&cluster, 1);
    cluster_kill(&cluster, 1);
    memcpy(cluster.servers[2].data, cluster.servers[1].data, sizeof cluster.servers[2].data);
    expect_refused(2, cluster.servers[1].data);
    cluster_start(&cluster, 1); /* and was left as it is */
    cluster_release(&cluster);
}

static void test_a_port_in_use_is_refused(void)
{
    cluster_init(&cluster, 2);
    cluster_start(&cluster, 1);
    memcpy(cluster.servers[2].address, cluster.servers[1].address,
           sizeof cluster.servers[2].address);
    expect_refused(2, cluster.servers[1].address);
    EXPECT(!process_wait(&cluster.servers[1].process, 0));
    cluster_release(&cluster);
}

static void test_a_file_as_folder_is_refused(void)
{
    int file;

    cluster_init(&cluster, 1);
    file = open(cluster.servers[1].data, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    EXPECT(file >= 0);
    (void)close(file);
    expect_refused(1, cluster.servers[1].data);
    cluster_release(&cluster);
}

static void test_damaged_storage_is_refused_and_named(void)
{
    char path[600];
    uint8_t garbage[4096];
    struct stat info;
    int file;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/a", "1"), CLIENT__CODE__OK);
    cluster_kill(&cluster, 1);
    (void)snprintf(path, sizeof path, "%s/log/data.mdb", cluster.servers[1].data);
    EXPECT_EQ(stat(path, &info), 0);
    memset(garbage, 0xa5, sizeof garbage);
    file = open(path, O_WRONLY | O_CLOEXEC);
    for (off_t at = 0; at < info.st_size; at += (off_t)sizeof garbage) {
        EXPECT_EQ(pwrite(file, garbage, sizeof garbage, at), (ssize_t)sizeof garbage);
    }
    (void)close(file);
    expect_refused(1, cluster.servers[1].data);
    cluster_release(&cluster);
}

/* Make the log's identity record one of another version; older ones end sooner, and kept nothing of
 * other servers. */
static void write_format(const char *data, uint32_t format)
{
    uint64_t key_number = LOG_KEY_IDENTITY;
    uint64_t witnesses_number = LOG_KEY_WITNESSES;
    MDB_val witnesses = {.mv_data = &witnesses_number, .mv_size = sizeof witnesses_number};
    uint8_t value[LOG_RECORD_BYTES_MAX];
    MDB_val key = {.mv_data = &key_number, .mv_size = sizeof key_number};
    MDB_val stored;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi database;
    char path[600];

    (void)snprintf(path, sizeof path, "%s/log", data);
    EXPECT_EQ(mdb_env_create(&env), 0);
    EXPECT_EQ(mdb_env_set_mapsize(env, LOG_MAP_BYTES), 0);
    EXPECT_EQ(mdb_env_open(env, path, 0, 0600), 0);
    EXPECT_EQ(mdb_txn_begin(env, NULL, 0, &txn), 0);
    EXPECT_EQ(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &database), 0);
    EXPECT_EQ(mdb_get(txn, database, &key, &stored), 0);
    EXPECT(stored.mv_size > SEAL_BYTES && stored.mv_size <= sizeof value);
    memcpy(value, stored.mv_data, stored.mv_size);
    bytes_store_u32(value + FORMAT_AT, format);
    if (format < LOG_STORE_FORMAT_OF_WITNESSES) {
        stored.mv_size = LOG_IDENTITY_BYTES_MIN + SEAL_BYTES;
        EXPECT_EQ(mdb_del(txn, database, &witnesses, NULL), 0);
    }
    log_format_seal(key_number, value, stored.mv_size - SEAL_BYTES);
    stored.mv_data = value;
    EXPECT_EQ(mdb_put(txn, database, &key, &stored, 0), 0);
    EXPECT_EQ(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void test_a_folder_of_a_newer_version_is_refused_and_left_alone(void)
{
    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    cluster_kill(&cluster, 1);
    write_format(cluster.servers[1].data, LOG_STORE_FORMAT + 1);
    expect_refused(1, "newer");
    expect_refused(1, cluster.servers[1].data);
    cluster_release(&cluster);
}

static void test_folders_of_older_versions_are_taken_and_rewritten(void)
{
    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    EXPECT_EQ(cluster_cli(&cluster, 1, "set", "/kept", "here", NULL)->exit_code, 0);
    for (uint32_t format = LOG_STORE_FORMAT_OLDEST; format < LOG_STORE_FORMAT_OF_WITNESSES;
         format++) {
        /* Stopped, not killed: these had no journal. */
        cluster_signal(&cluster, 1, SIGTERM);
        EXPECT(process_wait(&cluster.servers[1].process, CLUSTER_DEADLINE_MS));
        write_format(cluster.servers[1].data, format);
        cluster_start(&cluster, 1);
        EXPECT_CONTAINS(cluster_cli(&cluster, 1, "get", "/kept", NULL)->out, "here");
    }
    cluster_release(&cluster);
}

/* More than a transaction may touch. */
static void test_a_subtree_of_large_values_is_removed_in_several_transactions(void)
{
    enum { VALUE_BYTES = 1000 * 1000, NODES = 40 };
    const struct outcome *outcome;
    char *value = xcalloc(1, VALUE_BYTES + 1);

    memset(value, 'v', VALUE_BYTES);
    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    for (int i = 0; i < NODES; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "/large/%d", i);
        EXPECT_EQ(wire_set_text(cluster.servers[1].address, path, value), CLIENT__CODE__OK);
    }
    outcome = cluster_cli(&cluster, 1, "remove", "-r", "/large", NULL);
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT_CONTAINS(outcome->out, "/large removed, 41 nodes");
    EXPECT_EQ(cluster_cli(&cluster, 1, "get", "/large", NULL)->exit_code, 3);
    free(value);
    cluster_release(&cluster);
}

/* A server that was stopped takes connections, for the kernel does, and answers nothing. */
static void test_every_command_ends_by_its_timeout_when_the_server_hangs(void)
{
    static const char *const commands[][4] = {{"get", "/a"},
                                              {"get", "--local", "/a"},
                                              {"set", "/a", "2"},
                                              {"create", "/b", "1"},
                                              {"remove", "/a"},
                                              {"remove", "-r", "/a"},
                                              {"list", "/"},
                                              {"tree", "/"},
                                              {"watch", "/a"},
                                              {"set-acl", "/a", "world:anyone:r"},
                                              {"status"},
                                              {"init", "--nodes", "1=127.0.0.1:1"},
                                              {"add-learner", "--node", "2=127.0.0.1:1"},
                                              {"add-learner", "--promote", "--node=2=127.0.0.1:1"},
                                              {"change-membership", "--members", "1"},
                                              {"remove-member", "2"},
                                              {"cancel-change"},
                                              {"transfer-leader"}};
    enum { COMMANDS = sizeof commands / sizeof *commands };
    static struct process processes[COMMANDS];

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    EXPECT_EQ(cluster_cli(&cluster, 1, "set", "/a", "1", NULL)->exit_code, 0);
    cluster_signal(&cluster, 1, SIGSTOP);
    for (size_t i = 0; i < COMMANDS; i++) {
        cluster_cli_start(&cluster, &processes[i], 1, "--timeout", "700ms", commands[i][0],
                          commands[i][1], commands[i][2], NULL);
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        struct process *process = &processes[i];

        EXPECT(process_wait(process, CLUSTER_DEADLINE_MS));
        EXPECT_CONTAINS(process_text(process, process->err), "timed out after 700 ms");
        EXPECT_CONTAINS(process_text(process, process->err), cluster.servers[1].address);
        EXPECT_CONTAINS(process_text(process, process->err), commands[i][0]);
        EXPECT_TEXT(process_text(process, process->out), "");
        EXPECT_EQ(process->exit_code, 5);
        process_release(process);
    }
    cluster_signal(&cluster, 1, SIGCONT);
    EXPECT_TEXT(cluster_cli(&cluster, 1, "get", "/a", NULL)->out, "1");
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_value_outlives_a_restart),
        TEST_CASE(test_every_acknowledged_write_outlives_kills_amid_writing),
        TEST_CASE(test_a_folder_in_use_is_refused),
        TEST_CASE(test_a_folder_of_another_id_is_refused),
        TEST_CASE(test_a_port_in_use_is_refused),
        TEST_CASE(test_a_file_as_folder_is_refused),
        TEST_CASE(test_damaged_storage_is_refused_and_named),
        TEST_CASE(test_a_folder_of_a_newer_version_is_refused_and_left_alone),
        TEST_CASE(test_folders_of_older_versions_are_taken_and_rewritten),
        TEST_CASE(test_a_subtree_of_large_values_is_removed_in_several_transactions),
        TEST_CASE(test_every_command_ends_by_its_timeout_when_the_server_hangs),
        TEST_END};
    return test_main("single_server", cases, argc, argv);
}
