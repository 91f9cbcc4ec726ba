/* Attacks by writes that are as much work as one may be. */
#ifndef TESTS_HOSTILE_WRITE_ATTACKS_H
#define TESTS_HOSTILE_WRITE_ATTACKS_H

#include "tests/hostile/site.h"

/* A transaction that makes the next SITE_WIDE_NODE_BATCH of all children of the wide node, from
 * number `first` on. To be sent before the next one is asked for. */
Client__Request *write_attack_wide_request(size_t first, size_t all);

/* Makes a node below as many ancestors, which are there already; with a large value, but for the
 * last, below WRITE_ATTACK_ANCESTORS. */
enum { WRITE_ATTACK_ANCESTORS = 100 /* more than a server's cache holds */ };
Client__Request *write_attack_ancestor_request(size_t ancestors);

void write_attack_largest(struct site *site);
void write_attack_heaviest(struct site *site);
void write_attack_refused(struct site *site);
void write_attack_deepest(struct site *site);
void write_attack_ancestors(struct site *site);
void write_attack_limits(struct site *site);
void write_attack_ephemerals(struct site *site);
void write_attack_quotas(struct site *site);
/* Of the wide node: the last of all attacks. */
void write_attack_removal(struct site *site);

#endif
