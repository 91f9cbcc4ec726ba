/* One cluster operation under way: its data, how it asks other servers, and how it ends. The ground
 * floor of membership.h; membership_init and membership_change stand on it. */
#ifndef NODE_MEMBERSHIP_OPERATION_H
#define NODE_MEMBERSHIP_OPERATION_H

#include "base/address.h"
#include "base/list.h"
#include "server/node/membership_port.h"

enum {
    MEMBERSHIP_HEX_BYTES = 2 * NODE_CLUSTER_ID_BYTES + 1,
    MEMBERSHIP_LEARNER_PATIENCE_US = 2 * 1000 * 1000,
    MEMBERSHIP_LIST_BYTES = 21 * RAFT_VOTERS_MAX /* ids with commas */
};

enum membership_kind {
    MEMBERSHIP_INIT,
    MEMBERSHIP_ADD,
    MEMBERSHIP_CHANGE,
    MEMBERSHIP_REMOVE,
    MEMBERSHIP_TRANSFER,
    MEMBERSHIP_CANCEL
};

/* init:   PROBING -> BOOTSTRAPPING -> STARTING
 * add:    PROBING -> PROPOSING -> COMMITTING
 * others:            PROPOSING -> COMMITTING */
enum membership_phase {
    MEMBERSHIP_PROBING,       /* asking the targets who they are */
    MEMBERSHIP_BOOTSTRAPPING, /* init: the targets make the cluster durable */
    MEMBERSHIP_STARTING,      /* init: done here too; waiting for the first leader */
    MEMBERSHIP_PROPOSING,     /* the core has not taken the change yet */
    MEMBERSHIP_COMMITTING
};

/* A server named in the request. */
struct membership_target {
    raft_id id;
    char address[ADDRESS_TEXT_BYTES_MAX]; /* as address_format writes it */
    uint64_t token;                       /* of the probe under way; 0 = none */
    uint8_t incarnation[RAFT_INCARNATION_BYTES];
    bool has_log;
    bool has_cluster;
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
};

struct membership_operation {
    struct list link;
    void *handle;
    enum membership_kind kind;
    enum membership_phase phase;
    uint64_t begun_us;
    uint64_t deadline_us;
    bool promote;                                      /* ADD */
    bool force;                                        /* CHANGE */
    struct membership_target targets[RAFT_VOTERS_MAX]; /* INIT, ADD; by id */
    size_t target_count;
    raft_id voters[RAFT_VOTERS_MAX]; /* CHANGE */
    size_t voter_count;
    raft_id id;             /* REMOVE, TRANSFER */
    raft_index only_config; /* ADD, CHANGE, REMOVE: against this configuration alone; 0 = any */
    uint64_t patience_us;   /* ADD, committed: how long it is waited for the learner; 0 = not yet */
    raft_index index;
    raft_term term;
    char note[ERROR_TEXT_BYTES_MAX]; /* CANCEL: what is undone */
    enum status last_refusal;        /* of the core, for the text when it is too late */
    struct raft_config config;       /* INIT */
    uint8_t cluster_id[NODE_CLUSTER_ID_BYTES];
};

struct membership {
    struct membership_port port;
    struct raft *raft;
    char address[ADDRESS_TEXT_BYTES_MAX]; /* this server's */
    struct list operations;
    size_t count;
    uint64_t last_token;
    struct buffer message;
};

void membership_operation_hex(const uint8_t id[NODE_CLUSTER_ID_BYTES],
                              char hex[MEMBERSHIP_HEX_BYTES]);
/* Ids as "1,2,3"; of a configuration, those of the members with `flag`. */
void membership_operation_list(const raft_id *ids, size_t count, char list[MEMBERSHIP_LIST_BYTES]);
void membership_operation_list_voters(const struct raft_config *config,
                                      uint8_t flag,
                                      char list[MEMBERSHIP_LIST_BYTES]);
/* The one way in which addresses are written here; false, with `error`, if `text` is none. */
bool membership_operation_normalize(const char *text,
                                    char address[ADDRESS_TEXT_BYTES_MAX],
                                    struct error *error);
/* The first 16 bytes of the SHA-256 of the packed record.Config. */
void membership_operation_cluster_id(const struct raft_config *config,
                                     uint8_t cluster_id[NODE_CLUSTER_ID_BYTES]);
/* It holds anything of a cluster's history: not fresh. */
bool membership_operation_has_log(const struct raft_status *status);

/* --- Asking --- */

/* Copy the servers named in the request, sorted by id. False, and ended, if they are not legal. */
bool membership_operation_take_targets(struct membership *membership,
                                       struct membership_operation *operation,
                                       Client__NodeAddress *const *nodes,
                                       size_t count);
/* NULL if none has the id. */
struct membership_target *membership_operation_find_target(struct membership_operation *operation,
                                                           raft_id id);
void membership_operation_send(struct membership *membership,
                               struct membership_target *target,
                               const Peer__PeerMessage *message);
void membership_operation_query(struct membership *membership, struct membership_target *target);
/* Some target has not answered yet. */
bool membership_operation_is_waiting(const struct membership_operation *operation);
/* What the server at the target's address says of itself must fit. False, and ended, if not. */
bool membership_operation_take_identity(struct membership *membership,
                                        struct membership_operation *operation,
                                        struct membership_target *target,
                                        const Peer__Identity *identity,
                                        const Peer__ProbeReply *reply);

/* --- Ending: the last thing that is done with an operation, which is freed --- */

void membership_operation_end(struct membership *membership,
                              struct membership_operation *operation,
                              Client__Code code,
                              const char *format,
                              ...) __attribute__((format(printf, 4, 5)));
/* The target did not answer, or not properly. */
void membership_operation_end_unreachable(struct membership *membership,
                                          struct membership_operation *operation,
                                          const struct membership_target *target,
                                          enum status status,
                                          const char *text);
/* Without a response. */
void membership_operation_remove(struct membership *membership,
                                 struct membership_operation *operation);
/* A response without an operation. */
void membership_operation_respond(struct membership *membership,
                                  void *handle,
                                  Client__Code code,
                                  char *text);

#endif
