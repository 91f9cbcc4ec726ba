/* All sites that were met, by number, and what each input that was tried led to. */
#ifndef TESTS_EXPLORER_SITES_H
#define TESTS_EXPLORER_SITES_H

#include "tests/explorer/rename.h"

/* What site_run gave, kept. */
struct sites_step {
    uint64_t key;
    uint32_t next; /* site */
    uint32_t first_output;
    bool fresh;      /* computed by this call, not remembered */
    uint8_t enabled; /* and inside the bounds */
    uint8_t message_count;
    uint8_t read_count;
    const char *violation;
};

struct sites {
    struct vocabulary vocabulary;
    struct site_bench *bench;
    struct intern packed;
    struct site_view *views;
    uint32_t view_capacity;
    struct sites_step *steps; /* by hash of the key; empty where key is 0 */
    size_t step_slots;
    size_t step_count;
    uint32_t *outputs; /* messages, then reads, of each step */
    size_t output_count;
    size_t output_capacity;
};

void sites_init(struct sites *sites, const struct bounds *bounds);
void sites_release(struct sites *sites);
size_t sites_bytes(const struct sites *sites);

/* The beginning of node `id`. */
uint32_t sites_begin(struct sites *sites, uint8_t id);

/* The same node under another name. */
uint32_t sites_rename(struct sites *sites, uint32_t site, const struct renaming *by);

/* Valid until the next call of sites_step or sites_begin. */
const struct site_view *sites_view(const struct sites *sites, uint32_t site);

/* By value: the table moves when it grows. */
struct sites_step sites_step(struct sites *sites, uint32_t site, const struct site_input *input);
uint32_t sites_message(const struct sites *sites, const struct sites_step *step, unsigned i);
struct site_read sites_read(const struct sites *sites, const struct sites_step *step, unsigned i);

#endif
