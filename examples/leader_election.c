/* Elect one of several processes: each makes an ephemeral node with a number; the lowest one leads.
 * Each waits only for the one before it, so that the end of a leader wakes one process, not all.
 *
 *     leader_election HOST:PORT[,HOST:PORT...] NAME [SECONDS]
 *
 * Leads for SECONDS once elected (default 1), then steps down by closing its session. */
#include <confer.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARENT "/examples/election"

/* What the callbacks tell the main thread: look again. It lives as long as the program, so an event
 * that comes late does no harm. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool has_news;

static void on_event(struct confer *confer, const struct confer_event *event, void *argument)
{
    (void)confer, (void)event, (void)argument;
    (void)pthread_mutex_lock(&mutex);
    has_news = true;
    (void)pthread_cond_signal(&changed);
    (void)pthread_mutex_unlock(&mutex);
}

/* Wait until there is no node at `path`. */
static enum confer_status wait_until_gone(struct confer *confer, const char *path)
{
    bool exists = true;
    uint64_t watch = 0;
    enum confer_status status = confer_watch(confer, path, 0, 0, on_event, NULL, &watch);

    /* The first event is STARTED: the node may have gone before the watch stood. */
    while (status == CONFER_OK && exists) {
        struct confer_result *result = NULL;

        (void)pthread_mutex_lock(&mutex);
        while (!has_news) {
            (void)pthread_cond_wait(&changed, &mutex);
        }
        has_news = false;
        (void)pthread_mutex_unlock(&mutex);
        status = confer_exists(confer, path, NULL, &result);
        exists = result != NULL && result->exists;
        confer_result_free(result);
    }
    (void)confer_unwatch(confer, watch);
    return status;
}

/* The path of the node before ours, or an empty text when ours is the first. */
static enum confer_status find_before(struct confer *confer, const char *ours, char before[256])
{
    struct confer_call call = {0, true};
    struct confer_iterator *iterator = NULL;
    const struct confer_node *node;
    enum confer_status status = confer_list_begin(confer, PARENT, NULL, &call, &iterator);

    before[0] = '\0';
    while (status == CONFER_OK && (status = confer_next(iterator, &node)) == CONFER_OK) {
        char path[256];

        (void)snprintf(path, sizeof path, PARENT "/%s", node->name);
        if (strcmp(path, ours) < 0) {
            memcpy(before, path, sizeof path); /* names come in order */
        }
    }
    confer_iterator_free(iterator);
    return status == CONFER_END ? CONFER_OK : status;
}

static enum confer_status lead(struct confer *confer, const char *name, unsigned seconds)
{
    struct confer_create create = {.mode = CONFER_EPHEMERAL_SEQUENTIAL, .make_parents = true};
    struct confer_result *result = NULL;
    char before[256];
    enum confer_status status =
        confer_create(confer, PARENT "/candidate-", name, strlen(name), &create, NULL, &result);

    while (status == CONFER_OK &&
           (status = find_before(confer, result->path, before)) == CONFER_OK && before[0] != '\0') {
        printf("%s waits for %s\n", name, before);
        status = wait_until_gone(confer, before);
    }
    if (status == CONFER_OK) {
        printf("%s leads\n", name);
        (void)fflush(stdout);
        (void)sleep(seconds);
    }
    confer_result_free(result);
    return status;
}

int main(int argc, char **argv)
{
    struct confer *confer = NULL;
    enum confer_status status;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: leader_election HOST:PORT[,HOST:PORT...] NAME [SECONDS]\n");
        return 2;
    }
    status = confer_open(argv[1], NULL, &confer);
    if (status == CONFER_OK) {
        status = lead(confer, argv[2], argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 1);
        confer_close(confer);
    }
    if (status != CONFER_OK) {
        fprintf(stderr, "%s: %s\n", argv[2], confer_status_text(status));
        return 1;
    }
    printf("%s is done\n", argv[2]);
    return 0;
}
