#include "tests/chaos/network.h"

#include "base/bytes.h"
#include "base/check.h"
#include "tests/support/process.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = NETWORK_SERVERS_MAX + 1, TOOL_DEADLINE_MS = 60000, HUB_HOST = 254 };

#define SUBNET "10.77.0"
/* The clients' host number; a server's is its id. */
#define CLIENTS_HOST 100U

static struct {
    int hub; /* namespaces */
    int places[PLACES];
    char address[PLACES][24];
    char option[PLACES][64];
    const char *launcher[PLACES][NETWORK_LAUNCHER_WORDS + 1];
    struct network_faults faults[PLACES];
} network;

static unsigned host_of(unsigned place)
{
    return place == NETWORK_CLIENTS ? CLIENTS_HOST : place;
}

/* Run a line of the shell. */
static const struct outcome *run(const char *line)
{
    const char *const argv[] = {"/bin/sh", "-ec", line, NULL};

    return outcome_of(argv, TOOL_DEADLINE_MS);
}

static bool write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool done = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);

    if (file >= 0) {
        (void)close(file);
    }
    return done;
}

/* A user who is not root may have a network as root of a user namespace, where that is permitted.
 */
static bool become_root(void)
{
    char users[64];
    char groups[64];

    (void)snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
    (void)snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
    return geteuid() == 0 ||
           (unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
            write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups));
}

/* A new network namespace, in which this thread then is. -1: errno tells why. */
static int new_namespace(void)
{
    return unshare(CLONE_NEWNET) == 0 ? open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC) : -1;
}

static void enter(int namespace)
{
    if (setns(namespace, CLONE_NEWNET) != 0) {
        perror("setns");
        abort();
    }
}

static bool make_namespaces(unsigned server_count)
{
    network.hub = new_namespace();
    for (unsigned place = 0; place <= server_count; place++) {
        network.places[place] = network.hub < 0 ? -1 : new_namespace();
        if (network.places[place] < 0) {
            return false;
        }
    }
    enter(network.hub);
    return true;
}

/* The place's end of its link is `eth`, the other end is at the bridge. */
static bool link_places(unsigned server_count)
{
    char line[1024] = "ip link set lo up; ip link add hub type bridge; ip link set hub up; "
                      "ip address add " SUBNET ".254/24 dev hub";
    const struct outcome *outcome = run(line);

    for (unsigned place = 0; place <= server_count && outcome->exit_code == 0; place++) {
        const char *in = network.option[place];

        (void)snprintf(line, sizeof line,
                       "ip link add place%u type veth peer name eth netns /proc/%d/fd/%d; "
                       "ip link set place%u master hub up; nsenter %s ip link set lo up; "
                       "nsenter %s ip address add " SUBNET ".%u/24 dev eth; "
                       "nsenter %s ip link set eth up; nsenter %s nft list ruleset",
                       place, (int)getpid(), network.places[place], place, in, in, host_of(place),
                       in, in);
        outcome = run(line);
    }
    if (outcome->exit_code != 0) {
        (void)fprintf(stderr, "no network of our own: %s", outcome->err);
    }
    return outcome->exit_code == 0;
}

bool network_open(unsigned server_count)
{
    CHECK(server_count <= NETWORK_SERVERS_MAX);
    if (!become_root() || !make_namespaces(server_count)) {
        (void)fprintf(stderr, "no network namespace of our own: %s\n", strerror(errno));
        return false;
    }
    for (unsigned place = 0; place <= server_count; place++) {
        (void)snprintf(network.address[place], sizeof network.address[place], SUBNET ".%u:%u",
                       host_of(place), (unsigned)NETWORK_PORT);
        (void)snprintf(network.option[place], sizeof network.option[place], "--net=/proc/%d/fd/%d",
                       (int)getpid(), network.places[place]);
        network.launcher[place][0] = "/usr/bin/nsenter";
        network.launcher[place][1] = network.option[place];
    }
    return link_places(server_count);
}

const char *network_address(unsigned server)
{
    return network.address[server];
}

const char *const *network_launcher(unsigned server)
{
    return network.launcher[server];
}

void network_enter_clients(void)
{
    enter(network.places[NETWORK_CLIENTS]);
}

void network_leave_clients(void)
{
    enter(network.hub);
}

/* --- Faults --- */

static void put_line(struct buffer *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put_line(struct buffer *text, const char *format, ...)
{
    char line[256];
    va_list rest;

    va_start(rest, format);
    (void)vsnprintf(line, sizeof line, format, rest);
    va_end(rest);
    buffer_put(text, bytes_of_text(line));
}

static void put_sources(struct buffer *text, uint32_t places, const char *verdict)
{
    for (unsigned place = 0; place < PLACES; place++) {
        if ((places >> place & 1) != 0) {
            put_line(text, "ip saddr " SUBNET ".%u %s\n", host_of(place), verdict);
        }
    }
}

/* All rules of a place, replacing those that are there in one step. */
static void put_rules(struct buffer *text, const struct network_faults *faults)
{
    put_line(text, "flush ruleset\ntable inet faults {\nchain in {\n"
                   "type filter hook input priority 0;\n");
    put_sources(text, faults->cut, "drop");
    put_sources(text, faults->reset, "meta l4proto tcp reject with tcp reset");
    if (faults->loss_percent > 0) {
        put_line(text, "ip saddr != " SUBNET ".%d numgen random mod 100 < %u drop\n", HUB_HOST,
                 faults->loss_percent);
    }
    put_line(text, "}\n}\n");
    if (faults->duplicate_percent > 0) {
        put_line(text,
                 "table netdev faults {\nchain out {\n"
                 "type filter hook egress device \"eth\" priority 0;\n"
                 "numgen random mod 100 < %u dup to \"eth\"\n}\n}\n",
                 faults->duplicate_percent);
    }
}

static void expect_done(const struct outcome *outcome)
{
    EXPECT_TEXT(outcome->err, "");
    EXPECT_EQ(outcome->exit_code, 0);
}

static void set_rules(unsigned place, const struct network_faults *faults)
{
    struct buffer text = BUFFER_INIT;
    const char *const argv[] = {"/usr/bin/nsenter", network.option[place], "nft", NULL, NULL};
    const char *words[sizeof argv / sizeof *argv];

    put_rules(&text, faults);
    buffer_put(&text, bytes_of("", 1));
    memcpy(words, argv, sizeof argv);
    words[3] = (const char *)text.data;
    expect_done(outcome_of(words, TOOL_DEADLINE_MS));
    buffer_release(&text);
}

static void set_rate(unsigned place, unsigned rate_kbit)
{
    char line[256];

    if (rate_kbit == 0) {
        (void)snprintf(line, sizeof line, "nsenter %s tc qdisc del dev eth root",
                       network.option[place]);
    } else {
        (void)snprintf(line, sizeof line,
                       "nsenter %s tc qdisc replace dev eth root tbf rate %ukbit burst 4kb "
                       "latency 500ms",
                       network.option[place], rate_kbit);
    }
    expect_done(run(line));
}

void network_set_faults(unsigned place, const struct network_faults *faults)
{
    struct network_faults *before = &network.faults[place];

    if (memcmp(before, faults, sizeof *faults) == 0) {
        return;
    }
    if (before->rate_kbit != faults->rate_kbit) {
        set_rate(place, faults->rate_kbit);
    }
    set_rules(place, faults);
    *before = *faults;
}
