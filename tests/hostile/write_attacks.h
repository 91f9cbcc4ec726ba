/* Attacks by writes that are as much work as one may be. */
#ifndef TESTS_HOSTILE_WRITE_ATTACKS_H
#define TESTS_HOSTILE_WRITE_ATTACKS_H

#include "tests/hostile/site.h"

/* A transaction that makes the next SITE_WIDE_NODE_BATCH of all children of the wide node, from
 * number `first` on. To be sent before the next one is asked for. */
Client__Request *write_attack_wide_request(size_t first, size_t all);

void write_attack_largest(struct site *site);
void write_attack_heaviest(struct site *site);
void write_attack_refused(struct site *site);
void write_attack_deepest(struct site *site);
void write_attack_ephemerals(struct site *site);
void write_attack_quotas(struct site *site);
/* Of the wide node: the last of all attacks. */
void write_attack_removal(struct site *site);

#endif
