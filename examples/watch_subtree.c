/* Keep an eye on a subtree: first what there is, then every change, whatever happens to
 * connections.
 *
 *     watch_subtree HOST:PORT[,HOST:PORT...] PATH [SECONDS]
 *
 * Ends after SECONDS, or with Ctrl-C. With "demo" for SECONDS it makes three changes itself, and
 * ends when it has seen them. */
#include <confer.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Shared with the thread of the callbacks. */
struct seen {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned changes;
    bool has_picture;
    bool has_ended;
};

/* On the library's thread: be quick, and never wait for the library here. */
static void on_event(struct confer *confer, const struct confer_event *event, void *argument)
{
    struct seen *seen = argument;

    (void)confer;
    if (event->kind == CONFER_EVENT_ENDED) {
        printf("ended: %s\n", event->message);
    } else if (event->kind == CONFER_EVENT_RESYNC_BEGIN) {
        printf(event->initial ? "what there is:\n" : "the difference to what I know:\n");
    } else if (event->path[0] != '\0') {
        printf("%llu %s %s %.*s\n", (unsigned long long)event->zxid, confer_event_text(event->kind),
               event->path, (int)event->value_bytes, event->value);
    }
    (void)pthread_mutex_lock(&seen->mutex);
    seen->has_picture = seen->has_picture || event->kind == CONFER_EVENT_STARTED;
    seen->has_ended = seen->has_ended || event->kind == CONFER_EVENT_ENDED;
    seen->changes += event->path[0] != '\0' && !event->resync ? 1 : 0;
    (void)pthread_cond_signal(&seen->changed);
    (void)pthread_mutex_unlock(&seen->mutex);
}

static int demonstrate(struct confer *confer, const char *path, struct seen *seen)
{
    char child[4096];
    bool failed;

    (void)pthread_mutex_lock(&seen->mutex);
    while (!seen->has_picture && !seen->has_ended) {
        (void)pthread_cond_wait(&seen->changed, &seen->mutex);
    }
    (void)pthread_mutex_unlock(&seen->mutex);
    (void)snprintf(child, sizeof child, "%s/demo", path);
    failed = confer_set(confer, child, "1", 1, CONFER_ANY_VERSION, NULL, NULL) != CONFER_OK ||
             confer_set(confer, child, "2", 1, CONFER_ANY_VERSION, NULL, NULL) != CONFER_OK ||
             confer_remove(confer, child, CONFER_ANY_VERSION, NULL, NULL) != CONFER_OK;
    (void)pthread_mutex_lock(&seen->mutex);
    while (!failed && seen->changes < 3 && !seen->has_ended) {
        (void)pthread_cond_wait(&seen->changed, &seen->mutex);
    }
    failed = failed || seen->changes < 3;
    (void)pthread_mutex_unlock(&seen->mutex);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct seen seen = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false, false};
    struct confer *confer = NULL;
    enum confer_status status;
    int code = 0;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: watch_subtree HOST:PORT[,HOST:PORT...] PATH [SECONDS|demo]\n");
        return 2;
    }
    status = confer_open(argv[1], NULL, &confer);
    if (status == CONFER_OK) {
        /* TRACK lets a resync tell exactly what differs from what this program has seen. */
        status = confer_watch(confer, argv[2],
                              CONFER_WATCH_RECURSIVE | CONFER_WATCH_VALUES | CONFER_WATCH_INITIAL |
                                  CONFER_WATCH_TRACK,
                              0, on_event, &seen, NULL);
    }
    if (status != CONFER_OK) {
        fprintf(stderr, "%s\n", confer_status_text(status));
        confer_close(confer);
        return 1;
    }
    if (argc == 4 && strcmp(argv[3], "demo") == 0) {
        code = demonstrate(confer, argv[2], &seen);
    } else if (argc == 4) {
        (void)sleep((unsigned)strtoul(argv[3], NULL, 10));
    } else {
        (void)pause();
    }
    confer_close(confer); /* the last event comes before it returns */
    return code;
}
