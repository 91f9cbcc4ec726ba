#include "tests/explorer/sites.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1 << 12, ARGUMENT_BITS = 26 };

void sites_init(struct sites *sites, const struct bounds *bounds)
{
    memset(sites, 0, sizeof *sites);
    vocabulary_init(&sites->vocabulary);
    intern_init(&sites->packed);
    sites->bench = site_bench_new(&sites->vocabulary, bounds);
    sites->step_slots = FIRST_SLOTS;
    sites->steps = xcalloc(sites->step_slots, sizeof sites->steps[0]);
}

void sites_release(struct sites *sites)
{
    vocabulary_release(&sites->vocabulary);
    intern_release(&sites->packed);
    site_bench_free(sites->bench);
    free(sites->views);
    free(sites->steps);
    free(sites->outputs);
}

size_t sites_bytes(const struct sites *sites)
{
    return vocabulary_bytes(&sites->vocabulary) + sites->packed.bytes_used +
           sites->view_capacity * sizeof sites->views[0] +
           sites->step_slots * sizeof sites->steps[0] +
           sites->output_capacity * sizeof sites->outputs[0];
}

/* The number of the site on the bench. */
static uint32_t keep_site(struct sites *sites)
{
    uint32_t number = intern_add(&sites->packed, site_image_pack(sites->bench));
    if (number >= sites->view_capacity) {
        sites->view_capacity = sites->view_capacity == 0 ? 1024 : sites->view_capacity * 2;
        sites->views = xrealloc(sites->views, sites->view_capacity * sizeof sites->views[0]);
    }
    sites->views[number] = site_look(sites->bench);
    return number;
}

uint32_t sites_begin(struct sites *sites, uint8_t id)
{
    site_begin(sites->bench, id);
    return keep_site(sites);
}

uint32_t sites_rename(struct sites *sites, uint32_t site, const struct renaming *by)
{
    site_image_load(sites->bench, intern_lend(&sites->packed, site));
    rename_site(sites->bench, by);
    return keep_site(sites);
}

const struct site_view *sites_view(const struct sites *sites, uint32_t site)
{
    CHECK_OP(site, <, sites->packed.count);
    return &sites->views[site];
}

static uint64_t key_of(uint32_t site, const struct site_input *input)
{
    CHECK_OP(input->argument, <, 1u << ARGUMENT_BITS);
    uint64_t what = (uint64_t)input->kind << 1 | (input->delay ? 1 : 0);
    return ((uint64_t)site << 32 | what << ARGUMENT_BITS | input->argument) + 1;
}

static size_t slot_of(const struct sites *sites, uint64_t key)
{
    size_t at = map_hash_u64(key) & (sites->step_slots - 1);
    while (sites->steps[at].key != 0 && sites->steps[at].key != key) {
        at = (at + 1) & (sites->step_slots - 1);
    }
    return at;
}

static void grow_steps(struct sites *sites)
{
    struct sites_step *old = sites->steps;
    size_t old_slots = sites->step_slots;
    sites->step_slots *= 2;
    sites->steps = xcalloc(sites->step_slots, sizeof sites->steps[0]);
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i].key != 0) {
            sites->steps[slot_of(sites, old[i].key)] = old[i];
        }
    }
    free(old);
}

static void put_output(struct sites *sites, uint32_t word)
{
    if (sites->output_count == sites->output_capacity) {
        sites->output_capacity = sites->output_capacity == 0 ? 1024 : sites->output_capacity * 2;
        sites->outputs =
            xrealloc(sites->outputs, sites->output_capacity * sizeof sites->outputs[0]);
    }
    CHECK_OP(sites->output_count, <, UINT32_MAX);
    sites->outputs[sites->output_count++] = word;
}

static void
keep_output(struct sites *sites, struct sites_step *step, const struct site_result *result)
{
    step->first_output = (uint32_t)sites->output_count;
    step->message_count = result->message_count;
    step->read_count = result->read_count;
    for (unsigned i = 0; i < result->message_count; i++) {
        put_output(sites, result->messages[i]);
    }
    for (unsigned i = 0; i < result->read_count; i++) {
        const struct site_read *read = &result->reads[i];
        put_output(sites, (uint32_t)read->token << 16 | (uint32_t)read->ok << 8 | read->index);
    }
}

static struct sites_step compute(struct sites *sites, uint32_t site, const struct site_input *input)
{
    struct site_result result;
    site_run(sites->bench, intern_lend(&sites->packed, site), input, &result);
    struct sites_step step = {.next = site, .violation = result.violation};
    step.enabled = result.enabled && (!result.beyond || result.violation != NULL);
    if (step.enabled) {
        if (result.violation == NULL) {
            step.next = keep_site(sites);
        }
        keep_output(sites, &step, &result);
    }
    return step;
}

struct sites_step sites_step(struct sites *sites, uint32_t site, const struct site_input *input)
{
    uint64_t key = key_of(site, input);
    size_t at = slot_of(sites, key);
    if (sites->steps[at].key == key) {
        return sites->steps[at];
    }
    struct sites_step step = compute(sites, site, input);
    step.key = key;
    if (sites->step_count * 2 >= sites->step_slots) {
        grow_steps(sites);
    }
    sites->steps[slot_of(sites, key)] = step;
    sites->step_count++;
    step.fresh = true;
    return step;
}

uint32_t sites_message(const struct sites *sites, const struct sites_step *step, unsigned i)
{
    CHECK_OP(i, <, step->message_count);
    return sites->outputs[step->first_output + i];
}

struct site_read sites_read(const struct sites *sites, const struct sites_step *step, unsigned i)
{
    CHECK_OP(i, <, step->read_count);
    uint32_t word = sites->outputs[step->first_output + step->message_count + i];
    return (struct site_read){
        .token = (uint8_t)(word >> 16), .ok = (uint8_t)(word >> 8 & 1), .index = (uint8_t)word};
}
