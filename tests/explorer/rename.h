/* Other names for the same nodes: a cluster whose members swap their ids behaves the same, with
 * swapped ids. This renames one node's memory; symmetry.h uses it, and proves it as it goes. */
#ifndef TESTS_EXPLORER_RENAME_H
#define TESTS_EXPLORER_RENAME_H

#include "tests/explorer/site.h"

struct renaming {
    uint8_t to[BOUNDS_NODES_MAX + 1]; /* by id; to[0] = 0 */
};

struct renaming renaming_inverse(const struct renaming *renaming);
/* First `first`, then `second`. */
struct renaming renaming_chain(const struct renaming *first, const struct renaming *second);

uint8_t rename_config(struct vocabulary *vocabulary, const struct renaming *by, uint8_t config);
uint8_t rename_entry(struct vocabulary *vocabulary, const struct renaming *by, uint8_t entry);
uint32_t rename_message(struct vocabulary *vocabulary, const struct renaming *by, uint32_t message);
struct site_input rename_input(struct vocabulary *vocabulary,
                               const struct renaming *by,
                               const struct site_input *input);
/* The site that is loaded. */
void rename_site(struct site_bench *bench, const struct renaming *by);

#endif
