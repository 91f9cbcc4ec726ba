/* client.Response as bytes. Nodes, pages of them, results of writes and events, of which most of
 * what is said consists, are written field by field: that costs a fraction of filling protobuf-c's
 * structs and packing them, and gives the same bytes. protobuf-c packs the rest. No I/O. */
#ifndef FRONT_NATIVE_ANSWER_H
#define FRONT_NATIVE_ANSWER_H

#include "server/node/request.h"

/* Client.GetReply */
struct native_get {
    struct bytes value;
    bool value_is_null;
    bool value_is_apart; /* sent by itself: counted, and not written */
    struct state_stat stat;
    const struct state_acl_entry *acl;
    size_t acl_count;
    uint64_t ttl_ms;
    bool container;
};

/* Client.ListReply */
struct native_list {
    const struct state_children *children;
    bool with_stats;
    bool with_values;
};

/* Client.ReadTreeReply */
struct native_tree {
    const struct reply_tree_node *nodes;
    size_t count;
    bool more;
    bool with_values;
};

/* Client.Events */
struct native_events {
    uint64_t watch;
    bool with_values;
    const struct watch_event *events;
    size_t count;
    zxid up_to;
    bool lost;
};

/* Everything is lent. */
struct native_answer {
    uint64_t id; /* 0 = pushed */
    Client__Code code;
    const char *message; /* NULL = none */
    zxid zxid;
    Client__Response__BodyCase body;
    union {
        struct native_get get;
        struct native_list list;
        struct native_tree tree;
        const struct state_result *write;
        struct native_events events;
        const ProtobufCMessage *other; /* of the other bodies, the message itself */
    };
    size_t body_bytes; /* by native_answer_measure */
};

/* How many bytes the answer takes. */
size_t native_answer_measure(struct native_answer *answer);
/* Write them: exactly as many as were measured, without a value that is apart. */
void native_answer_put(const struct native_answer *answer, uint8_t *to);
/* How many of the written bytes belong behind a value that is apart. */
size_t native_answer_bytes_behind_value(const struct native_answer *answer);

#endif
