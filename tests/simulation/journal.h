/* The log of one modelled disk as it is durable: identity, hard state, base, entries. With the
 * shipped stores beneath it every write goes to them too, and what a server reads comes from them;
 * both must hold the same after each write. */
#ifndef TESTS_SIMULATION_JOURNAL_H
#define TESTS_SIMULATION_JOURNAL_H

#include "base/prng.h"
#include "persistence/log_thread.h"
#include "persistence/tree_doubt.h"
#include "tests/simulation/stores.h"

struct journal;

/* Told at once, from inside the model. */
struct journal_observer {
    void *context;
    void (*on_hard_state)(void *context, raft_term term, raft_id vote);
    /* Before the entries from `first` on are cut off. */
    void (*on_truncate)(void *context, raft_index first);
    void (*on_append)(void *context, raft_index index);
    void (*on_reset)(void *context, raft_index index, raft_term term);
};

struct journal_entry {
    raft_term term;
    enum raft_entry_type type;
    uint64_t sum; /* of type and payload */
    bool damaged;
    uint32_t size;
    uint8_t *data;
};

struct journal_identity {
    bool has_cluster;
    uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES];
    uint64_t tree_generation;
    uint64_t start_count;
    uint64_t starts[LOG_STORE_STARTS_MAX]; /* as in log_identity, but drawn by the model */
    uint32_t start_known;
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
    size_t witness_count;
    bool is_superseded;
    bool is_condemned; /* this generation: */
    uint64_t condemned_generation;
    struct tree_doubt
        doubts[2]; /* of the generation in use and of one that is to be, in any order */
    uint64_t doubted_generations[2];
};

/* `prng` and `stores`, which may be NULL, outlive it. */
struct journal *
journal_new(struct prng *prng, struct stores *stores, const struct journal_observer *observer);
void journal_free(struct journal *journal);
/* Hold what the other holds; the stores beneath do already. */
void journal_take(struct journal *journal, const struct journal *from);

const struct journal_identity *journal_identity(const struct journal *journal);
struct log_state journal_state(const struct journal *journal);
/* NULL unless base < index <= last. */
const struct journal_entry *journal_entry_at(const struct journal *journal, raft_index index);
/* The term at base <= index <= last; 0 elsewhere. */
raft_term journal_term(const struct journal *journal, raft_index index);
bool journal_holds(const struct journal *journal, raft_index first, raft_index last);
bool journal_is_damaged(const struct journal *journal);

void journal_set_cluster(struct journal *journal,
                         const uint8_t cluster_id[LOG_STORE_CLUSTER_ID_BYTES]);
void journal_condemn(struct journal *journal, uint64_t generation);
void journal_doubt(struct journal *journal, uint64_t generation, const struct tree_doubt *doubt);
/* Of the generation in use. */
struct tree_doubt journal_tree_doubt(const struct journal *journal);
void journal_supersede(struct journal *journal);
/* One transaction. Some of the entries that may go are trimmed. */
void journal_write(struct journal *journal, const struct log_write *const *writes, size_t count);

/* A process began, and opened the stores, which must hold what was written; a start is counted. */
void journal_on_open(struct journal *journal);
/* Every entry, in order, as a starting server reads it. */
void journal_visit(const struct journal *journal,
                   enum status (*visit)(void *context, const struct log_entry *entry),
                   void *context);
/* Fill in a LOG_JOB_READ. */
void journal_read(const struct journal *journal, struct log_job *job);

/* Flip a bit in an entry, as `prng` draws. False: there is none. */
bool journal_damage_entry(struct journal *journal, struct prng *prng);
void journal_damage_hard_state(struct journal *journal);

#endif
