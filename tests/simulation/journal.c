#include "tests/simulation/journal.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TRIM_PER_APPENDED = 3, TRIM_MORE = 64 };

struct journal {
    struct prng *prng;     /* the disk's */
    struct stores *stores; /* NULL: there is but the model */
    struct journal_observer observer;
    struct journal_identity identity;
    struct log_state state;
    struct journal_entry *entries; /* state.base + 1 .. state.last */
    size_t capacity;
    raft_index trim; /* the highest that this process asked for */
    bool hard_state_is_damaged;
};

struct journal *
journal_new(struct prng *prng, struct stores *stores, const struct journal_observer *observer)
{
    struct journal *journal = xcalloc(1, sizeof *journal);

    journal->prng = prng;
    journal->stores = stores;
    journal->observer = *observer;
    return journal;
}

static size_t count_of(const struct journal *journal)
{
    return (size_t)(journal->state.last - journal->state.base);
}

void journal_free(struct journal *journal)
{
    for (size_t i = 0; i < count_of(journal); i++) {
        free(journal->entries[i].data);
    }
    free(journal->entries);
    free(journal);
}

void journal_take(struct journal *journal, const struct journal *from)
{
    size_t count = count_of(from);

    CHECK_OP(count_of(journal), ==, 0);
    journal->identity = from->identity;
    journal->state = from->state;
    journal->hard_state_is_damaged = from->hard_state_is_damaged;
    journal->capacity = count;
    journal->entries = xcalloc(count + 1, sizeof *journal->entries);
    for (size_t i = 0; i < count; i++) {
        journal->entries[i] = from->entries[i];
        journal->entries[i].data =
            bytes_copy(bytes_of(from->entries[i].data, from->entries[i].size));
    }
}

/* --- What is durable --- */

const struct journal_identity *journal_identity(const struct journal *journal)
{
    return &journal->identity;
}

struct log_state journal_state(const struct journal *journal)
{
    return journal->state;
}

const struct journal_entry *journal_entry_at(const struct journal *journal, raft_index index)
{
    if (index <= journal->state.base || index > journal->state.last) {
        return NULL;
    }
    return &journal->entries[index - journal->state.base - 1];
}

raft_term journal_term(const struct journal *journal, raft_index index)
{
    const struct journal_entry *entry = journal_entry_at(journal, index);

    if (entry != NULL) {
        return entry->term;
    }
    return index == journal->state.base ? journal->state.base_term : 0;
}

bool journal_holds(const struct journal *journal, raft_index first, raft_index last)
{
    return first > journal->state.base && first <= last && last <= journal->state.last;
}

bool journal_is_damaged(const struct journal *journal)
{
    for (size_t i = 0; i < count_of(journal); i++) {
        if (journal->entries[i].damaged) {
            return true;
        }
    }
    return journal->hard_state_is_damaged;
}

/* --- The model's writes --- */

static void truncate_from(struct journal *journal, raft_index first)
{
    CHECK_OP(first, >, journal->state.base);
    if (first > journal->state.last) {
        return;
    }
    journal->observer.on_truncate(journal->observer.context, first);
    while (journal->state.last >= first) {
        free(journal->entries[count_of(journal) - 1].data);
        journal->state.last--;
    }
}

static uint64_t sum_of(const struct log_entry *entry)
{
    uint8_t type = (uint8_t)entry->type;

    return checksum_pair(bytes_of(&type, 1), entry->payload);
}

static void append(struct journal *journal, const struct log_entry *entry)
{
    size_t count = count_of(journal);

    CHECK_OP(entry->index, ==, journal->state.last + 1);
    if (count == journal->capacity) {
        journal->capacity = journal->capacity == 0 ? 64 : 2 * journal->capacity;
        journal->entries = xrealloc(journal->entries, journal->capacity * sizeof *journal->entries);
    }
    journal->entries[count] = (struct journal_entry){.term = entry->term,
                                                     .type = entry->type,
                                                     .sum = sum_of(entry),
                                                     .size = (uint32_t)entry->payload.size,
                                                     .data = bytes_copy(entry->payload)};
    journal->state.last++;
    journal->observer.on_append(journal->observer.context, entry->index);
}

static void drop_front(struct journal *journal, size_t count)
{
    size_t held = count_of(journal);

    CHECK_OP(count, <=, held);
    if (count == 0) {
        return;
    }
    journal->state.base_term = journal->entries[count - 1].term;
    for (size_t i = 0; i < count; i++) {
        free(journal->entries[i].data);
    }
    memmove(journal->entries, journal->entries + count, (held - count) * sizeof *journal->entries);
    journal->state.base += count;
}

static void reset(struct journal *journal, const struct log_write *write)
{
    journal->observer.on_reset(journal->observer.context, write->reset_index, write->reset_term);
    drop_front(journal, count_of(journal));
    journal->state.base = write->reset_index;
    journal->state.base_term = write->reset_term;
    journal->state.last = write->reset_index;
    journal->identity.tree_generation = write->tree_generation;
}

/* Some of what may go goes, as the store does it. */
static void trim(struct journal *journal, raft_index until, size_t appended)
{
    uint64_t count_max = TRIM_PER_APPENDED * appended + prng_below(journal->prng, TRIM_MORE);

    if (until > journal->state.base && until <= journal->state.last) {
        uint64_t count = until - journal->state.base;

        drop_front(journal, (size_t)(count < count_max ? count : count_max));
    }
}

void journal_condemn(struct journal *journal, uint64_t generation)
{
    struct error error;

    journal->identity.is_condemned = true;
    journal->identity.condemned_generation = generation;
    if (journal->stores != NULL) {
        stores_must(journal->stores,
                    disks_tree_condemn(stores_disks(journal->stores), generation, &error), &error);
    }
}

/* A power cut leaves what was durable; the model's files are so at once. */
void journal_doubt(struct journal *journal, uint64_t generation, const struct tree_doubt *doubt)
{
    struct journal_identity *identity = &journal->identity;
    bool is_first_other = identity->doubted_generations[0] != generation &&
                          (identity->doubted_generations[1] == generation ||
                           identity->doubted_generations[0] == identity->tree_generation);
    size_t slot = is_first_other ? 1 : 0;
    struct error error;

    identity->doubts[slot] = *doubt;
    identity->doubted_generations[slot] = generation;
    if (journal->stores != NULL) {
        stores_must(journal->stores,
                    disks_tree_doubt(stores_disks(journal->stores), generation, doubt, &error),
                    &error);
    }
}

struct tree_doubt journal_tree_doubt(const struct journal *journal)
{
    const struct journal_identity *identity = &journal->identity;

    for (size_t i = 0; i < 2; i++) {
        if (identity->doubted_generations[i] == identity->tree_generation) {
            return identity->doubts[i];
        }
    }
    return (struct tree_doubt){.count = 0};
}

void journal_supersede(struct journal *journal)
{
    struct error error;

    journal->identity.is_superseded = true;
    if (journal->stores != NULL) {
        stores_must(journal->stores, disks_set_superseded(stores_disks(journal->stores), &error),
                    &error);
    }
}

/* The stores trim by themselves. */
static void do_write(struct journal *journal, const struct log_write *write)
{
    if (write->hard_state) {
        journal->observer.on_hard_state(journal->observer.context, write->term, write->vote);
        journal->state.term = write->term;
        journal->state.vote = write->vote;
    }
    if (write->switch_tree) {
        CHECK_OP(write->trim, <=, journal->state.last);
        journal->identity.tree_generation = write->tree_generation;
        if (write->trim > journal->state.base) {
            drop_front(journal, (size_t)(write->trim - journal->state.base));
        }
    }
    if (write->reset) {
        reset(journal, write);
    }
    if (write->entry_count > 0) {
        truncate_from(journal, write->entries[0].index);
    }
    for (size_t i = 0; i < write->entry_count; i++) {
        append(journal, &write->entries[i]);
    }
    if (write->witnesses != NULL) {
        memcpy(journal->identity.witnesses, write->witnesses,
               write->witness_count * sizeof write->witnesses[0]);
        journal->identity.witness_count = write->witness_count;
    }
    if (write->trim > journal->trim) {
        journal->trim = write->trim;
    }
    if (journal->stores == NULL) {
        trim(journal, write->trim, write->entry_count);
    }
}

/* --- The stores' --- */

static void
must_be(const struct journal *journal, const char *what, uint64_t found, uint64_t wanted)
{
    if (found != wanted) {
        stores_differ(journal->stores, "the log's %s is %" PRIu64 ", written was %" PRIu64, what,
                      found, wanted);
    }
}

static void must_agree(const struct journal *journal)
{
    struct log_state found = log_store_state(disks_log(stores_disks(journal->stores)));

    must_be(journal, "term", found.term, journal->state.term);
    must_be(journal, "vote", found.vote, journal->state.vote);
    must_be(journal, "base", found.base, journal->state.base);
    must_be(journal, "base's term", found.base_term, journal->state.base_term);
    must_be(journal, "last entry", found.last, journal->state.last);
}

/* How far the store trims is its own affair, as long as it may. */
static void follow_trim(struct journal *journal)
{
    raft_index base = log_store_state(disks_log(stores_disks(journal->stores))).base;

    if (base > journal->state.base && base <= journal->trim && base <= journal->state.last) {
        drop_front(journal, (size_t)(base - journal->state.base));
    }
    must_agree(journal);
}

void journal_write(struct journal *journal, const struct log_write *const *writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        do_write(journal, writes[i]);
    }
    if (journal->stores != NULL) {
        stores_write(journal->stores, writes, count, journal->trim,
                     (size_t)prng_below(journal->prng, TRIM_MORE));
        follow_trim(journal);
    }
}

void journal_set_cluster(struct journal *journal,
                         const uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES])
{
    struct error error;

    journal->identity.has_cluster = true;
    memcpy(journal->identity.cluster_id, cluster_id, LOG_STORE_CLUSTER_ID_BYTES);
    if (journal->stores != NULL) {
        stores_must(journal->stores,
                    disks_set_cluster(stores_disks(journal->stores), cluster_id, &error), &error);
    }
}

/* --- Reading --- */

static const struct journal_entry *held(const struct journal *journal, raft_index index)
{
    CHECK(journal_holds(journal, index, index));
    return &journal->entries[index - journal->state.base - 1];
}

static void count_start(struct journal *journal)
{
    struct journal_identity *identity = &journal->identity;

    memmove(identity->starts + 1, identity->starts,
            (LOG_STORE_STARTS_MAX - 1) * sizeof identity->starts[0]);
    identity->starts[0] = prng_next(journal->prng);
    identity->start_count++;
    if (identity->start_known < LOG_STORE_STARTS_MAX) {
        identity->start_known++;
    }
}

static void must_agree_on_witnesses(const struct journal *journal)
{
    struct log_witness found[LOG_STORE_WITNESSES_MAX];
    size_t count = log_store_witnesses(disks_log(stores_disks(journal->stores)), found);

    must_be(journal, "number of witnesses", count, journal->identity.witness_count);
    if (memcmp(found, journal->identity.witnesses, count * sizeof found[0]) != 0) {
        stores_differ(journal->stores, "the log's witnesses are others than those written");
    }
}

void journal_on_open(struct journal *journal)
{
    const struct log_identity *found;

    count_start(journal);
    journal->trim = 0;
    if (journal->stores == NULL) {
        return;
    }
    found = log_store_identity(disks_log(stores_disks(journal->stores)));
    must_be(journal, "generation of the tree", found->tree_generation,
            journal->identity.tree_generation);
    must_be(journal, "knowledge of a cluster", found->has_cluster, journal->identity.has_cluster);
    if (found->has_cluster &&
        memcmp(found->cluster_id, journal->identity.cluster_id, sizeof found->cluster_id) != 0) {
        stores_differ(journal->stores, "the log is another cluster's");
    }
    must_agree(journal);
    must_agree_on_witnesses(journal);
}

static void check_entry(const struct journal *journal, const struct log_entry *found)
{
    const struct journal_entry *entry = journal_entry_at(journal, found->index);

    if (entry == NULL || entry->term != found->term || entry->type != found->type ||
        entry->sum != sum_of(found)) {
        stores_differ(journal->stores, "the log's entry %" PRIu64 " is not the one written",
                      found->index);
    }
}

struct visitor {
    const struct journal *journal;
    enum status (*visit)(void *context, const struct log_entry *entry);
    void *context;
    raft_index last;
};

static enum status pass_on(void *context, const struct log_entry *entry)
{
    struct visitor *visitor = context;

    check_entry(visitor->journal, entry);
    must_be(visitor->journal, "next entry", entry->index, visitor->last + 1);
    visitor->last = entry->index;
    return visitor->visit(visitor->context, entry);
}

static struct log_entry log_entry_of(const struct journal *journal, raft_index index)
{
    const struct journal_entry *entry = held(journal, index);

    return (struct log_entry){.index = index,
                              .term = entry->term,
                              .type = entry->type,
                              .payload = bytes_of(entry->data, entry->size)};
}

void journal_visit(const struct journal *journal,
                   enum status (*visit)(void *context, const struct log_entry *entry),
                   void *context)
{
    struct visitor visitor = {
        .journal = journal, .visit = visit, .context = context, .last = journal->state.base};
    struct error error;

    if (journal->stores != NULL) {
        stores_must(journal->stores,
                    log_store_read(disks_log(stores_disks(journal->stores)),
                                   journal->state.base + 1, journal->state.last, pass_on, &visitor,
                                   &error),
                    &error);
        must_be(journal, "last entry read", visitor.last, journal->state.last);
        return;
    }
    for (raft_index index = journal->state.base + 1; index <= journal->state.last; index++) {
        struct log_entry entry = log_entry_of(journal, index);

        CHECK(visit(context, &entry) == STATUS_OK);
    }
}

static void read_from_stores(const struct journal *journal, struct log_job *job)
{
    log_job_read(disks_log(stores_disks(journal->stores)), job);
    stores_must(journal->stores, job->read_status, &job->read_error);
    must_be(journal, "readable part", job->entry_count > 0, true);
    for (size_t i = 0; i < job->entry_count; i++) {
        must_be(journal, "next entry", job->entries[i].index, job->first + i);
        check_entry(journal, &job->entries[i]);
    }
}

/* How many of the wanted entries fit; 0: one of them is damaged. */
static size_t count_fitting(const struct journal *journal, const struct log_job *job)
{
    uint64_t total = 0;
    size_t count = 0;

    for (raft_index index = job->first; index <= job->last; index++) {
        const struct journal_entry *entry = held(journal, index);

        total += entry->size;
        if (count > 0 && total > job->bytes_max) {
            break;
        }
        if (entry->damaged) {
            return 0;
        }
        count++;
    }
    return count;
}

void journal_read(const struct journal *journal, struct log_job *job)
{
    size_t count;
    size_t at = 0;

    if (!journal_holds(journal, job->first, job->last)) {
        job->read_status = error_set(&job->read_error, STATUS_NOT_FOUND, "not all there");
        return;
    }
    count = count_fitting(journal, job);
    if (count == 0) {
        job->read_status = error_set(&job->read_error, STATUS_CORRUPT, "a bit flipped");
        return;
    }
    if (journal->stores != NULL) {
        read_from_stores(journal, job);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct journal_entry *entry = held(journal, job->first + i);

        buffer_put(&job->payloads, bytes_of(entry->data, entry->size));
    }
    job->entries = xcalloc(count, sizeof *job->entries);
    job->entry_count = count;
    for (size_t i = 0; i < count; i++) {
        raft_index index = job->first + i;

        job->entries[i] = log_entry_of(journal, index);
        if (job->entries[i].payload.size > 0) {
            job->entries[i].payload.data = job->payloads.data + at;
            at += job->entries[i].payload.size;
        }
    }
    job->read_status = STATUS_OK;
}

/* --- Damage --- */

bool journal_damage_entry(struct journal *journal, struct prng *prng)
{
    if (count_of(journal) == 0) {
        return false;
    }
    journal->entries[prng_below(prng, count_of(journal))].damaged = true;
    return true;
}

void journal_damage_hard_state(struct journal *journal)
{
    journal->hard_state_is_damaged = true;
}
