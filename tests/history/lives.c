#include "tests/history/lives.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static void number_lives(struct lives *lives, const struct history *history)
{
    size_t count = history->call_count + history->session_count + history->effect_count;
    uint64_t *numbers = xcalloc(count, sizeof *numbers);

    count = 0;
    for (size_t i = 0; i < history->call_count; i++) {
        numbers[count++] = history->calls[i].session;
    }
    for (size_t i = 0; i < history->session_count; i++) {
        numbers[count++] = history->sessions[i].session;
    }
    for (size_t i = 0; i < history->effect_count; i++) {
        numbers[count++] = history->effects[i].session;
    }
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    lives->items = xcalloc(count, sizeof *lives->items);
    lives->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] != 0 && (i == 0 || numbers[i] != numbers[i - 1])) {
            lives->items[lives->count++].session = numbers[i];
        }
    }
    free(numbers);
}

struct life *lives_find(const struct lives *lives, uint64_t session)
{
    size_t low = 0;
    size_t high = lives->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (lives->items[middle].session < session) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < lives->count && lives->items[low].session == session ? &lives->items[low] : NULL;
}

bool lives_is_write(const struct history_call *call)
{
    for (size_t i = 0; i < call->step_count; i++) {
        if (call->steps[i].kind > HISTORY_LIST) {
            return true;
        }
    }
    return false;
}

/* The cluster took this write for one of a living session. */
static bool shows_life(const struct history_call *call)
{
    return call->session != 0 && lives_is_write(call) &&
           (call->outcome == HISTORY_OK || call->outcome == HISTORY_REFUSED);
}

static void note_session(struct life *life, const struct history_session *event)
{
    bool answered = event->time != HISTORY_NEVER;

    switch (event->kind) {
    case HISTORY_SESSION_OPENED:
    case HISTORY_SESSION_CONTACT:
        life->timeout = event->timeout > life->timeout ? event->timeout : life->timeout;
        if (answered && (life->last_contact == NULL || event->asked > life->last_contact->asked)) {
            life->last_contact = event;
        }
        if (answered && event->timeout != 0 &&
            (life->last_grant == NULL || event->asked > life->last_grant->asked)) {
            life->last_grant = event;
        }
        break;
    case HISTORY_SESSION_EXPIRED:
    case HISTORY_SESSION_CLOSED:
        if (event->kind == HISTORY_SESSION_CLOSED &&
            (life->close == NULL || event->asked < life->close->asked)) {
            life->close = event;
        }
        if (answered && (life->end == NULL || event->time < life->end->time)) {
            life->end = event;
        }
        break;
    case HISTORY_SESSION_SUSPENDED:
        break;
    }
}

static void note_all(struct lives *lives, const struct history *history)
{
    for (size_t i = 0; i < history->session_count; i++) {
        note_session(lives_find(lives, history->sessions[i].session), &history->sessions[i]);
    }
    for (size_t i = 0; i < history->call_count; i++) {
        const struct history_call *call = &history->calls[i];
        struct life *life = lives_find(lives, call->session);

        if (!shows_life(call)) {
            continue;
        }
        if (life->last_call == NULL || call->invoked > life->last_call->invoked) {
            life->last_call = call;
        }
        if (call->outcome == HISTORY_OK && call->zxid > life->last_zxid) {
            life->last_zxid = call->zxid;
        }
    }
    for (size_t i = 0; i < history->effect_count; i++) {
        if (history->effects[i].kind > HISTORY_EFFECT_SESSION_OPENED) {
            struct life *life = lives_find(lives, history->effects[i].session);

            CHECK(life != NULL);
            life->end_effect = &history->effects[i];
        }
    }
}

void lives_init(struct lives *lives, const struct history *history)
{
    number_lives(lives, history);
    note_all(lives, history);
}

void lives_release(struct lives *lives)
{
    free(lives->items);
}

static uint64_t later(const struct history_session *event, const struct history_call *call)
{
    uint64_t asked = event == NULL ? 0 : event->asked;
    uint64_t invoked = call == NULL ? 0 : call->invoked;

    return asked > invoked ? asked : invoked;
}

uint64_t lives_last_sign(const struct life *life)
{
    return later(life->last_contact, life->last_call);
}

uint64_t lives_last_grant(const struct life *life)
{
    return later(life->last_grant, life->last_call);
}
