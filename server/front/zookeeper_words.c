#include "server/front/zookeeper_words.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The version whose protocol is spoken: clients and tools compare it. */
#define SPOKEN_VERSION "3.9.5-confer-" CONFER_VERSION ", built on unknown"

struct zookeeper_words {
    struct node *node;
    const struct zookeeper_front *front;
    struct zookeeper_words_options options;
    uint64_t started_us;
};

/* What a report is made of. */
struct report {
    const struct zookeeper_words *words;
    FILE *to;
    const struct connection *connection; /* that asks */
    struct raft_status raft;
    struct zookeeper_counts counts;
    bool is_serving;
    bool is_read_only;
};

/* --- Pieces --- */

static size_t member_count(const struct report *report)
{
    return raft_config_effective(node_raft(report->words->node))->member_count;
}

static bool is_learner(const struct report *report)
{
    const struct raft_config *config = raft_config_effective(node_raft(report->words->node));

    for (size_t i = 0; i < config->member_count; i++) {
        if (config->members[i].id == report->words->options.server_id) {
            return (config->members[i].flags & RAFT_LEARNER) != 0;
        }
    }
    return false;
}

static const char *mode(const struct report *report)
{
    if (report->is_read_only) {
        return "read-only";
    }
    if (member_count(report) == 1) {
        return "standalone";
    }
    if (report->raft.role == RAFT_LEADER) {
        return "leader";
    }
    return is_learner(report) ? "observer" : "follower";
}

/* At most four decimals, as whole a number as it is. */
static void put_average(const struct report *report)
{
    char text[48];
    const struct zookeeper_counts *counts = &report->counts;
    double average_ms = counts->answered == 0
                            ? 0
                            : (double)counts->latency_us_sum / 1000.0 / (double)counts->answered;
    size_t size = (size_t)snprintf(text, sizeof text, "%.4f", average_ms);

    while (text[size - 1] == '0' && text[size - 2] != '.') {
        text[--size] = '\0';
    }
    (void)fputs(text, report->to);
}

static void put_totals(const struct report *report)
{
    const struct zookeeper_counts *counts = &report->counts;

    (void)fprintf(report->to, "Latency min/avg/max: %" PRIu64 "/", counts->latency_us_min / 1000);
    put_average(report);
    (void)fprintf(report->to,
                  "/%" PRIu64 "\nReceived: %" PRIu64 "\nSent: %" PRIu64
                  "\nConnections: %zu\nOutstanding: %zu\nZxid: 0x%" PRIx64
                  "\nMode: %s\nNode count: %" PRIu64 "\n",
                  counts->latency_us_max / 1000, counts->received, counts->sent,
                  counts->connections, counts->outstanding, node_applied(report->words->node),
                  mode(report), state_node_count(node_state(report->words->node)));
}

static size_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    if (folder == NULL) {
        return 0;
    }
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count < 3 ? 0 : count - 3; /* ".", ".." and the folder itself */
}

static uint64_t descriptors_max(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

static void put_number(const struct report *report, const char *key, uint64_t value)
{
    (void)fprintf(report->to, "zk_%s\t%" PRIu64 "\n", key, value);
}

/* --- The words --- */

static void put_ruok(const struct report *report)
{
    (void)fputs("imok", report->to);
}

static void put_isro(const struct report *report)
{
    (void)fputs(report->is_read_only ? "ro" : report->is_serving ? "rw" : "null", report->to);
}

static void put_version(const struct report *report)
{
    (void)fprintf(report->to, "Zookeeper version: %s\n", SPOKEN_VERSION);
    if (report->is_read_only) {
        (void)fputs("READ-ONLY mode; serving only read-only clients\n", report->to);
    }
}

static void put_srvr(const struct report *report)
{
    put_version(report);
    put_totals(report);
}

static void put_client(void *context, const struct connection *connection, size_t pending)
{
    const struct report *report = context;
    char remote[ADDRESS_TEXT_BYTES_MAX];

    socket_address_text(connection_remote(connection), remote);
    (void)fprintf(report->to, " /%s[1](queued=%zu)\n", remote, pending);
}

static void put_stat(const struct report *report)
{
    char remote[ADDRESS_TEXT_BYTES_MAX];

    put_version(report);
    (void)fputs("Clients:\n", report->to);
    zookeeper_front_each(report->words->front, put_client, (void *)(uintptr_t)report);
    socket_address_text(connection_remote(report->connection), remote);
    (void)fprintf(report->to, " /%s[0](queued=0)\n\n", remote);
    put_totals(report);
}

static void put_mntr_of_leader(const struct report *report)
{
    const struct raft *raft = node_raft(report->words->node);
    const struct raft_config *config = raft_config_effective(raft);
    uint64_t learners = 0;
    uint64_t synced = 0;

    for (size_t i = 0; i < config->member_count; i++) {
        struct raft_peer_status peer;

        if (config->members[i].id != report->words->options.server_id &&
            raft_peer_status(raft, config->members[i].id, &peer) == STATUS_OK && peer.active) {
            learners++;
            synced += peer.state == RAFT_PROGRESS_REPLICATE;
        }
    }
    put_number(report, "learners", learners);
    put_number(report, "synced_followers", synced);
}

static void put_mntr(const struct report *report)
{
    const struct zookeeper_words *words = report->words;
    const struct zookeeper_counts *counts = &report->counts;

    (void)fprintf(report->to, "zk_version\t%s\nzk_server_state\t%s\n", SPOKEN_VERSION,
                  mode(report));
    if (member_count(report) > 1) {
        (void)fprintf(report->to, "zk_peer_state\t%s\n",
                      report->raft.role == RAFT_LEADER ? "leading - broadcast"
                                                       : "following - broadcast");
    }
    (void)fputs("zk_avg_latency\t", report->to);
    put_average(report);
    (void)fputc('\n', report->to);
    put_number(report, "max_latency", counts->latency_us_max / 1000);
    put_number(report, "min_latency", counts->latency_us_min / 1000);
    put_number(report, "packets_received", counts->received);
    put_number(report, "packets_sent", counts->sent);
    put_number(report, "num_alive_connections", counts->connections);
    put_number(report, "outstanding_requests", counts->outstanding);
    put_number(report, "znode_count", state_node_count(node_state(words->node)));
    put_number(report, "watch_count", counts->watches);
    put_number(report, "global_sessions", state_session_count(node_state(words->node)));
    put_number(report, "local_sessions", 0);
    put_number(report, "open_file_descriptor_count", open_descriptors());
    put_number(report, "max_file_descriptor_count", descriptors_max());
    put_number(report, "uptime", (clock_monotonic_us() - words->started_us) / 1000);
    put_number(report, "quorum_size", member_count(report));
    if (report->raft.role == RAFT_LEADER) {
        put_mntr_of_leader(report);
    }
}

static void put_envi(const struct report *report)
{
    struct utsname system;
    char folder[4096];

    if (uname(&system) != 0) {
        memset(&system, 0, sizeof system);
    }
    (void)fprintf(report->to,
                  "Environment:\nzookeeper.version=%s\nhost.name=%s\nos.name=%s\nos.arch=%s\n"
                  "os.version=%s\nuser.dir=%s\n",
                  SPOKEN_VERSION, system.nodename, system.sysname, system.machine, system.release,
                  getcwd(folder, sizeof folder) == NULL ? "" : folder);
}

static void put_conf(const struct report *report)
{
    const struct zookeeper_words_options *options = &report->words->options;
    const char *colon = strrchr(options->address, ':');

    (void)fprintf(report->to,
                  "clientPort=%s\nsecureClientPort=-1\ndataDir=%s\ntickTime=%" PRIu32
                  "\nmaxClientCnxns=%" PRIu64 "\nminSessionTimeout=%" PRIu32
                  "\nmaxSessionTimeout=%" PRIu32 "\nserverId=%" PRIu64 "\n",
                  colon == NULL ? "" : colon + 1, options->data,
                  options->sessions.session_timeout_ms_min / 2,
                  options->connections_per_address_max, options->sessions.session_timeout_ms_min,
                  options->sessions.session_timeout_ms_max, options->server_id);
}

static void put_wchs(const struct report *report)
{
    (void)fprintf(report->to, "%zu connections watching %zu paths\nTotal watches:%zu\n",
                  report->counts.watching, report->counts.watched_paths, report->counts.watches);
}

struct word {
    const char *name;
    void (*put)(const struct report *report);
    bool without_leader; /* answered by a server that serves nobody, too */
};

static const struct word all_words[] = {{"ruok", put_ruok, true},  {"isro", put_isro, true},
                                        {"envi", put_envi, true},  {"srvr", put_srvr, false},
                                        {"stat", put_stat, false}, {"mntr", put_mntr, false},
                                        {"conf", put_conf, false}, {"wchs", put_wchs, false}};

enum { WORD_COUNT = sizeof all_words / sizeof *all_words };

/* WORD_COUNT when there is none. */
static size_t find_word(const char *name)
{
    size_t at = 0;

    while (at < WORD_COUNT && memcmp(all_words[at].name, name, FRAME_WORD_BYTES) != 0) {
        at++;
    }
    return at;
}

enum status zookeeper_words_parse(const char *list, uint32_t *ret_words, struct error *error)
{
    uint32_t words = 0;

    if (strcmp(list, "all") == 0) {
        *ret_words = (1U << WORD_COUNT) - 1;
        return STATUS_OK;
    }
    while (*list != '\0') {
        size_t size = strcspn(list, " ,");
        size_t at = size == FRAME_WORD_BYTES ? find_word(list) : WORD_COUNT;

        if (size > 0 && at == WORD_COUNT) {
            return error_set(error, STATUS_INVALID,
                             "'%.*s' is no four-letter word: there are ruok, isro, envi, srvr, "
                             "stat, mntr, conf, wchs, and all",
                             (int)(size < 40 ? size : 40), list);
        }
        words |= size > 0 ? 1U << at : 0;
        list += size + (list[size] != '\0');
    }
    *ret_words = words;
    return STATUS_OK;
}

/* --- Connections --- */

static void answer(const struct zookeeper_words *words,
                   const struct connection *connection,
                   const char *name,
                   FILE *to)
{
    size_t at = find_word(name);
    struct report report = {.words = words,
                            .to = to,
                            .connection = connection,
                            .raft = raft_status(node_raft(words->node)),
                            .counts = zookeeper_front_counts(words->front)};

    report.is_read_only = zookeeper_front_is_read_only(words->front);
    report.is_serving = report.raft.leader != 0 || report.is_read_only;
    if (at == WORD_COUNT || (words->options.words & 1U << at) == 0) {
        (void)fprintf(to, "%.4s is not executed because it is not in the whitelist.\n", name);
    } else if (!report.is_serving && !all_words[at].without_leader) {
        (void)fputs("This ZooKeeper instance is not currently serving requests\n", to);
    } else {
        all_words[at].put(&report);
    }
}

static void on_frame(void *context, struct connection *connection, struct bytes word)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (to == NULL) {
        connection_close(connection, "no memory for a report");
        return;
    }
    answer(context, connection, (const char *)word.data, to);
    if (fclose(to) == 0) {
        connection_send(connection, bytes_of(text, size));
    }
    free(text);
    connection_finish(connection, "a four-letter word was answered");
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    (void)context;
    (void)connection;
    (void)reason;
}

static const struct connection_handler handler = {.on_frame = on_frame, .on_closed = on_closed};

struct zookeeper_words *zookeeper_words_new(struct node *node,
                                            const struct zookeeper_front *front,
                                            const struct zookeeper_words_options *options)
{
    struct zookeeper_words *words = xcalloc(1, sizeof *words);

    words->node = node;
    words->front = front;
    words->options = *options;
    words->started_us = clock_monotonic_us();
    return words;
}

void zookeeper_words_free(struct zookeeper_words *words)
{
    free(words);
}

void zookeeper_words_take(struct zookeeper_words *words, struct connection *connection)
{
    connection_set_protocol(connection, FRAME_PROTOCOL_WORD, FRAME_WORD_BYTES);
    connection_set_handler(connection, &handler, words);
    connection_set_state(connection, CONNECTION_HANDSHAKE);
}
