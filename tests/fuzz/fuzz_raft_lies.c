/* Bytes as what peers say to one core that believes no more than it must: any legal message, of
 * members and strangers, in terms around the present one, true or not, between time that passes,
 * writes that finish late, and everything that a driver asks. What is promised is only that no
 * message ends the core or breaks what holds in it (raft_check): who lies as a member can break a
 * cluster. */
#include "base/bytes.h"
#include "base/check.h"
#include "raft/raft.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    SELF = 1,
    VOTERS = 3,
    IDS = 6, /* the last ones are in no configuration at first */
    EVENTS_MAX = 400,
    ENTRIES_MAX = 3,
    WRITES_MAX = 256,
    TERM_LEAP_MAX = 2,
    LOG_ENTRIES_MAX = 32,
    TICK_US = 4000
};

struct play {
    struct raft *raft;
    struct raft_options options;
    struct raft_output output;
    raft_time now;
    raft_seq writes[WRITES_MAX]; /* not finished yet, oldest first */
    size_t write_count;
    uint64_t token;
    bool has_false_members; /* configurations that cannot follow one another */
    struct reader bytes;
};

/* 0 when there are no more: the shortest input says the least. */
static uint8_t draw(struct play *play)
{
    uint8_t byte = 0;

    (void)!reader_u8(&play->bytes, &byte);
    return byte;
}

static size_t draw_below(struct play *play, size_t bound)
{
    return draw(play) % bound;
}

static raft_id draw_other(struct play *play)
{
    return 2 + draw_below(play, IDS - 1);
}

/* Around one of the places that matter, so that it is often nearly right. */
static raft_index draw_index(struct play *play)
{
    struct raft_status status = raft_status(play->raft);
    const raft_index places[] = {status.log_base, status.commit_index, status.last_index,
                                 status.durable_index, 2};
    raft_index place =
        places[draw_below(play, sizeof places / sizeof *places)] + draw_below(play, 5);

    return place > 2 ? place - 2 : 0;
}

/* The true one mostly. */
static raft_term draw_term_at(struct play *play, raft_index index, raft_term most)
{
    uint8_t lie = draw(play);
    raft_term term = raft_term_at(play->raft, index);

    if (index == 0) {
        return 0;
    }
    return lie < 192 && term != 0 && term <= most ? term : 1 + lie % most;
}

static void draw_config(struct play *play, struct raft_config *config)
{
    uint8_t members = draw(play);

    memset(config, 0, sizeof *config);
    config->joint = (members & 1) != 0;
    for (raft_id id = 1; id <= IDS; id++) {
        if ((members >> id & 1) != 0) {
            uint8_t flags = draw(play) & (RAFT_VOTER_NEW | RAFT_VOTER_OLD | RAFT_PROMOTE);

            config->members[config->member_count].id = id;
            config->members[config->member_count].flags = flags;
            config->member_count++;
        }
    }
}

/* --- What comes in --- */

static void fill_append(struct play *play,
                        struct raft_message *message,
                        struct raft_entry *entries,
                        const struct raft_config *config,
                        const struct raft_config **configs)
{
    raft_term term;

    message->append.previous_index = draw_index(play);
    message->append.previous_term =
        draw_term_at(play, message->append.previous_index, message->term);
    message->append.commit = draw_index(play);
    message->append.read_round = draw(play);
    message->append.entry_count = (uint32_t)draw_below(play, ENTRIES_MAX + 1);
    message->append.entries = entries;
    message->append.configs = configs;
    term = message->append.previous_term;
    for (uint32_t i = 0; i < message->append.entry_count; i++) {
        raft_term next = draw_term_at(play, message->append.previous_index + 1 + i, message->term);

        term = next > term ? next : term;
        entries[i] =
            (struct raft_entry){.term = term, .type = RAFT_ENTRY_COMMAND, .bytes = draw(play)};
        configs[i] = config;
        if (draw(play) % 8 == 0) {
            entries[i].type = RAFT_ENTRY_CONFIG;
        }
    }
}

static void fill(struct play *play, struct raft_message *message)
{
    switch (message->type) {
    case RAFT_PREVOTE:
    case RAFT_VOTE:
        message->vote.last_index = draw_index(play);
        message->vote.last_term = draw_term_at(play, message->vote.last_index, message->term);
        message->vote.transfer = message->type == RAFT_VOTE && (draw(play) & 1) != 0;
        break;
    case RAFT_PREVOTE_RESPONSE:
    case RAFT_VOTE_RESPONSE:
        message->vote_response.granted = draw(play) % 4 != 0;
        message->vote_response.round = draw_below(play, 8);
        break;
    case RAFT_APPEND_RESPONSE:
        message->append_response.ok = draw(play) % 4 != 0;
        message->append_response.index = draw_index(play);
        message->append_response.read_round = draw(play);
        if (!message->append_response.ok) {
            raft_index hint = draw_index(play);

            message->append_response.hint_index = hint;
            message->append_response.hint_term = draw_term_at(play, hint, message->term);
        }
        break;
    case RAFT_HEARTBEAT:
        message->heartbeat.commit = draw_index(play);
        message->heartbeat.read_round = draw(play);
        message->heartbeat.quiet = (draw(play) & 1) != 0;
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        message->heartbeat_response.read_round = draw(play);
        break;
    case RAFT_TIMEOUT_NOW:
        message->timeout_now.last_index = draw_index(play);
        message->timeout_now.last_term =
            draw_term_at(play, message->timeout_now.last_index, message->term);
        break;
    case RAFT_TIMEOUT_NOW_RESPONSE:
        message->timeout_now_response.accepted = (draw(play) & 1) != 0;
        break;
    case RAFT_READ_INDEX:
        message->read_index.token = draw(play);
        break;
    case RAFT_READ_INDEX_RESPONSE:
        message->read_index_response.token = draw(play);
        message->read_index_response.ok = (draw(play) & 1) != 0;
        message->read_index_response.index = draw_index(play);
        break;
    case RAFT_APPEND:
        break; /* has entries */
    }
}

static void receive(struct play *play)
{
    static const enum raft_message_type types[] = {RAFT_APPEND,           RAFT_APPEND,
                                                   RAFT_APPEND_RESPONSE,  RAFT_APPEND_RESPONSE,
                                                   RAFT_HEARTBEAT,        RAFT_HEARTBEAT_RESPONSE,
                                                   RAFT_PREVOTE,          RAFT_VOTE,
                                                   RAFT_PREVOTE_RESPONSE, RAFT_VOTE_RESPONSE,
                                                   RAFT_TIMEOUT_NOW,      RAFT_TIMEOUT_NOW_RESPONSE,
                                                   RAFT_READ_INDEX,       RAFT_READ_INDEX_RESPONSE};
    struct raft_entry entries[ENTRIES_MAX];
    struct raft_config config;
    const struct raft_config *configs[ENTRIES_MAX];
    struct raft_message message;
    struct raft_range stored;
    raft_term term = raft_status(play->raft).term + draw_below(play, 2 * TERM_LEAP_MAX + 1);

    memset(&message, 0, sizeof message);
    message.type = types[draw_below(play, sizeof types / sizeof *types)];
    message.from = draw_other(play);
    message.to = SELF;
    message.term = term > TERM_LEAP_MAX ? term - TERM_LEAP_MAX : 1;
    fill(play, &message);
    if (message.type == RAFT_APPEND) {
        draw_config(play, &config);
        fill_append(play, &message, entries, &config, configs);
    }
    if (raft_message_validate(&message, play->options.entry_bytes_max) == STATUS_OK &&
        raft_term_is_credible(play->raft, message.term) &&
        !raft_contradicts(play->raft, &message)) {
        raft_receive(play->raft, play->now, &message, &stored);
        for (raft_index index = stored.first; index <= stored.last; index++) {
            play->has_false_members = play->has_false_members ||
                                      raft_entry_at(play->raft, index).type == RAFT_ENTRY_CONFIG;
        }
    }
}

/* --- What the driver does --- */

static void persist(struct play *play)
{
    size_t count = play->write_count == 0 ? 0 : 1 + draw_below(play, play->write_count);

    if (count > 0) {
        raft_persisted(play->raft, play->now, play->writes[count - 1]);
        play->write_count -= count;
        memmove(play->writes, play->writes + count, play->write_count * sizeof *play->writes);
    }
}

static void ask(struct play *play)
{
    const raft_id voters[] = {SELF, draw_other(play), draw_other(play)};
    struct raft_member member = {.id = draw_other(play),
                                 .flags = draw(play) % 2 ? RAFT_PROMOTE : 0};
    const uint32_t bytes[] = {1, 2, 3};
    raft_index index;
    raft_term term;

    switch (draw_below(play, 8)) {
    case 0:
        (void)!raft_add_learner(play->raft, play->now, &member, &index);
        break;
    case 1:
        (void)!raft_remove_learner(play->raft, play->now, member.id, &index);
        break;
    case 2:
        (void)!raft_change_voters(play->raft, play->now, voters, 1 + draw_below(play, 3),
                                  draw(play) % 2 == 0, draw(play) % 2 == 0, &index);
        break;
    case 3:
        (void)!raft_cancel_change(play->raft, play->now, &index);
        break;
    case 4:
        (void)!raft_transfer(play->raft, play->now, draw(play) % 2 == 0 ? 0 : member.id);
        break;
    case 5:
        (void)!raft_read(play->raft, play->now, ++play->token);
        break;
    default:
        (void)!raft_propose(play->raft, play->now, bytes, 1 + draw_below(play, 3), &index, &term);
        break;
    }
}

static void install(struct play *play)
{
    struct raft_config config;
    raft_index index = draw_index(play);
    raft_term sender_term = raft_status(play->raft).term + draw_below(play, 2);

    draw_config(play, &config);
    (void)!raft_install(play->raft, play->now, index, 1 + draw_below(play, 4), sender_term,
                        index > 2 ? index - 1 : index, &config);
}

/* Everything the core has to say; what it says of commits only grows. */
static void flush(struct play *play)
{
    raft_index commit = play->output.commit_index;

    do {
        raft_flush(play->raft, play->now, &play->output);
        if (play->output.write.seq != 0) {
            if (play->write_count == WRITES_MAX) {
                persist(play);
            }
            play->writes[play->write_count++] = play->output.write.seq;
        }
        CHECK_OP(play->output.commit_index, >=, commit);
    } while (play->output.more);
    if (!play->has_false_members) {
        raft_check(play->raft);
    }
}

static void step(struct play *play)
{
    switch (draw_below(play, 12)) {
    case 0:
        play->now += (raft_time)draw(play) * TICK_US;
        raft_tick(play->raft, play->now);
        break;
    case 1:
        play->now =
            play->output.next_deadline == UINT64_MAX || play->output.next_deadline < play->now
                ? play->now
                : play->output.next_deadline;
        raft_tick(play->raft, play->now);
        break;
    case 2:
    case 3:
        persist(play);
        break;
    case 4:
        ask(play);
        break;
    case 5:
        raft_trim(play->raft,
                  draw(play) % 2 == 0 ? play->output.commit_index : play->output.commit_index / 2);
        break;
    case 6:
        raft_peer_down(play->raft, play->now, draw_other(play));
        break;
    case 7:
        if (draw(play) % 4 == 0) {
            install(play);
            break;
        }
        raft_dump_failed(play->raft, play->now, draw_other(play));
        raft_dump_sent(play->raft, play->now, draw_other(play), draw_index(play));
        break;
    default:
        receive(play);
        break;
    }
    flush(play);
}

static void begin(struct play *play)
{
    struct raft_boot boot;
    struct raft_config config;

    play->options = raft_options_default(SELF);
    play->options.log_entries_max = LOG_ENTRIES_MAX;
    play->options.seed = 1;
    play->raft = raft_init(calloc(1, raft_size(&play->options)), &play->options);
    play->now = 1000;
    memset(&boot, 0, sizeof boot);
    memset(&config, 0, sizeof config);
    for (raft_id id = 1; id <= VOTERS; id++) {
        config.members[config.member_count].id = id;
        config.members[config.member_count++].flags = RAFT_VOTER_NEW;
    }
    CHECK(raft_boot(play->raft, &boot) == STATUS_OK);
    CHECK(raft_start(play->raft, play->now) == STATUS_OK);
    CHECK(raft_bootstrap(play->raft, &config) == STATUS_OK);
    flush(play);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct play play;

    memset(&play, 0, sizeof play);
    play.bytes = (struct reader){.rest = bytes_of(data, size)};
    begin(&play);
    for (size_t i = 0; i < EVENTS_MAX && play.bytes.rest.size > 0; i++) {
        step(&play);
    }
    free(play.raft);
    return 0;
}
