/* Who a connection has shown itself to be, and what may stand in a list of permissions (ZooKeeper's
 * authentication providers ip and digest). Pure but for the hash. */
#ifndef FRONT_IDENTITY_H
#define FRONT_IDENTITY_H

#include "base/arena.h"
#include "server/node/request.h"

/* Those of one connection; they only grow. */
struct identities {
    struct state_identity *items; /* one block, their texts behind them */
    size_t count;
    const char *super_digest; /* USER:HASH whose owner may do everything; NULL = nobody */
};

/* Begins with (ip, `address`). `super_digest` outlives it. */
void identities_init(struct identities *identities, struct bytes address, const char *super_digest);
void identities_release(struct identities *identities);
struct state_identities identities_lend(const struct identities *identities);

/* An auth packet. INVALID: a scheme that is not known or no credentials; answer AUTH_FAILED and
 * close. LIMIT: too many identities on one connection; the same. */
MUST_CHECK enum status
identities_add(struct identities *identities, struct bytes scheme, struct bytes credentials);

bool identities_have_super(const struct identities *identities);
/* The part that whoAmI shows: a digest's user name, else the id. */
struct bytes identity_user(const struct state_identity *identity);

/* May the entry stand in an ACL of a request? */
bool identity_may_stand_in_acl(struct bytes scheme, struct bytes id);

/* What of an entry's id is shown to those who may not administer the node: of a digest the user. In
 * the arena, or the id itself. */
struct bytes identity_shown_in_acl(const struct state_acl_entry *entry,
                                   bool may_administer,
                                   struct arena *arena);

#endif
