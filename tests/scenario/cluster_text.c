#include "tests/scenario/cluster_text.h"

#include <inttypes.h>
#include <stdarg.h>

__attribute__((format(printf, 2, 3))) void
cluster_text_narrate(const struct cluster *cluster, const char *format, ...)
{
    if (cluster->trace != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(cluster->trace, format, arguments);
        va_end(arguments);
    }
}

static void print_entries(FILE *to, const struct raft_message *message)
{
    static const char *const kinds[] = {
        [RAFT_ENTRY_COMMAND] = "", [RAFT_ENTRY_NOOP] = " noop", [RAFT_ENTRY_CONFIG] = " config"};
    fputs(" [", to);
    for (uint32_t i = 0; i < message->append.entry_count; i++) {
        const struct raft_entry *entry = &message->append.entries[i];
        fprintf(to, "%s%" PRIu64 "/%" PRIu64 "%s", i > 0 ? ", " : "",
                message->append.previous_index + 1 + i, entry->term, kinds[entry->type]);
    }
    fputc(']', to);
}

static void print_round(FILE *to, uint64_t round)
{
    if (round != 0) {
        fprintf(to, " round=%" PRIu64, round);
    }
}

static void print_body(FILE *to, const struct raft_message *m)
{
    switch (m->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        fprintf(to, " last=%" PRIu64 "/%" PRIu64 "%s", m->vote.last_index, m->vote.last_term,
                m->vote.transfer ? " transfer" : "");
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        fputs(m->vote_response.granted ? " granted" : " refused", to);
        break;
    case RAFT_APPEND:
        fprintf(to, " previous=%" PRIu64 "/%" PRIu64 " commit=%" PRIu64, m->append.previous_index,
                m->append.previous_term, m->append.commit);
        print_entries(to, m);
        print_round(to, m->append.read_round);
        break;
    case RAFT_APPEND_RESPONSE:
        if (m->append_response.ok) {
            fprintf(to, " ok %" PRIu64, m->append_response.index);
        } else {
            fprintf(to, " refused %" PRIu64 " hint=%" PRIu64 "/%" PRIu64, m->append_response.index,
                    m->append_response.hint_index, m->append_response.hint_term);
        }
        print_round(to, m->append_response.read_round);
        break;
    case RAFT_HEARTBEAT:
        fprintf(to, " commit=%" PRIu64 "%s", m->heartbeat.commit,
                m->heartbeat.quiet ? " quiet" : "");
        print_round(to, m->heartbeat.read_round);
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        print_round(to, m->heartbeat_response.read_round);
        break;
    case RAFT_TIMEOUT_NOW:
        fprintf(to, " last=%" PRIu64 "/%" PRIu64, m->timeout_now.last_index,
                m->timeout_now.last_term);
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        fputs(m->timeout_now_response.accepted ? " accepted" : " refused", to);
        break;
    case RAFT_READ_INDEX:
        break;
    case RAFT_READ_INDEX_RESPONSE:
        if (m->read_index_response.ok) {
            fprintf(to, " ok %" PRIu64, m->read_index_response.index);
        } else {
            fputs(" failed", to);
        }
        break;
    }
}

void cluster_text_print_message(FILE *to, const struct raft_message *message)
{
    fprintf(to, "%" PRIu64 " > %" PRIu64 " %s term=%" PRIu64, message->from, message->to,
            raft_message_name(message->type), message->term);
    print_body(to, message);
    fputc('\n', to);
}

static void print_members(FILE *to, const struct raft_config *config, uint8_t flag)
{
    const char *separator = "";
    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & flag) != 0) {
            fprintf(to, "%s%" PRIu64, separator, config->members[i].id);
            separator = ",";
        }
    }
}

void cluster_text_print_config(FILE *to, const struct raft_config *config)
{
    if (config->joint) {
        fputs("joint old=", to);
        print_members(to, config, RAFT_VOTER_OLD);
        fputs(" new=", to);
    } else {
        fputs("voters=", to);
    }
    print_members(to, config, RAFT_VOTER_NEW);
    fputs(" learners=", to);
    print_members(to, config, RAFT_LEARNER);
}
