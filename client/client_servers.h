/* The servers a handle knows: in random order, with the last trouble of each. */
#ifndef CLIENT_SERVERS_H
#define CLIENT_SERVERS_H

#include "base/address.h"
#include "base/prng.h"
#include "client/include/confer.h"

#include <stdbool.h>
#include <stddef.h>

enum { CLIENT_SERVERS_MAX = 64, CLIENT_PROBLEM_BYTES_MAX = 128 };

struct client_server {
    struct address address;
    char text[ADDRESS_TEXT_BYTES_MAX];
    char problem[CLIENT_PROBLEM_BYTES_MAX]; /* empty: none known */
    bool is_outside;                        /* it said so last */
};

struct client_servers {
    struct client_server *items;
    size_t count;
    size_t current;
};

/* INVALID_ARGUMENT with the reason in `error`, or NO_MEMORY. */
MUST_CHECK enum confer_status
client_servers_parse(const char *text, struct client_servers *ret_servers, struct error *error);
void client_servers_release(struct client_servers *servers);
void client_servers_shuffle(struct client_servers *servers, struct prng *prng);
struct client_server *client_servers_current(struct client_servers *servers);
void client_servers_next(struct client_servers *servers);
void client_servers_note(struct client_servers *servers, const char *problem);
/* Every server said that it belongs to no cluster. */
bool client_servers_all_outside(const struct client_servers *servers);
/* "cannot reach any of 3 servers: a:1: refused; b:1: timed out; ..." cut to fit. */
void client_servers_explain(const struct client_servers *servers, char *text, size_t bytes);

#endif
