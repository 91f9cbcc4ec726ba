/* The watch streams of one client, through all its connections: where each one stands, what to ask
 * for next, and whether it was given what it had to be.
 *
 * A stream goes on where it stood when its client connects again, to whatever server. When that has
 * no history back to there, it starts anew and its client reads everything that it watches: from
 * then on it must know all again. */
#ifndef TESTS_SIMULATION_CLIENT_STREAMS_H
#define TESTS_SIMULATION_CLIENT_STREAMS_H

#include "tests/simulation/stream.h"

enum { CLIENT_STREAMS_MAX = 3 };

enum client_stream_state {
    CLIENT_STREAM_NONE,
    CLIENT_STREAM_WANTED, /* to be asked for on the present connection, or the next */
    CLIENT_STREAM_ASKED,
    CLIENT_STREAM_LIVE,
    CLIENT_STREAM_ENDING
};

struct client_stream {
    enum client_stream_state state;
    uint64_t name; /* on this connection */
    struct stream stream;
    bool fresh;   /* starts now, not where it stood */
    bool resync;  /* everything is to be read anew */
    bool reading; /* and is being read */
    struct bytes after;
    bool with_values;
};

struct client_streams_counts {
    uint64_t given;
    uint64_t resumed;
    uint64_t compacted;
    uint64_t lost;
};

struct client_streams {
    struct chronicle *chronicle;
    const struct settings *settings;
    struct prng *prng;
    struct client_stream items[CLIENT_STREAMS_MAX];
    uint64_t last_name;
    struct client_streams_counts *counts;
};

void client_streams_init(struct client_streams *streams,
                         struct chronicle *chronicle,
                         const struct settings *settings,
                         struct prng *prng,
                         struct client_streams_counts *counts);
void client_streams_release(struct client_streams *streams);

/* The next request about streams; NULL: nothing to ask. `quiet`: nothing new. */
struct request *client_streams_next(struct client_streams *streams, bool quiet);
/* The answer to one of them. */
void client_streams_on_reply(struct client_streams *streams,
                             const struct cluster_server *server,
                             const struct request *request,
                             const struct reply *reply);
void client_streams_on_events(struct client_streams *streams,
                              const struct cluster_server *server,
                              uint64_t watch,
                              const struct watch_event *events,
                              size_t count,
                              zxid up_to,
                              bool lost);
void client_streams_on_disconnect(struct client_streams *streams);
/* Nothing is asked for or left to be given. */
bool client_streams_are_complete(const struct client_streams *streams);

#endif
