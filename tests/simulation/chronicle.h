/* Every version that every node of the tree ever had, in the order of the commands, and what a
 * reader must therefore be shown at a zxid. Fed once by each command, by whichever server applies
 * it first; what a server shows at a zxid it has applied, so the chronicle knows it too. */
#ifndef TESTS_SIMULATION_CHRONICLE_H
#define TESTS_SIMULATION_CHRONICLE_H

#include "server/node/request.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/writes.h"

struct chronicle;

/* A path by number; equal paths have equal numbers. */
typedef uint32_t chronicle_path;

/* One change of a node. */
struct chronicle_change {
    zxid at;
    enum state_change_kind kind;
    chronicle_path path;
    uint64_t sum; /* of the node after it; REMOVED: before it */
};

struct chronicle_version {
    zxid at;
    bool exists;
    bool judged; /* nodes of a new cluster, and stats of quotas, are not looked at more closely */
    uint64_t sum;
    uint64_t serial; /* of the write that made the value; 0 = none */
    session_id owner;
};

struct chronicle *chronicle_new(void);
void chronicle_free(struct chronicle *chronicle);

chronicle_path chronicle_path_of(struct chronicle *chronicle, struct bytes text);
struct bytes chronicle_text(const struct chronicle *chronicle, chronicle_path path);
/* At or below `top`. */
bool chronicle_is_inside(const struct chronicle *chronicle,
                         chronicle_path path,
                         chronicle_path top);
/* The root's is the root. */
chronicle_path chronicle_parent(const struct chronicle *chronicle, chronicle_path path);

/* The next change of a node, in the order of commands and inside a command. */
void chronicle_add(struct chronicle *chronicle, const struct state_change *change);
/* The children made below the parent of `path` since that was made, before `path` was made. */
uint64_t chronicle_rank(const struct chronicle *chronicle, chronicle_path path);
/* What the node was right after the command `at` (or the last one before it); NULL: it had never
 * existed. */
const struct chronicle_version *
chronicle_version_at(const struct chronicle *chronicle, chronicle_path path, zxid at);

size_t chronicle_change_count(const struct chronicle *chronicle);
const struct chronicle_change *chronicle_change_at(const struct chronicle *chronicle,
                                                   size_t number);
/* The number of the first change above `after`. */
size_t chronicle_seek(const struct chronicle *chronicle, zxid after);

/* Of everything about a node that only its own changes change. */
uint64_t chronicle_sum(const struct state_node *node);
/* The number at the beginning of its value; 0 if there is none. It is the serial number of the
 * write and, in the lowest WRITES_STEP_BITS bits, which of its operations wrote it. */
uint64_t chronicle_value(const struct state_node *node);
uint64_t chronicle_serial(const struct state_node *node);

/* --- What a server showed at `shown` --- */

/* NULL: no such node. */
void chronicle_check_node(struct chronicle *chronicle,
                          const struct cluster_server *server,
                          struct bytes path,
                          zxid shown,
                          const struct state_node *node);
/* A page of children; `found` false: no such node. */
void chronicle_check_children(struct chronicle *chronicle,
                              const struct cluster_server *server,
                              const struct request *request,
                              zxid shown,
                              bool found,
                              const struct state_children *children);
/* A page of a subtree. */
void chronicle_check_tree(struct chronicle *chronicle,
                          const struct cluster_server *server,
                          const struct request *request,
                          const struct reply *reply);

#endif
