#include "client/include/confer.h"

#include "proto/client.pb-c.h"

#include <stddef.h>

/* The public numbers are the protocol's. */
_Static_assert((int)CONFER_OK == (int)CLIENT__CODE__OK, "codes");
_Static_assert((int)CONFER_UNREADABLE == (int)CLIENT__CODE__UNREADABLE, "codes");
_Static_assert((int)CONFER_QUOTA_EXCEEDED == (int)CLIENT__CODE__QUOTA_EXCEEDED, "codes");
_Static_assert((int)CONFER_SESSION_EXPIRED == (int)CLIENT__CODE__SESSION_EXPIRED, "codes");
_Static_assert((int)CONFER_SEQUENCE_GAP == (int)CLIENT__CODE__SEQUENCE_GAP, "codes");
_Static_assert((int)CONFER_NO_LEADER == (int)CLIENT__CODE__NO_LEADER, "codes");
_Static_assert((int)CONFER_STOPPING == (int)CLIENT__CODE__STOPPING, "codes");
_Static_assert((int)CONFER_NOT_MEMBER == (int)CLIENT__CODE__NOT_MEMBER, "codes");
_Static_assert((int)CONFER_AUTH_FAILED == (int)CLIENT__CODE__AUTH_FAILED, "codes");

struct status_row {
    enum confer_status status;
    const char *text;
};

static const struct status_row rows[] = {
    {CONFER_OK, "ok"},
    {CONFER_NO_NODE, "no such node"},
    {CONFER_NODE_EXISTS, "the node exists already"},
    {CONFER_NOT_EMPTY, "the node has children"},
    {CONFER_BAD_VERSION, "the version is another one"},
    {CONFER_NO_CHILDREN_FOR_EPHEMERALS, "an ephemeral node cannot have children"},
    {CONFER_BAD_ARGUMENTS, "illegal path or arguments"},
    {CONFER_INVALID_ACL, "illegal ACL"},
    {CONFER_NO_AUTH, "not permitted"},
    {CONFER_SESSION_EXPIRED, "the session is gone; open a new handle"},
    {CONFER_SESSION_MOVED, "the session moved to another connection"},
    {CONFER_NOT_EXECUTED, "not executed: another operation of the transaction failed"},
    {CONFER_SEQUENCE_GAP, "a write of this session before this one is missing"},
    {CONFER_SEQUENCE_FORGOTTEN, "the result of this write was confirmed and is forgotten"},
    {CONFER_TOO_MANY_UNCONFIRMED, "too many unconfirmed writes in this session"},
    {CONFER_LIMIT, "a limit was exceeded"},
    {CONFER_NO_SESSION, "an ephemeral node needs a session"},
    {CONFER_UNREADABLE, "the servers could not read the command"},
    {CONFER_QUOTA_EXCEEDED, "a quota would be exceeded"},
    {CONFER_NO_LEADER, "the servers have no leader now"},
    {CONFER_BUSY, "the server is busy"},
    {CONFER_BEHIND, "the server is behind what this client saw already"},
    {CONFER_UNKNOWN_OUTCOME, "the write may have taken effect or not; look before trying again"},
    {CONFER_COMPACTED, "the history does not reach back so far"},
    {CONFER_NO_SPACE, "the cluster is short of disk space: only removals pass"},
    {CONFER_NO_CLUSTER, "the server belongs to no cluster yet"},
    {CONFER_UNSUPPORTED, "the server does not know this request"},
    {CONFER_CONFLICT, "in conflict with the present membership"},
    {CONFER_UNREACHABLE, "a server named in the request does not answer"},
    {CONFER_REFUSED, "a server named in the request cannot take part"},
    {CONFER_STOPPING, "the server is stopping"},
    {CONFER_NOT_MEMBER, "the server is not, or no more, a member of its cluster"},
    {CONFER_AUTH_FAILED, "the server does not take these credentials"},
    {CONFER_TIMEOUT, "timed out"},
    {CONFER_CLOSED, "the handle was closed"},
    {CONFER_NO_MEMORY, "out of memory"},
    {CONFER_DEADLOCK, "a blocking call on the thread that would have to answer it"},
    {CONFER_INVALID_ARGUMENT, "invalid argument"},
    {CONFER_PROTOCOL, "the server sent what this client does not understand"},
    {CONFER_SYSTEM, "no thread or file descriptor is to be had"},
    {CONFER_END, "there is no more"},
};

const char *confer_status_text(enum confer_status status)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status) {
            return rows[i].text;
        }
    }
    return "unknown status";
}

const char *confer_state_text(enum confer_state state)
{
    static const char *const texts[] = {"connecting",  "connected", "suspended",
                                        "reconnected", "expired",   "closed"};

    return (size_t)state < sizeof texts / sizeof texts[0] ? texts[state] : "unknown state";
}

const char *confer_event_text(enum confer_event_kind kind)
{
    static const char *const texts[] = {"started",    "created",  "value_set",
                                        "removed",    "acl_set",  "resync_begin",
                                        "resync_end", "progress", "ended"};

    return (size_t)kind < sizeof texts / sizeof texts[0] ? texts[kind] : "unknown event";
}

const char *confer_version(void)
{
    return CONFER_VERSION;
}
