/* A cluster as somebody wants it, brought about by the changes that there are: which one is next.
 * Pure: computed anew from each configuration, so that what others change meanwhile is kept. */
#ifndef NODE_RECONFIGURATION_H
#define NODE_RECONFIGURATION_H

#include "base/error.h"
#include "raft/raft.h"

struct reconfiguration_server {
    raft_id id;
    const char *address; /* as address_format writes it */
    bool votes;          /* else a learner */
};

struct reconfiguration {
    bool is_illegal;                              /* it cannot be read: refused in its place */
    bool replaces;                                /* whoever is not among `servers` leaves */
    const struct reconfiguration_server *servers; /* of an id the last one counts */
    size_t server_count;                          /* at most RAFT_MEMBERS_MAX */
    const raft_id *leaving; /* before the servers come; who is no member has left */
    size_t leaving_count;
    raft_id self;     /* who carries it out, and leaves last; 0 = no member */
    bool has_version; /* only if the configuration is that of this index */
    raft_index version;
};

enum reconfiguration_kind {
    RECONFIGURATION_DONE,
    RECONFIGURATION_ADD,    /* a learner, also of one that shall vote */
    RECONFIGURATION_CHANGE, /* to exactly these voters; those left out leave the cluster */
    RECONFIGURATION_REMOVE  /* a learner */
};

struct reconfiguration_step {
    enum reconfiguration_kind kind;
    raft_id id;          /* ADD, REMOVE */
    const char *address; /* ADD; lent from the servers */
    raft_id voters[RAFT_VOTERS_MAX];
    size_t voter_count;
    bool has_new_voters; /* CHANGE: some do not vote yet */
};

/* The next change to `config`, which is not joint. A member that moves to another address, or shall
 * vote no more, leaves first and comes again. INVALID: what is wanted is no cluster, or nobody who
 * votes would stay meanwhile, or `self` would have to come again, which nobody would see to; the
 * text says why. */
MUST_CHECK enum status reconfiguration_next(const struct raft_config *config,
                                            const struct reconfiguration *wanted,
                                            struct reconfiguration_step *ret_step,
                                            struct error *error);

#endif
