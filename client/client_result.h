/* Results: from a server's answer to what the user gets. The bytes are foreign: whatever they say,
 * the result is well formed or the answer is refused. */
#ifndef CLIENT_RESULT_H
#define CLIENT_RESULT_H

#include "client/client_memory.h"
#include "client/include/confer.h"
#include "proto/client.pb-c.h"

#include <stdint.h>

enum { CLIENT_MESSAGE_BYTES_MAX = 512, CLIENT_SERVER_BYTES_MAX = 272 };

/* Made when a call is accepted, so that its completion needs no memory. */
struct client_result {
    struct confer_result public; /* first: the user holds its address */
    struct client_arena arena;   /* what `public` points to */
    char message[CLIENT_MESSAGE_BYTES_MAX];
    char server[CLIENT_SERVER_BYTES_MAX];
};

struct client_result *client_result_new(void); /* NULL on exhaustion */
void client_result_free(struct client_result *result);

/* Make it a failure with the text, cut to fit; NULL: the status' own. Forgets what it held. */
void client_result_fail(struct client_result *result,
                        enum confer_status status,
                        const char *format,
                        ...) __attribute__((format(printf, 3, 4)));

/* What a result is made from and for. */
enum client_shape {
    CLIENT_SHAPE_NONE, /* only whether it went well */
    CLIENT_SHAPE_GET,
    CLIENT_SHAPE_EXISTS,
    CLIENT_SHAPE_LIST,
    CLIENT_SHAPE_TREE,
    CLIENT_SHAPE_WRITE,
    CLIENT_SHAPE_TRANSACTION,
    CLIENT_SHAPE_WATCH, /* zxid: where the stream starts */
    CLIENT_SHAPE_MEMBERSHIP,
    CLIENT_SHAPE_STATUS
};

/* An answer, unpacked. The arena owns everything. */
struct client_answer {
    Client__Response *response;
    struct client_arena arena;
};

/* PROTOCOL: not a Response. NO_MEMORY. */
MUST_CHECK enum confer_status client_answer_unpack(struct bytes frame,
                                                   struct client_answer *ret_answer);
void client_answer_release(struct client_answer *answer);

/* Fill `result` from the answer and take over its arena. On an answer that does not fit the shape
 * the result is CONFER_PROTOCOL, without memory CONFER_NO_MEMORY. */
void client_result_take(struct client_result *result,
                        enum client_shape shape,
                        struct client_answer *answer,
                        const char *server);

/* The field of an event; texts are lent from the answer. */
void client_result_event(const Client__Event *event, struct confer_event *ret_event);

#endif
