#include "client/client_call.h"

#include "base/address.h"

#include <stdlib.h>
#include <string.h>

enum { MEMBERS_MAX = 31 };

/* A member's address as servers take it: without http:// and slash. */
struct member_text {
    char text[ADDRESS_TEXT_BYTES_MAX];
};

static bool take_address(struct client_call *call,
                         const struct confer_node_address *node,
                         struct member_text *text,
                         Client__NodeAddress *message)
{
    struct address address;

    if (node->id == 0) {
        client_call_refuse(call, CONFER_INVALID_ARGUMENT, "the id of a server is 1 or more");
        return false;
    }
    if (node->address == NULL || address_parse(node->address, &address, NULL) != STATUS_OK) {
        client_call_refuse(call, CONFER_INVALID_ARGUMENT,
                           "the address of a server is written as HOST:PORT");
        return false;
    }
    address_format(&address, text->text);
    client__node_address__init(message);
    message->id = node->id;
    message->address = text->text;
    return true;
}

static struct client_call init_call(const struct confer_node_address *nodes, size_t count)
{
    struct client_call call = {.status = CONFER_OK};
    struct member_text texts[MEMBERS_MAX];
    Client__NodeAddress messages[MEMBERS_MAX];
    Client__NodeAddress *list[MEMBERS_MAX];
    Client__Init message = CLIENT__INIT__INIT;

    if (count == 0 || count > MEMBERS_MAX) {
        client_call_refuse(&call, CONFER_INVALID_ARGUMENT, "a cluster has 1 to 31 servers");
        return call;
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_address(&call, &nodes[i], &texts[i], &messages[i])) {
            return call;
        }
        list[i] = &messages[i];
    }
    message.n_nodes = count;
    message.nodes = list;
    client_call_pack(&call, CLIENT__REQUEST__BODY_INIT, &message.base, CLIENT_SHAPE_MEMBERSHIP);
    return call;
}

enum confer_status confer_init(struct confer *confer,
                               const struct confer_node_address *nodes,
                               size_t node_count,
                               const struct confer_call *call,
                               struct confer_result **ret_result)
{
    struct client_call init = init_call(nodes, node_count);

    return client_call_wait(confer, &init, call, ret_result);
}

enum confer_status confer_init_async(struct confer *confer,
                                     const struct confer_node_address *nodes,
                                     size_t node_count,
                                     const struct confer_call *call,
                                     confer_callback callback,
                                     void *argument)
{
    struct client_call init = init_call(nodes, node_count);

    return client_call_start(confer, &init, call, callback, argument);
}

static struct client_call add_call(const struct confer_node_address *node, bool promote)
{
    struct client_call call = {.status = CONFER_OK};
    struct member_text text;
    Client__NodeAddress address;
    Client__AddLearner message = CLIENT__ADD_LEARNER__INIT;

    if (take_address(&call, node, &text, &address)) {
        message.node = &address;
        message.promote = promote;
        client_call_pack(&call, CLIENT__REQUEST__BODY_ADD_LEARNER, &message.base,
                         CLIENT_SHAPE_MEMBERSHIP);
    }
    return call;
}

enum confer_status confer_add_learner(struct confer *confer,
                                      const struct confer_node_address *node,
                                      const struct confer_call *call,
                                      struct confer_result **ret_result)
{
    struct client_call add = add_call(node, false);

    return client_call_wait(confer, &add, call, ret_result);
}

enum confer_status confer_add_learner_async(struct confer *confer,
                                            const struct confer_node_address *node,
                                            const struct confer_call *call,
                                            confer_callback callback,
                                            void *argument)
{
    struct client_call add = add_call(node, false);

    return client_call_start(confer, &add, call, callback, argument);
}

enum confer_status confer_add_voter(struct confer *confer,
                                    const struct confer_node_address *node,
                                    const struct confer_call *call,
                                    struct confer_result **ret_result)
{
    struct client_call add = add_call(node, true);

    return client_call_wait(confer, &add, call, ret_result);
}

enum confer_status confer_add_voter_async(struct confer *confer,
                                          const struct confer_node_address *node,
                                          const struct confer_call *call,
                                          confer_callback callback,
                                          void *argument)
{
    struct client_call add = add_call(node, true);

    return client_call_start(confer, &add, call, callback, argument);
}

static struct client_call change_call(const uint64_t *voters, size_t count, bool force)
{
    struct client_call call = {.status = CONFER_OK};
    uint64_t copy[MEMBERS_MAX];
    Client__ChangeMembership message = CLIENT__CHANGE_MEMBERSHIP__INIT;

    if (count == 0 || count > MEMBERS_MAX) {
        client_call_refuse(&call, CONFER_INVALID_ARGUMENT, "a cluster has 1 to 31 voters");
        return call;
    }
    memcpy(copy, voters, count * sizeof *voters);
    message.n_voters = count;
    message.voters = copy;
    message.force = force;
    client_call_pack(&call, CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP, &message.base,
                     CLIENT_SHAPE_MEMBERSHIP);
    return call;
}

enum confer_status confer_change_membership(struct confer *confer,
                                            const uint64_t *voters,
                                            size_t voter_count,
                                            const struct confer_call *call,
                                            struct confer_result **ret_result)
{
    struct client_call change = change_call(voters, voter_count, false);

    return client_call_wait(confer, &change, call, ret_result);
}

enum confer_status confer_change_membership_async(struct confer *confer,
                                                  const uint64_t *voters,
                                                  size_t voter_count,
                                                  const struct confer_call *call,
                                                  confer_callback callback,
                                                  void *argument)
{
    struct client_call change = change_call(voters, voter_count, false);

    return client_call_start(confer, &change, call, callback, argument);
}

enum confer_status confer_force_membership(struct confer *confer,
                                           const uint64_t *voters,
                                           size_t voter_count,
                                           const struct confer_call *call,
                                           struct confer_result **ret_result)
{
    struct client_call change = change_call(voters, voter_count, true);

    return client_call_wait(confer, &change, call, ret_result);
}

enum confer_status confer_force_membership_async(struct confer *confer,
                                                 const uint64_t *voters,
                                                 size_t voter_count,
                                                 const struct confer_call *call,
                                                 confer_callback callback,
                                                 void *argument)
{
    struct client_call change = change_call(voters, voter_count, true);

    return client_call_start(confer, &change, call, callback, argument);
}

static struct client_call cancel_change_call(void)
{
    struct client_call call = {.status = CONFER_OK};
    Client__CancelChange message = CLIENT__CANCEL_CHANGE__INIT;

    client_call_pack(&call, CLIENT__REQUEST__BODY_CANCEL_CHANGE, &message.base,
                     CLIENT_SHAPE_MEMBERSHIP);
    return call;
}

enum confer_status confer_cancel_change(struct confer *confer,
                                        const struct confer_call *call,
                                        struct confer_result **ret_result)
{
    struct client_call cancel = cancel_change_call();

    return client_call_wait(confer, &cancel, call, ret_result);
}

enum confer_status confer_cancel_change_async(struct confer *confer,
                                              const struct confer_call *call,
                                              confer_callback callback,
                                              void *argument)
{
    struct client_call cancel = cancel_change_call();

    return client_call_start(confer, &cancel, call, callback, argument);
}

static struct client_call remove_member_call(uint64_t id)
{
    struct client_call call = {.status = CONFER_OK};
    Client__RemoveMember message = CLIENT__REMOVE_MEMBER__INIT;

    if (id == 0) {
        client_call_refuse(&call, CONFER_INVALID_ARGUMENT, "the id of a server is 1 or more");
    }
    message.id = id;
    client_call_pack(&call, CLIENT__REQUEST__BODY_REMOVE_MEMBER, &message.base,
                     CLIENT_SHAPE_MEMBERSHIP);
    return call;
}

enum confer_status confer_remove_member(struct confer *confer,
                                        uint64_t id,
                                        const struct confer_call *call,
                                        struct confer_result **ret_result)
{
    struct client_call removal = remove_member_call(id);

    return client_call_wait(confer, &removal, call, ret_result);
}

enum confer_status confer_remove_member_async(struct confer *confer,
                                              uint64_t id,
                                              const struct confer_call *call,
                                              confer_callback callback,
                                              void *argument)
{
    struct client_call removal = remove_member_call(id);

    return client_call_start(confer, &removal, call, callback, argument);
}

static struct client_call transfer_leader_call(uint64_t target)
{
    struct client_call call = {.status = CONFER_OK};
    Client__TransferLeader message = CLIENT__TRANSFER_LEADER__INIT;

    message.target = target;
    client_call_pack(&call, CLIENT__REQUEST__BODY_TRANSFER_LEADER, &message.base,
                     CLIENT_SHAPE_NONE);
    return call;
}

enum confer_status confer_transfer_leader(struct confer *confer,
                                          uint64_t target,
                                          const struct confer_call *call,
                                          struct confer_result **ret_result)
{
    struct client_call transfer = transfer_leader_call(target);

    return client_call_wait(confer, &transfer, call, ret_result);
}

enum confer_status confer_transfer_leader_async(struct confer *confer,
                                                uint64_t target,
                                                const struct confer_call *call,
                                                confer_callback callback,
                                                void *argument)
{
    struct client_call transfer = transfer_leader_call(target);

    return client_call_start(confer, &transfer, call, callback, argument);
}

static struct client_call status_call(void)
{
    struct client_call call = {.status = CONFER_OK};
    Client__Status message = CLIENT__STATUS__INIT;

    client_call_pack(&call, CLIENT__REQUEST__BODY_STATUS, &message.base, CLIENT_SHAPE_STATUS);
    return call;
}

enum confer_status confer_cluster_status(struct confer *confer,
                                         const struct confer_call *call,
                                         struct confer_result **ret_result)
{
    struct client_call status = status_call();

    return client_call_wait(confer, &status, call, ret_result);
}

enum confer_status confer_cluster_status_async(struct confer *confer,
                                               const struct confer_call *call,
                                               confer_callback callback,
                                               void *argument)
{
    struct client_call status = status_call();

    return client_call_start(confer, &status, call, callback, argument);
}
