/* What docs/OPERATIONS.md promises of connections under "Limits", of real servers: who says nothing
 * or reads nothing is let go of in time, and numbers of clients and of descriptors are bounds for
 * clients alone. */
#include "proto/frame.h"
#include "tests/integration/rogue.h"
#include "tests/support/cluster.h"
#include "tests/support/damage.h"
#include "tests/support/test.h"
#include "tests/support/zookeeper_wire.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    CLOSE_DEADLINE_MS = 30000,
    SAY_MS = 10000,   /* to say what one is, or to open a ZooKeeper session */
    FRAME_MS = 30000, /* for a frame under way */
    STALL_MS = 30000, /* for answers that do not move */
    EARLY_MS = 1000,  /* clocks are read at both ends */
    LATE_MS = 10000   /* the machine may be busy */
};

static struct cluster cluster;

static size_t count_descriptors(unsigned id)
{
    char path[64];
    size_t count = 0;
    DIR *folder;

    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)cluster.servers[id].process.pid);
    folder = opendir(path);
    EXPECT(folder != NULL);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

/* What it has open when nobody is connected: connections of before are being closed yet. */
static size_t count_settled_descriptors(unsigned id)
{
    enum { UNCHANGED_MS = 1000 };
    uint64_t until_ms = process_now_ms() + CLOSE_DEADLINE_MS;
    uint64_t since_ms = process_now_ms();
    size_t count = count_descriptors(id);

    while (process_now_ms() < since_ms + UNCHANGED_MS && process_now_ms() < until_ms) {
        size_t now = count_descriptors(id);

        since_ms = now == count ? since_ms : process_now_ms();
        count = now;
        process_pause();
    }
    return count;
}

/* Wait until it has so many open. */
static void wait_descriptors(unsigned id, size_t least, size_t most)
{
    uint64_t until_ms = process_now_ms() + CLOSE_DEADLINE_MS;
    size_t now = count_descriptors(id);

    while ((now < least || now > most) && process_now_ms() < until_ms) {
        process_pause();
        now = count_descriptors(id);
    }
    if (now < least || now > most) {
        (void)fprintf(stderr, "%zu descriptors, not %zu to %zu\n", now, least, most);
    }
    EXPECT(now >= least && now <= most);
}

static bool ask_to_ping(struct wire *wire)
{
    Client__Ping ping = CLIENT__PING__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;

    request.body_case = CLIENT__REQUEST__BODY_PING;
    request.ping = &ping;
    return wire_request(wire, &request);
}

/* Whether an answer comes, or the server closes it. */
static bool is_answered(struct wire *wire)
{
    Client__Response *response = wire_response(wire, CLOSE_DEADLINE_MS);

    if (response == NULL) {
        wire_close(wire);
        return false;
    }
    client__response__free_unpacked(response, NULL);
    return true;
}

static bool is_taken(struct wire *wire)
{
    return wire_greet(wire) && ask_to_ping(wire) && is_answered(wire);
}

/* A connection that a server is to close, and when. */
struct dawdler {
    const char *name;
    uint64_t due_ms; /* after `since_ms` */
    uint64_t since_ms;
    uint64_t closed_ms; /* 0 = open yet */
    uint64_t gone_ms;   /* since when a descriptor is missing that may be its; 0 = none is */
    struct wire wire;
};

static void dawdle(struct dawdler *dawdler, const char *name, uint64_t due_ms, struct bytes bytes)
{
    *dawdler = (struct dawdler){.name = name, .due_ms = due_ms, .since_ms = process_now_ms()};
    EXPECT(wire_connect(&dawdler->wire, cluster.servers[1].address));
    EXPECT(wire_send(&dawdler->wire, bytes));
}

/* It asks for 2 GB and reads nothing of it. */
static void dawdle_without_reading(struct dawdler *dawdler)
{
    enum { VALUE_BYTES = 100000, READS = 20000 };
    static char value[VALUE_BYTES + 1];
    struct buffer frames = BUFFER_INIT;
    struct wire_get get;

    memset(value, 'v', VALUE_BYTES);
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/large", value), CLIENT__CODE__OK);
    (void)wire_get_init(&get, "/large", CLIENT__READ_LEVEL__LOCAL);
    for (get.request.id = 1; get.request.id <= READS; get.request.id++) {
        wire_put_request(&frames, &get.request);
    }
    dawdle(dawdler, "a client that reads nothing", STALL_MS,
           bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    wire_send_some(&dawdler->wire, buffer_lend(&frames));
    buffer_release(&frames);
}

/* To look for its end would be to read. A descriptor goes before the other side is told: only when
 * no other end is told for a while was it this one's. */
static void note_missing_descriptor(struct dawdler *dawdler, bool is_missing)
{
    enum { TOLD_MS = 1000 };

    if (!is_missing) {
        dawdler->gone_ms = 0;
    } else if (dawdler->gone_ms == 0) {
        dawdler->gone_ms = process_now_ms();
    } else if (dawdler->closed_ms == 0 && process_now_ms() >= dawdler->gone_ms + TOLD_MS) {
        dawdler->closed_ms = dawdler->gone_ms;
    }
}

static void expect_closed_in_time(const struct dawdler *dawdler)
{
    uint64_t spent_ms = dawdler->closed_ms - dawdler->since_ms;

    if (dawdler->closed_ms == 0 || spent_ms + EARLY_MS < dawdler->due_ms ||
        spent_ms > dawdler->due_ms + LATE_MS) {
        (void)fprintf(stderr, "%s: closed after %" PRIu64 " ms (0: never), due after %" PRIu64 "\n",
                      dawdler->name, dawdler->closed_ms == 0 ? 0 : spent_ms, dawdler->due_ms);
    }
    EXPECT(dawdler->closed_ms != 0);
    EXPECT(spent_ms + EARLY_MS >= dawdler->due_ms);
    EXPECT(spent_ms <= dawdler->due_ms + LATE_MS);
}

static void test_who_says_or_reads_nothing_is_closed_in_the_time_that_is_told(void)
{
    enum { TALKERS = 5, READER = TALKERS, ALL };
    struct dawdler dawdlers[ALL];
    uint64_t until_ms;
    size_t before;
    size_t open = TALKERS;
    struct buffer connect = BUFFER_INIT;
    struct buffer frame = BUFFER_INIT;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    before = count_settled_descriptors(1);
    zookeeper_wire_put_connect(&connect, 0, BYTES_EMPTY, 0, 10000);
    buffer_put(&frame, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
    buffer_put_u32(&frame, 1000);
    buffer_put(&frame, bytes_of_text("the beginning"));
    dawdle(&dawdlers[0], "a silent connection", SAY_MS, BYTES_EMPTY);
    dawdle(&dawdlers[1], "half a preface", SAY_MS, bytes_of(frame_client_preface, 4));
    dawdle(&dawdlers[2], "half a ZooKeeper connect request", SAY_MS,
           bytes_of(buffer_lend(&connect).data, 20));
    dawdle(&dawdlers[3], "a server without a handshake", SAY_MS,
           bytes_of(frame_peer_preface, FRAME_PREFACE_BYTES));
    dawdle(&dawdlers[4], "half a frame", FRAME_MS, buffer_lend(&frame));
    dawdle_without_reading(&dawdlers[READER]);
    wait_descriptors(1, before + ALL, SIZE_MAX);
    until_ms = process_now_ms() + STALL_MS + LATE_MS;
    while ((open > 0 || dawdlers[READER].closed_ms == 0) && process_now_ms() < until_ms) {
        /* First: a talker closed after the look at it would be taken for the reader. */
        size_t descriptors = count_descriptors(1);

        for (size_t i = 0; i < TALKERS; i++) {
            if (dawdlers[i].closed_ms == 0 && wire_wait_closed(&dawdlers[i].wire, 0)) {
                dawdlers[i].closed_ms = process_now_ms();
                open--;
            }
        }
        note_missing_descriptor(&dawdlers[READER], descriptors <= before + open);
        process_pause();
    }
    for (size_t i = 0; i < ALL; i++) {
        expect_closed_in_time(&dawdlers[i]);
        wire_close(&dawdlers[i].wire);
    }
    wait_descriptors(1, before, before);
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/x", "1"), CLIENT__CODE__OK);
    buffer_release(&connect);
    buffer_release(&frame);
    cluster_release(&cluster);
}

static void test_as_many_clients_as_allowed_are_taken_and_servers_are_not_counted(void)
{
    enum { EACH = 10, HOSTS = 2 };
    static const char *const hosts[HOSTS + 1] = {"127.0.0.11", "127.0.0.12", "127.0.0.13"};
    struct wire wires[HOSTS][EACH];
    struct wire one_more;
    struct handshake_identity identity;

    cluster_init(&cluster, 3);
    cluster.options[0] = "--max-connections=20";
    cluster.options[1] = "--max-connections-per-address=10";
    cluster_form(&cluster);
    for (size_t host = 0; host < HOSTS; host++) {
        for (size_t i = 0; i < EACH; i++) {
            EXPECT(wire_connect_from(&wires[host][i], cluster.servers[1].address, hosts[host]));
            EXPECT(is_taken(&wires[host][i]));
        }
        /* Of the first address the eleventh, of the second also the twenty-first of all. */
        EXPECT(wire_connect_from(&one_more, cluster.servers[1].address, hosts[host]));
        EXPECT(!is_taken(&one_more));
    }
    cluster_wait_log(&cluster, 1,
                     "this address has as many clients as --max-connections-per-address allows",
                     CLOSE_DEADLINE_MS);
    EXPECT(wire_connect_from(&one_more, cluster.servers[1].address, hosts[HOSTS]));
    EXPECT(!is_taken(&one_more));
    /* A server is let in, and nothing is written without a new link to this one. */
    EXPECT(rogue_ask_identity(cluster.servers[1].address, "", &identity));
    EXPECT_EQ(identity.id, 1);
    cluster_kill(&cluster, 2);
    cluster_kill(&cluster, 3);
    cluster_start(&cluster, 2);
    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) != 0);
    EXPECT_EQ(wire_set_text(cluster.servers[2].address, "/x", "1"), CLIENT__CODE__OK);
    /* Those who are in are served, and who leaves makes room. */
    for (size_t i = 0; i < EACH; i++) {
        EXPECT(ask_to_ping(&wires[0][i]) && is_answered(&wires[0][i]));
        wire_close(&wires[0][i]);
    }
    for (uint64_t until_ms = process_now_ms() + CLOSE_DEADLINE_MS;;) {
        EXPECT(wire_connect_from(&one_more, cluster.servers[1].address, hosts[HOSTS]));
        if (is_taken(&one_more)) {
            break;
        }
        EXPECT(process_now_ms() < until_ms);
    }
    wire_close(&one_more);
    for (size_t i = 0; i < EACH; i++) {
        EXPECT(ask_to_ping(&wires[1][i]) && is_answered(&wires[1][i]));
        wire_close(&wires[1][i]);
    }
    cluster_release(&cluster);
}

/* Clients take what they get of few descriptors, and servers find each other all the same. */
static void test_clients_leave_descriptors_for_disks_and_servers(void)
{
    enum { LIMIT = 200, CROWD = 2 * LIMIT };
    static struct wire wires[CROWD];
    size_t taken = 0;

    cluster_init(&cluster, 3);
    for (unsigned id = 1; id <= 3; id++) {
        cluster.servers[id].launcher[0] = "/usr/bin/prlimit";
        cluster.servers[id].launcher[1] = "--nofile=200:200";
    }
    cluster_form(&cluster);
    for (size_t i = 0; i < CROWD; i++) {
        EXPECT(wire_connect(&wires[i], cluster.servers[1].address));
        taken += is_taken(&wires[i]);
    }
    EXPECT(taken <= LIMIT / 2);
    EXPECT(taken > LIMIT / 4);
    /* Then nothing is written without a new link to the server with the crowd. */
    cluster_kill(&cluster, 2);
    cluster_kill(&cluster, 3);
    cluster_start(&cluster, 2);
    EXPECT(cluster_wait_leader(&cluster, 0, CLUSTER_DEADLINE_MS) != 0);
    EXPECT_EQ(wire_set_text(cluster.servers[2].address, "/x", "1"), CLIENT__CODE__OK);
    for (size_t i = 0; i < CROWD; i++) {
        wire_close(&wires[i]);
    }
    EXPECT(!process_wait(&cluster.servers[1].process, 0));
    EXPECT_EQ(wire_set_text(cluster.servers[1].address, "/x", "1"), CLIENT__CODE__OK);
    cluster_release(&cluster);
}

static void limit_descriptors(unsigned id, rlim_t count, struct rlimit *ret_before)
{
    struct rlimit limit;

    EXPECT_EQ(prlimit(cluster.servers[id].process.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    *ret_before = limit;
    limit.rlim_cur = count;
    EXPECT_EQ(prlimit(cluster.servers[id].process.pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static void test_a_server_without_descriptors_serves_who_is_connected_and_recovers(void)
{
    struct wire connected;
    struct wire waiting;
    struct wire_set set;
    struct rlimit limit;
    size_t before;

    cluster_init(&cluster, 1);
    cluster_form(&cluster);
    before = count_settled_descriptors(1);
    EXPECT(wire_connect(&connected, cluster.servers[1].address));
    EXPECT(is_taken(&connected));
    limit_descriptors(1, 3, &limit); /* it has more than that open */
    EXPECT(wire_connect(&waiting, cluster.servers[1].address));
    cluster_wait_log(&cluster, 1, "descriptors_exhausted", CLOSE_DEADLINE_MS);
    for (int i = 0; i < 20; i++) {
        Client__Request *request = wire_set_init(&set, "/x", bytes_of_text("1"));
        Client__Response *response = wire_call(&connected, request, CLOSE_DEADLINE_MS);

        EXPECT(response != NULL);
        EXPECT_EQ(response->code, CLIENT__CODE__OK);
        client__response__free_unpacked(response, NULL);
    }
    EXPECT_EQ(prlimit(cluster.servers[1].process.pid, RLIMIT_NOFILE, &limit, NULL), 0);
    wire_close(&waiting);
    EXPECT(wire_connect(&waiting, cluster.servers[1].address));
    EXPECT(is_taken(&waiting));
    cluster_wait_log(&cluster, 1, "accepting_again", CLOSE_DEADLINE_MS);
    EXPECT(ask_to_ping(&connected) && is_answered(&connected));
    wire_close(&connected);
    wire_close(&waiting);
    wait_descriptors(1, before, before);
    EXPECT(!process_wait(&cluster.servers[1].process, 0));
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_who_says_or_reads_nothing_is_closed_in_the_time_that_is_told),
        TEST_CASE(test_as_many_clients_as_allowed_are_taken_and_servers_are_not_counted),
        TEST_CASE(test_clients_leave_descriptors_for_disks_and_servers),
        TEST_CASE(test_a_server_without_descriptors_serves_who_is_connected_and_recovers),
        TEST_END};

    return test_main("limits", cases, argc, argv);
}
