#include "raft/raft.h"

#include "tests/support/test.h"

#include <string.h>

enum { ENTRY_BYTES_MAX = 1000 };

static struct raft_entry entries[3];
static struct raft_config config;
static const struct raft_config *configs[1] = {&config};

static struct raft_message message_of(enum raft_message_type type)
{
    struct raft_message message;
    memset(&message, 0, sizeof message);
    message.type = type;
    message.from = 1;
    message.to = 2;
    message.term = 5;
    return message;
}

static struct raft_message append(void)
{
    memset(&config, 0, sizeof config);
    config.member_count = 1;
    config.members[0].id = 1;
    config.members[0].flags = RAFT_VOTER_NEW;
    entries[0] = (struct raft_entry){.term = 3, .type = RAFT_ENTRY_COMMAND, .bytes = 10};
    entries[1] = (struct raft_entry){.term = 4, .type = RAFT_ENTRY_NOOP};
    entries[2] = (struct raft_entry){.term = 5, .type = RAFT_ENTRY_CONFIG, .bytes = 20};
    configs[0] = &config;
    struct raft_message message = message_of(RAFT_APPEND);
    message.append.previous_index = 7;
    message.append.previous_term = 3;
    message.append.commit = 6;
    message.append.entry_count = 3;
    message.append.entries = entries;
    message.append.configs = configs;
    return message;
}

static bool is_legal(const struct raft_message *message)
{
    return raft_message_validate(message, ENTRY_BYTES_MAX) == STATUS_OK;
}

static void test_zeroed_bodies_are_legal(void)
{
    for (int type = RAFT_PREVOTE; type <= RAFT_READ_INDEX_RESPONSE; type++) {
        struct raft_message message = message_of((enum raft_message_type)type);
        EXPECT(is_legal(&message));
        EXPECT(strcmp(raft_message_name(message.type), "UNKNOWN") != 0);
    }
}

static void test_headers_are_checked(void)
{
    struct raft_message message = message_of(RAFT_HEARTBEAT);
    message.from = 0;
    EXPECT(!is_legal(&message));
    message = message_of(RAFT_HEARTBEAT);
    message.to = 0;
    EXPECT(!is_legal(&message));
    message = message_of(RAFT_HEARTBEAT);
    message.to = message.from;
    EXPECT(!is_legal(&message));
    message = message_of(RAFT_HEARTBEAT);
    message.term = 0;
    EXPECT(!is_legal(&message));
    message.term = UINT64_MAX;
    EXPECT(!is_legal(&message));
    message = message_of((enum raft_message_type)0);
    EXPECT(!is_legal(&message));
    message = message_of((enum raft_message_type)(RAFT_READ_INDEX_RESPONSE + 1));
    EXPECT(!is_legal(&message));
}

static void test_append_is_legal_as_built(void)
{
    struct raft_message message = append();
    EXPECT(is_legal(&message));
}

static void test_previous_term_and_index_go_together(void)
{
    struct raft_message message = append();
    message.append.previous_term = 0;
    EXPECT(!is_legal(&message));
    message = append();
    message.append.previous_index = 0;
    EXPECT(!is_legal(&message));
    message.append.previous_term = 0;
    EXPECT(is_legal(&message));
    message = append();
    message.append.previous_term = 6;
    message.append.entry_count = 0;
    EXPECT(!is_legal(&message));
}

static void test_indexes_cannot_overflow(void)
{
    struct raft_message message = append();
    message.append.previous_index = UINT64_MAX - 1;
    EXPECT(!is_legal(&message));
    message = append();
    message.append.commit = UINT64_MAX;
    EXPECT(!is_legal(&message));
    message = message_of(RAFT_HEARTBEAT);
    message.heartbeat.commit = UINT64_MAX;
    EXPECT(!is_legal(&message));
    message = message_of(RAFT_APPEND_RESPONSE);
    message.append_response.ok = true;
    message.append_response.index = UINT64_MAX;
    EXPECT(!is_legal(&message));
    message = message_of(RAFT_READ_INDEX_RESPONSE);
    message.read_index_response.index = UINT64_MAX;
    EXPECT(!is_legal(&message));
}

static void test_entry_terms_neither_fall_nor_pass_the_message(void)
{
    struct raft_message message = append();
    entries[0].term = 2;
    EXPECT(!is_legal(&message));
    message = append();
    entries[1].term = 2;
    EXPECT(!is_legal(&message));
    message = append();
    entries[2].term = 6;
    EXPECT(!is_legal(&message));
    message = append();
    message.append.previous_index = 0;
    message.append.previous_term = 0;
    entries[0].term = 0;
    EXPECT(!is_legal(&message));
}

static void test_entries_are_of_known_type_and_size(void)
{
    struct raft_message message = append();
    entries[0].type = (enum raft_entry_type)0;
    EXPECT(!is_legal(&message));
    message = append();
    entries[0].type = (enum raft_entry_type)4;
    EXPECT(!is_legal(&message));
    message = append();
    entries[0].bytes = ENTRY_BYTES_MAX + 1;
    EXPECT(!is_legal(&message));
    message = append();
    entries[1].bytes = 1;
    EXPECT(!is_legal(&message));
    message = append();
    message.append.entry_count = RAFT_MESSAGE_ENTRIES_MAX + 1;
    EXPECT(!is_legal(&message));
    message = append();
    message.append.entries = NULL;
    EXPECT(!is_legal(&message));
}

static void test_configurations_are_present_and_legal(void)
{
    struct raft_message message = append();
    config.members[0].flags = 0;
    EXPECT(!is_legal(&message));
    message = append();
    message.append.configs = NULL;
    EXPECT(!is_legal(&message));
    message = append();
    configs[0] = NULL;
    EXPECT(!is_legal(&message));
    configs[0] = &config;
}

static void test_votes_name_a_possible_last_entry(void)
{
    struct raft_message message = message_of(RAFT_VOTE);
    message.vote.last_index = 3;
    EXPECT(!is_legal(&message));
    message.vote.last_term = 5;
    EXPECT(is_legal(&message));
    message.vote.last_term = 6;
    EXPECT(!is_legal(&message));
    message = message_of(RAFT_VOTE);
    message.vote.last_term = 1;
    EXPECT(!is_legal(&message));
    message = message_of(RAFT_PREVOTE);
    message.vote.transfer = true;
    EXPECT(!is_legal(&message));
}

static void test_hints_lie_at_or_below_the_refused_index(void)
{
    struct raft_message message = message_of(RAFT_APPEND_RESPONSE);
    message.append_response.index = 5;
    message.append_response.hint_index = 5;
    message.append_response.hint_term = 2;
    EXPECT(is_legal(&message));
    message.append_response.hint_index = 6;
    EXPECT(!is_legal(&message));
    message.append_response.hint_index = 4;
    message.append_response.hint_term = 0;
    EXPECT(!is_legal(&message));
    message.append_response.hint_term = 6;
    EXPECT(!is_legal(&message));
}

static void test_timeout_now_names_a_possible_last_entry(void)
{
    struct raft_message message = message_of(RAFT_TIMEOUT_NOW);
    message.timeout_now.last_index = 1;
    EXPECT(!is_legal(&message));
    message.timeout_now.last_term = 5;
    EXPECT(is_legal(&message));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_zeroed_bodies_are_legal),
        TEST_CASE(test_headers_are_checked),
        TEST_CASE(test_append_is_legal_as_built),
        TEST_CASE(test_previous_term_and_index_go_together),
        TEST_CASE(test_indexes_cannot_overflow),
        TEST_CASE(test_entry_terms_neither_fall_nor_pass_the_message),
        TEST_CASE(test_entries_are_of_known_type_and_size),
        TEST_CASE(test_configurations_are_present_and_legal),
        TEST_CASE(test_votes_name_a_possible_last_entry),
        TEST_CASE(test_hints_lie_at_or_below_the_refused_index),
        TEST_CASE(test_timeout_now_names_a_possible_last_entry),
        TEST_END};
    return test_main("raft_message", cases, argc, argv);
}
