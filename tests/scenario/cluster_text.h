/* What a trace shows: messages and configurations of the core, and what its teller says. */
#ifndef TESTS_SCENARIO_CLUSTER_TEXT_H
#define TESTS_SCENARIO_CLUSTER_TEXT_H

#include "tests/scenario/cluster.h"

/* Nothing in a silent cluster. */
__attribute__((format(printf, 2, 3))) void
cluster_text_narrate(const struct cluster *cluster, const char *format, ...);

void cluster_text_print_message(FILE *to, const struct raft_message *message);
void cluster_text_print_config(FILE *to, const struct raft_config *config);

#endif
