#include "tests/simulation/quotas.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES_MAX = 64, TEXT_BYTES_MAX = 96, MADE_PER_OPERATION_MAX = 3, NOT_THERE = -1 };

struct quota {
    chronicle_path top; /* what it is on */
    char limits_path[PATH_BYTES_MAX];
    char stats_path[PATH_BYTES_MAX];
    int64_t nodes; /* that are there, at or below the top, and the bytes of their values */
    int64_t bytes;
    int64_t count_hard; /* -1 = no such limit */
    int64_t bytes_hard;
    bool has_limits;
    bool has_stats;
    bool is_counted; /* by limits and stats, since the stats were made */
    bool is_changed; /* by the last command */
};

struct quotas {
    struct chronicle *chronicle;
    struct quota quotas[WRITES_FOLDERS];
    int64_t *sizes; /* by path; NOT_THERE */
    size_t size_count;
    struct quotas_counts counts;
};

struct quotas *quotas_new(struct chronicle *chronicle)
{
    struct quotas *quotas = xcalloc(1, sizeof *quotas);

    quotas->chronicle = chronicle;
    for (unsigned i = 0; i < WRITES_FOLDERS; i++) {
        struct quota *quota = &quotas->quotas[i];
        char top[PATH_BYTES_MAX];

        (void)snprintf(top, sizeof top, "/d%u", i);
        quota->top = chronicle_path_of(chronicle, bytes_of_text(top));
        (void)snprintf(quota->limits_path, PATH_BYTES_MAX, WRITES_LIMITS_FORMAT, i);
        (void)snprintf(quota->stats_path, PATH_BYTES_MAX, WRITES_STATS_FORMAT, i);
    }
    return quotas;
}

void quotas_free(struct quotas *quotas)
{
    free(quotas->sizes);
    free(quotas);
}

/* --- What is there --- */

static int64_t *size_of(struct quotas *quotas, chronicle_path path)
{
    while (quotas->size_count <= path) {
        quotas->sizes = xrealloc(quotas->sizes, (quotas->size_count + 64) * sizeof *quotas->sizes);
        for (size_t i = 0; i < 64; i++) {
            quotas->sizes[quotas->size_count++] = NOT_THERE;
        }
    }
    return &quotas->sizes[path];
}

static struct quota *quota_on(struct quotas *quotas, chronicle_path path)
{
    for (size_t i = 0; i < WRITES_FOLDERS; i++) {
        if (chronicle_is_inside(quotas->chronicle, path, quotas->quotas[i].top)) {
            return &quotas->quotas[i];
        }
    }
    return NULL;
}

static int64_t number_behind(struct bytes text, const char *key)
{
    char copy[TEXT_BYTES_MAX] = "";
    const char *found;

    /* A serial number stands in front, with any bytes in it. */
    if (text.size < 8 || text.size - 8 >= sizeof copy) {
        return -1;
    }
    memcpy(copy, text.data + 8, text.size - 8);
    found = strstr(copy, key);
    return found == NULL ? -1 : strtoll(found + strlen(key), NULL, 10);
}

/* Nodes of the quotas themselves. */
static void note_own(struct quota *quota, const struct state_change *change)
{
    bool is_there = change->after != NULL;
    bool is_null;

    if (bytes_equal(change->path, bytes_of_text(quota->limits_path))) {
        struct bytes text = is_there ? state_node_value(change->after, &is_null) : BYTES_EMPTY;

        quota->has_limits = is_there;
        quota->count_hard = number_behind(text, "countHardLimit=");
        quota->bytes_hard = number_behind(text, "byteHardLimit=");
    } else if (bytes_equal(change->path, bytes_of_text(quota->stats_path))) {
        quota->has_stats = is_there;
        quota->is_counted = is_there;
        quota->is_changed = true;
    }
}

static void check_limits(const struct quota *quota,
                         const struct cluster_server *server,
                         const struct state_change *change,
                         bool more_nodes,
                         bool more_bytes)
{
    if ((more_nodes && quota->count_hard >= 0 && quota->nodes > quota->count_hard) ||
        (more_bytes && quota->bytes_hard >= 0 && quota->bytes > quota->bytes_hard)) {
        cluster_violation(server,
                          "quota: %.*s is let in at %" PRIu64 ": %" PRId64 " nodes, %" PRId64
                          " bytes, the hard limits are %" PRId64 " and %" PRId64,
                          (int)change->path.size, change->path.data, change->zxid, quota->nodes,
                          quota->bytes, quota->count_hard, quota->bytes_hard);
    }
}

static void note_change(struct quotas *quotas,
                        const struct cluster_server *server,
                        const struct state_change *change,
                        bool is_enforced)
{
    chronicle_path path = chronicle_path_of(quotas->chronicle, change->path);
    struct quota *quota = quota_on(quotas, path);
    int64_t *size = size_of(quotas, path);
    int64_t before = *size;
    bool is_null;

    for (size_t i = 0; i < WRITES_FOLDERS; i++) {
        note_own(&quotas->quotas[i], change);
    }
    if (quota == NULL) {
        return;
    }
    *size =
        change->after == NULL ? NOT_THERE : (int64_t)state_node_value(change->after, &is_null).size;
    quota->nodes += (*size != NOT_THERE) - (before != NOT_THERE);
    quota->bytes += (*size == NOT_THERE ? 0 : *size) - (before == NOT_THERE ? 0 : before);
    quota->is_counted = quota->is_counted && quota->has_limits;
    quota->is_changed = true;
    if (is_enforced && quota->is_counted) {
        check_limits(quota, server, change, before == NOT_THERE,
                     *size > (before == NOT_THERE ? 0 : before));
    }
}

/* --- Refusals --- */

static const ProtobufCBinaryData *path_of(const Record__Operation *operation, size_t *ret_bytes)
{
    if (operation->kind_case == RECORD__OPERATION__KIND_SET) {
        *ret_bytes = operation->set->value.len;
        return &operation->set->path;
    }
    if (operation->kind_case == RECORD__OPERATION__KIND_CREATE) {
        *ret_bytes = operation->create->value.len;
        return &operation->create->path;
    }
    return NULL;
}

/* With all that the command might make, would a hard limit be passed? */
static bool may_pass(struct quotas *quotas, Record__Operation **operations, size_t count)
{
    int64_t nodes = 0;
    int64_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        size_t more = 0;
        const ProtobufCBinaryData *path = path_of(operations[i], &more);
        const struct quota *quota =
            path == NULL ? NULL
                         : quota_on(quotas, chronicle_path_of(quotas->chronicle,
                                                              bytes_of(path->data, path->len)));

        nodes += MADE_PER_OPERATION_MAX;
        bytes += (int64_t)more;
        if (quota != NULL && quota->has_limits && quota->has_stats &&
            (!quota->is_counted ||
             (quota->count_hard >= 0 && quota->nodes + nodes > quota->count_hard) ||
             (quota->bytes_hard >= 0 && quota->bytes + bytes > quota->bytes_hard))) {
            return true;
        }
    }
    return false;
}

static bool is_client_write(const Record__Command *command,
                            Record__Operation ***ret_operations,
                            size_t *ret_count)
{
    static Record__Operation *one[1];

    if (command->body_case == RECORD__COMMAND__BODY_TRANSACTION) {
        *ret_operations = command->transaction->operations;
        *ret_count = command->transaction->n_operations;
        return true;
    }
    one[0] = command->operation;
    *ret_operations = one;
    *ret_count = 1;
    return command->body_case == RECORD__COMMAND__BODY_OPERATION;
}

void quotas_on_command(struct quotas *quotas,
                       const struct cluster_server *server,
                       const Record__Command *command,
                       const struct state_result *result)
{
    Record__Operation **operations;
    size_t count;
    bool is_write = is_client_write(command, &operations, &count);

    for (size_t i = 0; i < WRITES_FOLDERS; i++) {
        quotas->quotas[i].is_changed = false;
    }
    if (result->error == OP_QUOTA_EXCEEDED && !result->repeated) {
        quotas->counts.refused++;
        if (!is_write || !command->enforce_quotas || !may_pass(quotas, operations, count)) {
            cluster_violation(server, "quota: the command at %" PRIu64 " is refused without reason",
                              result->zxid);
        }
    }
    for (size_t i = 0; i < result->change_count; i++) {
        const struct state_change *change = &result->changes[i];

        if (change->kind == STATE_CREATED || change->kind == STATE_REMOVED ||
            change->kind == STATE_VALUE_SET) {
            note_change(quotas, server, change, is_write && command->enforce_quotas);
        }
    }
}

/* --- The stats --- */

static void
check_stats(const struct quota *quota, const struct cluster_server *server, struct state *state)
{
    struct state_node *node = NULL;
    char wanted[TEXT_BYTES_MAX];
    enum op_error error = OP_OK;
    struct bytes found;
    bool is_null;

    if (state_read(state, bytes_of_text(quota->stats_path), &error, &node) != STATUS_OK) {
        return; /* its disk fails; another server reads it */
    }
    if (error != OP_OK) {
        cluster_violation(server, "quota: %s is gone", quota->stats_path);
    }
    (void)snprintf(wanted, sizeof wanted, "count=%" PRId64 ",bytes=%" PRId64, quota->nodes,
                   quota->bytes);
    found = state_node_value(node, &is_null);
    if (!bytes_equal(found, bytes_of_text(wanted))) {
        cluster_violation(server, "quota: %s says %.*s after entry %" PRIu64 ", there are %s",
                          quota->stats_path, (int)found.size, (const char *)found.data,
                          state_applied(state), wanted);
    }
    state_node_unref(node);
}

void quotas_check(struct quotas *quotas, const struct cluster_server *server, struct state *state)
{
    for (size_t i = 0; i < WRITES_FOLDERS; i++) {
        const struct quota *quota = &quotas->quotas[i];

        if (quota->is_changed && quota->is_counted) {
            quotas->counts.compared++;
            check_stats(quota, server, state);
        }
    }
}

struct quotas_counts quotas_counts(const struct quotas *quotas)
{
    return quotas->counts;
}
