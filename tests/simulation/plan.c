#include "tests/simulation/plan.h"

#include "base/alloc.h"
#include "base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 256 };

static const char *kind_name(uint32_t kind)
{
    switch (kind) {
    case PLAN_CLIENT:
        return "client";
    case PLAN_OPERATOR:
        return "operator";
    case PLAN_SECOND_OPERATOR:
        return "second-operator";
    default:
        return settings_fault_name((enum fault_class)kind);
    }
}

void plan_release(struct plan *plan)
{
    free(plan->items);
    plan->items = NULL;
    plan->count = 0;
    plan->capacity = 0;
}

struct plan plan_copy(const struct plan *plan)
{
    struct plan copy = *plan;

    copy.capacity = plan->count;
    copy.items = plan->count == 0 ? NULL : xmemdup(plan->items, plan->count * sizeof *plan->items);
    return copy;
}

void plan_add(struct plan *plan, const struct plan_item *item)
{
    if (plan->count == plan->capacity) {
        plan->capacity = 2 * plan->capacity + 64;
        plan->items = xrealloc(plan->items, plan->capacity * sizeof *plan->items);
    }
    plan->items[plan->count++] = *item;
}

bool plan_is_replayed(const struct plan *plan)
{
    return plan->mode == PLAN_IS_REPLAYED;
}

void plan_record(struct plan *plan, uint64_t now_us, const struct plan_item *item)
{
    if (plan->mode == PLAN_IS_RECORDED) {
        struct plan_item kept = *item;

        kept.at_us = now_us - plan->origin_us;
        plan_add(plan, &kept);
    }
}

const struct plan_item *plan_peek(const struct plan *plan, struct plan_cursor *cursor)
{
    while (cursor->position < plan->count) {
        const struct plan_item *item = &plan->items[cursor->position];

        if (item->kind == cursor->kind && item->actor == cursor->actor) {
            return item;
        }
        cursor->position++;
    }
    return NULL;
}

bool plan_take(const struct plan *plan,
               struct plan_cursor *cursor,
               uint64_t now_us,
               struct plan_item *ret_item)
{
    const struct plan_item *item = plan_peek(plan, cursor);

    if (item == NULL || plan->origin_us + item->at_us > now_us) {
        return false;
    }
    cursor->position++;
    *ret_item = *item;
    return true;
}

uint64_t
plan_seed(struct plan *plan, struct plan_cursor *cursor, uint64_t now_us, struct prng *prng)
{
    struct plan_item item = {.kind = cursor->kind, .actor = cursor->actor};

    if (plan_is_replayed(plan)) {
        CHECK(plan_take(plan, cursor, now_us, &item));
    } else {
        item.amount = prng_next(prng);
        plan_record(plan, now_us, &item);
    }
    return item.amount;
}

uint64_t plan_delay(const struct plan *plan,
                    struct plan_cursor *cursor,
                    uint64_t now_us,
                    struct prng *prng,
                    uint64_t delay_us_max)
{
    const struct plan_item *item;
    uint64_t at_us;

    if (!plan_is_replayed(plan)) {
        return prng_between(prng, 1, delay_us_max);
    }
    item = plan_peek(plan, cursor);
    if (item == NULL) {
        return UINT64_MAX;
    }
    at_us = plan->origin_us + item->at_us;
    return at_us > now_us ? at_us - now_us : 0;
}

/* --- Files --- */

static void write_item(const struct plan_item *item, FILE *file)
{
    fprintf(file, "at %" PRIu64 " %s", item->at_us, kind_name(item->kind));
    if (item->kind == PLAN_CLIENT) {
        fprintf(file, " client=%" PRIu32 " seed=%" PRIu64, item->actor, item->amount);
    } else if (item->kind == PLAN_OPERATOR || item->kind == PLAN_SECOND_OPERATOR) {
        fprintf(file, " seed=%" PRIu64, item->amount);
    } else {
        fprintf(file, " server=%" PRIu32, item->actor);
        if (item->other != 0) {
            fprintf(file, " other=%" PRIu32, item->other);
        }
        if (item->amount != 0) {
            fprintf(file, " amount=%" PRIu64, item->amount);
        }
        if (item->for_us != 0) {
            fprintf(file, " for=%" PRIu64, item->for_us);
        }
    }
    fputc('\n', file);
}

void plan_write(const struct plan *plan, FILE *file)
{
    const char *name;

    for (size_t i = 0;; i++) {
        uint64_t value = settings_get(&plan->settings, i, &name);

        if (name == NULL) {
            break;
        }
        fprintf(file, "set %s %" PRIu64 "\n", name, value);
    }
    for (size_t i = 0; i < plan->count; i++) {
        write_item(&plan->items[i], file);
    }
}

static bool read_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool read_key(char *word, struct plan_item *item)
{
    char *value = strchr(word, '=');
    uint64_t number;

    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    if (!read_number(value, &number)) {
        return false;
    }
    if (strcmp(word, "server") == 0 || strcmp(word, "client") == 0) {
        item->actor = (uint32_t)number;
        return number <= UINT32_MAX;
    }
    if (strcmp(word, "other") == 0) {
        item->other = (uint32_t)number;
        return number <= UINT32_MAX;
    }
    if (strcmp(word, "amount") == 0 || strcmp(word, "seed") == 0) {
        item->amount = number;
        return true;
    }
    if (strcmp(word, "for") == 0) {
        item->for_us = number;
        return true;
    }
    return false;
}

static bool is_fit(const struct plan *plan, const struct plan_item *item)
{
    bool is_ordered = plan->count == 0 || plan->items[plan->count - 1].at_us <= item->at_us;

    if (item->kind >= FAULT_CLASSES) {
        return is_ordered;
    }
    return is_ordered && item->actor >= 1 && item->actor <= NETWORK_PLACES_MAX &&
           item->other <= NETWORK_PLACES_MAX;
}

static bool read_item(struct plan *plan, char **rest)
{
    struct plan_item item = {.kind = 0};
    const char *time = strtok_r(NULL, " ", rest);
    const char *kind = strtok_r(NULL, " ", rest);
    char *word;

    if (time == NULL || kind == NULL || !read_number(time, &item.at_us)) {
        return false;
    }
    while (item.kind < PLAN_KINDS && strcmp(kind, kind_name(item.kind)) != 0) {
        item.kind++;
    }
    if (item.kind == PLAN_KINDS) {
        return false;
    }
    while ((word = strtok_r(NULL, " ", rest)) != NULL) {
        if (!read_key(word, &item)) {
            return false;
        }
    }
    if (!is_fit(plan, &item)) {
        return false;
    }
    plan_add(plan, &item);
    return true;
}

static bool read_line(struct plan *plan, char *line)
{
    char *rest;
    const char *word;
    const char *name;
    const char *value;
    uint64_t number;

    line[strcspn(line, "\n")] = '\0';
    word = strtok_r(line, " ", &rest);
    if (word == NULL || word[0] == '#') {
        return true;
    }
    if (strcmp(word, "at") == 0) {
        return read_item(plan, &rest);
    }
    name = strtok_r(NULL, " ", &rest);
    value = strtok_r(NULL, " ", &rest);
    return strcmp(word, "set") == 0 && name != NULL && value != NULL &&
           read_number(value, &number) && settings_set(&plan->settings, name, number) == STATUS_OK;
}

static bool are_sound(const struct settings *settings)
{
    return settings->profile < SETTINGS_PROFILES && settings->places >= 1 &&
           settings->places <= NETWORK_PLACES_MAX && settings->first_members >= 1 &&
           settings->first_members + settings->first_learners <= settings->places;
}

enum status plan_read(const char *path, struct plan *ret_plan, struct error *error)
{
    FILE *file = fopen(path, "r");
    struct plan plan = {.mode = PLAN_IS_REPLAYED};
    char line[LINE_BYTES_MAX];
    size_t number = 0;

    if (file == NULL) {
        return error_set(error, STATUS_IO, "cannot read %s: %s", path, strerror(errno));
    }
    plan.settings = settings_draw(SETTINGS_MINI, 1);
    while (fgets(line, sizeof line, file) != NULL) {
        number++;
        if (!read_line(&plan, line)) {
            (void)fclose(file);
            plan_release(&plan);
            return error_set(error, STATUS_INVALID, "%s, line %zu is not understood", path, number);
        }
    }
    (void)fclose(file);
    if (!are_sound(&plan.settings)) {
        plan_release(&plan);
        return error_set(error, STATUS_INVALID, "%s: these places make no cluster", path);
    }
    *ret_plan = plan;
    return STATUS_OK;
}
