/* Copies a tree out of ZooKeeper. Nodes are read many at a time and written as they come: a node
 * before its children are even asked for, so that writes, which keep their order, find their
 * parents. What is there already is brought up to date; so a copy that broke off goes on when it is
 * begun again. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/source.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEME "zookeeper://"

enum {
    READS_MAX = 128,  /* nodes being read */
    WRITES_MAX = 512, /* writes under way */
    RETRY_MS = 200,
    PROGRESS_MS = 1000
};

struct texts {
    char **items;
    size_t count;
    size_t capacity;
};

/* A write that ended. */
struct written {
    struct written *next;
    struct source_node *node;
    enum confer_status status;
    char *message;
    bool is_update; /* of a node that was there */
};

struct import {
    struct cli *cli;
    struct source *source;
    const char *from; /* a path without a slash at its end; "" is the root */
    const char *to;   /* the same */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct source_node **read; /* under the mutex */
    size_t read_count;
    struct written *written; /* under the mutex */

    struct texts paths; /* to be read */
    size_t reads;       /* under way */
    size_t writes;
    uint64_t moved_us; /* when something went on last */
    uint64_t lost_us;  /* until then nothing is read */
    uint64_t told_us;
    struct {
        uint64_t copied;
        uint64_t updated;
        uint64_t bytes;
        uint64_t ephemeral;
        uint64_t forbidden;
    } counts;
    int code;
};

static void push(struct texts *texts, char *text)
{
    if (texts->count == texts->capacity) {
        texts->capacity = 2 * texts->capacity + 64;
        texts->items = xrealloc(texts->items, texts->capacity * sizeof *texts->items);
    }
    texts->items[texts->count++] = text;
}

static char *join(const char *left, const char *middle, const char *right)
{
    char *text = xmalloc(strlen(left) + strlen(middle) + strlen(right) + 1);

    (void)stpcpy(stpcpy(stpcpy(text, left), middle), right);
    return text;
}

/* --- From the threads of the libraries --- */

static void on_node(void *context, struct source_node *node)
{
    struct import *import = context;

    (void)pthread_mutex_lock(&import->mutex);
    import->read[import->read_count++] = node;
    (void)pthread_cond_signal(&import->changed);
    (void)pthread_mutex_unlock(&import->mutex);
}

struct writing {
    struct import *import;
    struct source_node *node;
    bool is_update;
};

static void on_written(struct confer *confer, struct confer_result *result, void *argument)
{
    struct writing *writing = argument;
    struct import *import = writing->import;
    struct written *written = xcalloc(1, sizeof *written);

    (void)confer;
    written->node = writing->node;
    written->is_update = writing->is_update;
    written->status = result->status;
    written->message = xstrdup(result->message);
    confer_result_free(result);
    free(writing);
    (void)pthread_mutex_lock(&import->mutex);
    written->next = import->written;
    import->written = written;
    (void)pthread_cond_signal(&import->changed);
    (void)pthread_mutex_unlock(&import->mutex);
}

/* --- Writing --- */

/* Where the node at `path` of the source goes. */
static char *target_of(const struct import *import, const char *path)
{
    const char *below = strcmp(path, "/") == 0 ? "" : path + strlen(import->from);
    char *target = join(import->to, below, "");

    if (target[0] == '\0') {
        free(target);
        target = xstrdup("/");
    }
    return target;
}

static void fail(struct import *import, enum confer_status status, const char *message, char *path)
{
    if (import->code == EXIT_CODE_OK) {
        import->code = cli_fail(import->cli, status, message, path);
    }
}

/* Takes the node. */
static void write_node(struct import *import, struct source_node *node, bool is_update)
{
    const struct confer_create create = {.make_parents = node->path[0] == '\0' ||
                                                         strcmp(node->path, import->from) == 0,
                                         .acl = node->acl,
                                         .acl_count = node->acl_count,
                                         .version = node->version,
                                         .children_created = node->children_created};
    const char *value = node->value == NULL ? "" : node->value;
    struct writing *writing = xcalloc(1, sizeof *writing);
    char *target = target_of(import, node->path);
    struct confer_transaction *transaction = NULL;
    enum confer_status status;

    *writing = (struct writing){.import = import, .node = node, .is_update = is_update};
    if (is_update) {
        transaction = confer_transaction_new();
        status = transaction == NULL ? CONFER_NO_MEMORY : CONFER_OK;
        if (status == CONFER_OK) {
            (void)confer_transaction_set(transaction, target, value, node->value_bytes,
                                         CONFER_ANY_VERSION);
            (void)confer_transaction_set_acl(transaction, target, node->acl, node->acl_count,
                                             CONFER_ANY_VERSION);
            status = confer_commit_async(import->cli->confer, transaction, &import->cli->call,
                                         on_written, writing);
        }
        confer_transaction_free(transaction);
    } else {
        status = confer_create_async(import->cli->confer, target, value, node->value_bytes, &create,
                                     &import->cli->call, on_written, writing);
    }
    if (status == CONFER_OK) {
        import->writes++;
    } else {
        fail(import, status, NULL, target);
        source_node_free(node);
        free(writing);
    }
    free(target);
}

static void take_written(struct import *import, struct written *written)
{
    struct source_node *node = written->node;
    char *target = target_of(import, node->path);

    import->writes--;
    if (written->status == CONFER_NODE_EXISTS && !written->is_update) {
        write_node(import, node, true);
        node = NULL;
    } else if (written->status != CONFER_OK) {
        fail(import, written->status, written->message, target);
    } else {
        import->counts.copied += !written->is_update;
        import->counts.updated += written->is_update;
        import->counts.bytes += node->value_bytes;
    }
    source_node_free(node);
    free(target);
    free(written->message);
    free(written);
}

/* --- Reading --- */

/* The system's own nodes are not copied. */
static bool is_system(const char *path)
{
    return strcmp(path, "/zookeeper") == 0 || strncmp(path, "/zookeeper/", 11) == 0;
}

static void push_children(struct import *import, const struct source_node *node)
{
    const char *above = strcmp(node->path, "/") == 0 ? "" : node->path;

    for (size_t i = 0; i < node->child_count; i++) {
        char *path = join(above, "/", node->children[i]);

        if (is_system(path)) {
            free(path);
        } else {
            push(&import->paths, path);
        }
    }
}

static void take_read(struct import *import, struct source_node *node)
{
    import->reads--;
    switch (node->outcome) {
    case SOURCE_LOST:
        push(&import->paths, xstrdup(node->path));
        import->lost_us = clock_monotonic_us() + (uint64_t)RETRY_MS * 1000;
        source_node_free(node);
        return;
    case SOURCE_FORBIDDEN:
        import->counts.forbidden++;
        (void)fputs("not permitted to read, with its permissions: ", stderr);
        print_text(stderr, node->path);
        (void)fputc('\n', stderr);
        source_node_free(node);
        return;
    case SOURCE_GONE:
        if (strcmp(node->path, import->from[0] == '\0' ? "/" : import->from) == 0) {
            fail(import, CONFER_NO_NODE, "the source has no such node", node->path);
        }
        source_node_free(node);
        return;
    case SOURCE_READ:
        break;
    }
    import->moved_us = clock_monotonic_us();
    if (node->is_ephemeral) {
        import->counts.ephemeral++;
        source_node_free(node);
        return;
    }
    push_children(import, node);
    /* The root is there already, and nobody can make it. */
    write_node(import, node, strcmp(node->path, "/") == 0 && import->to[0] == '\0');
}

/* --- Going on --- */

static void tell(struct import *import, bool is_end)
{
    uint64_t now = clock_monotonic_us();

    if (!is_end && now - import->told_us < (uint64_t)PROGRESS_MS * 1000) {
        return;
    }
    import->told_us = now;
    if (!is_end) {
        (void)fprintf(stderr, "%" PRIu64 " nodes, %" PRIu64 " bytes; %zu known and not read yet\n",
                      import->counts.copied + import->counts.updated, import->counts.bytes,
                      import->paths.count + import->reads);
    } else if (import->cli->output == CLI_OUTPUT_JSON) {
        (void)printf("{\"copied\": %" PRIu64 ", \"updated\": %" PRIu64 ", \"bytes\": %" PRIu64
                     ", \"ephemeral\": %" PRIu64 ", \"forbidden\": %" PRIu64 "}\n",
                     import->counts.copied, import->counts.updated, import->counts.bytes,
                     import->counts.ephemeral, import->counts.forbidden);
    } else {
        (void)printf("%" PRIu64 " nodes copied, %" PRIu64 " were there and brought up to date, "
                     "%" PRIu64 " bytes\n"
                     "not copied: %" PRIu64 " ephemeral, %" PRIu64 " not permitted to read\n",
                     import->counts.copied, import->counts.updated, import->counts.bytes,
                     import->counts.ephemeral, import->counts.forbidden);
    }
}

static void ask_more(struct import *import)
{
    while (import->paths.count > 0 && import->reads < READS_MAX && import->writes < WRITES_MAX &&
           clock_monotonic_us() >= import->lost_us) {
        char *path = import->paths.items[--import->paths.count];

        import->reads++;
        source_read(import->source, path);
        free(path);
    }
}

static void wait_and_take(struct import *import)
{
    struct source_node *read[READS_MAX];
    struct written *written;
    struct timespec until;
    size_t count;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)RETRY_MS * 1000 * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&import->mutex);
    if (import->read_count == 0 && import->written == NULL) {
        (void)pthread_cond_timedwait(&import->changed, &import->mutex, &until);
    }
    count = import->read_count;
    if (count > 0) {
        memcpy(read, import->read, count * sizeof(struct source_node *));
    }
    import->read_count = 0;
    written = import->written;
    import->written = NULL;
    (void)pthread_mutex_unlock(&import->mutex);
    for (size_t i = 0; i < count; i++) {
        take_read(import, read[i]);
    }
    while (written != NULL) {
        struct written *next = written->next;

        import->moved_us = clock_monotonic_us();
        take_written(import, written);
        written = next;
    }
}

static void copy(struct import *import)
{
    uint64_t patience_us = (uint64_t)import->cli->call.timeout_ms * 1000;

    import->moved_us = clock_monotonic_us();
    import->told_us = import->moved_us;
    push(&import->paths, xstrdup(import->from[0] == '\0' ? "/" : import->from));
    while (import->code == EXIT_CODE_OK &&
           (import->paths.count > 0 || import->reads > 0 || import->writes > 0)) {
        ask_more(import);
        wait_and_take(import);
        tell(import, false);
        if (import->writes == 0 && clock_monotonic_us() - import->moved_us > patience_us) {
            fail(import, CONFER_TIMEOUT,
                 "the ZooKeeper servers do not answer; the same command goes on where this one "
                 "ends",
                 NULL);
        }
    }
    if (import->code == EXIT_CODE_OK) {
        tell(import, true);
        import->code = import->counts.forbidden > 0 ? EXIT_CODE_FAILED : EXIT_CODE_OK;
    }
}

static void release(struct import *import)
{
    for (size_t i = 0; i < import->paths.count; i++) {
        free(import->paths.items[i]);
    }
    free(import->paths.items);
    for (size_t i = 0; i < import->read_count; i++) {
        source_node_free(import->read[i]);
    }
    free(import->read);
    while (import->written != NULL) {
        struct written *written = import->written;

        import->written = written->next;
        source_node_free(written->node);
        free(written->message);
        free(written);
    }
    (void)pthread_cond_destroy(&import->changed);
    (void)pthread_mutex_destroy(&import->mutex);
}

static int run_between(struct cli *cli, const char *servers, const char *from, const char *to)
{
    struct import import = {.cli = cli, .from = from, .to = to};
    const char *problem = NULL;
    int code = cli_open_for_writing(cli);

    if (code != EXIT_CODE_OK) {
        return code;
    }
    (void)pthread_mutex_init(&import.mutex, NULL);
    (void)pthread_cond_init(&import.changed, NULL);
    import.read = xcalloc(READS_MAX, sizeof(struct source_node *));
    import.source =
        source_open(servers, cli_option(cli, "source-user"), on_node, &import, &problem);
    if (import.source == NULL) {
        fail(&import, CONFER_INVALID_ARGUMENT, problem, NULL);
    } else {
        copy(&import);
    }
    source_close(import.source);
    code = cli_close(cli, import.code); /* the last on_written */
    release(&import);
    return code;
}

/* A path as it is used here: the root is "". */
static char *path_of(const char *text)
{
    char *path = xstrdup(text);
    size_t size = strlen(path);

    if (size > 0 && path[size - 1] == '/') {
        path[size - 1] = '\0';
    }
    return path;
}

static int run(struct cli *cli)
{
    const char *address = cli->options.arguments[0];
    const char *target = cli->options.arguments[1];
    char *servers;
    char *slash;
    char *from;
    char *to;
    int code;

    if (strncmp(address, SCHEME, strlen(SCHEME)) != 0 || address[strlen(SCHEME)] == '\0' ||
        address[strlen(SCHEME)] == '/') {
        return cli_usage(cli, "'%s' is no " SCHEME "HOST:PORT[,HOST:PORT...][/PATH]", address);
    }
    if (target[0] != '/') {
        return cli_usage(cli, "'%s' is no path: it begins with a slash", target);
    }
    cli_allow_long(cli);
    servers = xstrdup(address + strlen(SCHEME));
    slash = strchr(servers, '/');
    from = path_of(slash == NULL ? "" : slash);
    if (slash != NULL) {
        *slash = '\0';
    }
    to = path_of(target);
    code = run_between(cli, servers, from, to);
    free(servers);
    free(from);
    free(to);
    return code;
}

static const struct option options[] = {
    {"source-user", 0, "NAME:PASSWORD", "who you are to the ZooKeeper servers"},
    {NULL, 0, NULL, NULL}};

const struct command cmd_import = {
    .name = "import",
    .arguments = SCHEME "HOST:PORT[,...][/PATH] PATH",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "copy a tree out of ZooKeeper",
    .help =
        "Copies values, lists of permissions, versions, and from where sequential children are "
        "numbered. Not\n"
        "copied: ephemeral nodes, /zookeeper, times; containers and nodes with a time to live "
        "become plain\n"
        "nodes. What is there already is brought up to date, and never removed: begin again "
        "what broke off,\n"
        "and once more when the programs have moved. A node that may not be read, or whose list of "
        "permissions\n"
        "may not, is named and left out with all below it (exit code 1). --timeout is how long "
        "nothing may move, a minute.\n"
        "\n"
        "  confer-cli import zookeeper://zk1:2181,zk2:2181/app /app\n"
        "  confer-cli --user admin:secret import zookeeper://zk1:2181 / --source-user "
        "super:secret\n",
    .options = options,
    .run = run};
