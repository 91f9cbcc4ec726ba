#include "tests/unit/client/fake_server.h"

#include "base/alloc.h"
#include "base/check.h"
#include "proto/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, WATCHES_MAX = 64, SESSIONS_MAX = 64, KEPT_MAX = 1024 };

struct node {
    char *path;
    char *value;
    size_t value_bytes;
    Record__Stat stat;
    bool exists; /* false: removed; the slot is kept */
    bool hidden; /* nobody may read it */
};

struct change {
    uint64_t zxid;
    Client__EventKind kind;
    char *path;
    char *value;
    Record__Stat stat;
};

struct kept {
    uint64_t sequence;
    Client__Code code;
    uint64_t zxid;
    char *path;
    Record__Stat stat;
    bool created;
};

struct session {
    uint64_t id;
    uint64_t generation;
    uint64_t last_sequence;
    struct kept kept[KEPT_MAX];
    bool is_alive;
};

struct watch {
    uint64_t id;
    char *path;
    bool recursive;
    bool with_values;
    size_t next; /* in the history */
};

struct connection {
    int fd;
    size_t port;
    struct buffer input;
    bool is_greeted;
    bool is_silent;
    struct session *session;
    uint64_t generation;
    struct watch watches[WATCHES_MAX];
    size_t watch_count;
};

struct fake_server {
    pthread_t thread;
    pthread_mutex_t mutex;
    int wake_fd;
    bool is_stopping;
    fake_plan plan;
    void *context;
    size_t port_count;
    int listeners[FAKE_PORTS_MAX];
    bool is_shut[FAKE_PORTS_MAX];
    char addresses[FAKE_PORTS_MAX][32];
    char all_addresses[FAKE_PORTS_MAX * 32];
    struct connection connections[CONNECTIONS_MAX];
    size_t connection_count;

    uint64_t zxid;
    struct node *nodes; /* sorted as subtrees are read */
    size_t node_count;
    struct change *history;
    size_t change_count;
    uint64_t oldest_zxid;
    struct session sessions[SESSIONS_MAX];
    size_t session_count;
    uint64_t applied;
    size_t page_nodes;
    char *page_path;
    uint64_t page_serial;
};

Client__Response fake_response(void)
{
    Client__Response response;

    client__response__init(&response);
    return response;
}

static void wake(struct fake_server *server)
{
    uint64_t one = 1;

    CHECK(write(server->wake_fd, &one, sizeof one) == (ssize_t)sizeof one);
}

/* --- The tree --- */

static int rank(char byte)
{
    return byte == '\0' ? 0 : byte == '/' ? 1 : 2 + (unsigned char)byte;
}

static int compare(const char *left, const char *right)
{
    left = strcmp(left, "/") == 0 ? "" : left;
    right = strcmp(right, "/") == 0 ? "" : right;
    for (; *left != '\0' && *left == *right; left++, right++) {
    }
    return rank(*left) - rank(*right);
}

static struct node *find(struct fake_server *server, const char *path)
{
    for (size_t i = 0; i < server->node_count; i++) {
        if (strcmp(server->nodes[i].path, path) == 0) {
            return &server->nodes[i];
        }
    }
    return NULL;
}

static struct node *find_or_add(struct fake_server *server, const char *path)
{
    struct node *node = find(server, path);
    size_t position = 0;

    if (node != NULL) {
        return node;
    }
    server->nodes = xrealloc(server->nodes, (server->node_count + 1) * sizeof *server->nodes);
    while (position < server->node_count && compare(server->nodes[position].path, path) < 0) {
        position++;
    }
    memmove(server->nodes + position + 1, server->nodes + position,
            (server->node_count - position) * sizeof *server->nodes);
    server->node_count++;
    server->nodes[position] = (struct node){.path = xstrdup(path), .value = xstrdup("")};
    return &server->nodes[position];
}

static void record(struct fake_server *server, Client__EventKind kind, const struct node *node)
{
    server->history =
        xrealloc(server->history, (server->change_count + 1) * sizeof *server->history);
    server->history[server->change_count++] = (struct change){.zxid = server->zxid,
                                                              .kind = kind,
                                                              .path = xstrdup(node->path),
                                                              .value = xstrdup(node->value),
                                                              .stat = node->stat};
}

static bool put(struct fake_server *server, const char *path, const void *value, size_t bytes)
{
    struct node *node = find_or_add(server, path);
    bool is_new = !node->exists;

    free(node->value);
    node->value = xmalloc(bytes + 1);
    if (bytes > 0) {
        memcpy(node->value, value, bytes);
    }
    node->value[bytes] = '\0';
    node->value_bytes = bytes;
    if (is_new) {
        record__stat__init(&node->stat);
        node->stat.czxid = server->zxid;
        node->exists = true;
    } else {
        node->stat.version++;
    }
    node->stat.mzxid = server->zxid;
    node->stat.value_bytes = (uint32_t)bytes;
    record(server, is_new ? CLIENT__EVENT_KIND__CREATED : CLIENT__EVENT_KIND__VALUE_SET, node);
    return is_new;
}

static bool take_out(struct fake_server *server, const char *path)
{
    struct node *node = find(server, path);

    if (node == NULL || !node->exists) {
        return false;
    }
    node->exists = false;
    record(server, CLIENT__EVENT_KIND__REMOVED, node);
    return true;
}

static char *text_of(ProtobufCBinaryData data)
{
    char *text = xmalloc(data.len + 1);

    if (data.len > 0) {
        memcpy(text, data.data, data.len);
    }
    text[data.len] = '\0';
    return text;
}

/* --- Sending --- */

static void send_all(struct connection *connection, const void *data, size_t size)
{
    const uint8_t *at = data;

    while (size > 0 && connection->fd >= 0) {
        ssize_t sent = send(connection->fd, at, size, MSG_NOSIGNAL);

        if (sent < 0) {
            return; /* the reader finds out */
        }
        at += sent;
        size -= (size_t)sent;
    }
}

static void
respond(struct fake_server *server, struct connection *connection, Client__Response *response)
{
    size_t size;
    uint8_t *frame;

    response->zxid = server->zxid;
    size = client__response__get_packed_size(response);
    frame = xmalloc(FRAME_CLIENT_HEAD_BYTES + size);
    frame_client_put_head(frame, (uint32_t)size);
    (void)client__response__pack(response, frame + FRAME_CLIENT_HEAD_BYTES);
    send_all(connection, frame, FRAME_CLIENT_HEAD_BYTES + size);
    free(frame);
}

static void close_connection(struct connection *connection)
{
    if (connection->fd >= 0) {
        (void)close(connection->fd);
        connection->fd = -1;
    }
}

static bool is_below(const struct watch *watch, const struct change *change)
{
    size_t bytes = strlen(watch->path);
    const char *rest;

    if (strcmp(change->path, watch->path) == 0) {
        return true;
    }
    if (strcmp(watch->path, "/") == 0) {
        bytes = 0;
    }
    if (strncmp(change->path, watch->path, bytes) != 0 || change->path[bytes] != '/') {
        return false;
    }
    rest = change->path + bytes + 1;
    return watch->recursive ||
           (strchr(rest, '/') == NULL && change->kind != CLIENT__EVENT_KIND__VALUE_SET);
}

static void send_change(struct fake_server *server,
                        struct connection *connection,
                        const struct watch *watch,
                        struct change *change,
                        uint64_t up_to)
{
    Client__Response response = fake_response();
    Client__Events events = CLIENT__EVENTS__INIT;
    Client__Event event = CLIENT__EVENT__INIT;
    Client__Event *only = &event;

    event.zxid = change->zxid;
    event.kind = change->kind;
    event.path.data = (uint8_t *)change->path;
    event.path.len = strlen(change->path);
    event.stat = &change->stat;
    if (watch->with_values && change->kind != CLIENT__EVENT_KIND__REMOVED) {
        event.value.data = (uint8_t *)change->value;
        event.value.len = strlen(change->value);
    }
    events.watch = watch->id;
    events.n_events = 1;
    events.events = &only;
    events.up_to_zxid = up_to;
    response.body_case = CLIENT__RESPONSE__BODY_EVENTS;
    response.events = &events;
    respond(server, connection, &response);
}

static void feed_watches(struct fake_server *server, struct connection *connection)
{
    for (size_t i = 0; i < connection->watch_count; i++) {
        struct watch *watch = &connection->watches[i];

        for (; watch->next < server->change_count; watch->next++) {
            struct change *change = &server->history[watch->next];
            bool is_last = watch->next + 1 == server->change_count ||
                           server->history[watch->next + 1].zxid != change->zxid;

            if (is_below(watch, change)) {
                send_change(server, connection, watch, change,
                            is_last ? change->zxid : change->zxid - 1);
            }
        }
    }
}

static void feed_all(struct fake_server *server)
{
    for (size_t i = 0; i < server->connection_count; i++) {
        if (server->connections[i].fd >= 0 && !server->connections[i].is_silent) {
            feed_watches(server, &server->connections[i]);
        }
    }
}

/* --- Sessions --- */

static void answer_session(struct fake_server *server,
                           struct connection *connection,
                           Client__Response *response,
                           struct session *session)
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
    respond(server, connection, response);
}

static void
open_session(struct fake_server *server, struct connection *connection, Client__Response *response)
{
    struct session *session = &server->sessions[server->session_count++];

    CHECK_OP(server->session_count, <=, SESSIONS_MAX);
    session->id = ++server->zxid;
    session->generation = 1;
    session->is_alive = true;
    answer_session(server, connection, response, session);
}

static void attach_session(struct fake_server *server,
                           struct connection *connection,
                           const Client__AttachSession *attach,
                           Client__Response *response)
{
    for (size_t i = 0; i < server->session_count; i++) {
        struct session *session = &server->sessions[i];

        if (session->id == attach->session && session->is_alive && attach->password.len == 8 &&
            bytes_load_u64(attach->password.data) == session->id * 7) {
            server->zxid++;
            session->generation++;
            answer_session(server, connection, response, session);
            return;
        }
    }
    response->code = CLIENT__CODE__SESSION_EXPIRED;
    respond(server, connection, response);
}

/* --- Writes --- */

static Client__Code
apply_operation(struct fake_server *server, const Record__Operation *operation, struct kept *kept)
{
    Client__Code code = CLIENT__CODE__OK;
    char *path = NULL;
    struct node *node;

    if (operation->kind_case == RECORD__OPERATION__KIND_SET) {
        path = text_of(operation->set->path);
        node = find(server, path);
        if (!operation->set->create && (node == NULL || !node->exists)) {
            code = CLIENT__CODE__NO_NODE;
        } else if (operation->set->version >= 0 && operation->set->version != node->stat.version) {
            code = CLIENT__CODE__BAD_VERSION;
        } else {
            kept->created =
                put(server, path, operation->set->value.data, operation->set->value.len);
        }
    } else if (operation->kind_case == RECORD__OPERATION__KIND_CREATE) {
        char number[16] = "";
        char *given = text_of(operation->create->path);

        if (operation->create->mode == RECORD__CREATE_MODE__PERSISTENT_SEQUENTIAL) {
            (void)snprintf(number, sizeof number, "%010zu", server->node_count);
        }
        path = xmalloc(strlen(given) + sizeof number);
        (void)snprintf(path, strlen(given) + sizeof number, "%s%s", given, number);
        free(given);
        node = find(server, path);
        if (node != NULL && node->exists) {
            code = CLIENT__CODE__NODE_EXISTS;
        } else {
            (void)put(server, path, operation->create->value.data, operation->create->value.len);
        }
    } else if (operation->kind_case == RECORD__OPERATION__KIND_REMOVE) {
        path = text_of(operation->remove->path);
        code = take_out(server, path) ? CLIENT__CODE__OK : CLIENT__CODE__NO_NODE;
    } else {
        path = xstrdup("");
    }
    node = find(server, path);
    kept->stat = node != NULL ? node->stat : (Record__Stat)RECORD__STAT__INIT;
    free(kept->path);
    kept->path = path;
    return code;
}

static void answer_write(struct fake_server *server,
                         struct connection *connection,
                         const Client__Write *write,
                         const struct kept *kept,
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
    respond(server, connection, response);
}

/* The rules for numbered writes. NULL: refused with *ret_code. */
static struct kept *execute(struct fake_server *server,
                            struct connection *connection,
                            const Client__Write *write,
                            struct kept *unnumbered,
                            Client__Code *ret_code)
{
    struct session *session = connection->session;
    struct kept *kept = unnumbered;

    if (session != NULL && !session->is_alive) {
        *ret_code = CLIENT__CODE__SESSION_EXPIRED;
        return NULL;
    }
    if (session != NULL && session->generation != connection->generation) {
        *ret_code = CLIENT__CODE__SESSION_MOVED;
        return NULL;
    }
    if (session != NULL) {
        kept = &session->kept[write->sequence % KEPT_MAX];
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
        CHECK_OP(write->sequence - write->confirmed, <=, KEPT_MAX);
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
                        struct connection *connection,
                        const Client__Write *write,
                        Client__Response *response,
                        enum fake_fate fate)
{
    struct kept unnumbered = {.path = xstrdup("")};
    struct kept *kept = execute(server, connection, write, &unnumbered, &response->code);

    if (fate == FAKE_DROP_AFTER) {
        close_connection(connection);
    } else if (fate == FAKE_UNKNOWN_AFTER) {
        response->code = CLIENT__CODE__UNKNOWN_OUTCOME;
        respond(server, connection, response);
    } else if (kept == NULL) {
        respond(server, connection, response);
    } else {
        answer_write(server, connection, write, kept, response);
    }
    free(unnumbered.path);
    feed_all(server);
}

/* --- Reads --- */

static void serve_get(struct fake_server *server,
                      struct connection *connection,
                      const Client__Get *get,
                      Client__Response *response)
{
    Client__GetReply reply = CLIENT__GET_REPLY__INIT;
    char *path = text_of(get->path);
    struct node *node = find(server, path);

    if (node == NULL || !node->exists) {
        response->code = CLIENT__CODE__NO_NODE;
    } else {
        response->body_case = CLIENT__RESPONSE__BODY_GET;
        response->get = &reply;
        reply.stat = &node->stat;
        reply.value.data = (uint8_t *)node->value;
        reply.value.len = node->value_bytes;
    }
    respond(server, connection, response);
    free(path);
}

static void serve_tree(struct fake_server *server,
                       struct connection *connection,
                       const Client__ReadTree *tree,
                       Client__Response *response)
{
    Client__ReadTreeReply reply = CLIENT__READ_TREE_REPLY__INIT;
    Client__ReadTreeReply__Node *items = xcalloc(server->node_count + 1, sizeof *items);
    Client__ReadTreeReply__Node **list = xcalloc(server->node_count + 1, sizeof *list);
    struct watch as_watch = {.path = text_of(tree->path), .recursive = tree->depth_max == 0};
    char *after = text_of(tree->after);
    size_t max = server->page_nodes == 0 ? SIZE_MAX : server->page_nodes;

    if (after[0] != '\0' && server->page_path != NULL) {
        char value[24];

        (void)snprintf(value, sizeof value, "page %llu", (unsigned long long)server->page_serial++);
        server->zxid++;
        (void)put(server, server->page_path, value, strlen(value));
    }
    for (size_t i = 0; i < server->node_count; i++) {
        struct node *node = &server->nodes[i];
        struct change as_change = {.path = node->path, .kind = CLIENT__EVENT_KIND__CREATED};
        size_t n = reply.n_nodes;

        if (!node->exists || !is_below(&as_watch, &as_change) ||
            (after[0] != '\0' && compare(node->path, after) <= 0)) {
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
    respond(server, connection, response);
    free(items);
    free(list);
    free(as_watch.path);
    free(after);
    feed_all(server);
}

static void serve_list(struct fake_server *server,
                       struct connection *connection,
                       const Client__List *request,
                       Client__Response *response)
{
    Client__ListReply reply = CLIENT__LIST_REPLY__INIT;
    Client__ListReply__Child *items = xcalloc(server->node_count + 1, sizeof *items);
    Client__ListReply__Child **list = xcalloc(server->node_count + 1, sizeof *list);
    struct watch as_watch = {.path = text_of(request->path)};
    char *after = text_of(request->after);
    size_t max = request->count_max == 0 ? SIZE_MAX : request->count_max;

    if (server->page_nodes != 0 && server->page_nodes < max) {
        max = server->page_nodes;
    }
    for (size_t i = 0; i < server->node_count; i++) {
        struct node *node = &server->nodes[i];
        struct change as_change = {.path = node->path, .kind = CLIENT__EVENT_KIND__CREATED};
        char *name = strrchr(node->path, '/') + 1;

        if (!node->exists || !is_below(&as_watch, &as_change) ||
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
    respond(server, connection, response);
    free(items);
    free(list);
    free(as_watch.path);
    free(after);
}

static void serve_watch(struct fake_server *server,
                        struct connection *connection,
                        const Client__Watch *request,
                        Client__Response *response)
{
    Client__WatchReply reply = CLIENT__WATCH_REPLY__INIT;
    struct watch *watch = &connection->watches[connection->watch_count];

    response->body_case = CLIENT__RESPONSE__BODY_WATCH;
    response->watch = &reply;
    reply.oldest_zxid = server->oldest_zxid;
    reply.from_zxid = request->from_zxid == 0 ? server->zxid : request->from_zxid;
    if (reply.from_zxid < server->oldest_zxid) {
        response->code = CLIENT__CODE__COMPACTED;
        respond(server, connection, response);
        return;
    }
    CHECK_OP(connection->watch_count, <, WATCHES_MAX);
    connection->watch_count++;
    *watch = (struct watch){.id = request->watch,
                            .path = text_of(request->path),
                            .recursive = request->recursive,
                            .with_values = request->with_values};
    while (watch->next < server->change_count &&
           server->history[watch->next].zxid <= reply.from_zxid) {
        watch->next++;
    }
    respond(server, connection, response);
    feed_watches(server, connection);
}

static void unwatch(struct connection *connection, uint64_t id)
{
    for (size_t i = 0; i < connection->watch_count; i++) {
        if (connection->watches[i].id == id) {
            free(connection->watches[i].path);
            connection->watches[i] = connection->watches[--connection->watch_count];
            return;
        }
    }
}

static void serve_cluster(struct fake_server *server,
                          struct connection *connection,
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
    respond(server, connection, response);
}

static void serve(struct fake_server *server,
                  struct connection *connection,
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
        unwatch(connection, request->unwatch->watch);
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
    respond(server, connection, &response);
}

static void
decide(struct fake_server *server, struct connection *connection, const Client__Request *request)
{
    static const uint8_t garbage[] = {0, 0, 0, 3, 0xff, 0xff, 0xff};
    struct fake_verdict verdict = {.fate = FAKE_SERVE};
    Client__Response response = fake_response();

    if (server->plan != NULL) {
        verdict = server->plan(server->context, connection->port, request);
    }
    response.id = request->id;
    switch (verdict.fate) {
    case FAKE_DROP_BEFORE:
        close_connection(connection);
        return;
    case FAKE_REFUSE:
    case FAKE_UNKNOWN_BEFORE:
        response.code = verdict.fate == FAKE_REFUSE ? verdict.code : CLIENT__CODE__UNKNOWN_OUTCOME;
        respond(server, connection, &response);
        return;
    case FAKE_SILENT:
        connection->is_silent = true;
        return;
    case FAKE_GARBAGE:
        send_all(connection, garbage, sizeof garbage);
        return;
    case FAKE_SERVE:
    case FAKE_DROP_AFTER:
    case FAKE_UNKNOWN_AFTER:
        serve(server, connection, request, verdict.fate);
        return;
    }
}

/* --- Connections --- */

static void take_input(struct fake_server *server, struct connection *connection)
{
    size_t used = 0;

    if (!connection->is_greeted) {
        if (connection->input.size < FRAME_PREFACE_BYTES) {
            return;
        }
        CHECK(memcmp(connection->input.data, frame_client_preface, FRAME_PREFACE_BYTES) == 0);
        connection->is_greeted = true;
        used = FRAME_PREFACE_BYTES;
    }
    while (connection->fd >= 0 && !connection->is_silent) {
        const uint8_t *at = connection->input.data + used;
        size_t rest = connection->input.size - used;
        uint32_t body_bytes;
        Client__Request *request;

        if (rest < FRAME_CLIENT_HEAD_BYTES) {
            break;
        }
        CHECK(frame_client_head(at, &body_bytes) == STATUS_OK);
        if (rest - FRAME_CLIENT_HEAD_BYTES < body_bytes) {
            break;
        }
        request = client__request__unpack(NULL, body_bytes, at + FRAME_CLIENT_HEAD_BYTES);
        CHECK(request != NULL && request->id != 0);
        CHECK(request->seen_zxid <= server->zxid);
        decide(server, connection, request);
        client__request__free_unpacked(request, NULL);
        used += FRAME_CLIENT_HEAD_BYTES + body_bytes;
    }
    memmove(connection->input.data, connection->input.data + used, connection->input.size - used);
    connection->input.size -= used;
}

static void read_connection(struct fake_server *server, struct connection *connection)
{
    uint8_t *room = buffer_extend(&connection->input, 65536);
    ssize_t got = recv(connection->fd, room, 65536, MSG_DONTWAIT);

    connection->input.size -= 65536 - (got > 0 ? (size_t)got : 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        close_connection(connection);
        return;
    }
    take_input(server, connection);
}

static void free_connection(struct connection *connection)
{
    close_connection(connection);
    buffer_release(&connection->input);
    for (size_t i = 0; i < connection->watch_count; i++) {
        free(connection->watches[i].path);
    }
}

static void sweep(struct fake_server *server)
{
    for (size_t i = 0; i < server->connection_count;) {
        if (server->connections[i].fd < 0) {
            free_connection(&server->connections[i]);
            server->connections[i] = server->connections[--server->connection_count];
        } else {
            i++;
        }
    }
}

static void accept_one(struct fake_server *server, size_t port)
{
    int fd = accept4(server->listeners[port], NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0 && server->is_shut[port]) {
        (void)close(fd);
    } else if (fd >= 0) {
        CHECK_OP(server->connection_count, <, CONNECTIONS_MAX);
        server->connections[server->connection_count++] =
            (struct connection){.fd = fd, .port = port};
    }
}

static void *run(void *argument)
{
    struct fake_server *server = argument;

    (void)pthread_mutex_lock(&server->mutex);
    while (!server->is_stopping) {
        struct pollfd files[1 + FAKE_PORTS_MAX + CONNECTIONS_MAX];
        size_t count = server->connection_count;
        uint64_t woken;

        files[0] = (struct pollfd){.fd = server->wake_fd, .events = POLLIN};
        for (size_t i = 0; i < server->port_count; i++) {
            files[1 + i] = (struct pollfd){.fd = server->listeners[i], .events = POLLIN};
        }
        for (size_t i = 0; i < count; i++) {
            files[1 + server->port_count + i] =
                (struct pollfd){.fd = server->connections[i].fd, .events = POLLIN};
        }
        (void)pthread_mutex_unlock(&server->mutex);
        (void)poll(files, 1 + server->port_count + count, -1);
        (void)pthread_mutex_lock(&server->mutex);
        if (files[0].revents != 0) {
            (void)!read(server->wake_fd, &woken, sizeof woken);
        }
        for (size_t i = 0; i < count; i++) {
            if (files[1 + server->port_count + i].revents != 0 && server->connections[i].fd >= 0) {
                read_connection(server, &server->connections[i]);
            }
        }
        sweep(server);
        for (size_t i = 0; i < server->port_count; i++) {
            if (files[1 + i].revents != 0) {
                accept_one(server, i);
            }
        }
    }
    (void)pthread_mutex_unlock(&server->mutex);
    return NULL;
}

static void listen_on(struct fake_server *server, size_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t used;

    CHECK(fd >= 0);
    CHECK(bind(fd, (struct sockaddr *)&address, bytes) == 0);
    CHECK(listen(fd, 64) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0);
    server->listeners[port] = fd;
    (void)snprintf(server->addresses[port], sizeof server->addresses[port], "127.0.0.1:%u",
                   (unsigned)ntohs(address.sin_port));
    used = strlen(server->all_addresses);
    (void)snprintf(server->all_addresses + used, sizeof server->all_addresses - used, "%s%s",
                   port > 0 ? "," : "", server->addresses[port]);
}

struct fake_server *fake_server_start(size_t port_count, fake_plan plan, void *context)
{
    struct fake_server *server = xcalloc(1, sizeof *server);

    server->port_count = port_count;
    server->plan = plan;
    server->context = context;
    server->zxid = 100;
    (void)put(server, "/", "", 0);
    server->oldest_zxid = server->zxid;
    (void)pthread_mutex_init(&server->mutex, NULL);
    server->wake_fd = eventfd(0, EFD_CLOEXEC);
    for (size_t i = 0; i < port_count; i++) {
        listen_on(server, i);
    }
    CHECK(pthread_create(&server->thread, NULL, run, server) == 0);
    return server;
}

static void lock(struct fake_server *server)
{
    (void)pthread_mutex_lock(&server->mutex);
}

static void unlock(struct fake_server *server)
{
    (void)pthread_mutex_unlock(&server->mutex);
}

void fake_server_stop(struct fake_server *server)
{
    lock(server);
    server->is_stopping = true;
    unlock(server);
    wake(server);
    (void)pthread_join(server->thread, NULL);
    for (size_t i = 0; i < server->connection_count; i++) {
        free_connection(&server->connections[i]);
    }
    for (size_t i = 0; i < server->port_count; i++) {
        (void)close(server->listeners[i]);
    }
    for (size_t i = 0; i < server->node_count; i++) {
        free(server->nodes[i].path);
        free(server->nodes[i].value);
    }
    for (size_t i = 0; i < server->change_count; i++) {
        free(server->history[i].path);
        free(server->history[i].value);
    }
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        for (size_t k = 0; k < KEPT_MAX; k++) {
            free(server->sessions[i].kept[k].path);
        }
    }
    free(server->nodes);
    free(server->history);
    free(server->page_path);
    (void)close(server->wake_fd);
    (void)pthread_mutex_destroy(&server->mutex);
    free(server);
}

const char *fake_server_addresses(const struct fake_server *server)
{
    return server->all_addresses;
}

const char *fake_server_address(const struct fake_server *server, size_t port)
{
    return server->addresses[port];
}

static void disconnect(struct fake_server *server)
{
    for (size_t i = 0; i < server->connection_count; i++) {
        if (server->connections[i].fd >= 0) {
            (void)shutdown(server->connections[i].fd, SHUT_RDWR);
        }
    }
}

void fake_server_disconnect(struct fake_server *server)
{
    lock(server);
    disconnect(server);
    unlock(server);
}

void fake_server_shut(struct fake_server *server, size_t port, bool shut)
{
    lock(server);
    server->is_shut[port] = shut;
    for (size_t i = 0; shut && i < server->connection_count; i++) {
        if (server->connections[i].port == port && server->connections[i].fd >= 0) {
            (void)shutdown(server->connections[i].fd, SHUT_RDWR);
        }
    }
    unlock(server);
}

uint64_t fake_server_set(struct fake_server *server, const char *path, const char *value)
{
    uint64_t zxid;

    lock(server);
    zxid = ++server->zxid;
    (void)put(server, path, value, strlen(value));
    feed_all(server);
    unlock(server);
    return zxid;
}

uint64_t fake_server_remove(struct fake_server *server, const char *path)
{
    uint64_t zxid;

    lock(server);
    zxid = ++server->zxid;
    (void)take_out(server, path);
    feed_all(server);
    unlock(server);
    return zxid;
}

void fake_server_hide(struct fake_server *server, const char *path)
{
    lock(server);
    for (size_t i = 0; i < server->node_count; i++) {
        if (strcmp(server->nodes[i].path, path) == 0) {
            server->nodes[i].hidden = true;
        }
    }
    unlock(server);
}

void fake_server_compact(struct fake_server *server)
{
    lock(server);
    server->oldest_zxid = server->zxid;
    unlock(server);
}

void fake_server_lose(struct fake_server *server)
{
    lock(server);
    for (size_t i = 0; i < server->connection_count; i++) {
        struct connection *connection = &server->connections[i];

        while (connection->watch_count > 0) {
            Client__Response response = fake_response();
            Client__Events events = CLIENT__EVENTS__INIT;

            events.watch = connection->watches[0].id;
            events.lost = true;
            response.body_case = CLIENT__RESPONSE__BODY_EVENTS;
            response.events = &events;
            unwatch(connection, events.watch);
            respond(server, connection, &response);
        }
    }
    unlock(server);
}

void fake_server_set_paging(struct fake_server *server, size_t nodes, const char *path)
{
    lock(server);
    server->page_nodes = nodes;
    free(server->page_path);
    server->page_path = path == NULL ? NULL : xstrdup(path);
    unlock(server);
}

void fake_server_expire_sessions(struct fake_server *server)
{
    lock(server);
    for (size_t i = 0; i < server->session_count; i++) {
        server->sessions[i].is_alive = false;
    }
    unlock(server);
}

void fake_server_notice(struct fake_server *server, Client__NoticeKind kind, Client__Code code)
{
    lock(server);
    for (size_t i = 0; i < server->connection_count; i++) {
        Client__Response response = fake_response();
        Client__Notice notice = CLIENT__NOTICE__INIT;

        notice.kind = kind;
        notice.code = code;
        response.body_case = CLIENT__RESPONSE__BODY_NOTICE;
        response.notice = &notice;
        respond(server, &server->connections[i], &response);
    }
    unlock(server);
}

uint64_t fake_server_zxid(struct fake_server *server)
{
    uint64_t zxid;

    lock(server);
    zxid = server->zxid;
    unlock(server);
    return zxid;
}

uint64_t fake_server_applied(struct fake_server *server)
{
    uint64_t applied;

    lock(server);
    applied = server->applied;
    unlock(server);
    return applied;
}

size_t fake_server_connections(struct fake_server *server)
{
    size_t count;

    lock(server);
    count = server->connection_count;
    unlock(server);
    return count;
}

size_t fake_server_sessions(struct fake_server *server)
{
    size_t count = 0;

    lock(server);
    for (size_t i = 0; i < server->session_count; i++) {
        count += server->sessions[i].is_alive ? 1 : 0;
    }
    unlock(server);
    return count;
}

char *fake_server_value(struct fake_server *server, const char *path)
{
    struct node *node;
    char *value;

    lock(server);
    node = find(server, path);
    value = node == NULL || !node->exists ? NULL : xstrdup(node->value);
    unlock(server);
    return value;
}
