#include "server/node/progress_board.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE_INTERVAL_US = 2 * 1000 * 1000 };

/* --- Since when --- */

static bool is_promoting(const struct raft_config *config, raft_id id)
{
    const struct raft_member *member = raft_config_find(config, id);

    return member != NULL && (member->flags & RAFT_PROMOTE) != 0;
}

static void note_promotion(struct progress_board *board, raft_id id, uint64_t now_us)
{
    size_t free = RAFT_MEMBERS_MAX;

    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (board->promotions[i].id == id) {
            return;
        }
        if (board->promotions[i].id == 0 && free == RAFT_MEMBERS_MAX) {
            free = i;
        }
    }
    if (free < RAFT_MEMBERS_MAX) {
        board->promotions[free].id = id;
        board->promotions[free].since_us = now_us;
    }
}

void progress_board_note_config(struct progress_board *board,
                                const struct raft_config *config,
                                uint64_t now_us)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (board->promotions[i].id != 0 && !is_promoting(config, board->promotions[i].id)) {
            board->promotions[i].id = 0;
        }
    }
    for (uint32_t i = 0; i < config->member_count; i++) {
        if ((config->members[i].flags & RAFT_PROMOTE) != 0) {
            note_promotion(board, config->members[i].id, now_us);
        }
    }
    if (config->joint && !board->is_joint) {
        board->joint_since_us = now_us;
    }
    board->is_joint = config->joint;
}

uint64_t
progress_board_promoting_since(const struct progress_board *board, raft_id id, uint64_t now_us)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (id != 0 && board->promotions[i].id == id) {
            return board->promotions[i].since_us;
        }
    }
    return now_us;
}

/* --- The leader gathers --- */

static const char *state_name(enum raft_progress_state state)
{
    switch (state) {
    case RAFT_PROGRESS_PROBE:
        return "probe";
    case RAFT_PROGRESS_REPLICATE:
        return "replicate";
    case RAFT_PROGRESS_SNAPSHOT:
        return "dump";
    }
    return "";
}

static void set_word(char word[PROGRESS_WORD_BYTES], const char *text)
{
    bytes_copy_text(word, PROGRESS_WORD_BYTES, text);
}

static void gather_member(struct member_progress *member,
                          const struct progress_sources *sources,
                          const struct raft_peer_status *peer)
{
    struct dump_sender_progress dump = dump_transfer_progress(sources->dumps, peer->id);
    bool in_dump = peer->state == RAFT_PROGRESS_SNAPSHOT;

    *member = (struct member_progress){
        .id = peer->id, .match = peer->match, .caught_up = peer->caught_up, .rounds = peer->rounds};
    set_word(member->progress, state_name(peer->state));
    if (in_dump && dump.is_sending) {
        member->dump_bytes = dump.total;
        member->dump_bytes_done = dump.done;
    }
    if (in_dump && dump.refusal != NULL) {
        (void)snprintf(member->trouble, sizeof member->trouble, "it refuses the dump: %s",
                       dump.refusal);
    } else if (!sources->is_linked(sources->context, peer->id)) {
        (void)snprintf(member->trouble, sizeof member->trouble,
                       "the leader has no connection to it");
    } else if (!peer->active) {
        (void)snprintf(member->trouble, sizeof member->trouble, "it does not answer the leader");
    }
}

/* How much the member lacks of what it is getting: bytes of the dump, or entries. */
static uint64_t left_of(const struct member_progress *member, raft_index last, bool in_dump)
{
    if (in_dump) {
        return member->dump_bytes == 0 ? UINT64_MAX : member->dump_bytes - member->dump_bytes_done;
    }
    return last > member->match ? last - member->match : 0;
}

static const char *trend_of(bool was_in_dump, uint64_t left_before, bool in_dump, uint64_t left)
{
    if (left == 0) {
        return "";
    }
    if (was_in_dump != in_dump) {
        return was_in_dump ? "nearer" : "farther";
    }
    return left < left_before ? "nearer" : left == left_before ? "still" : "farther";
}

/* Compare with the last sample, and take a new one when that is old. */
static void sample(struct progress_board *board, raft_index last, uint64_t now_us)
{
    bool is_due = now_us - board->sampled_us >= SAMPLE_INTERVAL_US;

    for (size_t i = 0; i < board->count; i++) {
        struct member_progress *member = &board->members[i];
        bool in_dump = strcmp(member->progress, "dump") == 0;
        uint64_t left = left_of(member, last, in_dump);
        bool is_known = board->samples[i].id == member->id;

        if (is_due) {
            set_word(board->samples[i].trend, is_known
                                                  ? trend_of(board->samples[i].in_dump,
                                                             board->samples[i].left, in_dump, left)
                                                  : "");
            board->samples[i].id = member->id;
            board->samples[i].in_dump = in_dump;
            board->samples[i].left = left;
        }
        set_word(member->trend,
                 board->samples[i].id == member->id && left > 0 ? board->samples[i].trend : "");
    }
    if (is_due) {
        board->sampled_us = now_us;
    }
}

static size_t voters_of(const struct raft_config *config, uint8_t half, raft_id *ids)
{
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count && count < RAFT_VOTERS_MAX; i++) {
        if ((config->members[i].flags & half) != 0) {
            ids[count] = config->members[i].id;
            count++;
        }
    }
    return count;
}

/* "server 4" or "servers 4, 5" and what they shall do; those that `lacks` names. */
static void tell_waiting(struct change_progress *change,
                         const raft_id *ids,
                         size_t count,
                         const char *deed,
                         const char *none)
{
    size_t size = 0;

    if (count == 0) {
        (void)snprintf(change->waits_for, sizeof change->waits_for, "%s", none);
        return;
    }
    size = (size_t)snprintf(change->waits_for, sizeof change->waits_for, "server%s",
                            count > 1 ? "s" : "");
    for (size_t i = 0; i < count && size < sizeof change->waits_for; i++) {
        size += (size_t)snprintf(change->waits_for + size, sizeof change->waits_for - size,
                                 "%s %" PRIu64, i > 0 ? "," : "", ids[i]);
    }
    if (size < sizeof change->waits_for) {
        (void)snprintf(change->waits_for + size, sizeof change->waits_for - size, " %s", deed);
    }
}

static void gather_joint(struct progress_board *board,
                         const struct progress_sources *sources,
                         const struct raft_config *config)
{
    raft_index index = raft_status(sources->raft).config_index;
    struct change_progress *change = &board->change;
    raft_id slow[RAFT_MEMBERS_MAX];
    size_t count = 0;

    change->exists = true;
    change->begun = true;
    change->from_count = voters_of(config, RAFT_VOTER_OLD, change->from);
    change->to_count = voters_of(config, RAFT_VOTER_NEW, change->to);
    change->since_us = board->joint_since_us;
    for (size_t i = 0; i < board->count; i++) {
        if (board->members[i].match < index && raft_config_is_voter(config, board->members[i].id)) {
            slow[count] = board->members[i].id;
            count++;
        }
    }
    tell_waiting(change, slow, count, "to store it", "its last step");
}

static void gather_waiting(struct progress_board *board,
                           const struct raft_config *config,
                           const struct membership_waiting *waiting)
{
    struct change_progress *change = &board->change;
    raft_id slow[RAFT_MEMBERS_MAX];
    size_t count = 0;

    change->exists = true;
    change->from_count = voters_of(config, RAFT_VOTER_NEW, change->from);
    change->to_count = waiting->voter_count;
    memcpy(change->to, waiting->voters, waiting->voter_count * sizeof waiting->voters[0]);
    change->since_us = waiting->begun_us;
    for (size_t i = 0; i < board->count; i++) {
        bool is_wanted = false;

        for (size_t j = 0; j < waiting->voter_count; j++) {
            is_wanted = is_wanted || waiting->voters[j] == board->members[i].id;
        }
        if (is_wanted && !board->members[i].caught_up &&
            !raft_config_is_voter(config, board->members[i].id)) {
            slow[count] = board->members[i].id;
            count++;
        }
    }
    tell_waiting(change, slow, count, "to catch up", "the end of another change");
}

void progress_board_gather(struct progress_board *board,
                           const struct progress_sources *sources,
                           uint64_t now_us)
{
    const struct raft_config *config = raft_config_effective(sources->raft);
    struct raft_status status = raft_status(sources->raft);
    struct membership_waiting waiting;

    board->teller = sources->self;
    board->term = status.term;
    board->count = 0;
    for (uint32_t i = 0; i < config->member_count; i++) {
        struct raft_peer_status peer;

        if (raft_peer_status(sources->raft, config->members[i].id, &peer) == STATUS_OK) {
            gather_member(&board->members[board->count], sources, &peer);
            board->count++;
        }
    }
    sample(board, status.last_index, now_us);
    board->change = (struct change_progress){.exists = false};
    if (config->joint) {
        gather_joint(board, sources, config);
    } else if (membership_find_waiting(sources->membership, &waiting)) {
        gather_waiting(board, config, &waiting);
    }
}

/* --- To the others and from the leader --- */

void progress_board_fill(struct progress_board *board,
                         uint64_t now_us,
                         struct progress_message *message,
                         Peer__NodeReport *report)
{
    for (size_t i = 0; i < board->count; i++) {
        struct member_progress *from = &board->members[i];
        Peer__MemberProgress *to = &message->members[i];

        peer__member_progress__init(to);
        to->id = from->id;
        to->progress = from->progress;
        to->match = from->match;
        to->caught_up = from->caught_up;
        to->rounds = from->rounds;
        to->dump_bytes = from->dump_bytes;
        to->dump_bytes_done = from->dump_bytes_done;
        to->trend = from->trend;
        to->trouble = from->trouble;
        message->pointers[i] = to;
    }
    report->members = message->pointers;
    report->n_members = board->count;
    if (board->change.exists) {
        peer__change_report__init(&message->change);
        message->change.from = board->change.from;
        message->change.n_from = board->change.from_count;
        message->change.to = board->change.to;
        message->change.n_to = board->change.to_count;
        message->change.begun = board->change.begun;
        message->change.age_ms = (now_us - board->change.since_us) / 1000;
        message->change.waits_for = board->change.waits_for;
        report->change = &message->change;
    }
}

static size_t take_ids(const uint64_t *from, size_t count, raft_id to[RAFT_VOTERS_MAX])
{
    size_t taken = count < RAFT_VOTERS_MAX ? count : RAFT_VOTERS_MAX;

    if (taken > 0) {
        memcpy(to, from, taken * sizeof to[0]);
    }
    return taken;
}

static void
take_change(struct change_progress *change, uint64_t now_us, const Peer__ChangeReport *report)
{
    uint64_t age_us = report->age_ms < UINT64_MAX / 1000 ? report->age_ms * 1000 : UINT64_MAX;

    change->exists = true;
    change->begun = report->begun;
    change->from_count = take_ids(report->from, report->n_from, change->from);
    change->to_count = take_ids(report->to, report->n_to, change->to);
    change->since_us = now_us > age_us ? now_us - age_us : 0;
    bytes_copy_text(change->waits_for, sizeof change->waits_for, report->waits_for);
}

void progress_board_take(struct progress_board *board,
                         uint64_t now_us,
                         raft_id teller,
                         const Peer__NodeReport *report)
{
    board->teller = teller;
    board->term = report->term;
    board->count = 0;
    for (size_t i = 0; i < report->n_members && board->count < RAFT_MEMBERS_MAX; i++) {
        const Peer__MemberProgress *from = report->members[i];
        struct member_progress *to = &board->members[board->count];

        *to = (struct member_progress){.id = from->id,
                                       .match = from->match,
                                       .caught_up = from->caught_up,
                                       .rounds = from->rounds,
                                       .dump_bytes = from->dump_bytes,
                                       .dump_bytes_done = from->dump_bytes_done};
        set_word(to->progress, from->progress);
        set_word(to->trend, from->trend);
        bytes_copy_text(to->trouble, sizeof to->trouble, from->trouble);
        board->count++;
    }
    board->change = (struct change_progress){.exists = false};
    if (report->change != NULL) {
        take_change(&board->change, now_us, report->change);
    }
}

const struct member_progress *
progress_board_find(const struct progress_board *board, raft_id leader, raft_term term, raft_id id)
{
    if (leader == 0 || board->teller != leader || board->term != term) {
        return NULL;
    }
    for (size_t i = 0; i < board->count; i++) {
        if (board->members[i].id == id) {
            return &board->members[i];
        }
    }
    return NULL;
}
