#include "server/node/node_agreement.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/mark.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    ROUND_US = 1000 * 1000,         /* between the zxids that a leader names, */
    PATIENCE_US = 10 * 1000 * 1000, /* unless somebody has not told yet */
    SPLIT_US = 3 * 1000 * 1000, /* so long those who differ wait for a third to say who is wrong */
    BORROWED_US = 20 * 1000 * 1000 /* a state that nobody spoke against for so long is one's own */
};

void node_agreement_init(struct node *node)
{
    /* Of its digests only those that were noted are looked at. */
    node->digests = xmalloc(sizeof *node->digests);
    digest_ring_clear(node->digests);
    node->kept_doubt = node->options.tree_doubt;
    if (state_applied(node->state) == 0) {
        return; /* what the doubt was about never came to the disk: this state is everybody's */
    }
    node->is_borrowed = node->kept_doubt.is_borrowed;
    node->borrowed_us = node_now(node);
    for (size_t i = 0; i < node->kept_doubt.count; i++) {
        /* What it differed from may be the same or another by now. */
        node->dispute.dissent[node->dispute.count++] =
            (struct dissent){.id = node->kept_doubt.members[i],
                             .at = state_applied(node->state),
                             .is_borrowed = true};
    }
    MARK_IF(node->dispute.count > 0, dispute_goes_on_after_a_restart);
}

void node_agreement_release(struct node *node)
{
    free(node->digests);
}

void node_agreement_note(struct node *node)
{
    digest_ring_note(node->digests, state_applied(node->state), state_digest(node->state));
}

static void tell_of_dispute(struct node *node, zxid at, bool was_disputed)
{
    if (!was_disputed && node_is_disputed(node)) {
        MARK(state_is_disputed);
        log_event(LOG_LEVEL_ERROR, "state_disputed",
                  "zxid=%" PRIu64 " with=%" PRIu64 " reason=\"members differ and no majority says "
                  "who is wrong; who differs gets no dump until one does\"",
                  at, node->dispute.dissent[0].id);
    } else if (was_disputed && !node_is_disputed(node)) {
        log_event(LOG_LEVEL_INFO, "state_agreed", "zxid=%" PRIu64, at);
    }
}

static struct tree_doubt doubt_of(bool is_borrowed, const struct dispute *dispute)
{
    struct tree_doubt doubt = {.is_borrowed = is_borrowed, .count = dispute->count};

    for (size_t i = 0; i < dispute->count; i++) {
        doubt.members[i] = dispute->dissent[i].id;
    }
    return doubt;
}

/* A restart must not make a voice of its own of a copy, nor forget who may be right. */
static void keep_doubt(struct node *node)
{
    struct tree_doubt doubt = doubt_of(node->is_borrowed, &node->dispute);
    struct error error;

    if (tree_doubt_is_same(&doubt, &node->kept_doubt)) {
        return;
    }
    node->kept_doubt = doubt;
    if (node->port.tree_doubt(node->port.context, node->tree_generation, &doubt, &error) !=
        STATUS_OK) {
        node_fail(node, &error);
    }
}

enum status node_agreement_before_switch(struct node *node, struct error *error)
{
    struct dispute dispute;
    struct tree_doubt doubt;

    dispute_inherit(&dispute, &node->installed.dispute, node->options.id,
                    node->installed.meta.applied_index);
    doubt = doubt_of(!node->installed.is_vouched, &dispute);
    return node->port.tree_doubt(node->port.context, node->installed.generation, &doubt, error);
}

void node_agreement_reset(struct node *node)
{
    digest_ring_clear(node->digests);
    node->told.zxid = 0;
    node->split_us = 0;
    /* What there was, was about the state that is gone. */
    dispute_inherit(&node->dispute, &node->installed.dispute, node->options.id,
                    state_applied(node->state));
    tell_of_dispute(node, state_applied(node->state), false);
    node->is_borrowed = !node->installed.is_vouched;
    node->lender = node->installed.sender;
    node->lender_disputes = false;
    node->borrowed_us = node_now(node);
    node->kept_doubt = doubt_of(node->is_borrowed, &node->dispute);
    if (state_applied(node->state) > 0) {
        node_agreement_note(node);
    }
}

static bool leads(const struct node *node)
{
    return node->status.role == RAFT_LEADER;
}

/* Where the members compare now; 0 = nowhere. */
static zxid named_zxid(const struct node *node)
{
    const struct member_report *report;

    if (leads(node)) {
        return node->named_term == node->status.term ? node->named_zxid : 0;
    }
    report = node_linked_report(node, node->status.leader);
    return report != NULL && report->term == node->status.term ? report->told.zxid : 0;
}

void node_agreement_name(struct node *node)
{
    node->named_zxid = state_applied(node->state);
    node->named_term = node->status.term;
    node->named_us = node_now(node);
    node->introduced_us = 0; /* the others hear of it at once */
}

/* Whether every member has told that is there and can come so far. */
static bool all_told(const struct node *node, zxid at)
{
    const struct raft_config *config = raft_config_effective(node->raft);

    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct member_report *report = node_linked_report(node, config->members[i].id);

        if (report != NULL && report->told.zxid != at && report->repair_from == 0 &&
            report->replace_from == 0 && report->applied >= node->status.log_base) {
            return false;
        }
    }
    return true;
}

static void name_next(struct node *node)
{
    uint64_t age_us = node_now(node) - node->named_us;
    bool is_new = node->named_term != node->status.term;
    zxid applied = state_applied(node->state);

    if (applied > 0 && (is_new || (applied != node->named_zxid && age_us >= ROUND_US &&
                                   (all_told(node, node->named_zxid) || age_us >= PATIENCE_US)))) {
        node_agreement_name(node);
    }
}

static size_t gather(const struct node *node, zxid at, struct agreement_voice *voices)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    size_t count = 0;

    for (uint32_t i = 0; i < config->member_count; i++) {
        raft_id id = config->members[i].id;
        const struct member_report *report = node_linked_report(node, id);

        if (id == node->options.id) {
            voices[count++] = (struct agreement_voice){
                .id = id, .digest = node->told.digest, .is_borrowed = node->is_borrowed};
        } else if (report != NULL && report->repair_from != 0) {
            voices[count++] = (struct agreement_voice){.id = id,
                                                       .is_damaged = true,
                                                       .differed = report->told.differs_from_own ||
                                                                   node_disputes_with(node, id)};
        } else if (report != NULL && report->told.zxid == at) {
            voices[count++] = (struct agreement_voice){
                .id = id, .digest = report->told.digest, .is_borrowed = report->told.is_borrowed};
        }
    }
    return count;
}

static void differ(struct node *node, zxid at)
{
    struct error error;

    MARK(state_differs_from_that_of_a_majority);
    (void)error_set(&error, STATUS_CORRUPT,
                    "at zxid %" PRIu64 " the state here is another than that of a majority", at);
    node_differs(node, &error);
}

/* Who differed from the lender's state need not differ from this one any more when the lender's
 * dispute is over: on what it has heard, which may be of a zxid that this member never had. */
static void hear_lender(struct node *node)
{
    const struct member_report *report = node_linked_report(node, node->lender);
    struct state_digest digest;

    if (report == NULL || report->repair_from != 0) {
        return;
    }
    if (report->told.is_disputed) {
        node->lender_disputes = true;
    } else if (node->lender_disputes &&
               digest_ring_find(node->digests, report->told.zxid, &digest) &&
               agreement_is_same(report->told.digest, digest)) {
        MARK_IF(node_is_disputed(node), dispute_ends_where_it_was_inherited_from);
        dispute_disinherit(&node->dispute);
    }
}

/* Up to where a majority has held what this member had, as it still has it. */
static zxid agreed_zxid(const struct node *node)
{
    struct state_digest digest;

    return digest_ring_find(node->digests, node->agreed_zxid, &digest) &&
                   agreement_is_same(digest, node->agreed_digest)
               ? node->agreed_zxid
               : 0;
}

static void hear_members(struct node *node)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    bool was_disputed = node_is_disputed(node);

    if (!was_disputed && !(leads(node) && node->voices_are_new)) {
        return;
    }
    dispute_follow(&node->dispute, config);
    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct member_report *report = node_linked_report(node, config->members[i].id);

        if (report != NULL && report->has_reported && report->repair_from == 0) {
            const struct agreement_word word = {.id = report->id,
                                                .at = report->told.zxid,
                                                .applied = report->applied,
                                                .digest = report->told.digest,
                                                .echo_at = report->told.echo_zxid,
                                                .echo = report->told.echo,
                                                .is_borrowed = report->told.is_borrowed};

            dispute_hear(&node->dispute, &word, node->digests, node->status.log_base);
            if (leads(node) && !node->is_condemned) {
                dispute_hear_laggard(&node->dispute, config, &word, node->digests,
                                     node->status.log_base, agreed_zxid(node));
            }
        }
    }
    hear_lender(node);
    tell_of_dispute(node, state_applied(node->state), was_disputed);
}

/* Members differ. Most often the next one that tells makes a majority; who is linked and does not
 * tell may stand still. */
static bool is_split_for_long(struct node *node)
{
    if (node->split_us == 0) {
        node->split_us = node_now(node);
    }
    return node_now(node) - node->split_us >= SPLIT_US;
}

static void judge(struct node *node, zxid at)
{
    const struct raft_config *config = raft_config_effective(node->raft);
    struct agreement_voice voices[RAFT_MEMBERS_MAX];
    size_t count = gather(node, at, voices);
    bool was_disputed = node_is_disputed(node);

    if (raft_config_find(config, node->options.id) == NULL) {
        return;
    }
    switch (agreement_judge(config, node->options.id, voices, count)) {
    case AGREEMENT_OPEN:
        /* Of a zxid that was just named hardly anybody has told. */
        node->split_us = all_told(node, at) ? 0 : node->split_us;
        break;
    case AGREEMENT_MINE:
        node->split_us = 0;
        node->agreed_zxid = at;
        node->agreed_digest = node->told.digest;
        MARK_IF(node->is_borrowed, state_of_a_dump_confirmed);
        node->is_borrowed = false;
        dispute_overrule(&node->dispute, at);
        break;
    case AGREEMENT_OTHER:
        differ(node, at);
        break;
    case AGREEMENT_SPLIT:
        node->borrowed_us = node_now(node);
        if (all_told(node, at) || is_split_for_long(node)) {
            MARK_IF(!all_told(node, at), dispute_noted_before_all_have_told);
            dispute_note(&node->dispute, config, node->options.id, at, voices, count);
        }
        break;
    }
    tell_of_dispute(node, at, was_disputed);
}

bool node_agreement_knows_of_dispute(const struct node *node)
{
    for (size_t i = 0; i < RAFT_MEMBERS_MAX && node->reports[i].id != 0; i++) {
        if (node->reports[i].is_linked && node->reports[i].told.is_disputed) {
            return true;
        }
    }
    return node_is_disputed(node);
}

/* Without writes nothing new is named, and what was told stays told: whether it is still so. */
static void look_again(struct node *node)
{
    struct state_digest digest;

    if (state_applied(node->state) != node->told.zxid ||
        node_now(node) - node->told_us < ROUND_US) {
        return;
    }
    node->told_us = node_now(node);
    digest = state_digest(node->state);
    if (!agreement_is_same(digest, node->told.digest)) {
        MARK(digest_changed_without_a_write);
        node->told.digest = digest;
        node_agreement_note(node);
        node->voices_are_new = true;
        node->introduced_us = 0; /* the others hear of it at once */
    }
}

static void compare(struct node *node)
{
    zxid at;

    if (node->is_borrowed && node_agreement_knows_of_dispute(node)) {
        node->borrowed_us = node_now(node);
    } else if (node->is_borrowed && node_now(node) - node->borrowed_us >= BORROWED_US) {
        node->is_borrowed = false;
    }
    if (leads(node) && node->dumps_wanted_us == 0) {
        name_next(node);
    }
    at = named_zxid(node);
    if (at != node->told.zxid && digest_ring_find(node->digests, at, &node->told.digest)) {
        node->told.zxid = at;
        node->told_us = node_now(node);
        node->voices_are_new = true;
    } else if (at != 0 && at == node->told.zxid) {
        look_again(node);
    }
    if (at != 0 && at == node->told.zxid && node->voices_are_new) {
        node->voices_are_new = false;
        judge(node, at);
    }
}

void node_agreement_tick(struct node *node)
{
    if (node->installing) {
        return;
    }
    hear_members(node);
    if (!node->is_condemned) {
        compare(node);
    }
    if (!node->failed) {
        keep_doubt(node);
    }
}

bool node_agreement_gives_way(const struct node *node, raft_id sender)
{
    const struct member_report *report = node_linked_report(node, sender);
    zxid same_at = 0;
    struct state_digest digest;

    if (report != NULL && report->told.echo_zxid == state_applied(node->state) &&
        digest_ring_find(node->digests, report->told.echo_zxid, &digest) &&
        agreement_is_same(report->told.echo, digest)) {
        same_at = report->told.echo_zxid;
    }
    return dispute_may_replace(&node->dispute, node->is_borrowed, sender, same_at);
}

/* It told what it has now, and that was so here as well. */
static bool had_the_same(const struct node *node, const struct member_report *report)
{
    struct state_digest digest;

    return report->told.zxid == report->applied &&
           digest_ring_find(node->digests, report->told.zxid, &digest) &&
           agreement_is_same(report->told.digest, digest);
}

bool node_agreement_may_replace(const struct node *node, raft_id id)
{
    const struct member_report *report = node_linked_report(node, id);
    bool is_safe = report == NULL || !report->told.is_disputed ||
                   (!report->told.differs_from_own &&
                    (report->told.is_borrowed || had_the_same(node, report)));

    return is_safe && !node_disputes_with(node, id);
}

/* Who lags cannot compare itself with what the others have now. */
static void echo(const struct node *node, raft_id to, Peer__NodeReport *report)
{
    const struct member_report *other = node_linked_report(node, to);
    struct state_digest digest;

    if (other != NULL && digest_ring_find(node->digests, other->told.zxid, &digest)) {
        report->echo_zxid = other->told.zxid;
        report->echo_count = digest.record_count;
        report->echo_sum = digest.sum;
    }
}

void node_agreement_fill(const struct node *node,
                         raft_id to,
                         Peer__NodeReport *report,
                         uint64_t disputes[RAFT_MEMBERS_MAX])
{
    struct state_digest digest = node->told.digest;
    zxid at = node->told.zxid;

    report->agreed = node->agreed_zxid;
    for (size_t i = 0; i < node->dispute.count; i++) {
        disputes[i] = node->dispute.dissent[i].id;
    }
    report->disputes = disputes;
    report->n_disputes = node->dispute.count;
    if (node->is_condemned) {
        return;
    }
    echo(node, to, report);
    if (at != named_zxid(node) && leads(node)) {
        return;
    }
    /* Who has not come so far tells what it has. */
    if (at != named_zxid(node)) {
        at = state_applied(node->state);
        digest = state_digest(node->state);
    }
    report->digest_zxid = at;
    report->digest_count = digest.record_count;
    report->digest_sum = digest.sum;
    report->digest_borrowed = node->is_borrowed;
}

static bool has_id(const uint64_t *ids, size_t count, raft_id id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

void node_agreement_take(struct node *node,
                         struct member_report *kept,
                         const Peer__NodeReport *report)
{
    node->voices_are_new = true;
    kept->told.zxid = report->digest_zxid;
    kept->told.digest =
        (struct state_digest){.record_count = report->digest_count, .sum = report->digest_sum};
    kept->told.echo_zxid = report->echo_zxid;
    kept->told.echo =
        (struct state_digest){.record_count = report->echo_count, .sum = report->echo_sum};
    kept->told.is_borrowed = report->digest_borrowed;
    kept->told.is_disputed = report->n_disputes > 0;
    kept->told.differs_from_own = has_id(report->disputes, report->n_disputes, node->options.id);
    kept->agreed = report->agreed;
    kept->repair_from = report->repair_from;
    kept->replace_from = report->replace_from;
}
