#include "server/config.h"

#include "base/address.h"
#include "base/quantity.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

enum kind { KIND_COUNT, KIND_TEXT, KIND_ADDRESS, KIND_FLAG, KIND_LEVEL, KIND_DURATION, KIND_SIZE };

struct option {
    const char *name;
    enum kind kind;
    size_t offset;
    uint64_t fallback; /* of the numeric kinds */
    uint64_t minimum;
    uint64_t maximum;
    const char *value; /* as --help shows it */
    const char *help;
};

#define KIB(count) ((uint64_t)(count) << 10)
#define MIB(count) ((uint64_t)(count) << 20)
#define GIB(count) ((uint64_t)(count) << 30)
#define AT(member) offsetof(struct config, member)

static const struct option options[] = {
    {"id", KIND_COUNT, AT(id), 0, 1, UINT32_MAX, "N", "number of this server in its cluster"},
    {"server", KIND_ADDRESS, AT(server), 0, 0, 0, "HOST:PORT",
     "address that clients and peers use"},
    {"listen", KIND_ADDRESS, AT(listen), 0, 0, 0, "HOST:PORT", "where to listen, if not there"},
    {"data", KIND_TEXT, AT(data), 0, 0, 0, "DIR", "data folder (default ./confer-data/ID)"},
    {"cluster-secret-file", KIND_TEXT, AT(cluster_secret_file), 0, 0, 0, "FILE",
     "secret that all members share; without it peers are taken from this machine only"},
    {"insecure-peers", KIND_FLAG, AT(insecure_peers), 0, 0, 0, NULL,
     "take peers from other machines without a secret"},
    {"log-level", KIND_LEVEL, AT(log_level), 0, 0, 0, "LEVEL",
     "error, warn, info or debug (default info)"},
    {"heartbeat", KIND_DURATION, AT(heartbeat_ms), 50, 5, 10000, "TIME",
     "between signs of life of the leader (default 50ms)"},
    {"election-timeout", KIND_DURATION, AT(election_timeout_ms), 500, 20, 60000, "TIME",
     "silence after which a new leader is sought (default 500ms)"},
    {"request-timeout", KIND_DURATION, AT(request_timeout_ms), 10000, 100, 600000, "TIME",
     "how long a request may wait here (default 10s)"},
    {"cache", KIND_SIZE, AT(cache_bytes), MIB(256), 0, GIB(1024), "SIZE",
     "memory for nodes that are also on disk (default 256MiB)"},
    {"checkpoint-records", KIND_COUNT, AT(checkpoint_records), 65536, 1, 1 << 24, "N",
     "changed records that start a checkpoint (default 65536)"},
    {"checkpoint-bytes", KIND_SIZE, AT(checkpoint_bytes), MIB(32), KIB(4), GIB(4), "SIZE",
     "changed bytes that start a checkpoint (default 32MiB)"},
    {"checkpoint-interval", KIND_DURATION, AT(checkpoint_interval_ms), 10000, 10, 3600000, "TIME",
     "age of a change that starts a checkpoint (default 10s)"},
    {"log-tail", KIND_SIZE, AT(log_tail_bytes), MIB(64), KIB(4), GIB(4), "SIZE",
     "log kept behind a checkpoint for members that lag (default 64MiB)"},
    {"log-tail-entries", KIND_COUNT, AT(log_tail_entries), 1 << 17, 1, 1 << 17, "N",
     "and the same as a number of entries (default 131072)"},
    {"history", KIND_SIZE, AT(history_bytes), MIB(64), KIB(4), GIB(64), "SIZE",
     "changes kept in memory for watches that resume (default 64MiB)"},
    {"map-size", KIND_SIZE, AT(tree_map_bytes), GIB(64), MIB(1), GIB(1024), "SIZE",
     "largest size of the tree on disk (default 64GiB)"},
    {"log-map-size", KIND_SIZE, AT(log_map_bytes), GIB(8), MIB(1), GIB(1024), "SIZE",
     "largest size of the log on disk (default 8GiB)"},
    {"disk-reserve", KIND_SIZE, AT(disk_reserve_bytes), MIB(256), 0, GIB(1024), "SIZE",
     "free disk below which only removals pass (default 256MiB)"},
    {"max-connections", KIND_COUNT, AT(connections_max), 100000, 1, 10000000, "N",
     "clients in all (default 100000)"},
    {"max-connections-per-address", KIND_COUNT, AT(connections_per_address_max), 100000, 1,
     10000000, "N", "connections of one address (default 100000)"},
};

enum { OPTION_COUNT = sizeof options / sizeof options[0] };

static void *member_of(struct config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

static void set_defaults(struct config *config)
{
    memset(config, 0, sizeof *config);
    config->log_level = LOG_LEVEL_INFO;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (options[i].fallback != 0) {
            memcpy(member_of(config, &options[i]), &options[i].fallback, sizeof(uint64_t));
        }
    }
}

/* --- Which option was meant --- */

/* Edits that turn one text into the other (Wagner and Fischer, 1974); 99 for long ones. */
static unsigned edit_distance(const char *left, const char *right)
{
    enum { LENGTH_MAX = 40 };
    unsigned row[LENGTH_MAX + 1];
    size_t left_size = strlen(left);
    size_t right_size = strlen(right);

    if (left_size > LENGTH_MAX || right_size > LENGTH_MAX) {
        return 99;
    }
    for (size_t j = 0; j <= right_size; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= left_size; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= right_size; j++) {
            unsigned replaced = diagonal + (left[i - 1] != right[j - 1]);
            unsigned shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[right_size];
}

static enum config_outcome refuse_unknown(const char *name, struct error *error)
{
    const struct option *nearest = NULL;
    unsigned nearest_distance = 4;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        unsigned distance = edit_distance(name, options[i].name);

        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = &options[i];
        }
    }
    if (nearest != NULL) {
        (void)error_set(error, STATUS_INVALID, "unknown option --%.100s; did you mean --%s?", name,
                        nearest->name);
    } else {
        (void)error_set(error, STATUS_INVALID, "unknown option --%.100s; see --help", name);
    }
    return CONFIG_WRONG;
}

/* --- Values --- */

static enum status parse_number(const struct option *option,
                                const char *text,
                                uint64_t *ret_number,
                                struct error *error)
{
    uint64_t number = 0;
    struct error reason;
    enum status status;

    if (option->kind == KIND_DURATION) {
        status = quantity_parse_duration_ms(text, &number, &reason);
    } else if (option->kind == KIND_SIZE) {
        status = quantity_parse_bytes(text, &number, &reason);
    } else {
        status = quantity_parse_count(text, option->maximum, &number, &reason);
    }
    if (status != STATUS_OK) {
        return error_set(error, status, "--%s: %.300s", option->name, reason.text);
    }
    if (number < option->minimum || number > option->maximum) {
        return error_set(error, STATUS_INVALID,
                         "--%s: %s is not between %" PRIu64 " and %" PRIu64 "%s", option->name,
                         text, option->minimum, option->maximum,
                         option->kind == KIND_DURATION ? " ms"
                         : option->kind == KIND_SIZE   ? " bytes"
                                                       : "");
    }
    *ret_number = number;
    return STATUS_OK;
}

static enum status
set_value(struct config *config, const struct option *option, const char *text, struct error *error)
{
    struct address address;
    struct error reason;
    uint64_t number = 0;
    enum log_level level;

    switch (option->kind) {
    case KIND_FLAG:
        *(bool *)member_of(config, option) = true;
        return STATUS_OK;
    case KIND_TEXT:
        memcpy(member_of(config, option), &text, sizeof text);
        return STATUS_OK;
    case KIND_ADDRESS:
        if (address_parse(text, &address, &reason) != STATUS_OK) {
            return error_set(error, STATUS_INVALID, "--%s: %.400s", option->name, reason.text);
        }
        memcpy(member_of(config, option), &text, sizeof text);
        return STATUS_OK;
    case KIND_LEVEL:
        if (log_parse_level(text, &level) != STATUS_OK) {
            return error_set(error, STATUS_INVALID,
                             "--%s: '%.100s' is none of error, warn, info, debug", option->name,
                             text);
        }
        config->log_level = level;
        return STATUS_OK;
    case KIND_COUNT:
    case KIND_DURATION:
    case KIND_SIZE:
        break;
    }
    if (parse_number(option, text, &number, error) != STATUS_OK) {
        return STATUS_INVALID;
    }
    memcpy(member_of(config, option), &number, sizeof number);
    return STATUS_OK;
}

static enum status check_whole(const struct config *config, struct error *error)
{
    if (config->id == 0) {
        return error_set(error, STATUS_INVALID,
                         "--id is missing: the number of this server, as --id 1");
    }
    if (config->server == NULL) {
        return error_set(error, STATUS_INVALID,
                         "--server is missing: the address that others use, as --server "
                         "127.0.0.1:10001");
    }
    if (config->election_timeout_ms < 3 * config->heartbeat_ms) {
        return error_set(error, STATUS_INVALID,
                         "--election-timeout (%" PRIu64
                         " ms) must be at least three times --heartbeat (%" PRIu64 " ms)",
                         config->election_timeout_ms, config->heartbeat_ms);
    }
    return STATUS_OK;
}

/* --- The command line --- */

static const struct option *find_option(const char *name, size_t size)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* Take argv[*position] and, if it needs one, its value. */
static enum config_outcome
take_option(struct config *config, int argc, char **argv, int *position, struct error *error)
{
    const char *name = argv[*position] + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct option *option = find_option(name, size);
    const char *value = equals == NULL ? NULL : equals + 1;

    if (option == NULL) {
        return refuse_unknown(name, error);
    }
    if (option->kind == KIND_FLAG && value != NULL) {
        (void)error_set(error, STATUS_INVALID, "--%s takes no value", option->name);
        return CONFIG_WRONG;
    }
    if (option->kind != KIND_FLAG && value == NULL) {
        if (*position + 1 >= argc) {
            (void)error_set(error, STATUS_INVALID, "--%s needs a value: --%s %s", option->name,
                            option->name, option->value);
            return CONFIG_WRONG;
        }
        value = argv[++*position];
    }
    return set_value(config, option, value, error) == STATUS_OK ? CONFIG_RUN : CONFIG_WRONG;
}

enum config_outcome
config_parse(int argc, char **argv, struct config *ret_config, struct error *error)
{
    struct config config;

    set_defaults(&config);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return CONFIG_HELP;
        }
        if (strcmp(argv[i], "--version") == 0) {
            return CONFIG_VERSION;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            (void)error_set(error, STATUS_INVALID, "unexpected argument '%.100s'; see --help",
                            argv[i]);
            return CONFIG_WRONG;
        }
        if (take_option(&config, argc, argv, &i, error) != CONFIG_RUN) {
            return CONFIG_WRONG;
        }
    }
    if (check_whole(&config, error) != STATUS_OK) {
        return CONFIG_WRONG;
    }
    *ret_config = config;
    return CONFIG_RUN;
}

void config_print_help(FILE *to)
{
    (void)fprintf(to, "Usage: confer-server --id N --server HOST:PORT [options]\n\n"
                      "Run one server of a Confer cluster.\n\nOptions:\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char left[64];

        (void)snprintf(left, sizeof left, "--%s%s%s", options[i].name,
                       options[i].value == NULL ? "" : " ",
                       options[i].value == NULL ? "" : options[i].value);
        (void)fprintf(to, "  %-36s %s\n", left, options[i].help);
    }
    (void)fprintf(to, "  %-36s %s\n  %-36s %s\n\n", "--version", "print the version and end",
                  "--help", "print this and end");
    (void)fprintf(to, "Times are written as 100ms, 5s or 2m; sizes as 64KiB, 256MiB or 8GiB.\n\n"
                      "Example, a cluster of one:\n"
                      "  confer-server --id 1 --server 127.0.0.1:10001\n"
                      "  confer-cli --address 127.0.0.1:10001 init --nodes 1=127.0.0.1:10001\n");
}
