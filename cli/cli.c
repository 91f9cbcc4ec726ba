#include "cli/cli.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ADDRESS_DEFAULT "127.0.0.1:10001"

enum {
    TIMEOUT_MS = 5000,
    TIMEOUT_LONG_MS = 60 * 1000,
    TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000,
    /* Short, so that a server that hangs is left for another one within the timeout. */
    SESSION_TIMEOUT_MS = 3000
};

int cli_usage(const struct cli *cli, const char *format, ...)
{
    va_list arguments;

    (void)fprintf(stderr, "confer-cli %s: ", cli->options.command->name);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "\nSee 'confer-cli %s --help'.\n", cli->options.command->name);
    return EXIT_CODE_USAGE;
}

static bool take_output(struct cli *cli)
{
    const char *output = cli_option(cli, "output");

    if (output == NULL || strcmp(output, "table") == 0) {
        cli->output = CLI_OUTPUT_TABLE;
    } else if (strcmp(output, "json") == 0) {
        cli->output = CLI_OUTPUT_JSON;
    } else if (strcmp(output, "raw") == 0) {
        cli->output = CLI_OUTPUT_RAW;
    } else {
        (void)cli_usage(cli, "--output is table, json or raw, not '%s'", output);
        return false;
    }
    return true;
}

static bool take_timeout(struct cli *cli)
{
    const char *timeout = cli_option(cli, "timeout");
    uint64_t timeout_ms = TIMEOUT_MS;
    struct error error;

    if (timeout != NULL && quantity_parse_duration_ms(timeout, &timeout_ms, &error) != STATUS_OK) {
        (void)cli_usage(cli, "--timeout: %s", error.text);
        return false;
    }
    if (timeout_ms == 0 || timeout_ms > TIMEOUT_MS_MAX) {
        (void)cli_usage(cli, "--timeout is more than nothing and at most a day");
        return false;
    }
    cli->call.timeout_ms = (uint32_t)timeout_ms;
    return true;
}

static bool take_address(struct cli *cli)
{
    const char *option = cli_option(cli, "address");
    const char *environment = getenv("CONFER_ADDRESS");
    char message[512];

    cli->address = option != NULL                                  ? option
                   : environment != NULL && environment[0] != '\0' ? environment
                                                                   : ADDRESS_DEFAULT;
    if (confer_check_servers(cli->address, message, sizeof message) != CONFER_OK) {
        (void)cli_usage(cli, "%s%s", option == NULL ? "CONFER_ADDRESS: " : "", message);
        return false;
    }
    return true;
}

static bool take_user(struct cli *cli)
{
    const char *option = cli_option(cli, "user");
    const char *environment = getenv("CONFER_USER");
    const char *colon;

    cli->user = option != NULL ? option : environment;
    if (cli->user == NULL || (option == NULL && environment[0] == '\0')) {
        cli->user = NULL;
        return true;
    }
    colon = strchr(cli->user, ':');
    if (colon == NULL || colon == cli->user || colon[1] == '\0') {
        (void)cli_usage(cli, "%s is NAME:PASSWORD", option == NULL ? "CONFER_USER" : "--user");
        return false;
    }
    return true;
}

bool cli_init(struct cli *cli, const struct options *options)
{
    *cli = (struct cli){.options = *options};
    return take_output(cli) && take_timeout(cli) && take_address(cli) && take_user(cli);
}

bool cli_number(
    const struct cli *cli, const char *name, uint64_t max, uint64_t otherwise, uint64_t *ret_number)
{
    const char *text = cli_option(cli, name);
    struct error error;

    *ret_number = otherwise;
    if (text != NULL && quantity_parse_count(text, max, ret_number, &error) != STATUS_OK) {
        (void)cli_usage(cli, "--%s: %s", name, error.text);
        return false;
    }
    return true;
}

bool cli_version(const struct cli *cli, int32_t *ret_version)
{
    uint64_t version;

    if (!cli_number(cli, "if-version", INT32_MAX, 0, &version)) {
        return false;
    }
    *ret_version = cli_option(cli, "if-version") == NULL ? CONFER_ANY_VERSION : (int32_t)version;
    return true;
}

void cli_allow_long(struct cli *cli)
{
    if (cli_option(cli, "timeout") == NULL) {
        cli->call.timeout_ms = TIMEOUT_LONG_MS;
    }
}

void cli_choose_level(struct cli *cli)
{
    cli->call.linearizable = cli_option(cli, "local") == NULL;
}

/* --- The handle --- */

int cli_open(struct cli *cli, const struct confer_options *options)
{
    const struct confer_credential credential = {.scheme = "digest",
                                                 .secret = cli->user,
                                                 .secret_bytes =
                                                     cli->user == NULL ? 0 : strlen(cli->user)};
    struct confer_options chosen;
    enum confer_status status;

    if (options == NULL) {
        confer_options_init(&chosen);
        chosen.no_session = true;
        chosen.session_timeout_ms = SESSION_TIMEOUT_MS;
    } else {
        chosen = *options;
    }
    chosen.credentials = &credential;
    chosen.credential_count = cli->user == NULL ? 0 : 1;
    status = confer_open(cli->address, &chosen, &cli->confer);
    return status == CONFER_OK ? EXIT_CODE_OK : cli_fail(cli, status, NULL, NULL);
}

int cli_open_for_writing(struct cli *cli)
{
    struct confer_options options;

    confer_options_init(&options);
    options.session_timeout_ms = SESSION_TIMEOUT_MS;
    return cli_open(cli, &options);
}

int cli_close(struct cli *cli, int code)
{
    confer_close(cli->confer);
    cli->confer = NULL;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "confer-cli: cannot write the output: %s\n", strerror(errno));
        return code == EXIT_CODE_OK ? EXIT_CODE_FAILED : code;
    }
    return code;
}

/* --- Failures --- */

enum exit_code cli_code(enum confer_status status)
{
    switch ((int)status) {
    case CONFER_OK:
        return EXIT_CODE_OK;
    case CONFER_INVALID_ARGUMENT:
    case CONFER_BAD_ARGUMENTS:
        return EXIT_CODE_USAGE;
    case CONFER_NO_NODE:
        return EXIT_CODE_NOT_FOUND;
    case CONFER_NODE_EXISTS:
    case CONFER_NOT_EMPTY:
    case CONFER_BAD_VERSION:
    case CONFER_NO_CHILDREN_FOR_EPHEMERALS:
    case CONFER_CONFLICT:
    case CONFER_REFUSED:
        return EXIT_CODE_CONFLICT;
    case CONFER_NO_LEADER:
    case CONFER_BUSY:
    case CONFER_BEHIND:
    case CONFER_UNKNOWN_OUTCOME:
    case CONFER_NO_SPACE:
    case CONFER_NO_CLUSTER:
    case CONFER_UNREACHABLE:
    case CONFER_STOPPING:
    case CONFER_NOT_MEMBER:
    case CONFER_SESSION_EXPIRED:
    case CONFER_TIMEOUT:
    case CONFER_CLOSED:
        return EXIT_CODE_UNAVAILABLE;
    default:
        return EXIT_CODE_FAILED;
    }
}

/* What to do next, when the message itself does not say so. */
static const char *way_out(const struct cli *cli, enum confer_status status, const char *path)
{
    const char *command = cli->options.command->name;

    switch ((int)status) {
    case CONFER_NO_NODE:
        return strcmp(command, "create") == 0
                   ? "its parent is missing: -p makes the parents too"
                   : "'confer-cli list' of its parent shows what is there";
    case CONFER_NODE_EXISTS:
        return "'confer-cli set' changes its value";
    case CONFER_NOT_EMPTY:
        return "'confer-cli remove -r' removes it with everything below";
    case CONFER_NO_AUTH:
        return path == NULL ? "run it there, or with --user as the superuser; 'confer-server "
                              "--open-membership' lets everybody"
                            : "--user says who you are; 'confer-cli get --acl' shows who may";
    case CONFER_BAD_VERSION:
        return "'confer-cli get --stat' shows the present version";
    case CONFER_TIMEOUT:
        if (strcmp(command, "import") == 0) {
            return NULL;
        }
        if (strcmp(command, "change-membership") == 0 || strcmp(command, "remove-member") == 0) {
            return "what was begun goes on: 'confer-cli status' shows it, cancel-change undoes it, "
                   "the same command waits for it again; --timeout waits longer";
        }
        if (cli->call.linearizable) {
            return "is the server running, and is there a leader? --local reads what the server "
                   "has, "
                   "--address names other servers, --timeout waits longer";
        }
        return "is the server running, and do the voters see each other? --address names other "
               "servers, --timeout waits longer";
    default:
        return NULL;
    }
}

int cli_fail(const struct cli *cli,
             enum confer_status status,
             const char *message,
             const char *path)
{
    const char *hint = way_out(cli, status, path);
    const char *words = message == NULL ? confer_status_text(status) : message;

    (void)fflush(stdout);
    if (cli->output == CLI_OUTPUT_JSON) {
        (void)fprintf(stderr, "{\"error\": {\"status\": %d, \"message\": ", (int)status);
        print_json_text(stderr, words);
        if (path != NULL) {
            (void)fputs(", \"path\": ", stderr);
            print_json_text(stderr, path);
        }
        (void)fputs("}}\n", stderr);
        return (int)cli_code(status);
    }
    (void)fprintf(stderr, "confer-cli %s", cli->options.command->name);
    if (path != NULL) {
        (void)fputc(' ', stderr);
        print_text(stderr, path);
    }
    (void)fputs(": ", stderr);
    print_text(stderr, words);
    if (hint != NULL) {
        (void)fprintf(stderr, "\n%s", hint);
    }
    (void)fputc('\n', stderr);
    return (int)cli_code(status);
}

int cli_fail_result(const struct cli *cli,
                    enum confer_status status,
                    struct confer_result *result,
                    const char *path)
{
    int code = cli_fail(cli, status, result == NULL ? NULL : result->message, path);

    confer_result_free(result);
    return code;
}

/* --- Members --- */

static const char *votes(const struct confer_member *member)
{
    if (member->promoting) {
        return "promoting";
    }
    return member->voter ? "voter" : member->learner ? "learner" : "-";
}

void cli_print_note(const struct cli *cli, const char *note)
{
    if (note[0] != '\0' && strcmp(note, confer_status_text(CONFER_OK)) != 0) {
        (void)fprintf(stderr, "confer-cli %s: ", cli->options.command->name);
        print_text(stderr, note);
        (void)fputc('\n', stderr);
    }
}

static void print_tolerance(uint32_t failures)
{
    if (failures == 0) {
        (void)puts(
            "Tolerates no failure: with one voter down, nothing can be written. Three voters "
            "tolerate one.");
    } else {
        (void)printf("Tolerates the failure of %" PRIu32 " voter%s.\n", failures,
                     failures == 1 ? "" : "s");
    }
}

void cli_print_members(const struct cli *cli, const struct confer_result *result)
{
    const struct confer_cluster *cluster = &result->cluster;
    struct print_table table;

    if (cli->output == CLI_OUTPUT_JSON) {
        (void)printf("{\"config_zxid\": %" PRIu64 ", \"voter_failures_tolerated\": %" PRIu32
                     ", \"members\": [",
                     cluster->config_zxid, cluster->voter_failures_tolerated);
        for (size_t i = 0; i < cluster->member_count; i++) {
            (void)printf("%s{\"id\": %" PRIu64 ", \"address\": ", i == 0 ? "" : ", ",
                         cluster->members[i].id);
            print_json_text(stdout, cluster->members[i].address);
            (void)printf(", \"voter\": %s, \"learner\": %s, \"promoting\": %s}",
                         cluster->members[i].voter ? "true" : "false",
                         cluster->members[i].learner ? "true" : "false",
                         cluster->members[i].promoting ? "true" : "false");
        }
        (void)puts("]}");
        return;
    }
    print_table_init(&table, 3);
    if (cli->output == CLI_OUTPUT_TABLE) {
        print_table_add(&table, "ID");
        print_table_add(&table, "ADDRESS");
        print_table_add(&table, "VOTES");
    }
    for (size_t i = 0; i < cluster->member_count; i++) {
        print_table_add(&table, "%" PRIu64, cluster->members[i].id);
        print_table_add(&table, "%s", cluster->members[i].address);
        print_table_add(&table, "%s", votes(&cluster->members[i]));
    }
    print_table_finish(&table, stdout);
    if (cli->output == CLI_OUTPUT_TABLE) {
        print_tolerance(cluster->voter_failures_tolerated);
    }
}

/* --- Signals --- */

static void signals(sigset_t *ret)
{
    (void)sigemptyset(ret);
    (void)sigaddset(ret, SIGINT);
    (void)sigaddset(ret, SIGTERM);
}

void cli_block_signals(void)
{
    sigset_t set;

    signals(&set);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

bool cli_wait_for_signal(int wake_fd)
{
    sigset_t set;
    struct pollfd files[2] = {{.events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    bool is_signal;
    uint64_t wakes;

    signals(&set);
    files[0].fd = signalfd(-1, &set, SFD_CLOEXEC);
    while (poll(files, 2, -1) < 0 && errno == EINTR) {
    }
    is_signal = (files[0].revents & POLLIN) != 0;
    /* Reading it also orders what the waking thread wrote before what the caller reads. */
    if (!is_signal && read(wake_fd, &wakes, sizeof wakes) < 0) {
        CHECK(errno == EAGAIN);
    }
    if (files[0].fd >= 0) {
        (void)close(files[0].fd);
    }
    return is_signal;
}

/* --- Values --- */

static int read_stream(
    const struct cli *cli, FILE *stream, const char *name, char **ret_value, size_t *ret_bytes)
{
    char *value = xmalloc(CLI_VALUE_BYTES_MAX + 1);
    size_t bytes = fread(value, 1, CLI_VALUE_BYTES_MAX + 1, stream);

    if (ferror(stream)) {
        (void)fprintf(stderr, "confer-cli %s: cannot read %s: %s\n", cli->options.command->name,
                      name, strerror(errno));
        free(value);
        return EXIT_CODE_FAILED;
    }
    *ret_value = value;
    *ret_bytes = bytes;
    return EXIT_CODE_OK;
}

int cli_read_value(const struct cli *cli, const char *argument, char **ret_value, size_t *ret_bytes)
{
    const char *name = cli_option(cli, "file");
    FILE *file;
    int code;

    if (name == NULL && argument == NULL) {
        return cli_usage(cli, "the value is missing: VALUE, - for stdin, or --file FILE");
    }
    if (name != NULL && argument != NULL) {
        return cli_usage(cli, "either VALUE or --file, not both");
    }
    if (name == NULL && strcmp(argument, "-") != 0) {
        *ret_value = xstrdup(argument);
        *ret_bytes = strlen(argument);
        return EXIT_CODE_OK;
    }
    if (name == NULL) {
        return read_stream(cli, stdin, "stdin", ret_value, ret_bytes);
    }
    file = fopen(name, "re");
    if (file == NULL) {
        (void)fprintf(stderr, "confer-cli %s: cannot open %s: %s\n", cli->options.command->name,
                      name, strerror(errno));
        return EXIT_CODE_FAILED;
    }
    code = read_stream(cli, file, name, ret_value, ret_bytes);
    (void)fclose(file);
    return code;
}
