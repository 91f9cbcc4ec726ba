#include "server/node/witness.h"

#include "base/mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void witness_table_init(struct witness_table *table,
                        const struct log_witness *witnesses,
                        size_t count)
{
    memset(table, 0, sizeof *table);
    if (count > 0) {
        memcpy(table->witnesses, witnesses, count * sizeof *witnesses);
    }
    table->count = count;
}

static size_t find(const struct witness_table *table, raft_id id)
{
    size_t i = 0;

    while (i < table->count && table->witnesses[i].id != id) {
        i++;
    }
    return i;
}

static bool is_same_folder(const struct log_witness *seen, const Peer__Identity *from)
{
    return from->incarnation.len == RAFT_INCARNATION_BYTES &&
           memcmp(seen->incarnation, from->incarnation.data, RAFT_INCARNATION_BYTES) == 0;
}

static bool refuse(char refusal[ERROR_TEXT_BYTES_MAX], const Peer__Identity *from, const char *how)
{
    (void)snprintf(refusal, ERROR_TEXT_BYTES_MAX,
                   "the data folder of server %" PRIu64 " is an old copy (%s): it lacks votes and "
                   "acknowledged writes; way out: confer-cli remove-member %" PRIu64
                   ", delete the folder, start the server, confer-cli add-learner --node %" PRIu64
                   "=HOST:PORT --promote",
                   from->id, how, from->id, from->id);
    return false;
}

/* The very process seen last. A copy is another one, whatever it holds, for it had to be started.
 * What it says of its term and log may have been said before what it has reported since. */
static bool is_same_process(const struct log_witness *seen, const Peer__Identity *from)
{
    return from->start_count == seen->start_count && from->n_starts > 0 &&
           from->starts[0] == seen->start;
}

/* The folder's own number of the start that was seen is another one. */
static bool is_other_start(const struct log_witness *seen, const Peer__Identity *from)
{
    uint64_t age = from->start_count - seen->start_count;

    return age < from->n_starts && from->starts[age] != seen->start;
}

bool witness_recognize(const struct witness_table *table,
                       const Peer__Identity *from,
                       char refusal[ERROR_TEXT_BYTES_MAX])
{
    const struct log_witness *seen = &table->witnesses[find(table, from->id)];
    char how[128];

    if (seen == table->witnesses + table->count || !is_same_folder(seen, from) ||
        is_same_process(seen, from)) {
        return true;
    }
    if (from->start_count < seen->start_count) {
        MARK(old_copy_of_fewer_starts);
        (void)snprintf(how, sizeof how, "of start %" PRIu64 ", start %" PRIu64 " was seen here",
                       from->start_count, seen->start_count);
        return refuse(refusal, from, how);
    }
    if (is_other_start(seen, from)) {
        MARK(old_copy_started_another_way);
        (void)snprintf(how, sizeof how, "made before start %" PRIu64 ", which was seen here",
                       seen->start_count);
        return refuse(refusal, from, how);
    }
    if (from->term < seen->term) {
        MARK(old_copy_of_a_lower_term);
        (void)snprintf(how, sizeof how, "of term %" PRIu64 ", term %" PRIu64 " was seen here",
                       from->term, seen->term);
        return refuse(refusal, from, how);
    }
    if (from->last < seen->index) {
        MARK(old_copy_of_a_shorter_log);
        (void)snprintf(how, sizeof how, "ends at entry %" PRIu64 ", %" PRIu64 " was seen here",
                       from->last, seen->index);
        return refuse(refusal, from, how);
    }
    return true;
}

/* A place for a peer that was not seen before; NULL: all are taken by members. */
static struct log_witness *take_place(struct witness_table *table, const struct raft_config *config)
{
    if (table->count < LOG_STORE_WITNESSES_MAX) {
        return &table->witnesses[table->count++];
    }
    for (size_t i = 0; i < table->count; i++) {
        if (raft_config_find(config, table->witnesses[i].id) == NULL) {
            return &table->witnesses[i];
        }
    }
    return NULL;
}

void witness_note_start(struct witness_table *table,
                        const Peer__Identity *from,
                        const struct raft_config *config)
{
    size_t position = find(table, from->id);
    bool is_known = position < table->count;
    struct log_witness *seen = is_known ? &table->witnesses[position] : take_place(table, config);

    if (seen == NULL || from->n_starts == 0 || from->incarnation.len != RAFT_INCARNATION_BYTES) {
        return;
    }
    if (!is_known || !is_same_folder(seen, from)) {
        *seen = (struct log_witness){.id = from->id};
        memcpy(seen->incarnation, from->incarnation.data, RAFT_INCARNATION_BYTES);
    } else if (seen->start_count == from->start_count) {
        return;
    }
    seen->start_count = from->start_count;
    seen->start = from->starts[0];
    table->has_new_start = true;
}

void witness_note_report(
    struct witness_table *table, raft_id id, uint64_t start, raft_term term, raft_index index)
{
    struct log_witness *seen = &table->witnesses[find(table, id)];

    if (seen == table->witnesses + table->count || seen->start != start) {
        return;
    }
    if (term > seen->term) {
        seen->term = term;
        table->has_news = true;
    }
    if (index > seen->index) {
        seen->index = index;
        table->has_news = true;
    }
}
