#include "cli/cli.h"
#include "cli/commands.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_NODES_MAX = 1000, TRIES_MAX = 10 };

struct paths {
    char **items;
    size_t count;
    size_t capacity;
};

static void release(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        free(paths->items[i]);
    }
    free(paths->items);
    *paths = (struct paths){.items = NULL};
}

static void add(struct paths *paths, const char *path)
{
    if (paths->count == paths->capacity) {
        paths->capacity = paths->capacity == 0 ? 256 : 2 * paths->capacity;
        paths->items = xrealloc(paths->items, paths->capacity * sizeof *paths->items);
    }
    paths->items[paths->count++] = xstrdup(path);
}

/* The subtree as it is now, parents first. CONFER_OK, or the failure told. */
static enum confer_status
collect(const struct cli *cli, const char *path, struct paths *paths, int *ret_code)
{
    struct confer_iterator *iterator = NULL;
    const struct confer_node *node;
    struct confer_call call = {.timeout_ms = cli->call.timeout_ms, .linearizable = true};
    enum confer_status status = confer_tree_begin(cli->confer, path, NULL, &call, &iterator);

    if (status == CONFER_OK) {
        while ((status = confer_next(iterator, &node)) == CONFER_OK) {
            add(paths, node->path);
        }
    }
    if (status != CONFER_END) {
        *ret_code = cli_fail(cli, status,
                             iterator == NULL ? NULL : confer_iterator_message(iterator), path);
    }
    confer_iterator_free(iterator);
    return status == CONFER_END ? CONFER_OK : status;
}

/* Remove the last nodes of the list in one transaction: children stand behind their parents. */
static enum confer_status remove_batch(const struct cli *cli,
                                       struct paths *paths,
                                       size_t nodes_max,
                                       struct confer_result **ret_result)
{
    struct confer_transaction *transaction = confer_transaction_new();
    size_t count = paths->count < nodes_max ? paths->count : nodes_max;
    enum confer_status status = CONFER_NO_MEMORY;

    if (transaction != NULL) {
        for (size_t i = 0; i < count; i++) {
            (void)confer_transaction_remove(transaction, paths->items[paths->count - 1 - i],
                                            CONFER_ANY_VERSION);
        }
        status = confer_commit(cli->confer, transaction, &cli->call, ret_result);
    }
    confer_transaction_free(transaction);
    for (size_t i = 0; status == CONFER_OK && i < count; i++) {
        free(paths->items[--paths->count]);
    }
    return status;
}

/* All of the list; fewer at a time when their values are too large for one transaction. */
static enum confer_status remove_all(const struct cli *cli,
                                     struct paths *paths,
                                     uint64_t *ret_count,
                                     struct confer_result **ret_result)
{
    size_t nodes_max = BATCH_NODES_MAX;
    enum confer_status status = CONFER_OK;

    while (status == CONFER_OK && paths->count > 0) {
        size_t before = paths->count;

        confer_result_free(*ret_result);
        *ret_result = NULL;
        status = remove_batch(cli, paths, nodes_max, ret_result);
        *ret_count += before - paths->count;
        if (status == CONFER_LIMIT && nodes_max > 1) {
            nodes_max /= 2;
            status = CONFER_OK;
        }
    }
    return status;
}

/* Others may add and remove nodes meanwhile: look again then, a few times. */
static int remove_subtree(const struct cli *cli, const char *path, uint64_t *ret_count)
{
    struct confer_result *result = NULL;
    enum confer_status status = CONFER_OK;
    int code = EXIT_CODE_OK;

    for (int i = 0; i < TRIES_MAX; i++) {
        struct paths paths = {.items = NULL};

        status = collect(cli, path, &paths, &code);
        if (status != CONFER_OK) {
            release(&paths);
            return status == CONFER_NO_NODE && *ret_count > 0 ? EXIT_CODE_OK : code;
        }
        status = remove_all(cli, &paths, ret_count, &result);
        release(&paths);
        if (status == CONFER_OK || (status != CONFER_NO_NODE && status != CONFER_NOT_EMPTY)) {
            break;
        }
    }
    if (status != CONFER_OK) {
        return cli_fail_result(cli, status, result, path);
    }
    confer_result_free(result);
    return EXIT_CODE_OK;
}

static void print(const struct cli *cli, const char *path, uint64_t count)
{
    if (cli->output == CLI_OUTPUT_JSON) {
        (void)fputs("{\"path\": ", stdout);
        print_json_text(stdout, path);
        (void)printf(", \"removed\": %" PRIu64 "}\n", count);
    } else if (cli->output == CLI_OUTPUT_TABLE) {
        print_text(stdout, path);
        (void)printf(" removed, %" PRIu64 " node%s\n", count, count == 1 ? "" : "s");
    }
}

static int run(struct cli *cli)
{
    const char *path = cli_argument(cli, 0);
    bool is_recursive = cli_option(cli, "recursive") != NULL;
    struct confer_result *result = NULL;
    enum confer_status status;
    uint64_t count = 0;
    int32_t version;
    int code;

    if (!cli_version(cli, &version)) {
        return EXIT_CODE_USAGE;
    }
    if (is_recursive && cli_option(cli, "if-version") != NULL) {
        return cli_usage(cli, "--if-version is about one node, and does not go with -r");
    }
    if (strcmp(path, "/") == 0) {
        return cli_usage(cli, "the root cannot be removed; name its children");
    }
    code = cli_open_for_writing(cli);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (is_recursive) {
        code = remove_subtree(cli, path, &count);
    } else {
        status = confer_remove(cli->confer, path, version, &cli->call, &result);
        count = 1;
        if (status != CONFER_OK) {
            code = cli_fail(cli, status, result == NULL ? NULL : result->message, path);
        }
        confer_result_free(result);
    }
    if (code == EXIT_CODE_OK) {
        print(cli, path, count);
    }
    return cli_close(cli, code);
}

static const struct option options[] = {{"recursive", 'r', NULL, "with everything below"},
                                        {"if-version", 0, "N", "only if the node has this version"},
                                        {NULL, 0, NULL, NULL}};

const struct command cmd_remove = {
    .name = "remove",
    .short_name = "rm",
    .arguments = "PATH",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "remove a node",
    .help = "With -r up to 1,000 nodes go in one transaction, so at "
            "once or not at all; a larger subtree,\n"
            "or one with values of more than 16 MiB, goes in several, from its leaves up.\n"
            "\n"
            "  confer-cli remove /app/db/url\n"
            "  confer-cli rm -r /app\n"
            "  confer-cli remove /app/db/url --if-version 3\n",
    .options = options,
    .run = run};
