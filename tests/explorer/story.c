#include "tests/explorer/story.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tests/scenario/timeless.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* All messages that the runner has in flight: it never loses one by itself. */
struct flights {
    uint32_t *items;
    size_t count;
    bool holds_flush[BOUNDS_NODES_MAX + 1]; /* by node */
};

static const struct vocabulary_message *message_of(const struct world *world, uint32_t number)
{
    return vocabulary_message_of(&world->sites.vocabulary, number);
}

static void put_flight(struct flights *flights, uint32_t message)
{
    flights->items = xrealloc(flights->items, (flights->count + 1) * sizeof flights->items[0]);
    flights->items[flights->count++] = message;
}

static bool is_alike(const struct vocabulary_message *left, const struct vocabulary_message *right)
{
    return left->type == right->type && left->from == right->from && left->to == right->to;
}

/* The position of the message, and which of those it is that a filter by type, from and to names.
 * The last one that fits: of equal ones, any will do. */
static size_t find_flight(const struct world *world,
                          const struct flights *flights,
                          uint32_t message,
                          size_t *ret_nth)
{
    size_t nth = 0;
    for (size_t i = 0; i < flights->count; i++) {
        nth += is_alike(message_of(world, flights->items[i]), message_of(world, message));
        if (flights->items[i] == message) {
            *ret_nth = nth;
            return i;
        }
    }
    CHECK(false);
    return 0;
}

static void write_delivery(FILE *to,
                           const struct world *world,
                           const struct event *event,
                           struct flights *flights)
{
    uint32_t number = event->input.argument;
    const struct vocabulary_message *message = message_of(world, number);
    size_t nth = 0;
    size_t position = find_flight(world, flights, number, &nth);
    char filter[80];
    snprintf(filter, sizeof filter, "from %u to %u type %s nth %zu", message->from, message->to,
             vocabulary_type_name(message), nth);
    if (event->keeps) {
        fprintf(to, "> duplicate %s\n", filter);
        put_flight(flights, number);
    }
    fprintf(to, "> deliver %s\n", filter);
    flights->count--;
    memmove(&flights->items[position], &flights->items[position + 1],
            (flights->count - position) * sizeof flights->items[0]);
}

static void write_change(FILE *to, const struct event *event)
{
    uint32_t argument = event->input.argument;
    if ((argument & SITE_CHANGE_LEARNER) != 0) {
        fprintf(to, "> add-learner %u %u\n", event->node, argument & UINT8_MAX);
        return;
    }
    fprintf(to, "> change-voters %u", event->node);
    for (uint32_t id = 1; id <= BOUNDS_NODES_MAX; id++) {
        if ((argument & 1u << id) != 0) {
            fprintf(to, " %u", id);
        }
    }
    fputs(" force\n", to);
}

static void
write_event(FILE *to, const struct world *world, const struct event *event, struct flights *flights)
{
    unsigned node = event->node;
    unsigned argument = event->input.argument;
    if (event->input.delay != flights->holds_flush[node]) {
        flights->holds_flush[node] = event->input.delay;
        fprintf(to, "> %s-flush %u\n", event->input.delay ? "hold" : "free", node);
    }
    switch (event->input.kind) {
    case SITE_RECEIVE:
        if (event->dump_from != 0) {
            fprintf(to, "> dump %u %u\n", event->dump_from, node);
        } else {
            write_delivery(to, world, event, flights);
        }
        break;
    case SITE_EXPIRE:
        fprintf(to, "> expire %u %s\n", node, timeless_timer_name((enum timeless_timer)argument));
        break;
    case SITE_PERSIST:
        fprintf(to, "> persist %u 1\n", node);
        break;
    case SITE_CRASH:
        fprintf(to, "> crash %u\n> restart %u\n", node, node);
        break;
    case SITE_PROPOSE:
        fprintf(to, "> propose %u 1 1\n", node);
        break;
    case SITE_READ:
        fprintf(to, "> read %u\n", node);
        break;
    case SITE_CHANGE:
        write_change(to, event);
        break;
    case SITE_CANCEL:
        fprintf(to, "> cancel-change %u\n", node);
        break;
    case SITE_TRANSFER:
        fprintf(to, "> transfer %u %u\n", node, argument);
        break;
    case SITE_PEER_DOWN:
        fprintf(to, "> peer-down %u %u\n", node, argument);
        break;
    case SITE_CHECKPOINT:
        fprintf(to, "> checkpoint %u\n", node);
        break;
    case SITE_TRIM:
        fprintf(to, "> trim %u checkpoint\n", node);
        break;
    case SITE_FLUSH:
        fputs("> flush\n", to);
        break;
    }
    for (unsigned i = 0; i < event->message_count; i++) {
        put_flight(flights, world->sites.outputs[event->first_output + i]);
    }
}

static void write_events(FILE *to, const struct world *world, const struct search_report *report)
{
    struct flights flights = {.items = NULL, .count = 0};
    for (size_t i = 0; i < report->path_length; i++) {
        if (i == report->prologue_length && i > 0) {
            fputs("# Here the search began.\n", to);
        }
        write_event(to, world, &report->path[i], &flights);
        if (world->bounds->instant_disk) {
            /* Everything that is written is durable at once. */
            fprintf(to, "> persist %u\n", report->path[i].node);
        }
    }
    free(flights.items);
}

void story_print(FILE *to, const struct world *world, const struct search_report *report)
{
    fprintf(to, "violated: %s\nafter %zu events:\n", report->violation,
            report->path_length - report->prologue_length);
    write_events(to, world, report);
}

/* The same cluster as site.c makes it. */
static void write_beginning(FILE *to, const struct bounds *bounds)
{
    fputs("> option log_entries_max 16\n> option message_entries_max 4\n"
          "> option inflight_messages_max 2\n",
          to);
    fprintf(to, "> timeless\n> cluster %u\n", bounds->voters);
    if (bounds->spares > 0) {
        fprintf(to, "> quietly nodes %u\n", bounds->spares);
    }
}

void story_write(FILE *to, const struct world *world, const struct search_report *report)
{
    fprintf(to, "# Found by the explorer within the bounds '%s': the last event violates\n# %s.\n",
            world->bounds->name, report->violation);
    write_beginning(to, world->bounds);
    write_events(to, world, report);
    fputs("> status\n> network\n", to);
}

/* As the runner's command `status` does. */
static void write_status(FILE *to, struct world *world, uint32_t site)
{
    struct site_bench *bench = world->sites.bench;
    site_image_load(bench, intern_lend(&world->sites.packed, site));
    struct raft_status status = raft_status(bench->raft);
    fprintf(to,
            "%u: %s term=%" PRIu64 " vote=%" PRIu64 " leader=%" PRIu64 " log=%" PRIu64 "..%" PRIu64
            "/%" PRIu64 " durable=%" PRIu64 " commit=%" PRIu64 " applied=%u config=%" PRIu64
            "%s%s\n",
            bench->model->id, raft_role_name(status.role), status.term, status.vote, status.leader,
            status.log_base, status.last_index, status.last_term, status.durable_index,
            status.commit_index, bench->model->applied, status.config_index,
            status.config_committed ? "" : " uncommitted",
            status.transfer_target != 0 ? " transferring" : "");
}

void story_write_sample(FILE *to, struct world *world, const struct search_report *report)
{
    char *text = NULL;
    size_t size = 0;
    FILE *loud = open_memstream(&text, &size);
    write_events(loud, world, report);
    fclose(loud);
    write_beginning(to, world->bounds);
    for (char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n") + 1;
        bool command = strncmp(line, "> ", 2) == 0;
        fprintf(to, "%s%.*s", command ? "> quietly " : "", (int)(length - (command ? 2 : 0)),
                line + (command ? 2 : 0));
        line += length;
    }
    free(text);
    fputs("> status\n", to);
    for (uint8_t id = 1; id <= world->node_count; id++) {
        write_status(to, world, report->path_end.words[id - 1]);
    }
}
