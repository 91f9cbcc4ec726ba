/* ZooKeeper's four-letter words: four bytes in, a report out, and the connection ends. Monitoring
 * tools parse these. Main thread. */
#ifndef FRONT_ZOOKEEPER_WORDS_H
#define FRONT_ZOOKEEPER_WORDS_H

#include "server/front/zookeeper_front.h"

/* The words answered unless others are named: those that tell nothing of clients and paths. */
#define ZOOKEEPER_WORDS_DEFAULT "ruok srvr stat mntr isro envi conf"

/* A list of words, separated by blanks or commas, or "all"; a sum of bits for the options. INVALID:
 * one is not known; the text says which there are. */
MUST_CHECK enum status
zookeeper_words_parse(const char *list, uint32_t *ret_words, struct error *error);

struct zookeeper_words;

struct zookeeper_words_options {
    uint32_t words; /* of zookeeper_words_parse */
    uint64_t server_id;
    const char *address; /* HOST:PORT of this server; these outlive the words */
    const char *data;
    uint64_t connections_per_address_max;
    struct zookeeper_options sessions;
};

/* `node` and `front` outlive it. */
struct zookeeper_words *zookeeper_words_new(struct node *node,
                                            struct zookeeper_front *front,
                                            const struct zookeeper_words_options *options);
/* All connections must be closed and reported. NULL is fine. */
void zookeeper_words_free(struct zookeeper_words *words);

/* Take over a connection in state PREFACE that begins with a word. */
void zookeeper_words_take(struct zookeeper_words *words, struct connection *connection);

#endif
