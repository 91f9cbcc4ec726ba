#include "tests/explorer/vocabulary.h"

#include "base/check.h"

#include <string.h>

/* The payload of every COMMAND. */
enum { COMMAND_BYTES = 1 };

void vocabulary_init(struct vocabulary *vocabulary)
{
    intern_init(&vocabulary->configs);
    intern_init(&vocabulary->entries);
    intern_init(&vocabulary->messages);
    /* Number 0 is none. */
    intern_add(&vocabulary->configs, bytes_of("none", 4));
    intern_add(&vocabulary->entries, bytes_of("none!", 5));
}

void vocabulary_release(struct vocabulary *vocabulary)
{
    intern_release(&vocabulary->configs);
    intern_release(&vocabulary->entries);
    intern_release(&vocabulary->messages);
}

size_t vocabulary_bytes(const struct vocabulary *vocabulary)
{
    return vocabulary->configs.bytes_used + vocabulary->entries.bytes_used +
           vocabulary->messages.bytes_used;
}

static uint8_t small(uint64_t number)
{
    CHECK_OP(number, <=, UINT8_MAX);
    return (uint8_t)number;
}

/* --- Configurations and entries --- */

uint8_t vocabulary_add_config(struct vocabulary *vocabulary, const struct raft_config *config)
{
    return small(intern_add(&vocabulary->configs, bytes_of(config, sizeof *config)));
}

const struct raft_config *vocabulary_config(const struct vocabulary *vocabulary, uint8_t number)
{
    CHECK_OP(number, >, 0);
    return (const void *)intern_lend(&vocabulary->configs, number).data;
}

uint8_t vocabulary_add_entry(struct vocabulary *vocabulary, struct vocabulary_entry entry)
{
    return small(intern_add(&vocabulary->entries, bytes_of(&entry, sizeof entry)));
}

struct vocabulary_entry vocabulary_entry_of(const struct vocabulary *vocabulary, uint8_t number)
{
    CHECK_OP(number, >, 0);
    struct vocabulary_entry entry;
    memcpy(&entry, intern_lend(&vocabulary->entries, number).data, sizeof entry);
    return entry;
}

/* --- Messages --- */

uint32_t vocabulary_add_message(struct vocabulary *vocabulary,
                                const struct vocabulary_message *message)
{
    return intern_add(&vocabulary->messages, bytes_of(message, sizeof *message));
}

const struct vocabulary_message *vocabulary_message_of(const struct vocabulary *vocabulary,
                                                       uint32_t number)
{
    return (const void *)intern_lend(&vocabulary->messages, number).data;
}

static void pack_body(const struct raft_message *m, struct vocabulary_message *to)
{
    uint64_t words[sizeof to->words] = {0};
    switch (m->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        words[0] = m->vote.last_index;
        words[1] = m->vote.last_term;
        words[2] = m->vote.round;
        words[3] = m->vote.transfer;
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        words[0] = m->vote_response.round;
        words[1] = m->vote_response.granted;
        break;
    case RAFT_APPEND:
        words[0] = m->append.previous_index;
        words[1] = m->append.previous_term;
        words[2] = m->append.commit;
        words[3] = m->append.read_round;
        to->entry_count = small(m->append.entry_count);
        break;
    case RAFT_APPEND_RESPONSE:
        words[0] = m->append_response.ok;
        words[1] = m->append_response.index;
        words[2] = m->append_response.hint_index;
        words[3] = m->append_response.hint_term;
        words[4] = m->append_response.read_round;
        break;
    case RAFT_HEARTBEAT:
        words[0] = m->heartbeat.commit;
        words[1] = m->heartbeat.read_round;
        words[2] = m->heartbeat.quiet;
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        words[0] = m->heartbeat_response.read_round;
        break;
    case RAFT_TIMEOUT_NOW:
        words[0] = m->timeout_now.last_index;
        words[1] = m->timeout_now.last_term;
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        words[0] = m->timeout_now_response.accepted;
        break;
    case RAFT_READ_INDEX:
        words[0] = m->read_index.token;
        break;
    case RAFT_READ_INDEX_RESPONSE:
        words[0] = m->read_index_response.token;
        words[1] = m->read_index_response.ok;
        words[2] = m->read_index_response.index;
        break;
    }
    for (size_t i = 0; i < sizeof to->words; i++) {
        to->words[i] = small(words[i]);
    }
}

struct vocabulary_message vocabulary_pack(const struct raft_message *message)
{
    struct vocabulary_message packed = {.type = small(message->type),
                                        .from = small(message->from),
                                        .to = small(message->to),
                                        .term = small(message->term)};
    pack_body(message, &packed);
    return packed;
}

static void unpack_append(const struct vocabulary *vocabulary,
                          const struct vocabulary_message *from,
                          struct vocabulary_unpacked *to)
{
    struct raft_message *m = &to->message;
    m->append.previous_index = from->words[0];
    m->append.previous_term = from->words[1];
    m->append.commit = from->words[2];
    m->append.read_round = from->words[3];
    m->append.entry_count = from->entry_count;
    m->append.entries = to->entries;
    m->append.configs = to->configs;
    size_t config_count = 0;
    for (size_t i = 0; i < from->entry_count; i++) {
        struct vocabulary_entry entry = vocabulary_entry_of(vocabulary, from->entries[i]);
        to->entries[i] =
            (struct raft_entry){.term = entry.term,
                                .bytes = entry.type == RAFT_ENTRY_COMMAND ? COMMAND_BYTES : 0,
                                .type = (enum raft_entry_type)entry.type};
        if (entry.type == RAFT_ENTRY_CONFIG) {
            to->configs[config_count++] = vocabulary_config(vocabulary, entry.config);
        }
    }
}

void vocabulary_unpack(const struct vocabulary *vocabulary,
                       const struct vocabulary_message *from,
                       struct vocabulary_unpacked *ret)
{
    struct raft_message *m = &ret->message;
    memset(m, 0, sizeof *m);
    m->type = (enum raft_message_type)from->type;
    m->from = from->from;
    m->to = from->to;
    m->term = from->term;
    const uint8_t *words = from->words;
    switch (m->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        m->vote.last_index = words[0];
        m->vote.last_term = words[1];
        m->vote.round = words[2];
        m->vote.transfer = words[3] != 0;
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        m->vote_response.round = words[0];
        m->vote_response.granted = words[1] != 0;
        break;
    case RAFT_APPEND:
        unpack_append(vocabulary, from, ret);
        break;
    case RAFT_APPEND_RESPONSE:
        m->append_response.ok = words[0] != 0;
        m->append_response.index = words[1];
        m->append_response.hint_index = words[2];
        m->append_response.hint_term = words[3];
        m->append_response.read_round = words[4];
        break;
    case RAFT_HEARTBEAT:
        m->heartbeat.commit = words[0];
        m->heartbeat.read_round = words[1];
        m->heartbeat.quiet = words[2] != 0;
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        m->heartbeat_response.read_round = words[0];
        break;
    case RAFT_TIMEOUT_NOW:
        m->timeout_now.last_index = words[0];
        m->timeout_now.last_term = words[1];
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        m->timeout_now_response.accepted = words[0] != 0;
        break;
    case RAFT_READ_INDEX:
        m->read_index.token = words[0];
        break;
    case RAFT_READ_INDEX_RESPONSE:
        m->read_index_response.token = words[0];
        m->read_index_response.ok = words[1] != 0;
        m->read_index_response.index = words[2];
        break;
    }
}

const char *vocabulary_type_name(const struct vocabulary_message *message)
{
    return message->type == VOCABULARY_DUMP
               ? "DUMP"
               : raft_message_name((enum raft_message_type)message->type);
}
