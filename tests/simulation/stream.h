/* A watch stream as its client sees it: the changes that it must be given, one after the other, and
 * none besides. */
#ifndef TESTS_SIMULATION_STREAM_H
#define TESTS_SIMULATION_STREAM_H

#include "tests/simulation/chronicle.h"

struct stream {
    chronicle_path path;
    bool recursive;
    zxid up_to;  /* everything up to here was given */
    size_t next; /* the number of the first change not looked at yet */
    uint64_t given;
};

/* The changes after `from` come next. */
void stream_start(struct stream *stream, const struct chronicle *chronicle, zxid from);
/* They came. Violation: one is missing, comes twice, out of order, is another, or is none of this
 * stream's; `up_to` falls or lies. */
void stream_take(struct stream *stream,
                 struct chronicle *chronicle,
                 const struct cluster_server *server,
                 const struct watch_event *events,
                 size_t count,
                 zxid up_to);
/* Everything that ever happened was given. */
bool stream_is_complete(const struct stream *stream, const struct chronicle *chronicle);

#endif
