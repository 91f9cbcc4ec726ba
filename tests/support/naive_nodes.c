#include "tests/support/naive_nodes.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct bytes naive_nodes_field(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}

bool naive_nodes_is(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_text(text));
}

static bool contains(struct bytes bytes, const char *part, size_t size)
{
    return bytes.size >= size && memmem(bytes.data, bytes.size, part, size) != NULL;
}

bool naive_nodes_begins(struct bytes bytes, const char *text)
{
    return bytes.size >= strlen(text) && memcmp(bytes.data, text, strlen(text)) == 0;
}

/* --- Paths, as text --- */

static bool has_forbidden_character(struct bytes path)
{
    /* One of each forbidden group; the tests use no others. */
    static const char *const samples[] = {"\xc2\x80",     "\xc2\x9f",     "\xed\xa0\x80",
                                          "\xee\x80\x80", "\xef\xa3\xbf", "\xef\xbf\xb0",
                                          "\xef\xbf\xbf", "\xf0\x9f",     "\xff"};

    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] < 0x20 || path.data[i] == 0x7f) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        if (contains(path, samples[i], strlen(samples[i]))) {
            return true;
        }
    }
    return false;
}

enum op_error naive_nodes_validate(struct naive_state *state, struct bytes path)
{
    char *text = arena_text(&state->arena, path);
    bool too_long = path.size > 4096;
    char *saved = NULL;

    if (naive_nodes_is(path, "/")) {
        return OP_OK;
    }
    if (path.size == 0 || text[0] != '/' || text[path.size - 1] == '/' || contains(path, "//", 2) ||
        has_forbidden_character(path)) {
        return OP_BAD_ARGUMENTS;
    }
    for (char *name = strtok_r(text, "/", &saved); name != NULL;
         name = strtok_r(NULL, "/", &saved)) {
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            return OP_BAD_ARGUMENTS;
        }
        too_long = too_long || strlen(name) > 500;
    }
    return too_long ? OP_LIMIT : OP_OK;
}

bool naive_nodes_parent_of(struct bytes path, struct bytes *ret_parent)
{
    const uint8_t *slash = path.size == 0 ? NULL : memrchr(path.data, '/', path.size);

    if (slash == NULL || memchr(path.data, 0, path.size) != NULL) {
        return false;
    }
    *ret_parent =
        slash == path.data ? bytes_of_text("/") : bytes_of(path.data, (size_t)(slash - path.data));
    return true;
}

/* --- Nodes --- */

struct naive_node *naive_nodes_find(const struct naive_state *state, struct bytes path)
{
    for (size_t i = 0; i < state->node_count; i++) {
        if (bytes_equal(state->nodes[i].path, path)) {
            return &state->nodes[i];
        }
    }
    return NULL;
}

struct naive_node *naive_nodes_above(const struct naive_work *work, struct bytes path)
{
    struct naive_node *node = NULL;

    while (node == NULL && naive_nodes_parent_of(path, &path)) {
        node = naive_nodes_find(work->state, path);
    }
    CHECK(node != NULL);
    return node;
}

struct naive_node *naive_nodes_add(struct naive_state *state, struct naive_node node)
{
    state->nodes = xrealloc(state->nodes, (state->node_count + 1) * sizeof *state->nodes);
    state->nodes[state->node_count] = node;
    return &state->nodes[state->node_count++];
}

const struct naive_acl *naive_nodes_acl_of(struct naive_state *state, uint32_t permissions)
{
    struct naive_acl *acl = arena_alloc(&state->arena, sizeof *acl);

    *acl = (struct naive_acl){permissions, bytes_of_text("world"), bytes_of_text("anyone")};
    return acl;
}

void naive_nodes_note(struct naive_work *work,
                      enum state_change_kind kind,
                      struct bytes path,
                      session_id id)
{
    struct naive_result *result = work->result;
    struct naive_change *changes =
        arena_alloc(&work->state->arena, (result->change_count + 1) * sizeof *changes);

    for (size_t i = 0; i < result->change_count; i++) {
        changes[i] = result->changes[i];
    }
    changes[result->change_count++] =
        (struct naive_change){.kind = kind, .path = path, .session = id};
    result->changes = changes;
}

void naive_nodes_note_bytes(struct naive_work *work, size_t after, size_t before)
{
    work->result->changes[work->result->change_count - 1].more_bytes =
        (int64_t)after - (int64_t)before;
}

void naive_nodes_make(struct naive_work *work, struct naive_node node)
{
    struct naive_node *parent;
    struct bytes parent_path;

    CHECK(naive_nodes_parent_of(node.path, &parent_path));
    parent = naive_nodes_find(work->state, parent_path);
    CHECK(parent != NULL);
    parent->sequence++;
    parent->stat.cversion++;
    parent->stat.pzxid = work->at;
    node.stat.czxid = node.stat.mzxid = node.stat.pzxid = work->at;
    node.stat.ctime_ms = node.stat.mtime_ms = work->state->time_ms;
    (void)naive_nodes_add(work->state, node);
    naive_nodes_note(work, STATE_CREATED, node.path, work->session);
    naive_nodes_note_bytes(work, node.value.size, 0);
}

void naive_nodes_remove(struct naive_work *work, struct naive_node *node)
{
    struct naive_state *state = work->state;
    struct naive_node *parent;
    struct bytes path = node->path;
    size_t before = node->value.size;
    struct bytes parent_path;

    CHECK(naive_nodes_parent_of(path, &parent_path));
    parent = naive_nodes_find(state, parent_path);
    CHECK(parent != NULL);
    parent->stat.cversion++;
    parent->stat.pzxid = work->at;
    memmove(node, node + 1, (size_t)(state->nodes + state->node_count - (node + 1)) * sizeof *node);
    state->node_count--;
    naive_nodes_note(work, STATE_REMOVED, path, work->session);
    naive_nodes_note_bytes(work, 0, before);
}

/* --- Permissions --- */

/* The numbers of 10.1.2.3/8, as many as there are; 0 for other text. */
static unsigned numbers(struct bytes bytes, unsigned long number[5])
{
    char text[64] = "";
    char *at = text;
    unsigned count = 0;

    if (bytes.size == 0 || bytes.size >= sizeof text) {
        return 0;
    }
    memcpy(text, bytes.data, bytes.size);
    for (;;) {
        if (*at < '0' || *at > '9' || count == 5) {
            return 0;
        }
        number[count++] = strtoul(at, &at, 10);
        if (*at == '\0') {
            return count;
        }
        if (*at != (count < 4 ? '.' : '/')) {
            return 0;
        }
        at++;
    }
}

/* IPv4 alone, which is what is asked for here: the leading bits, one by one. */
static bool in_network(struct bytes id, struct bytes address)
{
    unsigned long net[5] = {0, 0, 0, 0, 32}; /* and how many bits */
    unsigned long host[5];

    if (numbers(id, net) < 4 || numbers(address, host) != 4) {
        return false;
    }
    for (unsigned bit = 0; bit < net[4]; bit++) {
        unsigned mask = 128U >> (bit % 8);

        if ((net[bit / 8] & mask) != (host[bit / 8] & mask)) {
            return false;
        }
    }
    return true;
}

bool naive_nodes_permit(const struct naive_work *work,
                        const struct naive_node *node,
                        uint32_t wanted)
{
    for (size_t who = 0; who < work->command->n_identities; who++) {
        if (naive_nodes_is(naive_nodes_field(work->command->identities[who]->scheme), "super")) {
            return true;
        }
    }
    for (size_t i = 0; i < node->acl_count; i++) {
        if ((node->acl[i].permissions & wanted) == 0) {
            continue;
        }
        if (naive_nodes_is(node->acl[i].scheme, "world")) {
            return true;
        }
        for (size_t who = 0; who < work->command->n_identities; who++) {
            struct bytes scheme = naive_nodes_field(work->command->identities[who]->scheme);
            struct bytes id = naive_nodes_field(work->command->identities[who]->id);

            if (bytes_equal(scheme, node->acl[i].scheme) &&
                (naive_nodes_is(scheme, "ip") ? in_network(node->acl[i].id, id)
                                              : bytes_equal(id, node->acl[i].id))) {
                return true;
            }
        }
    }
    return false;
}
