/* Real servers in a network of their own, clients that write down what they are told, and faults
 * from a seed; the histories are judged, and after the faults all must be well again. */
#include "tests/chaos/nemesis.h"
#include "tests/integration/crowd.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CALL_TIMEOUT_MS = 2500,
    /* A session of T by a clock that runs faster by R ends after T / (1 + R). */
    RATE_DRIFT_PERMILLE = 20 + 1000 * SCHEDULE_RATE_HIGH / (1000 + SCHEDULE_RATE_HIGH),
    RACE_DRIFT_PERMILLE = 20 + 1000 * SCHEDULE_RATE_RACE / (1000 + SCHEDULE_RATE_RACE),
    DEADLINE_MS = 90000, /* for each thing that must come right after the faults */
    DATAGRAM_BYTES = 1000,
    QUIET_MS = 300, /* more than the slowest link of the test needs for one */
    SKIPPED = 77
};

static const char usage[] =
    "usage: chaos [--servers N] [--seed N] [--rounds N] [--seconds N] [--show] [--list]\n"
    "Runs N servers (3, at most 9) under faults that the seed gives, in rounds: so many (3), or "
    "as\n"
    "many as begin within so many seconds. --show prints the faults and runs nothing, --list the "
    "kinds of faults.\n"
    "The same options give the same faults at the same times.\n";

static struct {
    uint64_t servers;
    uint64_t seed;
    uint64_t rounds;
    uint64_t seconds; /* 0 = as many rounds as `rounds` */
    bool show;
    bool list;
} settings = {.servers = 3, .seed = 1, .rounds = 3};

static struct totals {
    unsigned rounds;
    uint64_t calls;
    uint64_t acknowledged;
    uint64_t unknown;
    uint64_t events;
    uint64_t expired;
    uint64_t slowest_ms; /* from the end of the faults to calls of every client */
} totals;

static struct servers servers;
static struct crowd crowd;

static void show_round(struct schedule *schedule, unsigned round)
{
    schedule_draw(schedule, settings.seed, round, (unsigned)settings.servers);
    (void)printf("  round %u\n", round);
    schedule_print(schedule, stdout);
}

static void add_up(struct recorder_counts counts, uint64_t healed_ms)
{
    totals.rounds++;
    totals.calls += counts.calls;
    totals.acknowledged += counts.acknowledged;
    totals.unknown += counts.unknown;
    totals.events += counts.events;
    totals.expired += counts.expired;
    totals.slowest_ms = healed_ms > totals.slowest_ms ? healed_ms : totals.slowest_ms;
}

static void run_round(struct nemesis *nemesis, unsigned round)
{
    struct schedule schedule;
    uint64_t healing_ms;
    uint64_t healed_ms;
    char root[16];

    show_round(&schedule, round);
    (void)snprintf(root, sizeof root, "/c%u", round);
    network_enter_clients();
    crowd_start(&crowd, &servers.cluster, root, settings.seed * 1009 + round, CALL_TIMEOUT_MS);
    network_leave_clients();
    if (schedule_has(&schedule, FAULT_CLOCK_RACE)) {
        recorder_allow_drift(crowd.recorder, RACE_DRIFT_PERMILLE);
    } else if (schedule_has(&schedule, FAULT_CLOCK_RATE)) {
        recorder_allow_drift(crowd.recorder, RATE_DRIFT_PERMILLE);
    }
    crowd_wait(&crowd, DEADLINE_MS);
    crowd_leave_ghost(&crowd);
    nemesis_run(nemesis, &schedule);
    healing_ms = process_now_ms();
    nemesis_heal(nemesis, DEADLINE_MS);
    crowd_wait(&crowd, DEADLINE_MS);
    healed_ms = process_now_ms() - healing_ms;
    crowd_stop(&crowd, DEADLINE_MS);
    servers_converge(&servers, root, DEADLINE_MS);
    (void)printf("    well again after %" PRIu64 " ms\n", healed_ms);
    add_up(crowd_judge(&crowd), healed_ms);
}

static void test_what_clients_are_told_is_true_under_faults(void)
{
    static struct nemesis nemesis;
    uint64_t start = process_now_ms();

    (void)printf("\n  chaos --servers %" PRIu64 " --seed %" PRIu64 "\n", settings.servers,
                 settings.seed);
    servers_form(&servers, (unsigned)settings.servers);
    nemesis_init(&nemesis, &servers);
    for (unsigned round = 1;
         settings.seconds == 0 ? round <= settings.rounds
                               : round == 1 || process_now_ms() - start < settings.seconds * 1000;
         round++) {
        run_round(&nemesis, round);
    }
    (void)printf("  %" PRIu64 " servers, %u rounds, %u faults, %u deaths at marks: %" PRIu64
                 " calls, %" PRIu64 " writes acknowledged, %" PRIu64 " unknown, %" PRIu64
                 " events, %" PRIu64 " sessions expired; well again within %" PRIu64
                 " ms; seed %" PRIu64 "\n",
                 settings.servers, totals.rounds, nemesis.fault_count, servers.deaths_at_marks,
                 totals.calls, totals.acknowledged, totals.unknown, totals.events, totals.expired,
                 totals.slowest_ms, settings.seed);
    servers_release(&servers);
}

/* --- The tools themselves --- */

/* How long an answer is waited for: where one must come, and where none does. */
#define PATIENT "10"
#define HASTY   "2"

/* Connect from one server's place to another server: 0 = taken, 1 = refused, 124 = no answer. */
static int connect_between(unsigned from, unsigned to, const char *seconds)
{
    char line[128];
    const char *const argv[] = {network_launcher(from)[0],
                                network_launcher(from)[1],
                                "/usr/bin/timeout",
                                seconds,
                                "/bin/bash",
                                "-c",
                                line,
                                NULL};

    (void)snprintf(line, sizeof line, "</dev/tcp/10.77.0.%u/%d", to, NETWORK_PORT);
    return outcome_of(argv, DEADLINE_MS)->exit_code;
}

static void test_rules_of_a_place_do_what_they_say(void)
{
    static const struct network_faults none = {.cut = 0};
    static const struct network_faults cut = {.cut = 1 << 1};
    static const struct network_faults reset = {.reset = 1 << 1};
    static const struct network_faults loss = {.loss_percent = 99};
    bool some_fail = false;

    servers_form(&servers, 2);
    EXPECT_EQ(connect_between(1, 2, PATIENT), 0);
    network_set_faults(2, &cut);
    EXPECT_EQ(connect_between(1, 2, HASTY), 124);
    cluster_expect_answer(&servers.cluster, 2); /* the test itself reaches everybody */
    network_set_faults(2, &reset);
    EXPECT_EQ(connect_between(1, 2, PATIENT), 1);
    network_set_faults(2, &loss);
    for (int tries = 0; tries < 5 && !some_fail; tries++) {
        some_fail = connect_between(1, 2, HASTY) == 124;
    }
    EXPECT(some_fail);
    cluster_expect_answer(&servers.cluster, 2);
    network_set_faults(2, &none);
    EXPECT_EQ(connect_between(1, 2, PATIENT), 0);
    servers_release(&servers);
}

/* Of so many datagrams, sent at once from where the clients are to where the test is, how many
 * come until there is none for a while. */
static unsigned count_datagrams(unsigned sent)
{
    static const char datagram[DATAGRAM_BYTES];
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    struct pollfd receiver = {.fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN};
    unsigned count = 0;
    int sender;

    network_enter_clients();
    sender = socket(AF_INET, SOCK_DGRAM, 0);
    network_leave_clients();
    EXPECT(inet_pton(AF_INET, "10.77.0.254", &address.sin_addr) == 1);
    EXPECT_EQ(bind(receiver.fd, (struct sockaddr *)&address, size), 0);
    EXPECT_EQ(getsockname(receiver.fd, (struct sockaddr *)&address, &size), 0);
    for (unsigned i = 0; i < sent; i++) {
        (void)sendto(sender, datagram, sizeof datagram, 0, (struct sockaddr *)&address, size);
    }
    for (char taken[DATAGRAM_BYTES]; poll(&receiver, 1, QUIET_MS) == 1; count++) {
        EXPECT_EQ(recv(receiver.fd, taken, sizeof taken, 0), sizeof datagram);
    }
    (void)close(sender);
    (void)close(receiver.fd);
    return count;
}

static void test_packets_come_twice_or_slowly_where_rules_say_so(void)
{
    enum { SENT = 50 };
    static const struct network_faults none = {.cut = 0};
    static const struct network_faults twice = {.duplicate_percent = 30};
    /* Half a second's worth is kept, the rest is lost. */
    static const struct network_faults slow = {.rate_kbit = 64};
    unsigned count;

    EXPECT_EQ(count_datagrams(SENT), SENT);
    network_set_faults(NETWORK_CLIENTS, &twice);
    count = count_datagrams(SENT);
    EXPECT(count > SENT && count < 2 * SENT);
    network_set_faults(NETWORK_CLIENTS, &slow);
    EXPECT(count_datagrams(SENT) < SENT / 2);
    network_set_faults(NETWORK_CLIENTS, &none);
    EXPECT_EQ(count_datagrams(SENT), SENT);
}

static int64_t wall_clock_of(unsigned server)
{
    const char *argv[CLUSTER_LAUNCHER_WORDS + 3] = {NULL};
    size_t count = 0;

    for (; servers.cluster.servers[server].launcher[count] != NULL; count++) {
        argv[count] = servers.cluster.servers[server].launcher[count];
    }
    argv[count++] = "/bin/date";
    argv[count] = "+%s";
    return strtoll(outcome_of(argv, DEADLINE_MS)->out, NULL, 10);
}

static void test_each_server_has_a_clock_of_its_own(void)
{
    uint64_t end_ms;
    int64_t now;

    servers_form(&servers, 2);
    now = wall_clock_of(1);
    servers_skew(&servers, 1, -60);
    EXPECT(wall_clock_of(1) < now - 3000 && wall_clock_of(1) >= now - 3600);
    EXPECT(wall_clock_of(2) >= now && wall_clock_of(2) < now + 600);
    servers_skew(&servers, 1, 0);
    servers_hurry(&servers, 1, 1000000); /* a thousand seconds in one */
    while (wall_clock_of(1) < now + 1000) {
        process_pause();
    }
    servers_hurry(&servers, 1, SCHEDULE_RATE_FROZEN);
    do {
        now = wall_clock_of(1);
        process_pause();
    } while (wall_clock_of(1) != now); /* it stands soon */
    for (end_ms = process_now_ms() + 2000; process_now_ms() < end_ms;) {
        EXPECT_EQ(wall_clock_of(1), now);
        process_pause();
    }
    servers_release(&servers);
}

static void wait_write(unsigned server, int wanted)
{
    uint64_t end = process_now_ms() + DEADLINE_MS;
    int code = -1;

    while (code != wanted && process_now_ms() < end) {
        code = wire_set_text(network_address(server), "/small", "1");
        process_pause();
    }
    EXPECT_EQ(code, wanted);
}

static void test_full_disks_take_nothing_until_there_is_space(void)
{
    servers_form(&servers, 2);
    wait_write(1, CLIENT__CODE__OK);
    for (unsigned id = 1; id <= 2; id++) {
        servers_fill_disk(&servers, id, true);
    }
    wait_write(1, CLIENT__CODE__NO_SPACE);
    for (unsigned id = 1; id <= 2; id++) {
        servers_fill_disk(&servers, id, false);
    }
    wait_write(1, CLIENT__CODE__OK);
    servers_release(&servers);
}

/* --- Options --- */

static bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret_number)
{
    char *end;
    uint64_t number = text == NULL || text[0] < '0' || text[0] > '9' ? 0 : strtoull(text, &end, 10);

    if (text == NULL || text[0] < '0' || text[0] > '9' || *end != '\0' || number < low ||
        number > high) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool parse(int argc, char **argv)
{
    const struct {
        const char *name;
        uint64_t low;
        uint64_t high;
        uint64_t *number;
    } options[] = {{"--servers", 2, NETWORK_SERVERS_MAX, &settings.servers},
                   {"--seed", 0, UINT32_MAX, &settings.seed},
                   {"--rounds", 1, 100000, &settings.rounds},
                   {"--seconds", 1, 1000000, &settings.seconds}};

    for (int i = 1; i < argc; i++) {
        bool shows = strcmp(argv[i], "--show") == 0;
        bool lists = strcmp(argv[i], "--list") == 0;
        bool known = shows || lists;

        settings.show = settings.show || shows;
        settings.list = settings.list || lists;
        for (size_t k = 0; !known && k < sizeof options / sizeof *options; k++) {
            if (strcmp(argv[i], options[k].name) == 0) {
                known = parse_number(argv[++i], options[k].low, options[k].high, options[k].number);
                break;
            }
        }
        if (!known) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_rules_of_a_place_do_what_they_say),
        TEST_CASE(test_packets_come_twice_or_slowly_where_rules_say_so),
        TEST_CASE(test_each_server_has_a_clock_of_its_own),
        TEST_CASE(test_full_disks_take_nothing_until_there_is_space),
        TEST_CASE(test_what_clients_are_told_is_true_under_faults),
        TEST_END,
    };

    if (!parse(argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    for (unsigned fault = 0; settings.list && fault < FAULT_COUNT; fault++) {
        (void)printf("%s\n", schedule_fault_name((enum fault)fault));
    }
    if (settings.list) {
        return 0;
    }
    if (settings.show) {
        struct schedule schedule;

        for (unsigned round = 1; round <= settings.rounds; round++) {
            show_round(&schedule, round);
        }
        return 0;
    }
    if (!network_open((unsigned)settings.servers)) {
        (void)fprintf(stderr, "skipped: chaos needs network namespaces, iproute2 and nftables\n");
        return SKIPPED;
    }
    return test_main("chaos", cases, 1, argv);
}
