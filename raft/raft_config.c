#include "raft/raft_config.h"

#include "base/check.h"
#include "raft/raft_quorum.h"

#include <string.h>

enum { CONFIG_FLAGS = RAFT_VOTER_OLD | RAFT_VOTER_NEW | RAFT_LEARNER | RAFT_PROMOTE };
enum { MEMBER_ENTRY_BYTES = 320 }; /* id, incarnation, flags, address, and their framing */

_Static_assert(RAFT_MEMBERS_MAX <= 32, "members are bits of a uint32_t");

const struct raft_member *raft_config_find(const struct raft_config *config, raft_id id)
{
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (config->members[i].id == id) {
            return &config->members[i];
        }
    }
    return NULL;
}

bool raft_config_is_voter(const struct raft_config *config, raft_id id)
{
    const struct raft_member *member = raft_config_find(config, id);
    return member != NULL && (member->flags & (RAFT_VOTER_OLD | RAFT_VOTER_NEW)) != 0;
}

bool raft_config_stays_voter(const struct raft_config *config, raft_id id)
{
    const struct raft_member *member = raft_config_find(config, id);
    return member != NULL && (member->flags & RAFT_VOTER_NEW) != 0;
}

struct raft_voters raft_config_voters(const struct raft_config *config)
{
    struct raft_voters voters = {.counts = {0, 0}};
    for (uint32_t i = 0; i < config->member_count; i++) {
        const struct raft_member *member = &config->members[i];
        for (int half = RAFT_HALF_NEW; half < RAFT_HALVES; half++) {
            uint8_t flag = half == RAFT_HALF_NEW ? RAFT_VOTER_NEW : RAFT_VOTER_OLD;
            if ((member->flags & flag) == 0) {
                continue;
            }
            CHECK_OP(voters.counts[half], <, RAFT_VOTERS_MAX);
            voters.ids[half][voters.counts[half]++] = member->id;
        }
    }
    return voters;
}

struct has_context {
    bool (*has)(raft_id id, const void *context);
    const void *context;
};

static uint64_t value_of_has(raft_id id, const void *context)
{
    const struct has_context *has = context;
    return has->has(id, has->context) ? 1 : 0;
}

bool raft_config_is_quorum(const struct raft_config *config,
                           bool (*has)(raft_id id, const void *context),
                           const void *context)
{
    struct raft_voters voters = raft_config_voters(config);
    struct has_context has_context = {.has = has, .context = context};
    return raft_quorum_reached(&voters, value_of_has, &has_context) == 1;
}

uint32_t raft_config_tolerated_failures(const struct raft_config *config)
{
    struct raft_voters voters = raft_config_voters(config);
    if (voters.counts[RAFT_HALF_NEW] == 0) {
        return 0;
    }
    uint32_t tolerated = (voters.counts[RAFT_HALF_NEW] - 1) / 2;
    if (voters.counts[RAFT_HALF_OLD] > 0) {
        uint32_t old = (voters.counts[RAFT_HALF_OLD] - 1) / 2;
        tolerated = old < tolerated ? old : tolerated;
    }
    return tolerated;
}

static bool address_is_legal(const char *address)
{
    static const char zero[RAFT_ADDRESS_BYTES_MAX];
    size_t length = strnlen(address, RAFT_ADDRESS_BYTES_MAX);
    return length < RAFT_ADDRESS_BYTES_MAX &&
           memcmp(address + length, zero, RAFT_ADDRESS_BYTES_MAX - length) == 0;
}

static bool flags_are_legal(uint8_t flags, bool joint)
{
    if (flags == 0 || (flags & ~CONFIG_FLAGS) != 0) {
        return false;
    }
    if ((flags & RAFT_LEARNER) != 0 && (flags & RAFT_VOTER_NEW) != 0) {
        return false;
    }
    /* Who is on the way out of the voters is not on the way in. */
    if ((flags & RAFT_PROMOTE) != 0 && flags != (RAFT_LEARNER | RAFT_PROMOTE)) {
        return false;
    }
    return joint || (flags & RAFT_VOTER_OLD) == 0;
}

static bool member_is_unused(const struct raft_member *member)
{
    static const uint8_t zero[RAFT_INCARNATION_BYTES];
    return member->id == 0 && member->flags == 0 && member->address[0] == '\0' &&
           address_is_legal(member->address) && memcmp(member->incarnation, zero, sizeof zero) == 0;
}

static bool members_are_legal(const struct raft_config *config)
{
    raft_id previous = 0;
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        const struct raft_member *member = &config->members[i];
        if (i >= config->member_count) {
            if (!member_is_unused(member)) {
                return false;
            }
            continue;
        }
        if (member->id <= previous || !flags_are_legal(member->flags, config->joint) ||
            !address_is_legal(member->address)) {
            return false;
        }
        previous = member->id;
    }
    return true;
}

static uint32_t count_with(const struct raft_config *config, uint8_t flag)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->member_count; i++) {
        count += (config->members[i].flags & flag) != 0;
    }
    return count;
}

enum status raft_config_validate(const struct raft_config *config)
{
    if (config->member_count == 0 || config->member_count > RAFT_MEMBERS_MAX ||
        !members_are_legal(config)) {
        return STATUS_INVALID;
    }
    uint32_t voters_new = count_with(config, RAFT_VOTER_NEW);
    uint32_t voters_old = count_with(config, RAFT_VOTER_OLD);
    if (voters_new == 0 || voters_new > RAFT_VOTERS_MAX || voters_old > RAFT_VOTERS_MAX) {
        return STATUS_INVALID;
    }
    return config->joint && voters_old == 0 ? STATUS_INVALID : STATUS_OK;
}

static void copy_member(struct raft_member *to, const struct raft_member *from)
{
    memset(to, 0, sizeof *to);
    to->id = from->id;
    to->flags = from->flags;
    memcpy(to->incarnation, from->incarnation, sizeof to->incarnation);
    memcpy(to->address, from->address, strnlen(from->address, sizeof to->address - 1));
}

void raft_config_copy(struct raft_config *to, const struct raft_config *from)
{
    CHECK_OP(from->member_count, <=, RAFT_MEMBERS_MAX);
    memset(to, 0, sizeof *to);
    to->member_count = from->member_count;
    to->joint = from->joint;
    for (uint32_t i = 0; i < from->member_count; i++) {
        copy_member(&to->members[i], &from->members[i]);
    }
}

bool raft_config_equal(const struct raft_config *left, const struct raft_config *right)
{
    if (left->member_count != right->member_count || left->joint != right->joint) {
        return false;
    }
    for (uint32_t i = 0; i < left->member_count; i++) {
        const struct raft_member *a = &left->members[i];
        const struct raft_member *b = &right->members[i];
        if (a->id != b->id || a->flags != b->flags ||
            memcmp(a->incarnation, b->incarnation, sizeof a->incarnation) != 0 ||
            strncmp(a->address, b->address, sizeof a->address) != 0) {
            return false;
        }
    }
    return true;
}

uint32_t raft_config_entry_bytes(const struct raft_config *config)
{
    return 16 + config->member_count * MEMBER_ENTRY_BYTES;
}

enum status raft_config_with_learner(const struct raft_config *from,
                                     const struct raft_member *member,
                                     struct raft_config *to)
{
    if (raft_config_find(from, member->id) != NULL) {
        return STATUS_EXISTS;
    }
    if (from->member_count >= RAFT_MEMBERS_MAX) {
        return STATUS_INVALID;
    }
    raft_config_copy(to, from);
    uint32_t at = 0;
    while (at < to->member_count && to->members[at].id < member->id) {
        at++;
    }
    memmove(&to->members[at + 1], &to->members[at],
            (to->member_count - at) * sizeof to->members[0]);
    copy_member(&to->members[at], member);
    to->members[at].flags = (uint8_t)(RAFT_LEARNER | (member->flags & RAFT_PROMOTE));
    to->member_count++;
    return STATUS_OK;
}

void raft_config_with_promotion(const struct raft_config *from, raft_id id, struct raft_config *to)
{
    raft_config_copy(to, from);
    for (uint32_t i = 0; i < to->member_count; i++) {
        if (to->members[i].id == id && to->members[i].flags == RAFT_LEARNER) {
            to->members[i].flags = RAFT_LEARNER | RAFT_PROMOTE;
        }
    }
}

void raft_config_without_promotions(const struct raft_config *from, struct raft_config *to)
{
    raft_config_copy(to, from);
    for (uint32_t i = 0; i < to->member_count; i++) {
        to->members[i].flags &= (uint8_t)~RAFT_PROMOTE;
    }
}

enum status
raft_config_without_learner(const struct raft_config *from, raft_id id, struct raft_config *to)
{
    const struct raft_member *member = raft_config_find(from, id);
    if (member == NULL) {
        return STATUS_NOT_FOUND;
    }
    if ((member->flags & RAFT_LEARNER) == 0) {
        return STATUS_INVALID;
    }
    size_t at = (size_t)(member - from->members);
    raft_config_copy(to, from);
    to->member_count--;
    memmove(&to->members[at], &to->members[at + 1],
            (to->member_count - at) * sizeof to->members[0]);
    memset(&to->members[to->member_count], 0, sizeof to->members[0]);
    return STATUS_OK;
}

static bool contains(const raft_id *ids, size_t count, raft_id id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static enum status check_voters(const struct raft_config *from, const raft_id *voters, size_t count)
{
    if (count == 0 || count > RAFT_VOTERS_MAX) {
        return STATUS_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (voters[i] == 0 || contains(voters, i, voters[i])) {
            return STATUS_INVALID;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (raft_config_find(from, voters[i]) == NULL) {
            return STATUS_NOT_FOUND;
        }
    }
    return STATUS_OK;
}

enum status raft_config_with_voters(const struct raft_config *from,
                                    const raft_id *voters,
                                    size_t count,
                                    bool keep_as_learners,
                                    struct raft_config *to)
{
    CHECK(!from->joint);
    enum status status = check_voters(from, voters, count);
    if (status != STATUS_OK) {
        return status;
    }
    raft_config_copy(to, from);
    to->joint = true;
    for (uint32_t i = 0; i < to->member_count; i++) {
        struct raft_member *member = &to->members[i];
        uint8_t before = member->flags;
        bool was_voter = before == RAFT_VOTER_NEW;
        bool becomes_voter = contains(voters, count, member->id);
        member->flags = was_voter ? RAFT_VOTER_OLD : 0;
        if (becomes_voter) {
            member->flags |= RAFT_VOTER_NEW;
        } else if (!was_voter) {
            member->flags = before;
        } else if (keep_as_learners) {
            member->flags |= RAFT_LEARNER;
        }
    }
    return STATUS_OK;
}

void raft_config_leave_joint(const struct raft_config *from, struct raft_config *to)
{
    CHECK(from->joint);
    memset(to, 0, sizeof *to);
    for (uint32_t i = 0; i < from->member_count; i++) {
        uint8_t flags = from->members[i].flags & (uint8_t)~RAFT_VOTER_OLD;
        if (flags != 0) {
            struct raft_member *member = &to->members[to->member_count++];
            copy_member(member, &from->members[i]);
            member->flags = flags;
        }
    }
}

bool raft_config_has_voters(const struct raft_config *config, const raft_id *voters, size_t count)
{
    struct raft_voters present = raft_config_voters(config);
    if (config->joint || present.counts[RAFT_HALF_NEW] != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!contains(voters, count, present.ids[RAFT_HALF_NEW][i])) {
            return false;
        }
    }
    return true;
}

bool raft_config_takes_back(const struct raft_config *config, const struct raft_config *joint)
{
    struct raft_voters old = raft_config_voters(joint);
    return joint->joint &&
           raft_config_has_voters(config, old.ids[RAFT_HALF_OLD], old.counts[RAFT_HALF_OLD]);
}
