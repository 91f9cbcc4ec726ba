#include "server/config.h"

#include "base/check.h"
#include "base/quantity.h"
#include "server/front/zookeeper_words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind {
    KIND_FLAG,
    KIND_COUNT,
    KIND_BYTES,
    KIND_DURATION,
    KIND_DURATIONS, /* LEAST..MOST */
    KIND_ADDRESS,
    KIND_PATH,
    KIND_DIGEST, /* USER:HASH */
    KIND_LEVEL,
    KIND_WORDS,
    KIND_RECOVER /* show, or TERM.INDEX */
};

struct option {
    const char *name;
    enum kind kind;
    size_t offset;        /* in struct config */
    const char *value;    /* its name in --help; NULL for a flag */
    const char *standard; /* the default, as it would be written; NULL = none */
    uint64_t minimum;     /* of numbers, in the field's unit */
    uint64_t maximum;
    const char *help;
};

#define FIELD(name) offsetof(struct config, name)
#define KIB(n)      ((uint64_t)(n) << 10)
#define MIB(n)      ((uint64_t)(n) << 20)
#define GIB(n)      ((uint64_t)(n) << 30)
#define TIB(n)      ((uint64_t)(n) << 40)
#define HOURS_MS(n) ((uint64_t)(n)*60 * 60 * 1000)

/* --listen may be given several times; it has a row like the others and a case of its own. */
static const struct option options[] = {
    {"id", KIND_COUNT, FIELD(id), "N", NULL, 1, UINT32_MAX,
     "this server's number in the cluster; required"},
    {"server", KIND_ADDRESS, FIELD(server), "HOST:PORT", NULL, 0, 0,
     "the address that clients and other servers use; required"},
    {"listen", KIND_ADDRESS, FIELD(listen), "HOST:PORT", NULL, 0, 0,
     "where to listen, up to 8 times (default: the address of --server)"},
    {"data", KIND_PATH, FIELD(data), "DIR", NULL, 0, 0,
     "the data folder, made if missing (default: ./confer-data/ID)"},
    {"cache", KIND_BYTES, FIELD(cache_bytes), "SIZE", "64MiB", 0, TIB(16),
     "memory for nodes, the changes kept for watches and the newest writes"},
    {"log-level", KIND_LEVEL, FIELD(log_level), "LEVEL", "info", 0, 0,
     "error, warn, info or debug"},
    {"cluster-secret-file", KIND_PATH, FIELD(secret_file), "FILE", NULL, 0, 0,
     "the secret by which servers know each other; readable by its owner only"},
    {"insecure-peers", KIND_FLAG, FIELD(insecure_peers), NULL, NULL, 0, 0,
     "without a secret: take servers of other machines too"},
    {"open-membership", KIND_FLAG, FIELD(open_membership), NULL, NULL, 0, 0,
     "let clients of other machines change the members without being the superuser"},
    {"heartbeat", KIND_DURATION, FIELD(heartbeat_ms), "DURATION", NULL, 5, 60000,
     "how often the leader is heard (default: 250ms, or a quarter of a shorter "
     "--election-timeout)"},
    {"election-timeout", KIND_DURATION, FIELD(election_timeout_ms), "DURATION", "1s", 20,
     HOURS_MS(1), "how long a silent leader is waited for, at least 3 heartbeats"},
    {"checkpoint-records", KIND_COUNT, FIELD(checkpoint_records), "N", "8192", 1, 1U << 24,
     "changed records that start a checkpoint"},
    {"checkpoint-bytes", KIND_BYTES, FIELD(checkpoint_bytes), "SIZE", "16MiB", KIB(1), GIB(16),
     "changed bytes that start a checkpoint"},
    {"checkpoint-interval", KIND_DURATION, FIELD(checkpoint_interval_ms), "DURATION", "10s", 10,
     HOURS_MS(24), "the longest time between a change and its checkpoint"},
    {"log-tail", KIND_BYTES, FIELD(log_tail_bytes), "SIZE", "64MiB", 0, GIB(64),
     "log kept behind a checkpoint for members that lag"},
    {"log-tail-entries", KIND_COUNT, FIELD(log_tail_entries), "N", "131072", 0, 1U << 17,
     "and its entries at most"},
    {"history", KIND_BYTES, FIELD(history_bytes), "SIZE", NULL, 0, GIB(64),
     "changes kept in memory for watches that resume (default: a quarter of --cache, at least "
     "4MiB)"},
    {"history-changes", KIND_COUNT, FIELD(history_changes), "N", "262144", 1, 1U << 26,
     "and their number at most"},
    {"container-check-interval", KIND_DURATION, FIELD(container_check_interval_ms), "DURATION",
     "60s", 10, HOURS_MS(24), "how often the leader removes left containers and old TTL nodes"},
    {"enforce-quotas", KIND_FLAG, FIELD(enforce_quotas), NULL, NULL, 0, 0,
     "refuse writes beyond the hard limits of quotas; give it to every server"},
    {"map-size", KIND_BYTES, FIELD(map_bytes), "SIZE", "64GiB", MIB(1), TIB(16),
     "the most the tree may take on disk"},
    {"log-map-size", KIND_BYTES, FIELD(log_map_bytes), "SIZE", "8GiB", MIB(4), TIB(16),
     "the most the log may take on disk"},
    {"disk-reserve", KIND_BYTES, FIELD(disk_reserve_bytes), "SIZE", "256MiB", 0, TIB(16),
     "free disk below which only removals are taken"},
    {"max-connections", KIND_COUNT, FIELD(max_connections), "N", "10000", 1, 1U << 20,
     "clients connected at one time"},
    {"max-connections-per-address", KIND_COUNT, FIELD(max_connections_per_address), "N", "1000", 1,
     1U << 20, "and of them, of one address"},
    {"zookeeper-session-timeout", KIND_DURATIONS, FIELD(zookeeper_session_timeout_ms), "MIN..MAX",
     "4s..40s", STATE_SESSION_TIMEOUT_MS_MIN, STATE_SESSION_TIMEOUT_MS_MAX,
     "what ZooKeeper clients ask for is brought into these limits"},
    {"zookeeper-super-digest", KIND_DIGEST, FIELD(zookeeper_super_digest), "USER:HASH", NULL, 0, 0,
     "who authenticates so, by scheme digest, may do everything (default: nobody)"},
    {"zookeeper-reconfig", KIND_FLAG, FIELD(zookeeper_reconfig), NULL, NULL, 0, 0,
     "take ZooKeeper's reconfig from who may write /zookeeper/config"},
    {"read-only-mode", KIND_FLAG, FIELD(read_only_mode), NULL, NULL, 0, 0,
     "without a leader, let ZooKeeper clients read that ask for such servers"},
    {"no-watch-replay", KIND_FLAG, FIELD(no_watch_replay), NULL, NULL, 0, 0,
     "a ZooKeeper client's lasting watches miss what happens while it is away"},
    {"four-letter-words", KIND_WORDS, FIELD(four_letter_words), "LIST|all", ZOOKEEPER_WORDS_DEFAULT,
     0, 0, "the ones answered to ZooKeeper's monitoring tools"},
    {"check", KIND_PATH, FIELD(check), "DIR", NULL, 0, 0,
     "examine the data folder of a stopped server, change nothing, and end"},
    {"recover", KIND_RECOVER, FIELD(recover), "show|LAST", NULL, 0, 0,
     "after the loss of a majority: make the stopped server the only voter of a new cluster; first "
     "show what that does, then give LAST as shown"},
    {"version", KIND_FLAG, FIELD(version), NULL, NULL, 0, 0, "print the version and end"},
    {"help", KIND_FLAG, FIELD(help), NULL, NULL, 0, 0, "print this and end"}};

enum {
    OPTION_COUNT = sizeof options / sizeof options[0],
    NAME_BYTES_MAX = 40,
    DIGEST_HASH_BYTES = 28,
    RECOVER_DIGITS_MAX = 19, /* of a number below 2^63 */
    HEARTBEAT_MS = 250,
    HISTORY_SHARE = 4, /* of the cache */
    HISTORY_MIN_MIB = 4
};

#define HISTORY_UNSET UINT64_MAX
#define DIGITS        "0123456789"

/* --- Names --- */

static const struct option *find(const char *name, size_t size)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned smaller = a < b ? a : b;

    return smaller < c ? smaller : c;
}

/* Insertions, deletions and replacements that make `left` of `right` (Levenshtein). */
static unsigned distance(const char *left, size_t left_size, const char *right)
{
    unsigned row[NAME_BYTES_MAX + 1];
    size_t right_size = strlen(right);

    CHECK_OP(right_size, <=, NAME_BYTES_MAX);
    for (size_t j = 0; j <= right_size; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= left_size; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= right_size; j++) {
            unsigned above = row[j];

            row[j] = smallest(above + 1, row[j - 1] + 1,
                              diagonal + (left[i - 1] == right[j - 1] ? 0 : 1));
            diagonal = above;
        }
    }
    return row[right_size];
}

/* The option that was probably meant, or NULL: a few letters away, or the start of just one. */
static const char *guess(const char *name, size_t size)
{
    const char *best = NULL;
    unsigned best_distance = size < 4 ? 2 : 3;
    const char *prefixed = NULL;
    unsigned prefixed_count = 0;

    if (size == 0 || size > NAME_BYTES_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        unsigned away = distance(name, size, options[i].name);

        if (away < best_distance) {
            best = options[i].name;
            best_distance = away;
        }
        if (strncmp(options[i].name, name, size) == 0) {
            prefixed = options[i].name;
            prefixed_count++;
        }
    }
    return best == NULL && prefixed_count == 1 ? prefixed : best;
}

static enum status unknown(const char *argument, struct error *error)
{
    const char *name = argument;
    const char *meant;

    name += strspn(name, "-");
    meant = guess(name, strcspn(name, "="));
    if (argument[0] != '-') {
        return error_set(error, STATUS_INVALID,
                         "'%.100s' is not an option; see confer-server --help", argument);
    }
    if (meant == NULL) {
        return error_set(error, STATUS_INVALID, "unknown option '%.100s'; see confer-server --help",
                         argument);
    }
    return error_set(error, STATUS_INVALID, "unknown option '%.100s'; did you mean --%s?", argument,
                     meant);
}

/* --- Values --- */

static void *field_of(struct config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

static void format_number(const struct option *option, uint64_t number, char text[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    if (option->kind == KIND_DURATION || option->kind == KIND_DURATIONS) {
        (void)snprintf(text, 32, "%" PRIu64 "%s", number % 1000 == 0 ? number / 1000 : number,
                       number % 1000 == 0 ? "s" : "ms");
        return;
    }
    if (option->kind == KIND_COUNT) {
        (void)snprintf(text, 32, "%" PRIu64, number);
        return;
    }
    while (number != 0 && number % 1024 == 0 && unit < 4) {
        number /= 1024;
        unit++;
    }
    (void)snprintf(text, 32, "%" PRIu64 "%s", number, units[unit]);
}

static enum status
check_range(const struct option *option, const char *text, uint64_t number, struct error *error)
{
    char minimum[32];
    char maximum[32];

    if (number >= option->minimum && number <= option->maximum) {
        return STATUS_OK;
    }
    format_number(option, option->minimum, minimum);
    format_number(option, option->maximum, maximum);
    return error_set(error, STATUS_INVALID, "--%s %.100s: it must be %s to %s", option->name, text,
                     minimum, maximum);
}

static enum status parse_number(struct config *config,
                                const struct option *option,
                                const char *text,
                                struct error *error)
{
    uint64_t number = 0;
    struct error why;
    enum status status;

    if (option->kind == KIND_COUNT) {
        status = quantity_parse_count(text, UINT64_MAX, &number, &why);
    } else if (option->kind == KIND_BYTES) {
        status = quantity_parse_bytes(text, &number, &why);
    } else {
        status = quantity_parse_duration_ms(text, &number, &why);
    }
    if (status != STATUS_OK && option->kind == KIND_COUNT) {
        return error_set(error, status, "--%s: '%.100s' is not a number", option->name, text);
    }
    if (status != STATUS_OK) {
        return error_set(error, status, "--%s: %s", option->name, why.text);
    }
    status = check_range(option, text, number, error);
    if (status == STATUS_OK) {
        memcpy(field_of(config, option), &number, sizeof number);
    }
    return status;
}

static enum status parse_durations(struct config *config,
                                   const struct option *option,
                                   const char *text,
                                   struct error *error)
{
    const char *dots = strstr(text, "..");
    char least[NAME_BYTES_MAX];
    uint64_t range[2] = {0, 0};
    struct error why;
    enum status status = STATUS_OK;

    if (dots == NULL || (size_t)(dots - text) >= sizeof least) {
        return error_set(error, STATUS_INVALID, "--%s: '%.100s' is no range, as 4s..40s",
                         option->name, text);
    }
    memcpy(least, text, (size_t)(dots - text));
    least[dots - text] = '\0';
    if (quantity_parse_duration_ms(least, &range[0], &why) != STATUS_OK ||
        quantity_parse_duration_ms(dots + 2, &range[1], &why) != STATUS_OK) {
        return error_set(error, STATUS_INVALID, "--%s: %s", option->name, why.text);
    }
    for (size_t i = 0; i < 2 && status == STATUS_OK; i++) {
        status = check_range(option, text, range[i], error);
    }
    if (status == STATUS_OK && range[0] > range[1]) {
        status = error_set(error, STATUS_INVALID, "--%s %.100s: the first is above the second",
                           option->name, text);
    }
    if (status == STATUS_OK) {
        memcpy(field_of(config, option), range, sizeof range);
    }
    return status;
}

static enum status parse_words(struct config *config,
                               const struct option *option,
                               const char *text,
                               struct error *error)
{
    struct error why;

    if (zookeeper_words_parse(text, field_of(config, option), &why) != STATUS_OK) {
        return error_set(error, STATUS_INVALID, "--%s: %s", option->name, why.text);
    }
    return STATUS_OK;
}

static enum status parse_address(struct config *config,
                                 const struct option *option,
                                 const char *text,
                                 struct error *error)
{
    struct address address;
    struct error why;
    char *field = field_of(config, option);

    if (address_parse(text, &address, &why) != STATUS_OK) {
        return error_set(error, STATUS_INVALID, "--%s: %s", option->name, why.text);
    }
    if (option->offset == FIELD(listen)) {
        if (config->listen_count == CONFIG_LISTENERS_MAX) {
            return error_set(error, STATUS_INVALID, "--listen may be given %d times at most",
                             CONFIG_LISTENERS_MAX);
        }
        field = config->listen[config->listen_count++];
    }
    address_format(&address, field);
    return STATUS_OK;
}

static enum status parse_path(struct config *config,
                              const struct option *option,
                              const char *text,
                              struct error *error)
{
    if (text[0] == '\0' || strlen(text) >= CONFIG_PATH_BYTES_MAX) {
        return error_set(error, STATUS_INVALID, "--%s: the path is empty or too long",
                         option->name);
    }
    memcpy(field_of(config, option), text, strlen(text) + 1);
    return STATUS_OK;
}

/* As it stands in a list of permissions: the user, a colon, and 28 letters of base64. */
static enum status parse_digest(struct config *config,
                                const struct option *option,
                                const char *text,
                                struct error *error)
{
    const char *colon = strchr(text, ':');

    if (colon == NULL || colon == text || strlen(colon + 1) != DIGEST_HASH_BYTES ||
        strlen(text) >= CONFIG_DIGEST_BYTES_MAX) {
        return error_set(error, STATUS_INVALID,
                         "--%s: it must be USER:HASH, where HASH is what\n"
                         "printf USER:PASSWORD | openssl sha1 -binary | base64\nprints",
                         option->name);
    }
    memcpy(field_of(config, option), text, strlen(text) + 1);
    return STATUS_OK;
}

static enum status parse_recover(struct config *config,
                                 const struct option *option,
                                 const char *text,
                                 struct error *error)
{
    size_t term_size = strspn(text, DIGITS);
    size_t index_size = text[term_size] == '.' ? strspn(text + term_size + 1, DIGITS) : 0;

    if (strcmp(text, "show") == 0) {
        config->recover = CONFIG_RECOVER_SHOW;
        return STATUS_OK;
    }
    if (term_size == 0 || term_size > RECOVER_DIGITS_MAX || index_size == 0 ||
        index_size > RECOVER_DIGITS_MAX || text[term_size + 1 + index_size] != '\0') {
        return error_set(error, STATUS_INVALID,
                         "--%s: '%.60s' is neither 'show' nor the last entry as that shows it, "
                         "TERM.INDEX",
                         option->name, text);
    }
    config->recover_term = strtoull(text, NULL, 10);
    config->recover_index = strtoull(text + term_size + 1, NULL, 10);
    config->recover = CONFIG_RECOVER_DO;
    return STATUS_OK;
}

static enum status parse_value(struct config *config,
                               const struct option *option,
                               const char *text,
                               struct error *error)
{
    switch (option->kind) {
    case KIND_COUNT:
    case KIND_BYTES:
    case KIND_DURATION:
        return parse_number(config, option, text, error);
    case KIND_DURATIONS:
        return parse_durations(config, option, text, error);
    case KIND_WORDS:
        return parse_words(config, option, text, error);
    case KIND_ADDRESS:
        return parse_address(config, option, text, error);
    case KIND_PATH:
        return parse_path(config, option, text, error);
    case KIND_DIGEST:
        return parse_digest(config, option, text, error);
    case KIND_RECOVER:
        return parse_recover(config, option, text, error);
    case KIND_LEVEL:
        if (log_parse_level(text, &config->log_level) != STATUS_OK) {
            return error_set(error, STATUS_INVALID,
                             "--%s: '%.100s' is none of error, warn, info, debug", option->name,
                             text);
        }
        return STATUS_OK;
    case KIND_FLAG:
        break;
    }
    CHECK(option->kind == KIND_FLAG);
    *(bool *)field_of(config, option) = true;
    return STATUS_OK;
}

/* --- All of it --- */

static void set_defaults(struct config *config)
{
    memset(config, 0, sizeof *config);
    config->history_bytes = HISTORY_UNSET;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (options[i].standard != NULL) {
            CHECK(parse_value(config, &options[i], options[i].standard, NULL) == STATUS_OK);
        }
    }
}

static enum status
parse_all(int argc, char *const *argv, struct config *config, struct error *error)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        const char *name = argument + 2;
        const char *equals = strchr(argument, '=');
        const struct option *option = NULL;
        const char *value = equals == NULL ? NULL : equals + 1;
        enum status status;

        if (strncmp(argument, "--", 2) == 0) {
            option = find(name, strcspn(name, "="));
        }
        if (option == NULL) {
            return unknown(argument, error);
        }
        if (option->kind == KIND_FLAG && value != NULL) {
            return error_set(error, STATUS_INVALID, "--%s takes no value", option->name);
        }
        if (option->kind != KIND_FLAG && value == NULL) {
            if (i + 1 == argc) {
                return error_set(error, STATUS_INVALID, "--%s needs a value: --%s %s", option->name,
                                 option->name, option->value);
            }
            value = argv[++i];
        }
        status = parse_value(config, option, value, error);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status check_together(const struct config *config, struct error *error)
{
    if (config->id == 0) {
        return error_set(error, STATUS_INVALID,
                         "--id is missing; as in: confer-server --id 1 --server 127.0.0.1:10001");
    }
    if (config->server[0] == '\0') {
        return error_set(error, STATUS_INVALID,
                         "--server is missing; as in: confer-server --id 1 --server "
                         "127.0.0.1:10001");
    }
    if (config->election_timeout_ms < 3 * config->heartbeat_ms) {
        return error_set(error, STATUS_INVALID,
                         "--election-timeout %" PRIu64 "ms is less than 3 heartbeats of %" PRIu64
                         "ms: raise it, or lower --heartbeat",
                         config->election_timeout_ms, config->heartbeat_ms);
    }
    if (config->secret_file[0] != '\0' && config->insecure_peers) {
        return error_set(error, STATUS_INVALID,
                         "--insecure-peers and --cluster-secret-file exclude each other: leave one "
                         "out");
    }
    if (config->log_tail_bytes > config->log_map_bytes / 2) {
        return error_set(error, STATUS_INVALID,
                         "--log-tail is more than half of --log-map-size: lower it, or raise "
                         "--log-map-size");
    }
    return STATUS_OK;
}

static uint64_t lesser(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

static uint64_t greater(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

enum status
config_parse(int argc, char *const *argv, struct config *ret_config, struct error *error)
{
    struct config config;
    enum status status;

    set_defaults(&config);
    status = parse_all(argc, argv, &config, error);
    if (config.heartbeat_ms == 0) {
        config.heartbeat_ms = lesser(HEARTBEAT_MS, config.election_timeout_ms / 4);
    }
    if (config.history_bytes == HISTORY_UNSET) {
        config.history_bytes = greater(config.cache_bytes / HISTORY_SHARE, MIB(HISTORY_MIN_MIB));
    }
    if (status == STATUS_OK && !config.help && !config.version && config.check[0] == '\0') {
        status = check_together(&config, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (config.listen_count == 0) {
        memcpy(config.listen[0], config.server, sizeof config.server);
        config.listen_count = 1;
    }
    if (config.data[0] == '\0') {
        (void)snprintf(config.data, sizeof config.data, "./confer-data/%" PRIu64, config.id);
    }
    *ret_config = config;
    return STATUS_OK;
}

void config_print_help(FILE *to)
{
    (void)fprintf(to, "Usage: confer-server --id N --server HOST:PORT [OPTION ...]\n"
                      "       confer-server --check DIR\n\n"
                      "Run one server of a Confer cluster.\n\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char left[NAME_BYTES_MAX + 32];

        (void)snprintf(left, sizeof left, "--%s%s%s", options[i].name,
                       options[i].value == NULL ? "" : " ",
                       options[i].value == NULL ? "" : options[i].value);
        (void)fprintf(to, "  %-34s %s", left, options[i].help);
        if (options[i].standard != NULL) {
            (void)fprintf(to, " (default: %s)", options[i].standard);
        }
        (void)fputc('\n', to);
    }
    (void)fprintf(to, "\nSizes are written as 64KiB, 256MiB, 8GiB; durations as 50ms, 10s, 2m.\n"
                      "A first cluster of one server:\n"
                      "  confer-server --id 1 --server 127.0.0.1:10001\n"
                      "  confer-cli --address 127.0.0.1:10001 init --nodes 1=127.0.0.1:10001\n");
}

/* --- The secret --- */

static enum status check_secret_file(int file, const char *path, struct error *error)
{
    struct stat info;

    if (fstat(file, &info) != 0) {
        return error_set(error, STATUS_IO, "cannot examine the secret file %s: %s", path,
                         strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return error_set(error, STATUS_INVALID, "the secret file %s is not a file", path);
    }
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return error_set(error, STATUS_INVALID,
                         "the secret file %s may be used by others: run chmod 600 %s", path, path);
    }
    if (info.st_size > CONFIG_SECRET_BYTES_MAX) {
        return error_set(error, STATUS_INVALID, "the secret file %s has more than %d bytes", path,
                         CONFIG_SECRET_BYTES_MAX);
    }
    return STATUS_OK;
}

static enum status read_all(int file, const char *path, struct buffer *secret, struct error *error)
{
    uint8_t bytes[CONFIG_SECRET_BYTES_MAX];
    size_t size = 0;

    while (size < sizeof bytes) {
        ssize_t came = read(file, bytes + size, sizeof bytes - size);

        if (came < 0 && errno == EINTR) {
            continue;
        }
        if (came < 0) {
            return error_set(error, STATUS_IO, "cannot read the secret file %s: %s", path,
                             strerror(errno));
        }
        if (came == 0) {
            break;
        }
        size += (size_t)came;
    }
    while (size > 0 && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r')) {
        size--;
    }
    if (size < CONFIG_SECRET_BYTES_MIN) {
        explicit_bzero(bytes, sizeof bytes);
        return error_set(error, STATUS_INVALID,
                         "the secret file %s holds %zu bytes, fewer than %d: make one with "
                         "openssl rand -hex 32 > %s",
                         path, size, CONFIG_SECRET_BYTES_MIN, path);
    }
    buffer_put(secret, bytes_of(bytes, size));
    explicit_bzero(bytes, sizeof bytes);
    return STATUS_OK;
}

enum status config_read_secret(const char *path, struct buffer *secret, struct error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum status status;

    if (file < 0) {
        return error_set(error, STATUS_IO, "cannot open the secret file %s: %s", path,
                         strerror(errno));
    }
    status = check_secret_file(file, path, error);
    if (status == STATUS_OK) {
        status = read_all(file, path, secret, error);
    }
    (void)close(file);
    return status;
}
