#include "server/front/zookeeper_words.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "proto/jute.h"

#include <dirent.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The version whose protocol is spoken: clients and tools compare it. */
#define SPOKEN_VERSION "3.9.5-confer-" CONFER_VERSION ", built on unknown"

enum {
    /* Reports on connections, watches and sessions end here. They are made in one step. */
    REPORT_BYTES_MAX = 1024 * 1024,
    SESSIONS_MAX = 16384,  /* in a dump */
    EPHEMERALS_MAX = 16384 /* looked at for a dump */
};

struct zookeeper_words {
    struct node *node;
    struct zookeeper_front *front;
    struct zookeeper_words_options options;
    uint64_t started_us;
    char *user;
    char *home;
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
    double average_ms =
        counts->traffic.answered == 0
            ? 0
            : (double)counts->traffic.latency_us_sum / 1000.0 / (double)counts->traffic.answered;
    size_t size = (size_t)snprintf(text, sizeof text, "%.4f", average_ms);

    while (text[size - 1] == '0' && text[size - 2] != '.') {
        text[--size] = '\0';
    }
    (void)fputs(text, report->to);
}

static void put_totals(const struct report *report)
{
    const struct zookeeper_counts *counts = &report->counts;

    (void)fprintf(report->to, "Latency min/avg/max: %" PRIu64 "/",
                  counts->traffic.latency_us_min / 1000);
    put_average(report);
    (void)fprintf(report->to,
                  "/%" PRIu64 "\nReceived: %" PRIu64 "\nSent: %" PRIu64
                  "\nConnections: %zu\nOutstanding: %zu\nZxid: 0x%" PRIx64
                  "\nMode: %s\nNode count: %" PRIu64 "\n",
                  counts->traffic.latency_us_max / 1000, counts->traffic.received,
                  counts->traffic.sent, counts->connections, counts->outstanding,
                  node_applied(report->words->node), mode(report),
                  state_node_count(node_state(report->words->node)));
    if (report->raft.role == RAFT_LEADER && member_count(report) > 1) {
        struct node_proposal_sizes sizes = node_proposal_sizes(report->words->node);

        (void)fprintf(report->to,
                      "Proposal sizes last/min/max: %" PRIu32 "/%" PRIu32 "/%" PRIu32 "\n",
                      sizes.last, sizes.least, sizes.most);
    }
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

/* On the disk, of the files in this folder and in folders of it whose names begin so. */
static uint64_t folder_bytes(const char *path, const char *prefix)
{
    DIR *folder = opendir(path);
    uint64_t bytes = 0;
    struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char inner[4096];
        struct stat status;

        if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner ||
            lstat(inner, &status) != 0) {
            continue;
        }
        bytes +=
            S_ISDIR(status.st_mode) ? folder_bytes(inner, "") : (uint64_t)status.st_blocks * 512;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return bytes;
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

/* False: enough was put, and it is said so. */
static bool has_room(const struct report *report)
{
    bool has_room = ftell(report->to) < REPORT_BYTES_MAX;

    if (!has_room) {
        (void)fputs("(and more)\n", report->to);
    }
    return has_room;
}

static void put_connection(const struct report *report, const struct zookeeper_connection *shown)
{
    char remote[ADDRESS_TEXT_BYTES_MAX];

    socket_address_text(connection_remote(shown->connection), remote);
    (void)fprintf(report->to, " /%s[1](queued=%zu,recved=%" PRIu64 ",sent=%" PRIu64, remote,
                  shown->pending, shown->traffic.received, shown->traffic.sent);
}

static void put_asker(const struct report *report)
{
    char remote[ADDRESS_TEXT_BYTES_MAX];

    socket_address_text(connection_remote(report->connection), remote);
    (void)fprintf(report->to, " /%s[0](queued=0,recved=1,sent=0)\n\n", remote);
}

static bool put_client(void *context, const struct zookeeper_connection *shown)
{
    const struct report *report = context;

    put_connection(report, shown);
    (void)fputs(")\n", report->to);
    return has_room(report);
}

static void put_stat(const struct report *report)
{
    put_version(report);
    (void)fputs("Clients:\n", report->to);
    zookeeper_front_each(report->words->front, put_client, (void *)(uintptr_t)report);
    put_asker(report);
    put_totals(report);
}

/* ZooKeeper's names for the last operation. */
static const char *operation_name(int32_t type)
{
    static const struct {
        int32_t type;
        const char *name;
    } names[] = {{JUTE_TYPE_PING, "PING"},           {JUTE_TYPE_MULTI, "MULT"},
                 {JUTE_TYPE_MULTI_READ, "MLTR"},     {JUTE_TYPE_CREATE, "CREA"},
                 {JUTE_TYPE_CREATE_2, "CREA"},       {JUTE_TYPE_CREATE_CONTAINER, "CREA"},
                 {JUTE_TYPE_CREATE_TTL, "CREA"},     {JUTE_TYPE_DELETE, "DELE"},
                 {JUTE_TYPE_SET_DATA, "SETD"},       {JUTE_TYPE_RECONFIG, "RECO"},
                 {JUTE_TYPE_SET_ACL, "SETA"},        {JUTE_TYPE_CLOSE_SESSION, "CLOS"},
                 {JUTE_TYPE_SYNC, "SYNC"},           {JUTE_TYPE_EXISTS, "EXIS"},
                 {JUTE_TYPE_GET_DATA, "GETD"},       {JUTE_TYPE_SET_WATCHES, "SETW"},
                 {JUTE_TYPE_SET_WATCHES_2, "STW2"},  {JUTE_TYPE_ADD_WATCH, "ADDW"},
                 {JUTE_TYPE_GET_ACL, "GETA"},        {JUTE_TYPE_GET_CHILDREN, "GETC"},
                 {JUTE_TYPE_GET_CHILDREN_2, "GETC"}, {JUTE_TYPE_GET_ALL_CHILDREN_NUMBER, "GETACN"},
                 {JUTE_TYPE_CHECK_WATCHES, "CHKW"},  {JUTE_TYPE_REMOVE_WATCHES, "REMW"},
                 {JUTE_TYPE_WHO_AM_I, "HOMI"},       {JUTE_TYPE_GET_EPHEMERALS, "GETE"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].type == type) {
            return names[i].name;
        }
    }
    return "NA";
}

static bool put_client_in_full(void *context, const struct zookeeper_connection *shown)
{
    const struct report *report = context;
    const struct zookeeper_traffic *traffic = &shown->traffic;

    put_connection(report, shown);
    if (shown->session != 0) {
        (void)fprintf(report->to, ",sid=0x%" PRIx64 ",lop=%s,est=%" PRIu64 ",to=%" PRIu32,
                      shown->session,
                      shown->last_type == 0 ? "SESS" : operation_name(shown->last_type),
                      shown->established_ms, shown->timeout_ms);
        if (shown->last_type != 0 && shown->last_xid >= 0) {
            (void)fprintf(report->to, ",lcxid=0x%" PRIx32, (uint32_t)shown->last_xid);
        }
        (void)fprintf(report->to,
                      ",lzxid=0x%" PRIx64 ",lresp=%" PRIu64 ",llat=%" PRIu64 ",minlat=%" PRIu64
                      ",avglat=%" PRIu64 ",maxlat=%" PRIu64,
                      shown->last_zxid, shown->last_answer_ms, shown->last_latency_us / 1000,
                      traffic->latency_us_min / 1000,
                      traffic->answered == 0 ? 0
                                             : traffic->latency_us_sum / traffic->answered / 1000,
                      traffic->latency_us_max / 1000);
    }
    (void)fputs(")\n", report->to);
    return has_room(report);
}

static void put_cons(const struct report *report)
{
    zookeeper_front_each(report->words->front, put_client_in_full, (void *)(uintptr_t)report);
    put_asker(report);
}

static void put_crst(const struct report *report)
{
    zookeeper_front_reset_connections(report->words->front);
    (void)fputs("Connection stats reset.\n", report->to);
}

static void put_srst(const struct report *report)
{
    zookeeper_front_reset_counts(report->words->front);
    (void)fputs("Server stats reset.\n", report->to);
}

static void put_mntr_of_leader(const struct report *report)
{
    const struct node *node = report->words->node;
    const struct raft *raft = node_raft(node);
    const struct raft_config *config = raft_config_effective(raft);
    struct node_proposal_sizes sizes = node_proposal_sizes(node);
    uint64_t learners = 0;
    uint64_t followers = 0;
    uint64_t observers = 0;

    for (size_t i = 0; i < config->member_count; i++) {
        struct raft_peer_status peer;

        if (config->members[i].id != report->words->options.server_id &&
            raft_peer_status(raft, config->members[i].id, &peer) == STATUS_OK && peer.active) {
            bool is_synced = peer.state == RAFT_PROGRESS_REPLICATE;
            bool observes = (config->members[i].flags & RAFT_LEARNER) != 0;

            learners++;
            observers += is_synced && observes;
            followers += is_synced && !observes;
        }
    }
    put_number(report, "learners", learners);
    put_number(report, "synced_followers", followers);
    put_number(report, "synced_non_voting_followers", 0);
    put_number(report, "synced_observers", observers);
    put_number(report, "pending_syncs", node_pending_read_indexes(node));
    put_number(report, "leader_uptime", node_leading_us(node) / 1000);
    put_number(report, "last_proposal_size", sizes.last);
    put_number(report, "max_proposal_size", sizes.most);
    put_number(report, "min_proposal_size", sizes.least);
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
    put_number(report, "max_latency", counts->traffic.latency_us_max / 1000);
    put_number(report, "min_latency", counts->traffic.latency_us_min / 1000);
    put_number(report, "packets_received", counts->traffic.received);
    put_number(report, "packets_sent", counts->traffic.sent);
    put_number(report, "num_alive_connections", counts->connections);
    put_number(report, "outstanding_requests", counts->outstanding);
    put_number(report, "znode_count", state_node_count(node_state(words->node)));
    put_number(report, "watch_count", counts->watches);
    put_number(report, "ephemerals_count", state_ephemeral_count(node_state(words->node)));
    put_number(report, "approximate_data_size", state_data_bytes(node_state(words->node)));
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
                  "os.version=%s\nuser.name=%s\nuser.home=%s\nuser.dir=%s\n",
                  SPOKEN_VERSION, system.nodename, system.sysname, system.machine, system.release,
                  report->words->user, report->words->home,
                  getcwd(folder, sizeof folder) == NULL ? "" : folder);
}

/* What this server is to the others, and who they are. */
static void put_ensemble(const struct report *report, const char *port)
{
    struct state_node *node = NULL;
    bool is_null;
    struct bytes members;

    (void)fprintf(report->to,
                  "electionAlg=3\nelectionPort=%s\nquorumPort=%s\npeerType=%d\nmembership: \n",
                  port, port, is_learner(report));
    if (node_read(report->words->node, bytes_of_text("/zookeeper/config"), &node) ==
        CLIENT__CODE__OK) {
        members = state_node_value(node, &is_null);
        (void)fwrite(members.data, 1, members.size, report->to);
        state_node_unref(node);
    }
}

static void put_conf(const struct report *report)
{
    const struct zookeeper_words_options *options = &report->words->options;
    const char *colon = strrchr(options->address, ':');
    const char *port = colon == NULL ? "" : colon + 1;

    (void)fprintf(report->to,
                  "clientPort=%s\nsecureClientPort=-1\ndataDir=%s\ndataDirSize=%" PRIu64
                  "\ndataLogDir=%s\ndataLogSize=%" PRIu64 "\ntickTime=%" PRIu32
                  "\nmaxClientCnxns=%" PRIu64 "\nminSessionTimeout=%" PRIu32
                  "\nmaxSessionTimeout=%" PRIu32 "\nclientPortListenBacklog=-1\nserverId=%" PRIu64
                  "\n",
                  port, options->data, folder_bytes(options->data, "tree-"), options->data,
                  folder_bytes(options->data, "log"), options->sessions.session_timeout_ms_min / 2,
                  options->connections_per_address_max, options->sessions.session_timeout_ms_min,
                  options->sessions.session_timeout_ms_max, options->server_id);
    if (member_count(report) > 1) {
        put_ensemble(report, port);
    }
}

static void put_wchs(const struct report *report)
{
    (void)fprintf(report->to, "%zu connections watching %zu paths\nTotal watches:%zu\n",
                  report->counts.watching, report->counts.watched_paths, report->counts.watches);
}

/* --- Watches, one by one --- */

struct watch_report {
    const struct report *report;
    bool by_path;
    session_id session; /* of the line before */
    struct bytes path;
    bool has_line;
};

static bool put_watch(void *context, session_id session, struct bytes path)
{
    struct watch_report *watches = context;
    FILE *to = watches->report->to;
    bool is_same = watches->has_line && (watches->by_path ? bytes_equal(path, watches->path)
                                                          : session == watches->session);

    if (!is_same && watches->by_path) {
        (void)fprintf(to, "%.*s\n", (int)path.size, (const char *)path.data);
    } else if (!is_same) {
        (void)fprintf(to, "0x%" PRIx64 "\n", session);
    }
    if (watches->by_path) {
        (void)fprintf(to, "\t0x%" PRIx64 "\n", session);
    } else {
        (void)fprintf(to, "\t%.*s\n", (int)path.size, (const char *)path.data);
    }
    watches->session = session;
    watches->path = path;
    watches->has_line = true;
    return has_room(watches->report);
}

static void put_watches(const struct report *report, bool by_path)
{
    struct watch_report watches = {.report = report, .by_path = by_path};

    zookeeper_front_each_watch(report->words->front, by_path, put_watch, &watches);
    (void)fputc('\n', report->to);
}

static void put_wchc(const struct report *report)
{
    put_watches(report, false);
}

static void put_wchp(const struct report *report)
{
    put_watches(report, true);
}

/* --- Sessions and what is theirs --- */

struct session_list {
    struct listed_session {
        session_id id;
        uint64_t due_ms; /* since 1970, at the end of the slot */
    } * items;
    size_t count;
    size_t capacity;
    uint64_t now_ms;
};

static void list_session(void *visitor, session_id session, uint64_t in_ms)
{
    enum { SLOT_MS = 2000 };
    struct session_list *list = visitor;

    if (list->count < list->capacity) {
        list->items[list->count++] = (struct listed_session){
            .id = session, .due_ms = (list->now_ms + in_ms) / SLOT_MS * SLOT_MS + SLOT_MS};
    }
}

static int by_due(const void *left, const void *right)
{
    const struct listed_session *one = left;
    const struct listed_session *other = right;

    return one->due_ms != other->due_ms
               ? (one->due_ms > other->due_ms) - (one->due_ms < other->due_ms)
               : (one->id > other->id) - (one->id < other->id);
}

static void put_date(FILE *to, uint64_t at_ms)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm parts;
    char text[64] = "";

    if (gmtime_r(&seconds, &parts) != NULL) {
        (void)strftime(text, sizeof text, "%a %b %d %H:%M:%S UTC %Y", &parts);
    }
    (void)fputs(text, to);
}

static void put_sessions(const struct report *report)
{
    struct session_list list = {.capacity = SESSIONS_MAX, .now_ms = clock_wall_ms()};
    size_t sets = 0;

    list.items = xcalloc(list.capacity, sizeof *list.items);
    node_each_expiry(report->words->node, list_session, &list);
    qsort(list.items, list.count, sizeof *list.items, by_due);
    for (size_t i = 0; i < list.count; i++) {
        sets += i == 0 || list.items[i].due_ms != list.items[i - 1].due_ms;
    }
    (void)fprintf(report->to, "SessionTracker dump:\nSession Sets (%zu)/(%zu):\n", sets,
                  list.count);
    for (size_t i = 0; i < list.count;) {
        size_t end = i;

        while (end < list.count && list.items[end].due_ms == list.items[i].due_ms) {
            end++;
        }
        (void)fprintf(report->to, "%zu expire at ", end - i);
        put_date(report->to, list.items[i].due_ms);
        (void)fputs(":\n", report->to);
        for (; i < end; i++) {
            (void)fprintf(report->to, "\t0x%" PRIx64 "\n", list.items[i].id);
        }
    }
    free(list.items);
}

struct ephemeral_report {
    struct state *state;
    FILE *to;
    size_t nodes_left;
    size_t sessions;
    session_id session;
    bool has_line; /* of this session */
    bool is_over;
};

static void put_ephemeral(void *visitor, struct bytes path)
{
    struct ephemeral_report *report = visitor;

    if (!report->has_line) {
        (void)fprintf(report->to, "0x%" PRIx64 ":\n", report->session);
        report->has_line = true;
        report->sessions++;
    }
    (void)fprintf(report->to, "\t%.*s\n", (int)path.size, (const char *)path.data);
}

static void put_ephemerals_of(void *visitor, const struct state_session *session)
{
    struct ephemeral_report *report = visitor;
    uint64_t cursor = 0;
    bool is_done = true;

    report->session = session->id;
    report->has_line = false;
    /* What cannot be read now is met again, and reported, by others. */
    if (!report->is_over && report->nodes_left > 0 && ftell(report->to) < REPORT_BYTES_MAX &&
        state_each_ephemeral(report->state, session->id, &cursor, &report->nodes_left,
                             put_ephemeral, report, &is_done) != STATUS_OK) {
        report->is_over = true;
    }
}

static void put_ephemerals(const struct report *report)
{
    char *text = NULL;
    size_t size = 0;
    struct ephemeral_report ephemerals = {.state = node_state(report->words->node),
                                          .to = open_memstream(&text, &size),
                                          .nodes_left = EPHEMERALS_MAX};

    if (ephemerals.to == NULL) {
        return;
    }
    state_session_each(ephemerals.state, put_ephemerals_of, &ephemerals);
    if (fclose(ephemerals.to) == 0) {
        (void)fprintf(report->to, "ephemeral nodes dump:\nSessions with Ephemerals (%zu):\n",
                      ephemerals.sessions);
        (void)fwrite(text, 1, size, report->to);
    }
    free(text);
}

/* Connections have no times of their own here. */
static void put_dump(const struct report *report)
{
    put_sessions(report);
    put_ephemerals(report);
    (void)fputs("Connections dump:\nConnections Sets (0)/(0):\n", report->to);
}

/* --- Disks --- */

static void put_dirs(const struct report *report)
{
    const char *data = report->words->options.data;

    (void)fprintf(report->to, "datadir_size: %" PRIu64 "\nlogdir_size: %" PRIu64 "\n",
                  folder_bytes(data, "tree-"), folder_bytes(data, "log"));
}

struct word {
    const char *name;
    void (*put)(const struct report *report);
    bool without_leader; /* answered by a server that serves nobody, too */
};

static const struct word all_words[] = {
    {"ruok", put_ruok, true},  {"isro", put_isro, true},  {"envi", put_envi, true},
    {"srvr", put_srvr, false}, {"stat", put_stat, false}, {"mntr", put_mntr, false},
    {"conf", put_conf, false}, {"wchs", put_wchs, false}, {"wchc", put_wchc, false},
    {"wchp", put_wchp, false}, {"cons", put_cons, false}, {"crst", put_crst, false},
    {"srst", put_srst, false}, {"dump", put_dump, false}, {"dirs", put_dirs, false}};

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
                             "stat, mntr, conf, wchs, wchc, wchp, cons, crst, srst, dump, dirs, "
                             "and all",
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
                                            struct zookeeper_front *front,
                                            const struct zookeeper_words_options *options)
{
    struct zookeeper_words *words = xcalloc(1, sizeof *words);
    const struct passwd *user = getpwuid(geteuid()); /* may ask other machines, so only once */

    words->node = node;
    words->front = front;
    words->options = *options;
    words->started_us = clock_monotonic_us();
    words->user = xstrdup(user == NULL ? "?" : user->pw_name);
    words->home = xstrdup(user == NULL ? "?" : user->pw_dir);
    return words;
}

void zookeeper_words_free(struct zookeeper_words *words)
{
    if (words != NULL) {
        free(words->user);
        free(words->home);
        free(words);
    }
}

void zookeeper_words_take(struct zookeeper_words *words, struct connection *connection)
{
    connection_set_protocol(connection, FRAME_PROTOCOL_WORD, FRAME_WORD_BYTES);
    connection_set_handler(connection, &handler, words);
    connection_set_state(connection, CONNECTION_HANDSHAKE);
}
