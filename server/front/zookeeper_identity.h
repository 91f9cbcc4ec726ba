/* Who a ZooKeeper connection is, and what may stand in an ACL (ZooKeeper's authentication providers
 * ip and digest). Pure but for the hash. */
#ifndef FRONT_ZOOKEEPER_IDENTITY_H
#define FRONT_ZOOKEEPER_IDENTITY_H

#include "base/arena.h"
#include "base/bytes.h"

#include <stdbool.h>

enum { ZOOKEEPER_IDENTITIES_MAX = 64 };

struct zookeeper_identity {
    struct bytes scheme;
    struct bytes id;
};

/* Those of one connection; they only grow. */
struct zookeeper_identities {
    struct zookeeper_identity items[ZOOKEEPER_IDENTITIES_MAX];
    size_t count;
    struct arena arena;
};

/* Begins with (ip, `address`). */
void zookeeper_identities_init(struct zookeeper_identities *identities, struct bytes address);
void zookeeper_identities_release(struct zookeeper_identities *identities);

/* An auth packet. INVALID: a scheme that is not known or no credentials; answer AUTH_FAILED and
 * close. LIMIT: too many identities on one connection; the same. */
MUST_CHECK enum status zookeeper_identities_add(struct zookeeper_identities *identities,
                                                struct bytes scheme,
                                                struct bytes credentials);

/* Whether the identity counts as authenticated: `auth` in an ACL stands for these. */
bool zookeeper_identity_is_authenticated(const struct zookeeper_identity *identity);
/* The part that whoAmI shows: a digest's user name, else the id. */
struct bytes zookeeper_identity_user(const struct zookeeper_identity *identity);

/* May the entry stand in an ACL? `auth` has been replaced before. */
bool zookeeper_acl_id_is_valid(struct bytes scheme, struct bytes id);

#endif
