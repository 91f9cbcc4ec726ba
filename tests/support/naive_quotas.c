#include "tests/support/naive_quotas.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct naive_node *quota_node(struct naive_state *state, struct bytes top, const char *name)
{
    struct buffer path = BUFFER_INIT;
    struct naive_node *node;

    buffer_put(&path, bytes_of_text("/zookeeper/quota"));
    buffer_put(&path, top);
    buffer_put(&path, bytes_of_text(name));
    node = naive_nodes_find(state, buffer_lend(&path));
    buffer_release(&path);
    return node;
}

static int64_t number_of(struct naive_state *state, const struct naive_node *node, const char *key)
{
    char *text = arena_text(&state->arena, node->value);
    char *saved = NULL;
    int64_t number = -1;

    for (char *item = strtok_r(text, ",;", &saved); item != NULL;
         item = strtok_r(NULL, ",;", &saved)) {
        if (strncmp(item, key, strlen(key)) == 0 && item[strlen(key)] == '=') {
            char *end = NULL;

            number = strtoll(item + strlen(key) + 1, &end, 10);
            if (end == item + strlen(key) + 1 || (*end != '\0' && strcmp(end, "=") != 0)) {
                number = -1;
            }
        }
    }
    return number;
}

static void
write_numbers(struct naive_state *state, struct naive_node *node, int64_t count, int64_t bytes)
{
    char text[64];

    (void)snprintf(text, sizeof text, "count=%lld,bytes=%lld", (long long)count, (long long)bytes);
    node->value = arena_copy(&state->arena, bytes_of_text(text));
    node->value_is_null = false;
}

static void count_afresh(struct naive_state *state, struct naive_node *stats, struct bytes top)
{
    int64_t count = 0;
    int64_t bytes = 0;

    for (size_t i = 0; i < state->node_count; i++) {
        struct bytes path = state->nodes[i].path;

        if (naive_nodes_begins(path, arena_text(&state->arena, top)) &&
            (path.size == top.size || path.data[top.size] == '/')) {
            count++;
            bytes += (int64_t)state->nodes[i].value.size;
        }
    }
    write_numbers(state, stats, count, bytes);
}

static bool passes(int64_t number, int64_t soft, int64_t hard)
{
    return hard >= 0 ? number > hard : soft >= 0 && number > soft;
}

static enum op_error account_below(struct naive_work *work,
                                   struct bytes top,
                                   const struct naive_node *limits,
                                   int64_t more_count,
                                   int64_t more_bytes)
{
    struct naive_state *state = work->state;
    struct naive_node *stats = quota_node(state, top, "/zookeeper_stats");
    int64_t count_hard = number_of(state, limits, "countHardLimit");
    int64_t bytes_hard = number_of(state, limits, "byteHardLimit");
    int64_t count;
    int64_t bytes;
    bool too_many;
    bool too_large;

    if (stats == NULL) {
        return OP_OK;
    }
    count = number_of(state, stats, "count") + more_count;
    bytes = number_of(state, stats, "bytes") + more_bytes;
    count = count < 0 ? 0 : count;
    bytes = bytes < 0 ? 0 : bytes;
    write_numbers(state, stats, count, bytes);
    too_many = more_count > 0 && passes(count, number_of(state, limits, "count"), count_hard);
    too_large = more_count >= 0 && more_bytes != 0 &&
                passes(bytes, number_of(state, limits, "bytes"), bytes_hard);
    if (work->command->enforce_quotas &&
        ((too_many && count_hard >= 0) || (too_large && bytes_hard >= 0))) {
        return OP_QUOTA_EXCEEDED;
    }
    if (too_many || too_large) {
        work->result->quota_passed = arena_copy(&state->arena, top);
    }
    return OP_OK;
}

static enum op_error account_change(struct naive_work *work, const struct naive_change *change)
{
    struct bytes path = change->path;
    struct bytes top = path;

    if (change->kind > STATE_REMOVED) {
        return OP_OK;
    }
    if (change->kind == STATE_CREATED && naive_nodes_begins(path, "/zookeeper/quota/") &&
        path.size > strlen("/zookeeper/quota/zookeeper_stats") &&
        memcmp(path.data + path.size - 16, "/zookeeper_stats", 16) == 0) {
        top = bytes_of(path.data + 16, path.size - 32);
        if (!naive_nodes_is(top, "/zookeeper") && !naive_nodes_begins(top, "/zookeeper/")) {
            count_afresh(work->state, naive_nodes_find(work->state, path), top);
            return OP_OK;
        }
    }
    if (naive_nodes_is(path, "/zookeeper") || naive_nodes_begins(path, "/zookeeper/")) {
        return OP_OK;
    }
    while (top.size > 1 && quota_node(work->state, top, "/zookeeper_limits") == NULL) {
        CHECK(naive_nodes_parent_of(top, &top));
    }
    if (top.size <= 1) {
        return OP_OK;
    }
    return account_below(work, top, quota_node(work->state, top, "/zookeeper_limits"),
                         change->kind == STATE_CREATED   ? 1
                         : change->kind == STATE_REMOVED ? -1
                                                         : 0,
                         change->more_bytes);
}

enum op_error naive_quotas_account(struct naive_work *work, size_t first)
{
    enum op_error error = OP_OK;

    for (size_t i = first; i < work->result->change_count && error == OP_OK; i++) {
        error = account_change(work, &work->result->changes[i]);
    }
    return error;
}
