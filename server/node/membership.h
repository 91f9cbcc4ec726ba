/* The cluster requests of clients as operations under way: init, add-learner, change-membership,
 * remove-member, transfer-leader, cancel-change. Each dials whom it must, drives the core, waits
 * for the outcome and ends with one response. All may be repeated: what already holds succeeds.
 *
 * Init runs on the server that got it. The others run on the leader; elsewhere they end with
 * NO_LEADER at once, and when leadership is lost under way with NO_LEADER (nothing was appended) or
 * UNKNOWN_OUTCOME, so that who relays them asks the next leader: asking again is always right.
 *
 * A change of voters waits for new voters that are still catching up. One that contradicts another
 * that waits or is under way is a CONFLICT, with the other one named.
 *
 * Codes: BAD_ARGUMENTS the request itself is wrong; CONFLICT against the present configuration;
 * UNREACHABLE and REFUSED a server named in it; NO_CLUSTER; BUSY; LIMIT; BAD_VERSION it was for
 * another configuration, and does not hold in this one. The text tells the reason and the way out.
 * A response with OK may have a text too: a note for the person.
 *
 * Main thread. */
#ifndef NODE_MEMBERSHIP_H
#define NODE_MEMBERSHIP_H

#include "server/node/membership_port.h"

struct membership;

enum { MEMBERSHIP_OPERATIONS_MAX = 64 };

/* `address` is this server's own (--server); it and the core outlive the unit. */
struct membership *
membership_new(const struct membership_port *port, struct raft *raft, const char *address);
/* Operations under way are dropped without a response. NULL is fine. */
void membership_free(struct membership *membership);

/* Whether this is a request for membership_submit, and whether it must run on the leader. */
bool membership_is_request(const Client__Request *request);
bool membership_needs_leader(const Client__Request *request);

/* Start the operation that `request` (one of the six) asks for; what is needed of it is copied. It
 * ends by `deadline_us` at the latest. `handle` comes back with the response. More than
 * MEMBERSHIP_OPERATIONS_MAX end with BUSY. */
void membership_submit(struct membership *membership,
                       uint64_t now_us,
                       const Client__Request *request,
                       uint64_t deadline_us,
                       void *handle);
/* Respond to `handle` without an operation. OK carries the members as known here. */
void membership_answer(struct membership *membership,
                       void *handle,
                       Client__Code code,
                       const char *text);
/* Nobody waits for it any more. True: it had not begun, and ended without a response. False: it
 * has, and goes on. */
bool membership_withdraw(struct membership *membership, const void *handle);

/* Arguments as in node_on_probe_answer; `message` is the packed PeerMessage that came. Tokens that
 * are not this unit's or are no longer wanted are ignored. */
void membership_on_probe_answer(struct membership *membership,
                                uint64_t now_us,
                                uint64_t token,
                                enum status status,
                                const Peer__Identity *identity,
                                struct bytes message,
                                const char *text);

/* Once a turn, after the inputs to the core and before it is flushed: look at the core, go on, give
 * up what is late. Returns when to call again at the latest; UINT64_MAX when nothing is under way.
 */
uint64_t membership_tick(struct membership *membership, uint64_t now_us);
size_t membership_count(const struct membership *membership);

/* A change of voters that was asked for and waits to begin: the first one. False if none does. */
struct membership_waiting {
    uint64_t begun_us;
    raft_id voters[RAFT_VOTERS_MAX];
    size_t voter_count;
};
bool membership_find_waiting(const struct membership *membership,
                             struct membership_waiting *ret_waiting);

/* --- Being asked --- */

/* Fill the answer to a ProbeQuery; lends from the arguments. */
void membership_probe_reply(const struct node_identity *identity,
                            const struct raft_status *status,
                            const char *address,
                            Peer__ProbeReply *reply);

enum membership_bootstrap {
    MEMBERSHIP_BOOTSTRAP_REFUSED, /* `refusal` says why */
    MEMBERSHIP_BOOTSTRAP_WANTED,  /* make the id durable, raft_bootstrap, answer once it is durable
                                   */
    MEMBERSHIP_BOOTSTRAP_DONE     /* this server already takes part in exactly this cluster */
};

/* Judge a Bootstrap: the id is that of its configuration (the first 16 bytes of the SHA-256 of the
 * packed record.Config), which is legal, uniform, without learners
 * and names this server with this incarnation; and this server is fresh, or already in that
 * cluster. *ret_config and *ret_cluster_id are written when WANTED. */
enum membership_bootstrap membership_check_bootstrap(const struct node_identity *identity,
                                                     const struct raft_status *status,
                                                     const Peer__Bootstrap *bootstrap,
                                                     struct raft_config *ret_config,
                                                     uint8_t ret_cluster_id[NODE_CLUSTER_ID_BYTES],
                                                     char refusal[ERROR_TEXT_BYTES_MAX]);

#endif
