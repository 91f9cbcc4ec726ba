/* What may enter the core from outside. */
#include "raft/raft.h"

#include "raft/raft_internal.h"

static bool is_small(uint64_t number)
{
    return number < RAFT_NUMBER_MAX;
}

/* An (index, term) pair: both zero or both not, and no later than the message's term. */
static bool is_position(raft_index index, raft_term term, raft_term message_term)
{
    return is_small(index) && (index == 0) == (term == 0) && term <= message_term;
}

static bool entry_is_legal(const struct raft_entry *entry, uint32_t entry_bytes_max)
{
    switch (entry->type) {
    case RAFT_ENTRY_COMMAND:
    case RAFT_ENTRY_CONFIG:
        return entry->bytes <= entry_bytes_max;
    case RAFT_ENTRY_NOOP:
        return entry->bytes == 0;
    }
    return false;
}

static bool entries_are_legal(const struct raft_message *message, uint32_t entry_bytes_max)
{
    raft_term previous = message->append.previous_term;
    uint32_t configs = 0;
    for (uint32_t i = 0; i < message->append.entry_count; i++) {
        const struct raft_entry *entry = &message->append.entries[i];
        if (entry->term == 0 || entry->term < previous || entry->term > message->term ||
            !entry_is_legal(entry, entry_bytes_max)) {
            return false;
        }
        previous = entry->term;
        if (entry->type != RAFT_ENTRY_CONFIG) {
            continue;
        }
        const struct raft_config *config =
            message->append.configs != NULL ? message->append.configs[configs++] : NULL;
        if (config == NULL || raft_config_validate(config) != STATUS_OK) {
            return false;
        }
    }
    return true;
}

static bool append_is_legal(const struct raft_message *message, uint32_t entry_bytes_max)
{
    uint32_t count = message->append.entry_count;
    return is_position(message->append.previous_index, message->append.previous_term,
                       message->term) &&
           is_small(message->append.commit) && count <= RAFT_MESSAGE_ENTRIES_MAX &&
           is_small(message->append.previous_index + count) &&
           (count == 0 || message->append.entries != NULL) &&
           entries_are_legal(message, entry_bytes_max);
}

static bool append_response_is_legal(const struct raft_message *message)
{
    if (!is_small(message->append_response.index)) {
        return false;
    }
    return message->append_response.ok ||
           (message->append_response.hint_index <= message->append_response.index &&
            is_position(message->append_response.hint_index, message->append_response.hint_term,
                        message->term));
}

static bool body_is_legal(const struct raft_message *message, uint32_t entry_bytes_max)
{
    switch (message->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        return is_position(message->vote.last_index, message->vote.last_term, message->term) &&
               (message->type == RAFT_VOTE || !message->vote.transfer);
    case RAFT_APPEND:
        return append_is_legal(message, entry_bytes_max);
    case RAFT_APPEND_RESPONSE:
        return append_response_is_legal(message);
    case RAFT_HEARTBEAT:
        return is_small(message->heartbeat.commit);
    case RAFT_TIMEOUT_NOW:
        return is_position(message->timeout_now.last_index, message->timeout_now.last_term,
                           message->term);
    case RAFT_READ_INDEX_RESPONSE:
        return is_small(message->read_index_response.index);
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
    case RAFT_HEARTBEAT_RESPONSE:
    case RAFT_TIMEOUT_NOW_RESPONSE:
    case RAFT_READ_INDEX:
        return true;
    }
    return false;
}

enum status raft_message_validate(const struct raft_message *message, uint32_t entry_bytes_max)
{
    bool legal = message->from != 0 && message->to != 0 && message->from != message->to &&
                 message->term > 0 && is_small(message->term) &&
                 body_is_legal(message, entry_bytes_max);
    return legal ? STATUS_OK : STATUS_INVALID;
}
