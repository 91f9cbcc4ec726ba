#include "cli/cli.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watcher {
    const struct cli *cli;
    uint64_t rest; /* events still to be shown; UINT64_MAX = without end */
    int wake_fd;
    enum confer_status status; /* why it ended by itself */
    char message[512];
};

static void wake(struct watcher *watcher)
{
    uint64_t one = 1;
    ssize_t written = write(watcher->wake_fd, &one, sizeof one);

    (void)written;
}

static void print_json(const struct confer_event *event)
{
    (void)printf("{\"event\": \"%s\", \"zxid\": %" PRIu64, confer_event_text(event->kind),
                 event->zxid);
    if (event->path[0] != '\0') {
        (void)fputs(", \"path\": ", stdout);
        print_json_text(stdout, event->path);
    }
    if (event->kind == CONFER_EVENT_CREATED || event->kind == CONFER_EVENT_VALUE_SET) {
        (void)fputs(", \"value\": ", stdout);
        print_json_value(stdout, event->value, event->value_bytes, event->value_is_null);
        (void)printf(", \"version\": %" PRId32, event->stat.version);
    }
    if (event->kind == CONFER_EVENT_RESYNC_BEGIN) {
        (void)printf(", \"full\": %s", event->full ? "true" : "false");
    }
    (void)puts("}");
}

static void print_line(const struct cli *cli, const struct confer_event *event)
{
    (void)printf("%" PRIu64 " %s ", event->zxid, confer_event_text(event->kind));
    if (cli->output == CLI_OUTPUT_RAW) {
        (void)puts(event->path);
        return;
    }
    print_text(stdout, event->path);
    if ((event->kind == CONFER_EVENT_CREATED || event->kind == CONFER_EVENT_VALUE_SET) &&
        event->value_bytes > 0) {
        (void)fputs(" = ", stdout);
        print_value_line(stdout, event->value, event->value_bytes);
    }
    (void)fputc('\n', stdout);
}

static void tell_resync(const struct confer_event *event)
{
    if (event->kind == CONFER_EVENT_RESYNC_BEGIN) {
        (void)fprintf(stderr, "the cluster remembers the changes no longer; what %s follows\n",
                      event->full ? "there is now" : "differs now");
    }
}

static bool is_change(const struct confer_event *event)
{
    return event->kind == CONFER_EVENT_CREATED || event->kind == CONFER_EVENT_VALUE_SET ||
           event->kind == CONFER_EVENT_REMOVED || event->kind == CONFER_EVENT_ACL_SET;
}

static void on_event(struct confer *confer, const struct confer_event *event, void *argument)
{
    struct watcher *watcher = argument;

    (void)confer;
    if (event->kind == CONFER_EVENT_ENDED) {
        watcher->status = event->status;
        (void)snprintf(watcher->message, sizeof watcher->message, "%s", event->message);
        wake(watcher);
        return;
    }
    if (watcher->rest == 0) {
        return;
    }
    if (watcher->cli->output == CLI_OUTPUT_JSON) {
        print_json(event);
    } else if (is_change(event)) {
        print_line(watcher->cli, event);
    } else {
        tell_resync(event);
    }
    /* A reader that went away ends the watch too. */
    if (fflush(stdout) != 0) {
        watcher->rest = 0;
        wake(watcher);
    }
    if (is_change(event) && watcher->rest != UINT64_MAX && --watcher->rest == 0) {
        wake(watcher);
    }
}

static void on_state(struct confer *confer, enum confer_state state, void *argument)
{
    (void)confer;
    (void)argument;
    if (state == CONFER_STATE_SUSPENDED) {
        (void)fputs("connection lost; the watch goes on when there is one again\n", stderr);
    } else if (state == CONFER_STATE_RECONNECTED) {
        (void)fputs("connected again\n", stderr);
    }
}

/* A watch waits for ever, so first see whether anybody answers. */
static int check_servers(struct cli *cli, const char *path)
{
    struct confer_result *result = NULL;
    enum confer_status status = confer_exists(cli->confer, path, &cli->call, &result);

    if (status != CONFER_OK) {
        return cli_fail_result(cli, status, result, path);
    }
    confer_result_free(result);
    return EXIT_CODE_OK;
}

static int watch(struct cli *cli, struct watcher *watcher, uint64_t from)
{
    const char *path = cli_argument(cli, 0) == NULL ? "/" : cli_argument(cli, 0);
    uint32_t flags = CONFER_WATCH_VALUES;
    enum confer_status status;
    int code = check_servers(cli, path);

    if (code != EXIT_CODE_OK) {
        return code;
    }
    flags |= cli_option(cli, "recursive") != NULL ? (uint32_t)CONFER_WATCH_RECURSIVE : 0;
    flags |= cli_option(cli, "initial") != NULL ? (uint32_t)CONFER_WATCH_INITIAL : 0;
    /* Remembering what was shown keeps a resync short. */
    flags |= CONFER_WATCH_TRACK;
    status = confer_watch(cli->confer, path, flags, from, on_event, watcher, NULL);
    if (status != CONFER_OK) {
        return cli_fail(cli, status, NULL, path);
    }
    if (cli_wait_for_signal(watcher->wake_fd) || watcher->rest == 0) {
        return EXIT_CODE_OK;
    }
    return cli_fail(cli, watcher->status, watcher->message, path);
}

static int run(struct cli *cli)
{
    struct confer_options options;
    struct watcher watcher = {.cli = cli, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    uint64_t from;
    int code;

    if (!cli_number(cli, "from", UINT64_MAX, 0, &from) ||
        !cli_number(cli, "count", UINT64_MAX, UINT64_MAX, &watcher.rest)) {
        return EXIT_CODE_USAGE;
    }
    if (from != 0 && cli_option(cli, "initial") != NULL) {
        return cli_usage(cli, "either --from or --initial");
    }
    cli_block_signals();
    confer_options_init(&options);
    options.no_session = true;
    options.session_timeout_ms = 3000;
    options.on_state = on_state;
    code = cli_open(cli, &options);
    if (code == EXIT_CODE_OK) {
        code = cli_close(cli, watch(cli, &watcher, from));
    }
    (void)close(watcher.wake_fd);
    return code;
}

static const struct option options_of_watch[] = {
    {"recursive", 'r', NULL, "everything below PATH too"},
    {"from", 0, "ZXID", "begin with the changes after this one"},
    {"initial", 'i', NULL, "begin with what there is now"},
    {"count", 'n', "N", "end after N changes"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_watch = {
    .name = "watch",
    .arguments = "[PATH]",
    .arguments_max = 1,
    .summary = "show changes as they happen",
    .help =
        "One line a change: its zxid, what happened, the path, the value. Without -r the node "
        "itself\n"
        "and the coming and going of its children. The node need not exist. Lost connections cost\n"
        "no change. Ends with Ctrl-C.\n"
        "\n"
        "  confer-cli watch -r /app\n"
        "  confer-cli watch /app/db/url --count 1\n"
        "  confer-cli watch -r /app --from 1042 -o json\n",
    .options = options_of_watch,
    .run = run};
