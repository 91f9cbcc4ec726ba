/* Power cuts of whole servers: a real confer-server dies between two of its file operations, or one
 * of them fails; what a power cut may leave is put in the place of its folder, and it is started
 * again. */
#include "base/prng.h"
#include "tests/power_cut/image.h"
#include "tests/power_cut/tape.h"
#include "tests/support/cluster.h"
#include "tests/support/damage.h"
#include "tests/support/folder.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    KEYS = 24,
    VALUE_BYTES_MAX = 6000,
    WRITE_DEADLINE_MS = 1500,
    WRITES_LONE = 150,   /* at most, until the death comes */
    WRITES_BEHIND = 150, /* more than the log keeps: a dump is needed */
    WRITES_UNTIL_FAILURE = 1200,
    SERVER_FAILED = 1, /* its exit code */
    VICTIM = 3
};

static const char usage[] =
    "usage: cut_servers [--cuts N] [--seconds S] [--seed N]\n"
    "So many cuts (4) of a lone server, of one of three and of one that is made the only one, and\n"
    "failing calls of a lone one, or as many as begin within so many seconds for each.\n";

static struct {
    uint64_t cuts;
    uint64_t seconds; /* 0 = as many as `cuts` */
    uint64_t seed;
} settings = {.cuts = 4, .seed = 1};

/* Small limits, so that checkpoints, trims and dumps come within a hundred writes. */
static const char *const options[] = {
    "--log-tail",           "32KiB", "--log-tail-entries",    "60",
    "--checkpoint-records", "40",    "--checkpoint-interval", "200ms",
    "--heartbeat",          "30ms",  "--election-timeout",    "300ms"};

/* A server whose power is cut. */
static struct cluster cluster;
static struct victim {
    unsigned id;
    char preload[600];
    char root[600];
    char tape[600];
    char die_at[64];
    char fail_call[64];
    char fail_at[64];
} victim;

static struct prng prng;

/* What must be there: of each key the value acknowledged last, or one written later whose outcome
 * nobody was told. */
static struct key {
    uint64_t acknowledged;
    uint64_t sent;
} keys[KEYS];
static uint64_t last_value;

static struct totals {
    unsigned cuts;
    unsigned deaths; /* the others came after an orderly end */
    uint64_t operations;
    uint64_t acknowledged;
    unsigned failures;
    unsigned failure_ends; /* of servers by these */
} totals;

/* --- The victim --- */

static void prepare(unsigned servers, unsigned id)
{
    cluster_init(&cluster, servers);
    memcpy(cluster.options, options, sizeof options);
    memset(keys, 0, sizeof keys);
    last_value = 0;
    victim.id = id;
    (void)snprintf(victim.preload, sizeof victim.preload, "LD_PRELOAD=%s",
                   cluster_program("tests/power_cut/tape_preload.so"));
    (void)snprintf(victim.root, sizeof victim.root, "TAPE_ROOT=%s", cluster.servers[id].data);
    (void)snprintf(victim.tape, sizeof victim.tape, "TAPE_FILE=%s.tape", cluster.servers[id].data);
}

static const char *tape_path(void)
{
    return victim.tape + strlen("TAPE_FILE=");
}

/* It dies before its `die_at`th operation on a file; UINT64_MAX = not at all. */
static void set_launcher(uint64_t die_at)
{
    const char *const words[] = {"/usr/bin/env", victim.preload, victim.root, victim.tape,
                                 victim.die_at,
                                 /* A sanitizer wants to be first; the tape does not harm it. */
                                 "ASAN_OPTIONS=verify_asan_link_order=0",
                                 /* Perhaps; and none is named "" */
                                 victim.fail_call, victim.fail_at, NULL};

    (void)snprintf(victim.die_at, sizeof victim.die_at, "TAPE_DIE_AT=%" PRIu64, die_at);
    (void)snprintf(victim.fail_call, sizeof victim.fail_call, "TAPE_FAIL_CALL=");
    (void)snprintf(victim.fail_at, sizeof victim.fail_at, "TAPE_FAIL_AT=0");
    memcpy(cluster.servers[victim.id].launcher, words, sizeof words);
}

/* Its `number`th call of this name fails with EIO. */
static void set_failure(const char *name, uint64_t number)
{
    (void)snprintf(victim.fail_call, sizeof victim.fail_call, "TAPE_FAIL_CALL=%s", name);
    (void)snprintf(victim.fail_at, sizeof victim.fail_at, "TAPE_FAIL_AT=%" PRIu64, number);
}

static struct process *victim_process(void)
{
    return &cluster.servers[victim.id].process;
}

static bool has_died(void)
{
    return process_wait(victim_process(), 0);
}

static bool answers(unsigned id)
{
    Client__Response *response = cluster_status(&cluster, id);

    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    return response != NULL;
}

/* Start it as set_launcher has it; false: it has ended already. */
static bool start_as_set(void)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;

    cluster_launch(&cluster, victim.id);
    while (!has_died() && !answers(victim.id)) {
        EXPECT(process_now_ms() < end);
        process_pause();
    }
    return !has_died();
}

/* Start it to die; false: it has done so already. */
static bool start_mortal(uint64_t die_at)
{
    set_launcher(die_at);
    return start_as_set();
}

/* In order, if it has not ended. */
static void stop_victim(void)
{
    if (!has_died()) {
        cluster_signal(&cluster, victim.id, SIGTERM);
        EXPECT(process_wait(victim_process(), CLUSTER_DEADLINE_MS));
    }
}

static void end_victim(void)
{
    bool died = has_died();

    stop_victim();
    /* Death may come on the way out too. */
    EXPECT(victim_process()->exit_code == 128 + SIGKILL ||
           (!died && victim_process()->exit_code == 0));
    totals.deaths += victim_process()->exit_code != 0;
}

static void write_image(const struct image *image, uint64_t seed, const char *folder)
{
    folder_remove(folder);
    image_write(image, seed, folder);
}

/* Put what the power cut leaves in the place of its folder, and a copy beside it for who must look
 * why it does not start. */
static void cut_power(void)
{
    const char *folder = cluster.servers[victim.id].data;
    uint64_t seed = prng_next(&prng);
    struct image *image = image_new(seed);
    char copy[600];

    tape_load(tape_path());
    totals.cuts++;
    totals.operations += tape_count();
    image_advance(image, tape_count());
    (void)snprintf(copy, sizeof copy, "%s.cut", folder);
    write_image(image, seed, copy);
    write_image(image, seed, folder);
    image_free(image);
    tape_forget();
    EXPECT_EQ(unlink(tape_path()), 0);
}

/* It must come back; from now on what is there counts as durable. */
static void start_again(void)
{
    set_launcher(UINT64_MAX);
    cluster_start(&cluster, victim.id);
}

/* --- What clients write and must find --- */

static const char *path_of(unsigned key)
{
    static char path[16];

    (void)snprintf(path, sizeof path, "/k/%u", key);
    return path;
}

/* Of many sizes, some over several pages. */
static void write_text(uint64_t value, char text[VALUE_BYTES_MAX + 32])
{
    int size = snprintf(text, 32, "%" PRIu64 ":", value);
    size_t filling = value % 7 == 0 ? VALUE_BYTES_MAX : value * 37 % 200;

    memset(text + size, 'x', filling);
    text[(size_t)size + filling] = '\0';
}

static bool write_one(unsigned id)
{
    static char text[VALUE_BYTES_MAX + 32];
    unsigned key = (unsigned)prng_below(&prng, KEYS);

    write_text(++last_value, text);
    keys[key].sent = last_value;
    if (wire_set_text_within(cluster.servers[id].address, path_of(key), text, WRITE_DEADLINE_MS) !=
        CLIENT__CODE__OK) {
        return false;
    }
    keys[key].acknowledged = last_value;
    totals.acknowledged++;
    return true;
}

/* As many as are acknowledged while the victim lives. */
static void write_until_death(unsigned id, unsigned count)
{
    for (unsigned i = 0; i < count && !has_died(); i++) {
        if (!write_one(id)) {
            return;
        }
    }
}

static void expect_key(unsigned id, unsigned key, Client__ReadLevel level)
{
    static char text[VALUE_BYTES_MAX + 32];
    static char whole[VALUE_BYTES_MAX + 32];
    int code = wire_get_text(cluster.servers[id].address, path_of(key), level, text, sizeof text);
    uint64_t found = code == CLIENT__CODE__OK ? strtoull(text, NULL, 10) : 0;

    EXPECT(code == CLIENT__CODE__OK || code == CLIENT__CODE__NO_NODE);
    if (found < keys[key].acknowledged || found > keys[key].sent) {
        (void)fprintf(stderr,
                      "server %u: %s is %" PRIu64 ", acknowledged was %" PRIu64
                      ", sent last %" PRIu64 "\n",
                      id, path_of(key), found, keys[key].acknowledged, keys[key].sent);
    }
    EXPECT(found >= keys[key].acknowledged && found <= keys[key].sent);
    if (found != 0) {
        write_text(found, whole);
        EXPECT_TEXT(text, whole);
    }
    if (level == CLIENT__READ_LEVEL__LINEARIZABLE) {
        keys[key].acknowledged = found; /* what was seen stays */
    }
}

static void expect_all(unsigned id, Client__ReadLevel level)
{
    for (unsigned key = 0; key < KEYS; key++) {
        expect_key(id, key, level);
    }
}

static void expect_write(unsigned id)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;

    while (!write_one(id)) {
        EXPECT(process_now_ms() < end);
    }
}

/* --- A lone server --- */

static bool init_lone(void)
{
    char node[64];

    (void)snprintf(node, sizeof node, "1=%s", cluster.servers[1].address);
    return cluster_cli(&cluster, 1, "init", "--nodes", node, "--timeout", "5s", NULL)->exit_code ==
           0;
}

static void cut_lone(bool *is_formed, unsigned round)
{
    /* The first start and the forming are a hundred operations. */
    if (start_mortal(prng_below(&prng, round == 0 ? 150 : 400))) {
        *is_formed = *is_formed || init_lone();
        if (*is_formed) {
            write_until_death(1, (unsigned)prng_below(&prng, WRITES_LONE));
        }
    }
    end_victim();
    /* Now and then the process alone dies: what the next one finds is not synced yet. */
    if (prng_below(&prng, 4) == 0) {
        (void)start_mortal(prng_below(&prng, 80));
        end_victim();
    }
    cut_power();
    start_again();
    if (!*is_formed) {
        EXPECT(init_lone());
        *is_formed = true;
    }
    EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), 1);
    expect_all(1, CLIENT__READ_LEVEL__LINEARIZABLE);
    expect_write(1);
    end_victim();
}

static bool goes_on(unsigned round, uint64_t start)
{
    return settings.seconds == 0 ? round < settings.cuts
                                 : round == 0 || process_now_ms() - start < settings.seconds * 1000;
}

static void test_a_lone_server_keeps_what_it_acknowledged(void)
{
    uint64_t start = process_now_ms();
    bool is_formed = false;

    prepare(1, 1);
    for (unsigned round = 0; goes_on(round, start); round++) {
        cut_lone(&is_formed, round);
    }
    cluster_release(&cluster);
}

/* --- A lone server with a disk that fails --- */

struct failure {
    bool came;
    bool of_store; /* an LMDB file, or the journal: nobody may go on after that */
};

/* What the tape tells of the failure. */
static struct failure find_failure(void)
{
    struct failure failure = {.came = false};
    int node = -1;

    tape_load(tape_path());
    for (size_t i = 0; i < tape_count(); i++) {
        const struct tape_event *event = tape_at(i);

        if (event->kind == TAPE_FAILED_WRITE || event->kind == TAPE_FAILED_SYNC) {
            node = event->node;
        }
    }
    for (size_t i = 0; i < tape_count() && node >= 0; i++) {
        const struct tape_event *event = tape_at(i);

        if (event->kind == TAPE_MAKE && event->node == node) {
            failure.came = true;
            failure.of_store =
                strcmp(event->name, "data.mdb") == 0 || strcmp(event->name, "journal") == 0;
        }
    }
    tape_forget();
    return failure;
}

/* The last words of the server are of why it ends: they name its folder and say what happened. */
static void expect_reason(void)
{
    const struct cluster_server *server = &cluster.servers[victim.id];
    size_t size;
    char *log = (char *)damage_read(server->log, &size);
    char *last = NULL;

    EXPECT(size > 0);
    log[size - 1] = '\0'; /* a line's end */
    for (char *at = log; (at = strstr(at, "confer-server: ")) != NULL; at++) {
        last = at;
    }
    EXPECT(last != NULL);
    EXPECT_CONTAINS(last, server->data);
    EXPECT_CONTAINS(last, "Input/output error");
    free(log);
}

static void write_until_failure(void)
{
    for (unsigned i = 0; i < WRITES_UNTIL_FAILURE && !has_died(); i++) {
        (void)write_one(1);
    }
}

static void fail_lone(bool *is_formed, const char *call, uint64_t number)
{
    struct failure failure;
    bool ended;

    set_launcher(UINT64_MAX);
    set_failure(call, number);
    if (start_as_set()) {
        *is_formed = *is_formed || init_lone();
        write_until_failure();
    }
    stop_victim();
    ended = victim_process()->exit_code != 0; /* the failure may come on the way out too */
    failure = find_failure();
    EXPECT(failure.came || strcmp(call, "pread") == 0); /* of which the tape does not tell */
    EXPECT(ended || !failure.of_store);
    if (ended) {
        EXPECT_EQ(victim_process()->exit_code, SERVER_FAILED);
        expect_reason();
    }
    totals.failures++;
    totals.failure_ends += ended;
}

/* With the disk as it is, or after a power cut, which takes what a failed sync did not write. */
static void test_a_failing_call_ends_a_server_with_the_reason_and_loses_nothing(void)
{
    /* Each write is a pwrite; synced are checkpoints and what the journal gives on, and before them
     * the first start and what makes it a cluster. */
    static const struct {
        const char *name;
        unsigned number_min;
        unsigned numbers;
    } calls[] = {{"fdatasync", 18, 8}, {"pwrite", 0, 150}, {"pread", 0, 150}};
    enum { CALLS = sizeof calls / sizeof calls[0] };
    uint64_t start = process_now_ms();
    bool is_formed = false;

    prepare(1, 1);
    for (unsigned round = 0; goes_on(round, start); round++) {
        fail_lone(&is_formed, calls[round % CALLS].name,
                  calls[round % CALLS].number_min +
                      prng_below(&prng, calls[round % CALLS].numbers));
        if (round / CALLS % 2 == 0) {
            cut_power();
        } else {
            EXPECT_EQ(unlink(tape_path()), 0);
        }
        start_again();
        if (!is_formed) {
            EXPECT(init_lone());
            is_formed = true;
        }
        EXPECT_EQ(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS), 1);
        expect_all(1, CLIENT__READ_LEVEL__LINEARIZABLE);
        expect_write(1);
        end_victim();
        EXPECT_EQ(unlink(tape_path()), 0);
    }
    EXPECT(totals.failure_ends > 0);
    cluster_release(&cluster);
}

/* --- One of three --- */

/* How far it has applied; 0 = it does not say. */
static uint64_t applied_of(unsigned id)
{
    Client__Response *response = cluster_status(&cluster, id);
    uint64_t applied = 0;

    for (size_t i = 0; response != NULL && i < response->status->n_members; i++) {
        if (response->status->members[i]->id == id) {
            applied = response->status->members[i]->applied;
        }
    }
    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    return applied;
}

static void wait_until_caught_up(unsigned id, unsigned with)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;
    uint64_t applied;

    do {
        EXPECT(process_now_ms() < end);
        process_pause();
        applied = applied_of(with);
    } while (applied == 0 || applied_of(id) != applied);
}

/* It lags, so that it needs a dump, and its power is cut while it gets on. */
static void cut_while_it_catches_up(void)
{
    end_victim();
    for (unsigned i = 0; i < WRITES_BEHIND; i++) {
        expect_write(1);
    }
    if (start_mortal(prng_below(&prng, 80))) {
        write_until_death(1, 20);
    }
    end_victim();
    cut_power();
    start_again();
}

/* What is acknowledged is on its disk and on that of a server that is gone then: after the cut a
 * majority without it knows nothing of that. */
static void cut_while_it_is_needed(void)
{
    uint64_t end = process_now_ms() + CLUSTER_DEADLINE_MS;

    end_victim();
    cluster_kill(&cluster, 2);
    if (start_mortal(40 + prng_below(&prng, 300))) {
        while (!has_died() && !write_one(1) && process_now_ms() < end) {
        }
        write_until_death(1, WRITES_LONE);
    }
    end_victim();
    cluster_kill(&cluster, 1);
    cut_power();
    start_again();
    cluster_start(&cluster, 2);
    EXPECT(cluster_wait_leader(&cluster, 1, CLUSTER_DEADLINE_MS) != 0);
    expect_write(VICTIM);
    expect_all(VICTIM, CLIENT__READ_LEVEL__LINEARIZABLE);
    cluster_start(&cluster, 1);
}

static void test_one_of_three_keeps_what_it_acknowledged(void)
{
    uint64_t start = process_now_ms();

    prepare(3, VICTIM);
    set_launcher(UINT64_MAX);
    cluster_form(&cluster);
    expect_write(1);
    for (unsigned round = 0; goes_on(round, start); round++) {
        if (round % 2 == 0) {
            cut_while_it_catches_up();
        } else {
            cut_while_it_is_needed();
        }
        expect_write(1);
        expect_all(1, CLIENT__READ_LEVEL__LINEARIZABLE);
        wait_until_caught_up(VICTIM, 1);
        expect_all(VICTIM, CLIENT__READ_LEVEL__LOCAL);
    }
    cluster_release(&cluster);
}

/* --- The only one that is left --- */

/* TERM.INDEX; "" = it is alone already. From now on nothing happens to the victim. */
static void look(char last[64])
{
    const struct outcome *outcome;
    const char *at;

    cluster.servers[victim.id].launcher[0] = NULL;
    outcome = cluster_recover(&cluster, victim.id, "show");
    at = strstr(outcome->out, "last entry  ");
    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
    EXPECT(at != NULL && sscanf(at, "last entry  %63[0-9.]", last) == 1);
    if (strstr(outcome->out, "only voter already") != NULL) {
        last[0] = '\0';
    }
}

/* It is alone or, unless that was said already, can be made so; and it has all that it had. */
static void expect_recovered(const char *last_before, bool was_said)
{
    char last[64];

    look(last);
    if (last[0] != '\0') {
        EXPECT(!was_said);
        EXPECT_TEXT(last, last_before);
        EXPECT_EQ(cluster_recover(&cluster, victim.id, last)->exit_code, 0);
    }
    start_again();
    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) == victim.id);
    expect_all(victim.id, CLIENT__READ_LEVEL__LINEARIZABLE);
    expect_write(victim.id);
    end_victim();
    EXPECT_EQ(unlink(tape_path()), 0);
}

/* Of the folder that `copy` holds; false: that is more operations than it takes. */
static bool recover_until(uint64_t die_at, const char *copy, const char *last)
{
    const struct outcome *outcome;

    folder_copy(copy, cluster.servers[victim.id].data);
    set_launcher(die_at);
    outcome = cluster_recover(&cluster, victim.id, last);
    if (outcome->exit_code != 128 + SIGKILL) {
        EXPECT_TEXT(outcome->err, "");
        EXPECT_EQ(outcome->exit_code, 0);
    }
    return outcome->exit_code != 0;
}

static void test_a_recovery_is_done_or_not_begun(void)
{
    uint64_t start = process_now_ms();
    struct key keys_before[KEYS];
    char copy[600];
    char last[64];
    uint64_t operations = 0; /* it takes when nothing happens */
    uint64_t first;
    bool is_dead;

    prepare(3, VICTIM);
    set_launcher(UINT64_MAX);
    cluster_form(&cluster);
    for (unsigned i = 0; i < WRITES_LONE; i++) {
        expect_write(VICTIM);
    }
    expect_all(VICTIM, CLIENT__READ_LEVEL__LINEARIZABLE);
    end_victim();
    cluster_kill(&cluster, 1);
    cluster_kill(&cluster, 2);
    EXPECT_EQ(unlink(tape_path()), 0);
    (void)snprintf(copy, sizeof copy, "%s.copy", cluster.servers[VICTIM].data);
    folder_copy(cluster.servers[VICTIM].data, copy);
    memcpy(keys_before, keys, sizeof keys);
    look(last);
    while (recover_until(operations, copy, last)) {
        operations++;
        EXPECT_EQ(unlink(tape_path()), 0);
    }
    EXPECT_EQ(unlink(tape_path()), 0);
    first = prng_below(&prng, operations + 1);
    for (unsigned round = 0; goes_on(round, start); round++) {
        memcpy(keys, keys_before, sizeof keys);
        is_dead = recover_until((first + round) % (operations + 1), copy, last);
        totals.deaths += is_dead;
        cut_power();
        expect_recovered(last, !is_dead);
    }
    cluster_release(&cluster);
}

/* --- Options --- */

static bool parse(int argc, char **argv)
{
    const struct {
        const char *name;
        uint64_t *number;
    } known[] = {
        {"--cuts", &settings.cuts}, {"--seconds", &settings.seconds}, {"--seed", &settings.seed}};

    for (int i = 1; i < argc; i += 2) {
        uint64_t *number = NULL;
        char *end = NULL;

        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            number = strcmp(argv[i], known[k].name) == 0 ? known[k].number : number;
        }
        if (number == NULL || i + 1 == argc) {
            return false;
        }
        *number = strtoull(argv[i + 1], &end, 10);
        if (end == argv[i + 1] || *end != '\0') {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_lone_server_keeps_what_it_acknowledged),
        TEST_CASE(test_a_failing_call_ends_a_server_with_the_reason_and_loses_nothing),
        TEST_CASE(test_one_of_three_keeps_what_it_acknowledged),
        TEST_CASE(test_a_recovery_is_done_or_not_begun), TEST_END};
    int result;

    if (!parse(argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    prng_init(&prng, settings.seed);
    result = test_main("cut_servers", cases, 1, argv);
    (void)printf("%u power cuts of servers, %u of them in the middle of %" PRIu64
                 " file operations; %u failing calls, %u of them ended the server; %" PRIu64
                 " writes acknowledged; seed %" PRIu64 "\n",
                 totals.cuts, totals.deaths, totals.operations, totals.failures,
                 totals.failure_ends, totals.acknowledged, settings.seed);
    return result;
}
