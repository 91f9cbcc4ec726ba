#include "server/state/quota.h"

#include "server/state/count.h"
#include "server/state/path.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUOTA_PATH "/zookeeper/quota"
#define LIMITS     "zookeeper_limits"
#define STATS      "zookeeper_stats"

enum {
    STATS_BYTES_MAX = 64,
    NUMBER_BYTES_MAX = 24,
    TEXT_BYTES_MAX = 1024 /* each write below reads it; what stands behind says nothing */
};

/* --- The text of limits and stats: count=5,bytes=10=;byteHardLimit=20;countHardLimit=7 --- */

struct numbers {
    int64_t count; /* -1 = no limit, everywhere */
    int64_t bytes;
    int64_t count_hard;
    int64_t bytes_hard;
};

/* Up to the next separator; ZooKeeper writes another `=` behind the bytes. */
static int64_t parse_number(struct bytes text)
{
    char digits[NUMBER_BYTES_MAX] = "";
    int64_t number;
    char *end;

    while (text.size > 0 && text.data[text.size - 1] == '=') {
        text.size--;
    }
    if (text.size == 0 || text.size >= sizeof digits) {
        return -1;
    }
    memcpy(digits, text.data, text.size);
    number = strtoll(digits, &end, 10);
    return end == digits + text.size ? number : -1;
}

static void parse_item(struct bytes item, struct numbers *numbers)
{
    static const struct {
        const char *key;
        size_t offset;
    } keys[] = {{"count=", offsetof(struct numbers, count)},
                {"bytes=", offsetof(struct numbers, bytes)},
                {"countHardLimit=", offsetof(struct numbers, count_hard)},
                {"byteHardLimit=", offsetof(struct numbers, bytes_hard)}};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t size = strlen(keys[i].key);

        if (item.size >= size && memcmp(item.data, keys[i].key, size) == 0) {
            int64_t number = parse_number(bytes_of(item.data + size, item.size - size));

            memcpy((char *)numbers + keys[i].offset, &number, sizeof number);
        }
    }
}

/* Commas and semicolons separate alike; what is not understood says nothing. */
static struct numbers parse(struct bytes text)
{
    struct numbers numbers = {-1, -1, -1, -1};
    size_t begin = 0;

    if (text.size > TEXT_BYTES_MAX) {
        text.size = TEXT_BYTES_MAX;
    }
    for (size_t i = 0; i <= text.size; i++) {
        if (i == text.size || text.data[i] == ',' || text.data[i] == ';') {
            parse_item(bytes_of(text.data + begin, i - begin), &numbers);
            begin = i + 1;
        }
    }
    return numbers;
}

/* --- Which quota --- */

struct quota {
    struct bytes path; /* of the node whose subtree is meant */
    uint64_t node_id;  /* of what stands for it below QUOTA_PATH; 0 = there is no quota */
};

static bool is_inside(struct bytes path, const char *top)
{
    size_t size = strlen(top);

    return path.size >= size && memcmp(path.data, top, size) == 0 &&
           (path.size == size || path.data[size] == '/');
}

/* The nearest one at or above `path`. */
static enum status find(struct tree *tree, struct bytes path, struct quota *ret_quota)
{
    struct quota quota = {.node_id = 0};
    struct bytes rest = path;
    struct bytes name;
    struct znode_glance node;
    enum status status = tree_glance_quotas(tree, &node);

    while (status == STATUS_OK && node.child_count > 0 && path_take(&rest, &name)) {
        struct znode_glance limits = {.id = 0};

        status = tree_glance(tree, node.id, name, &node);
        if (status == STATUS_OK && node.id != 0) {
            status = tree_glance(tree, node.id, bytes_of_text(LIMITS), &limits);
        }
        if (limits.id != 0) {
            quota = (struct quota){.path = bytes_of(path.data, path.size - rest.size),
                                   .node_id = node.id};
        }
    }
    *ret_quota = quota;
    return status;
}

/* --- Accounting --- */

static struct bytes join(struct tree_write *write, struct bytes path, const char *name)
{
    size_t size = sizeof QUOTA_PATH - 1 + path.size + 1 + strlen(name);
    char *text = arena_alloc(write->arena, size + 1);

    (void)snprintf(text, size + 1, QUOTA_PATH "%.*s/%s", (int)path.size, (const char *)path.data,
                   name);
    return bytes_of(text, size);
}

/* The data alone changes: neither version nor time, and no watch is told. */
static enum status write_stats(struct tree_write *write,
                               struct bytes path,
                               struct record *record,
                               int64_t count,
                               int64_t bytes)
{
    struct znode znode = znode_load(record);
    char text[STATS_BYTES_MAX];
    struct record *updated;

    znode.value =
        bytes_of(text, (size_t)snprintf(text, sizeof text, "count=%" PRId64 ",bytes=%" PRId64,
                                        count, bytes));
    znode.flags = (uint8_t)(znode.flags & ~ZNODE_VALUE_IS_NULL);
    return tree_update(write->tree, path, record, &znode, &updated);
}

static int64_t add(int64_t number, int64_t more)
{
    int64_t sum;

    return __builtin_add_overflow(number, more, &sum) ? INT64_MAX : sum < 0 ? 0 : sum;
}

static bool is_passed(int64_t number, int64_t difference, int64_t soft, int64_t hard)
{
    int64_t limit = hard > -1 ? hard : soft;

    return difference != 0 && limit > -1 && number > limit;
}

/* Removals pass always: they are the way out. */
static enum op_error judge(struct tree_write *write,
                           const struct quota *quota,
                           const struct numbers *limits,
                           const struct numbers *stats,
                           int64_t count,
                           int64_t bytes)
{
    bool passes_count = is_passed(stats->count, count, limits->count, limits->count_hard);
    bool passes_bytes = is_passed(stats->bytes, bytes, limits->bytes, limits->bytes_hard);

    if (count < 0 || (!passes_count && !passes_bytes)) {
        return OP_OK;
    }
    if (write->enforces_quotas &&
        ((passes_count && limits->count_hard > -1) || (passes_bytes && limits->bytes_hard > -1))) {
        return OP_QUOTA_EXCEEDED;
    }
    write->quota_passed = arena_copy(write->arena, quota->path);
    return OP_OK;
}

static enum status
read_limits(struct tree *tree, const struct quota *quota, struct numbers *ret_limits)
{
    struct record *record = NULL;
    enum status status = tree_find_child(tree, quota->node_id, bytes_of_text(LIMITS), &record);

    if (status != STATUS_OK || record == NULL) {
        return status == STATUS_OK ? STATUS_CORRUPT : status;
    }
    overlay_touch(tree->overlay, record);
    *ret_limits = parse(znode_load(record).value);
    return STATUS_OK;
}

static enum status count_change(struct tree_write *write,
                                struct bytes path,
                                int64_t count,
                                int64_t bytes,
                                enum op_error *ret_error)
{
    struct quota quota;
    struct record *record = NULL;
    struct numbers limits;
    struct numbers stats;
    enum status status = find(write->tree, path, &quota);

    if (status == STATUS_OK && quota.node_id != 0) {
        status = read_limits(write->tree, &quota, &limits);
    }
    if (status == STATUS_OK && quota.node_id != 0) {
        status = tree_find_child(write->tree, quota.node_id, bytes_of_text(STATS), &record);
    }
    if (status != STATUS_OK || record == NULL) {
        return status;
    }
    stats = parse(znode_load(record).value);
    stats.count = add(stats.count, count);
    stats.bytes = add(stats.bytes, bytes);
    *ret_error = judge(write, &quota, &limits, &stats, count, bytes);
    return write_stats(write, join(write, quota.path, STATS), record, stats.count, stats.bytes);
}

/* Stats were made: count what is there. */
static enum status
count_all(struct tree_write *write, struct bytes stats_path, enum op_error *ret_error)
{
    struct bytes path =
        bytes_of(stats_path.data + sizeof QUOTA_PATH - 1,
                 stats_path.size - (sizeof QUOTA_PATH - 1) - (sizeof STATS - 1) - 1);
    struct record *top = NULL;
    struct record *stats = NULL;
    size_t nodes_left = write->counted_max - write->counted;
    bool is_done = true;
    int64_t count = 0;
    int64_t bytes = 0;
    enum status status = tree_find(write->tree, path, &top);

    if (status == STATUS_OK && top != NULL) {
        struct state_count *counting = count_new(top);

        bytes = (int64_t)znode_load(top).value.size;
        status = count_continue(write->tree, counting, &nodes_left, &is_done);
        write->counted = write->counted_max - nodes_left;
        count = 1 + (int64_t)count_total(counting);
        bytes += (int64_t)count_value_bytes(counting);
        count_free(counting);
    }
    if (status == STATUS_OK && !is_done) {
        *ret_error = OP_LIMIT;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = tree_find(write->tree, stats_path, &stats);
    }
    return status != STATUS_OK || stats == NULL
               ? status
               : write_stats(write, stats_path, stats, count, bytes);
}

static bool makes_stats(const struct state_change *change)
{
    struct bytes parent;
    struct bytes name;

    return change->kind == STATE_CREATED && is_inside(change->path, QUOTA_PATH) &&
           path_split(change->path, &parent, &name) && bytes_equal(name, bytes_of_text(STATS)) &&
           parent.size > sizeof QUOTA_PATH - 1 &&
           !is_inside(
               bytes_of(parent.data + sizeof QUOTA_PATH - 1, parent.size - (sizeof QUOTA_PATH - 1)),
               "/zookeeper");
}

static int64_t value_bytes(const struct state_node *node)
{
    bool is_null;

    return node == NULL ? 0 : (int64_t)state_node_value(node, &is_null).size;
}

static enum status
account(struct tree_write *write, const struct state_change *change, enum op_error *ret_error)
{
    if (change->kind != STATE_CREATED && change->kind != STATE_REMOVED &&
        change->kind != STATE_VALUE_SET) {
        return STATUS_OK;
    }
    if (makes_stats(change)) {
        return count_all(write, change->path, ret_error);
    }
    if (is_inside(change->path, "/zookeeper")) {
        return STATUS_OK;
    }
    return count_change(write, change->path,
                        (change->kind == STATE_CREATED) - (change->kind == STATE_REMOVED),
                        value_bytes(change->after) - value_bytes(change->before), ret_error);
}

enum status quota_account(struct tree_write *write, size_t first, enum op_error *ret_error)
{
    enum status status = STATUS_OK;

    *ret_error = OP_OK;
    for (size_t i = first; i < write->change_count && status == STATUS_OK && *ret_error == OP_OK;
         i++) {
        status = account(write, &write->changes[i], ret_error);
    }
    return status;
}
