#include "server/front/zookeeper_encode.h"

#include "base/check.h"
#include "server/front/value_loan.h"
#include "server/node/node.h"

#include <string.h>

bool zookeeper_error_of(Client__Code code, enum jute_error *ret_error)
{
    static const int codes[] = {
#define X(name, value, zookeeper, text) [value] = (zookeeper),
        OP_ERROR_MAP(X)
#undef X
    };

    if (code == CLIENT__CODE__NO_SPACE) {
        *ret_error = JUTE_ERROR_SYSTEM;
        return true;
    }
    if ((size_t)code >= sizeof codes / sizeof *codes || (code != 0 && codes[code] == 0) ||
        codes[code] == JUTE_ERROR_SESSION_EXPIRED || codes[code] == JUTE_ERROR_SESSION_MOVED) {
        return false;
    }
    *ret_error = (enum jute_error)codes[code];
    return true;
}

bool zookeeper_error_of_reconfig(Client__Code code, enum jute_error *ret_error)
{
    switch ((int)code) {
    case CLIENT__CODE__UNSUPPORTED:
        *ret_error = JUTE_ERROR_UNIMPLEMENTED;
        return true;
    case CLIENT__CODE__CONFLICT:
    case CLIENT__CODE__BUSY:
        *ret_error = JUTE_ERROR_RECONFIG_IN_PROGRESS;
        return true;
    case CLIENT__CODE__UNREACHABLE:
    case CLIENT__CODE__REFUSED:
        *ret_error = JUTE_ERROR_NEW_CONFIG_NO_QUORUM;
        return true;
    default:
        return zookeeper_error_of(code, ret_error);
    }
}

void zookeeper_put_stat(struct buffer *buffer, const struct state_stat *stat)
{
    const struct jute_stat encoded = {.czxid = (int64_t)stat->czxid,
                                      .mzxid = (int64_t)stat->mzxid,
                                      .ctime_ms = (int64_t)stat->ctime_ms,
                                      .mtime_ms = (int64_t)stat->mtime_ms,
                                      .version = stat->version,
                                      .cversion = stat->cversion,
                                      .aversion = stat->aversion,
                                      .ephemeral_owner = (int64_t)stat->ephemeral_owner,
                                      .data_bytes = (int32_t)stat->value_bytes,
                                      .child_count = (int32_t)stat->child_count,
                                      .pzxid = (int64_t)stat->pzxid};

    jute_put_stat(buffer, &encoded);
}

void zookeeper_put_header(struct buffer *buffer,
                          const struct zookeeper_details *details,
                          zxid at,
                          enum jute_error error)
{
    int64_t shown = details->type == JUTE_TYPE_AUTH                ? 0
                    : details->refusal == JUTE_ERROR_UNIMPLEMENTED ? -1
                                                                   : (int64_t)at;

    jute_put_reply_header(buffer, details->xid, shown, (int32_t)error);
}

/* --- Bodies --- */

static void
put_acl(struct buffer *buffer, const struct request *request, const struct state_node *node)
{
    bool may_administer = client_may(request->client, node, STATE_PERMISSION_ADMIN);
    uint32_t count = state_node_acl_count(node);
    struct arena arena;

    arena_init(&arena);
    jute_put_int(buffer, (int32_t)count);
    for (uint32_t i = 0; i < count; i++) {
        struct state_acl_entry entry = state_node_acl(node, i);
        const struct jute_acl_entry encoded = {
            .permissions = (int32_t)entry.permissions,
            .scheme = entry.scheme,
            .id = identity_shown_in_acl(&entry, may_administer, &arena)};

        jute_put_acl_entry(buffer, &encoded);
    }
    arena_release(&arena);
}

void zookeeper_put_data(struct buffer *buffer, const struct state_node *node)
{
    struct state_stat stat = state_node_stat(node);
    bool is_null;
    struct bytes value = state_node_value(node, &is_null);

    jute_put_buffer(buffer, value, is_null);
    zookeeper_put_stat(buffer, &stat);
}

void zookeeper_put_names(struct buffer *buffer, const struct state_children *children)
{
    jute_put_int(buffer, (int32_t)children->count);
    for (size_t i = 0; i < children->count; i++) {
        jute_put_buffer(buffer, children->items[i].name, false);
    }
}

/* How much of the answer to a getData is lent (value_loan.h). */
static size_t
lent_bytes(const struct request *request, const struct reply *reply, enum jute_error error)
{
    bool is_null;
    struct bytes value;

    if (error != JUTE_ERROR_OK || zookeeper_details_of(request)->type != JUTE_TYPE_GET_DATA) {
        return 0;
    }
    value = state_node_value(reply->node, &is_null);
    return value_loan_is_due(value) ? value.size : 0;
}

static void put_node(struct buffer *buffer,
                     const struct request *request,
                     const struct state_node *node,
                     size_t lent)
{
    int32_t type = zookeeper_details_of(request)->type;
    struct state_stat stat = state_node_stat(node);

    if (lent == 0 && (type == JUTE_TYPE_GET_DATA || type == JUTE_TYPE_RECONFIG)) {
        zookeeper_put_data(buffer, node);
        return;
    }
    if (lent > 0) {
        jute_put_int(buffer, (int32_t)lent);
    }
    if (type == JUTE_TYPE_GET_ACL) {
        put_acl(buffer, request, node);
    }
    zookeeper_put_stat(buffer, &stat);
}

static void put_children(struct buffer *buffer, int32_t type, const struct state_children *children)
{
    zookeeper_put_names(buffer, children);
    if (type == JUTE_TYPE_GET_CHILDREN_2) {
        zookeeper_put_stat(buffer, &children->parent);
    }
}

static void put_paths(struct buffer *buffer, const struct reply *reply)
{
    jute_put_int(buffer, (int32_t)reply->ephemerals.count);
    for (size_t i = 0; i < reply->ephemerals.count; i++) {
        jute_put_buffer(buffer, reply->ephemerals.paths[i], false);
    }
}

static void put_operation(struct buffer *buffer, int32_t type, const struct state_op_result *result)
{
    switch (type) {
    case JUTE_TYPE_CREATE:
        jute_put_buffer(buffer, result->path, false);
        break;
    case JUTE_TYPE_CREATE_2:
    case JUTE_TYPE_CREATE_CONTAINER:
    case JUTE_TYPE_CREATE_TTL:
        jute_put_buffer(buffer, result->path, false);
        zookeeper_put_stat(buffer, &result->stat);
        break;
    case JUTE_TYPE_SET_DATA:
    case JUTE_TYPE_SET_ACL:
        zookeeper_put_stat(buffer, &result->stat);
        break;
    default:
        break;
    }
}

/* All creations that answer a Stat have one type among the results. */
static int32_t result_type(int32_t type)
{
    return type == JUTE_TYPE_CREATE_CONTAINER || type == JUTE_TYPE_CREATE_TTL ? JUTE_TYPE_CREATE_2
                                                                              : type;
}

static void put_failed_result(struct buffer *buffer, const struct state_op_result *result)
{
    enum jute_error error = JUTE_ERROR_SYSTEM;

    (void)zookeeper_error_of((Client__Code)result->error, &error);
    jute_put_multi_header(
        buffer, (struct jute_multi_header){.type = JUTE_TYPE_ERROR, .error = (int32_t)error});
    jute_put_int(buffer, (int32_t)error);
}

static void put_multi(struct buffer *buffer,
                      const struct zookeeper_details *details,
                      const struct state_result *result)
{
    for (size_t i = 0; i < details->operation_count; i++) {
        CHECK_OP(i, <, result->operation_count);
        if (result->error != OP_OK) {
            put_failed_result(buffer, &result->operations[i]);
        } else {
            jute_put_multi_header(
                buffer, (struct jute_multi_header){.type = result_type(details->operations[i])});
            put_operation(buffer, details->operations[i], &result->operations[i]);
        }
    }
    jute_put_multi_header(
        buffer, (struct jute_multi_header){.type = JUTE_TYPE_ERROR, .done = true, .error = -1});
}

static void put_body(struct buffer *buffer,
                     const struct request *request,
                     const struct reply *reply,
                     size_t lent)
{
    const struct zookeeper_details *details = zookeeper_details_of(request);

    if (details->type == JUTE_TYPE_MULTI) {
        put_multi(buffer, details, reply->result);
    } else if (request->kind == REQUEST_WRITE) {
        put_operation(buffer, details->type, &reply->result->operations[0]);
    } else if (request->kind == REQUEST_GET || request->kind == REQUEST_RECONFIGURE) {
        put_node(buffer, request, reply->node, lent);
    } else if (request->kind == REQUEST_LIST) {
        put_children(buffer, details->type, &reply->children);
    } else if (request->kind == REQUEST_COUNT) {
        jute_put_int(buffer, reply->count > INT32_MAX ? INT32_MAX : (int32_t)reply->count);
    } else if (request->kind == REQUEST_EPHEMERALS) {
        put_paths(buffer, reply);
    } else if (details->type == JUTE_TYPE_SYNC) {
        jute_put_buffer(buffer, details->path, false);
    }
}

/* A multi tells of failure in its results, unless it was not even read as one. */
static bool
has_body(const struct request *request, const struct reply *reply, enum jute_error error)
{
    if (zookeeper_details_of(request)->type == JUTE_TYPE_MULTI && request->kind == REQUEST_WRITE) {
        return reply->result != NULL &&
               reply->result->operation_count == zookeeper_details_of(request)->operation_count;
    }
    return error == JUTE_ERROR_OK;
}

/* Did a page end before the list did? */
static bool is_cut(const struct request *request, const struct reply *reply)
{
    return (request->kind == REQUEST_LIST && reply->children.more) ||
           (request->kind == REQUEST_EPHEMERALS && reply->ephemerals.more);
}

bool zookeeper_put_reply(struct buffer *buffer,
                         const struct request *request,
                         const struct reply *reply,
                         enum jute_error error)
{
    const struct zookeeper_details *details = zookeeper_details_of(request);
    bool with_body = has_body(request, reply, error);
    size_t lent = lent_bytes(request, reply, error);
    size_t begin = jute_begin_frame(buffer);

    zookeeper_put_header(buffer, details, reply->zxid,
                         with_body && details->type == JUTE_TYPE_MULTI ? JUTE_ERROR_OK : error);
    if (with_body) {
        put_body(buffer, request, reply, lent);
    } else if (details->type == JUTE_TYPE_SASL) {
        jute_put_buffer(buffer, BYTES_EMPTY, true);
    }
    if (buffer->size - begin - JUTE_FRAME_HEAD_BYTES + lent > JUTE_FRAME_BYTES_MAX ||
        (with_body && is_cut(request, reply))) {
        buffer->size = begin + JUTE_FRAME_HEAD_BYTES;
        zookeeper_put_header(buffer, details, reply->zxid, JUTE_ERROR_MARSHALLING);
        lent = 0;
    }
    jute_end_frame_around(buffer, begin, lent);
    return lent > 0;
}
