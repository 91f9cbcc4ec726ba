/* Small numbers for what cores exchange and keep: configurations, log entries, messages. Equal
 * numbers mean equal things, so states can be compared and stored by them. */
#ifndef TESTS_EXPLORER_VOCABULARY_H
#define TESTS_EXPLORER_VOCABULARY_H

#include "raft/raft.h"
#include "tests/explorer/intern.h"

enum {
    VOCABULARY_LOG_MAX = 12, /* indexes in one run */
    /* A dump on its way, beside the types of raft.h. Its term is that of the sender. */
    VOCABULARY_DUMP = 100
};

/* An entry with what stands for its payload. */
struct vocabulary_entry {
    uint8_t term;
    uint8_t type;
    uint8_t tag;    /* COMMAND: which proposal; NOOP: who leads */
    uint8_t config; /* CONFIG: number of the configuration */
};

/* A message in single bytes. The meaning of `words` depends on the type: see pack_body. */
struct vocabulary_message {
    uint8_t type;
    uint8_t from;
    uint8_t to;
    uint8_t term;
    uint8_t words[5];
    uint8_t entry_count;
    uint8_t entries[VOCABULARY_LOG_MAX]; /* numbers of entries */
};

enum { VOCABULARY_DUMP_INDEX, VOCABULARY_DUMP_TERM, VOCABULARY_DUMP_AT, VOCABULARY_DUMP_CONFIG };

struct vocabulary {
    struct intern configs;
    struct intern entries;
    struct intern messages;
};

void vocabulary_init(struct vocabulary *vocabulary);
void vocabulary_release(struct vocabulary *vocabulary);
size_t vocabulary_bytes(const struct vocabulary *vocabulary);

/* Numbers from 1 on; 0 stands for none. */
uint8_t vocabulary_add_config(struct vocabulary *vocabulary, const struct raft_config *config);
const struct raft_config *vocabulary_config(const struct vocabulary *vocabulary, uint8_t number);
uint8_t vocabulary_add_entry(struct vocabulary *vocabulary, struct vocabulary_entry entry);
struct vocabulary_entry vocabulary_entry_of(const struct vocabulary *vocabulary, uint8_t number);
uint32_t vocabulary_add_message(struct vocabulary *vocabulary,
                                const struct vocabulary_message *message);
const struct vocabulary_message *vocabulary_message_of(const struct vocabulary *vocabulary,
                                                       uint32_t number);

/* All but the entries of an APPEND, which the caller knows. */
struct vocabulary_message vocabulary_pack(const struct raft_message *message);

struct vocabulary_unpacked {
    struct raft_message message; /* points into this struct */
    struct raft_entry entries[VOCABULARY_LOG_MAX];
    const struct raft_config *configs[VOCABULARY_LOG_MAX];
};

/* Not for dumps. */
void vocabulary_unpack(const struct vocabulary *vocabulary,
                       const struct vocabulary_message *from,
                       struct vocabulary_unpacked *ret);

const char *vocabulary_type_name(const struct vocabulary_message *message);

#endif
