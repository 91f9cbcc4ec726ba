#include "tests/unit/client/fake_requests.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/unit/client/fake_stream.h"
#include "tests/unit/client/fake_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Sessions --- */

static void answer_session(struct fake_server *server,
                           struct fake_connection *connection,
                           Client__Response *response,
                           struct fake_session *session)
{
    Client__SessionReply reply = CLIENT__SESSION_REPLY__INIT;
    uint8_t password[8];

    bytes_store_u64(password, session->id * 7);
    connection->session = session;
    connection->generation = session->generation;
    reply.session = session->id;
    reply.generation = session->generation;
    reply.timeout_ms = 10000;
    reply.password.data = password;
    reply.password.len = sizeof password;
    reply.last_sequence = session->last_sequence;
    response->body_case = CLIENT__RESPONSE__BODY_SESSION;
    response->session = &reply;
    fake_stream_respond(server, connection, response);
}

static void open_session(struct fake_server *server,
                         struct fake_connection *connection,
                         Client__Response *response)
{
    struct fake_session *session = &server->sessions[server->session_count++];

    CHECK_OP(server->session_count, <=, FAKE_SESSIONS_MAX);
    session->id = ++server->zxid;
    session->generation = 1;
    session->is_alive = true;
    answer_session(server, connection, response, session);
}

static void attach_session(struct fake_server *server,
                           struct fake_connection *connection,
                           const Client__AttachSession *attach,
                           Client__Response *response)
{
    for (size_t i = 0; i < server->session_count; i++) {
        struct fake_session *session = &server->sessions[i];

        if (session->id == attach->session && session->is_alive && attach->password.len == 8 &&
            bytes_load_u64(attach->password.data) == session->id * 7) {
            server->zxid++;
            session->generation++;
            answer_session(server, connection, response, session);
            return;
        }
    }
    response->code = CLIENT__CODE__SESSION_EXPIRED;
    fake_stream_respond(server, connection, response);
}

/* --- Writes --- */

static Client__Code apply_operation(struct fake_server *server,
                                    const Record__Operation *operation,
                                    struct fake_kept *kept)
{
    Client__Code code = CLIENT__CODE__OK;
    char *path = NULL;
    struct fake_node *node;

    if (operation->kind_case == RECORD__OPERATION__KIND_SET) {
        path = fake_tree_text_of(operation->set->path);
        node = fake_tree_find(server, path);
        if (!operation->set->create && (node == NULL || !node->exists)) {
            code = CLIENT__CODE__NO_NODE;
        } else if (operation->set->version >= 0 && operation->set->version != node->stat.version) {
            code = CLIENT__CODE__BAD_VERSION;
        } else {
            kept->created =
                fake_tree_put(server, path, operation->set->value.data, operation->set->value.len);
        }
    } else if (operation->kind_case == RECORD__OPERATION__KIND_CREATE) {
        char number[16] = "";
        char *given = fake_tree_text_of(operation->create->path);

        if (operation->create->mode == RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL) {
            (void)snprintf(number, sizeof number, "%010zu", server->node_count);
        }
        path = xmalloc(strlen(given) + sizeof number);
        (void)snprintf(path, strlen(given) + sizeof number, "%s%s", given, number);
        free(given);
        node = fake_tree_find(server, path);
        if (node != NULL && node->exists) {
            code = CLIENT__CODE__NODE_EXISTS;
        } else {
            (void)fake_tree_put(server, path, operation->create->value.data,
                                operation->create->value.len);
        }
    } else if (operation->kind_case == RECORD__OPERATION__KIND_REMOVE) {
        path = fake_tree_text_of(operation->remove->path);
        code = fake_tree_take_out(server, path) ? CLIENT__CODE__OK : CLIENT__CODE__NO_NODE;
    } else {
        path = xstrdup("");
    }
    node = fake_tree_find(server, path);
    kept->stat = node != NULL ? node->stat : (Record__Stat)RECORD__STAT__INIT;
    free(kept->path);
    kept->path = path;
    return code;
}

static void answer_write(struct fake_server *server,
                         struct fake_connection *connection,
                         const Client__Write *write,
                         const struct fake_kept *kept,
                         Client__Response *response)
{
    Client__WriteReply reply = CLIENT__WRITE_REPLY__INIT;
    Record__OperationResult results[8];
    Record__OperationResult *list[8];
    Record__Stat stat = kept->stat;

    response->code = kept->code;
    response->body_case = CLIENT__RESPONSE__BODY_WRITE;
    response->write = &reply;
    reply.zxid = kept->zxid;
    for (size_t i = 0; i < write->n_operations && i < 8; i++) {
        record__operation_result__init(&results[i]);
        results[i].error = (uint32_t)kept->code;
        results[i].path.data = (uint8_t *)kept->path;
        results[i].path.len = strlen(kept->path);
        results[i].created = kept->created;
        results[i].stat = &stat;
        list[reply.n_operations++] = &results[i];
    }
    reply.operations = list;
    fake_stream_respond(server, connection, response);
}

/* The rules for numbered writes. NULL: refused with *ret_code. */
static struct fake_kept *execute(struct fake_server *server,
                                 struct fake_connection *connection,
                                 const Client__Write *write,
                                 struct fake_kept *unnumbered,
                                 Client__Code *ret_code)
{
    struct fake_session *session = connection->session;
    struct fake_kept *kept = unnumbered;

    if (session != NULL && !session->is_alive) {
        *ret_code = CLIENT__CODE__SESSION_EXPIRED;
        return NULL;
    }
    if (session != NULL && session->generation != connection->generation) {
        *ret_code = CLIENT__CODE__SESSION_MOVED;
        return NULL;
    }
    if (session != NULL) {
        kept = &session->kept[write->sequence % FAKE_KEPT_MAX];
        CHECK_OP(write->sequence, >, 0);
        CHECK_OP(write->confirmed, <, write->sequence);
        if (write->sequence <= session->last_sequence) {
            CHECK_OP(kept->sequence, ==, write->sequence);
            return kept;
        }
        if (write->sequence != session->last_sequence + 1) {
            *ret_code = CLIENT__CODE__SEQUENCE_GAP;
            return NULL;
        }
        CHECK_OP(write->sequence - write->confirmed, <=, FAKE_KEPT_MAX);
        session->last_sequence = write->sequence;
        server->applied++;
    }
    server->zxid++;
    kept->sequence = write->sequence;
    kept->zxid = server->zxid;
    kept->created = false;
    for (size_t i = 0; i < write->n_operations; i++) {
        kept->code = apply_operation(server, write->operations[i], kept);
    }
    return kept;
}

static void serve_write(struct fake_server *server,
                        struct fake_connection *connection,
                        const Client__Write *write,
                        Client__Response *response,
                        enum fake_fate fate)
{
    struct fake_kept unnumbered = {.path = xstrdup("")};
    struct fake_kept *kept = execute(server, connection, write, &unnumbered, &response->code);

    if (fate == FAKE_DROP_AFTER) {
        fake_stream_close(connection);
    } else if (fate == FAKE_UNKNOWN_AFTER) {
        response->code = CLIENT__CODE__UNKNOWN_OUTCOME;
        fake_stream_respond(server, connection, response);
    } else if (kept == NULL) {
        fake_stream_respond(server, connection, response);
    } else {
        answer_write(server, connection, write, kept, response);
    }
    free(unnumbered.path);
    fake_stream_feed(server);
}

/* --- Reads --- */

static void serve_get(struct fake_server *server,
                      struct fake_connection *connection,
                      const Client__Get *get,
                      Client__Response *response)
{
    Client__GetReply reply = CLIENT__GET_REPLY__INIT;
    char *path = fake_tree_text_of(get->path);
    struct fake_node *node = fake_tree_find(server, path);

    if (node == NULL || !node->exists) {
        response->code = CLIENT__CODE__NO_NODE;
    } else {
        response->body_case = CLIENT__RESPONSE__BODY_GET;
        response->get = &reply;
        reply.stat = &node->stat;
        reply.value.data = (uint8_t *)node->value;
        reply.value.len = node->value_bytes;
    }
    fake_stream_respond(server, connection, response);
    free(path);
}

static void serve_tree(struct fake_server *server,
                       struct fake_connection *connection,
                       const Client__ReadTree *tree,
                       Client__Response *response)
{
    Client__ReadTreeReply reply = CLIENT__READ_TREE_REPLY__INIT;
    Client__ReadTreeReply__Node *items = xcalloc(server->node_count + 1, sizeof *items);
    Client__ReadTreeReply__Node **list = xcalloc(server->node_count + 1, sizeof *list);
    struct fake_watch as_watch = {.path = fake_tree_text_of(tree->path),
                                  .recursive = tree->depth_max == 0};
    char *after = fake_tree_text_of(tree->after);
    size_t max = server->page_nodes == 0 ? SIZE_MAX : server->page_nodes;

    if (after[0] != '\0' && server->page_path != NULL) {
        char value[24];

        (void)snprintf(value, sizeof value, "page %llu", (unsigned long long)server->page_serial++);
        server->zxid++;
        (void)fake_tree_put(server, server->page_path, value, strlen(value));
    }
    for (size_t i = 0; i < server->node_count; i++) {
        struct fake_node *node = &server->nodes[i];
        struct fake_change as_change = {.path = node->path, .kind = CLIENT__EVENT_KIND__CREATED};
        size_t n = reply.n_nodes;

        if (!node->exists || !fake_stream_concerns(&as_watch, &as_change) ||
            (after[0] != '\0' && fake_tree_compare(node->path, after) <= 0)) {
            continue;
        }
        if (n == max) {
            reply.more = true;
            break;
        }
        client__read_tree_reply__node__init(&items[n]);
        items[n].path.data = (uint8_t *)node->path;
        items[n].path.len = strlen(node->path);
        items[n].stat = node->hidden ? NULL : &node->stat;
        if (tree->with_values && !node->hidden) {
            items[n].value.data = (uint8_t *)node->value;
            items[n].value.len = node->value_bytes;
        }
        list[reply.n_nodes++] = &items[n];
    }
    reply.nodes = list;
    if (reply.n_nodes == 0 && after[0] == '\0') {
        response->code = CLIENT__CODE__NO_NODE;
    } else {
        response->body_case = CLIENT__RESPONSE__BODY_READ_TREE;
        response->read_tree = &reply;
    }
    fake_stream_respond(server, connection, response);
    free(items);
    free(list);
    free(as_watch.path);
    free(after);
    fake_stream_feed(server);
}

static void serve_list(struct fake_server *server,
                       struct fake_connection *connection,
                       const Client__List *request,
                       Client__Response *response)
{
    Client__ListReply reply = CLIENT__LIST_REPLY__INIT;
    Client__ListReply__Child *items = xcalloc(server->node_count + 1, sizeof *items);
    Client__ListReply__Child **list = xcalloc(server->node_count + 1, sizeof *list);
    struct fake_watch as_watch = {.path = fake_tree_text_of(request->path)};
    char *after = fake_tree_text_of(request->after);
    size_t max = request->count_max == 0 ? SIZE_MAX : request->count_max;

    if (server->page_nodes != 0 && server->page_nodes < max) {
        max = server->page_nodes;
    }
    for (size_t i = 0; i < server->node_count; i++) {
        struct fake_node *node = &server->nodes[i];
        struct fake_change as_change = {.path = node->path, .kind = CLIENT__EVENT_KIND__CREATED};
        char *name = strrchr(node->path, '/') + 1;

        if (!node->exists || !fake_stream_concerns(&as_watch, &as_change) ||
            strcmp(node->path, as_watch.path) == 0 || strcmp(name, after) <= 0) {
            continue;
        }
        if (reply.n_children == max) {
            reply.more = true;
            break;
        }
        client__list_reply__child__init(&items[reply.n_children]);
        items[reply.n_children].name.data = (uint8_t *)name;
        items[reply.n_children].name.len = strlen(name);
        list[reply.n_children] = &items[reply.n_children];
        reply.n_children++;
    }
    reply.children = list;
    response->body_case = CLIENT__RESPONSE__BODY_LIST;
    response->list = &reply;
    fake_stream_respond(server, connection, response);
    free(items);
    free(list);
    free(as_watch.path);
    free(after);
}

static void serve_watch(struct fake_server *server,
                        struct fake_connection *connection,
                        const Client__Watch *request,
                        Client__Response *response)
{
    Client__WatchReply reply = CLIENT__WATCH_REPLY__INIT;
    struct fake_watch *watch = &connection->watches[connection->watch_count];

    response->body_case = CLIENT__RESPONSE__BODY_WATCH;
    response->watch = &reply;
    reply.oldest_zxid = server->oldest_zxid;
    reply.from_zxid = request->from_zxid == 0 ? server->zxid : request->from_zxid;
    if (reply.from_zxid < server->oldest_zxid) {
        response->code = CLIENT__CODE__COMPACTED;
        fake_stream_respond(server, connection, response);
        return;
    }
    CHECK_OP(connection->watch_count, <, FAKE_WATCHES_MAX);
    connection->watch_count++;
    *watch = (struct fake_watch){.id = request->watch,
                                 .path = fake_tree_text_of(request->path),
                                 .recursive = request->recursive,
                                 .with_values = request->with_values};
    while (watch->next < server->change_count &&
           server->history[watch->next].zxid <= reply.from_zxid) {
        watch->next++;
    }
    fake_stream_respond(server, connection, response);
    fake_stream_feed_one(server, connection);
}

static void serve_cluster(struct fake_server *server,
                          struct fake_connection *connection,
                          const Client__Request *request,
                          Client__Response *response)
{
    Client__MembershipReply membership = CLIENT__MEMBERSHIP_REPLY__INIT;
    Client__StatusReply status = CLIENT__STATUS_REPLY__INIT;
    Client__MemberStatus learner;
    Client__MemberStatus *learners = &learner;
    Client__VoterChange change;
    uint64_t voters[] = {1, 2};
    char trend[] = "nearer";
    Record__Member member = RECORD__MEMBER__INIT;
    Record__Member *only = &member;
    char address[] = "127.0.0.1:1";

    if (request->body_case == CLIENT__REQUEST__BODY_STATUS) {
        status.server = connection->port + 1;
        status.leader = 1;
        status.config_zxid = 7;
        client__member_status__init(&learner);
        client__voter_change__init(&change);
        learner.id = 2;
        learner.learner = true;
        learner.promoting = true;
        learner.dump_bytes = 100;
        learner.dump_bytes_done = 40;
        learner.agreed = 39;
        learner.trend = trend;
        status.members = &learners;
        status.n_members = 1;
        change.from = voters;
        change.n_from = 1;
        change.to = voters;
        change.n_to = 2;
        change.begun = true;
        change.waits_for = trend;
        status.change = &change;
        response->body_case = CLIENT__RESPONSE__BODY_STATUS;
        response->status = &status;
    } else {
        member.id = 1;
        member.flags = 3;
        member.address.data = (uint8_t *)address;
        member.address.len = strlen(address);
        membership.n_members = 1;
        membership.members = &only;
        response->body_case = CLIENT__RESPONSE__BODY_MEMBERSHIP;
        response->membership = &membership;
    }
    fake_stream_respond(server, connection, response);
}

void fake_requests_serve(struct fake_server *server,
                         struct fake_connection *connection,
                         const Client__Request *request,
                         enum fake_fate fate)
{
    Client__Response response = fake_response();

    response.id = request->id;
    switch (request->body_case) {
    case CLIENT__REQUEST__BODY_OPEN_SESSION:
        open_session(server, connection, &response);
        return;
    case CLIENT__REQUEST__BODY_ATTACH_SESSION:
        attach_session(server, connection, request->attach_session, &response);
        return;
    case CLIENT__REQUEST__BODY_WRITE:
        serve_write(server, connection, request->write, &response, fate);
        return;
    case CLIENT__REQUEST__BODY_GET:
        serve_get(server, connection, request->get, &response);
        return;
    case CLIENT__REQUEST__BODY_LIST:
        serve_list(server, connection, request->list, &response);
        return;
    case CLIENT__REQUEST__BODY_READ_TREE:
        serve_tree(server, connection, request->read_tree, &response);
        return;
    case CLIENT__REQUEST__BODY_WATCH:
        serve_watch(server, connection, request->watch, &response);
        return;
    case CLIENT__REQUEST__BODY_UNWATCH:
        fake_stream_end(connection, request->unwatch->watch);
        break;
    case CLIENT__REQUEST__BODY_CLOSE_SESSION:
        connection->session->is_alive = false;
        break;
    case CLIENT__REQUEST__BODY_INIT:
    case CLIENT__REQUEST__BODY_ADD_LEARNER:
    case CLIENT__REQUEST__BODY_CHANGE_MEMBERSHIP:
    case CLIENT__REQUEST__BODY_REMOVE_MEMBER:
    case CLIENT__REQUEST__BODY_CANCEL_CHANGE:
    case CLIENT__REQUEST__BODY_STATUS:
        serve_cluster(server, connection, request, &response);
        return;
    case CLIENT__REQUEST__BODY__NOT_SET:
    case CLIENT__REQUEST__BODY_PING:
    case CLIENT__REQUEST__BODY_AUTHENTICATE:
    case CLIENT__REQUEST__BODY_TRANSFER_LEADER:
    case _CLIENT__REQUEST__BODY__CASE_IS_INT_SIZE:
        break;
    }
    fake_stream_respond(server, connection, &response);
}
