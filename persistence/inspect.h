/* Reads the log and a generation of the tree of a stopped server to the last byte, without LMDB and
 * without changing anything, and tells everything that is wrong with them: they may be damaged in
 * any way. */
#ifndef PERSISTENCE_INSPECT_H
#define PERSISTENCE_INSPECT_H

#include "persistence/log_store.h"
#include "persistence/page_walk.h"
#include "persistence/tree_store.h"

/* Calls back with one line on each thing that is wrong, as in "entry 17 is damaged". */
typedef void inspect_damage(void *context, const char *text);

struct log_inspection {
    /* In. */
    const char *path; /* DIR/log */
    inspect_damage *on_damage;
    /* Each sound entry, in order; lent for the call. May be NULL. */
    void (*on_entry)(void *context, const struct log_entry *entry);
    void *context;
    /* Out. */
    struct page_walk pages;
    bool has_identity; /* it was there and sound; the same for the others */
    bool has_hard_state;
    bool has_base;
    bool has_witnesses;
    bool has_stamp;
    uint32_t format;
    struct log_identity identity;
    struct log_state state; /* `last`: of the last entry found */
    struct log_witness witnesses[LOG_STORE_WITNESSES_MAX];
    size_t witness_count;
    uint64_t stamp;
    uint64_t entry_count; /* sound ones */
    uint64_t tail_count;  /* those behind `state.last` that the next start takes in (log_tail.h) */
    uint64_t payload_bytes;
};

/* OK: read to the end, also when damage was told. NOT_FOUND: there is none. IO, CORRUPT as
 * page_walk. */
MUST_CHECK enum status log_inspect(struct log_inspection *inspection, struct error *error);

struct tree_inspection {
    /* In. */
    const char *path; /* DIR/tree-N */
    inspect_damage *on_damage;
    /* Each sound record, in order; lent for the call. May be NULL. */
    void (*on_record)(void *context, struct bytes key, struct bytes value);
    void *context;
    /* Out. */
    struct page_walk pages;
    bool has_meta;
    uint32_t format;
    struct tree_meta meta;       /* `config` lent from `config_buffer` */
    struct buffer config_buffer; /* the caller releases it */
    uint64_t record_count;       /* sound ones */
};

/* As log_inspect. */
MUST_CHECK enum status tree_inspect(struct tree_inspection *inspection, struct error *error);

#endif
