#include "server/node/read_barrier.h"

#include "base/alloc.h"
#include "base/mark.h"

#include <stdlib.h>

struct read_barrier {
    struct list link;
    /* Requests, the news of a leader, and the node while the core has the token. */
    uint32_t references;
    uint64_t token; /* of the core, while it looks for the index; else 0 */
    bool is_found;
    raft_index index;
};

void read_barriers_init(struct node *node)
{
    list_init(&node->barriers);
}

void read_barriers_release(struct node *node)
{
    LIST_FOR_EACH (link, &node->barriers) {
        free(CONTAINER_OF(link, struct read_barrier, link));
    }
}

/* The last one, unless it was asked for already. */
struct read_barrier *read_barrier_join(struct node *node)
{
    struct list *last = node->barriers.previous;
    struct read_barrier *barrier = CONTAINER_OF(last, struct read_barrier, link);

    if (last == &node->barriers || barrier->token != 0 || barrier->is_found) {
        barrier = xcalloc(1, sizeof *barrier);
        list_append(&node->barriers, &barrier->link);
    }
    barrier->references++;
    return barrier;
}

void read_barrier_unref(struct read_barrier *barrier)
{
    if (barrier != NULL && --barrier->references == 0) {
        list_remove(&barrier->link);
        free(barrier);
    }
}

bool read_barrier_is_found(const struct read_barrier *barrier)
{
    return barrier->is_found;
}

bool read_barrier_is_reached(const struct node *node, const struct read_barrier *barrier)
{
    return barrier->is_found && state_applied(node->state) >= barrier->index;
}

void read_barriers_ask(struct node *node)
{
    bool has_cluster = raft_config_effective(node->raft)->member_count > 0;

    LIST_FOR_EACH (link, &node->barriers) {
        struct read_barrier *barrier = CONTAINER_OF(link, struct read_barrier, link);

        if (barrier->token == 0 && !barrier->is_found && has_cluster) {
            uint64_t token = ++node->last_token;

            if (raft_read(node->raft, node_now(node), token) == STATUS_OK) {
                barrier->token = token;
                barrier->references++;
            }
        }
    }
}

void read_barriers_on_index(struct node *node, uint64_t token, bool found, raft_index index)
{
    LIST_FOR_EACH (link, &node->barriers) {
        struct read_barrier *barrier = CONTAINER_OF(link, struct read_barrier, link);

        if (barrier->token == token) {
            MARK_IF(!found, read_index_asked_for_again);
            barrier->token = 0; /* a failed one is asked for again, with a new token */
            barrier->is_found = found;
            barrier->index = index;
            read_barrier_unref(barrier);
            return;
        }
    }
}
