/* A path as a scenario of tests/scenario: the runner executes the same inputs on the same cores. */
#ifndef TESTS_EXPLORER_STORY_H
#define TESTS_EXPLORER_STORY_H

#include "tests/explorer/search.h"

#include <stdio.h>

/* One line for each event, for people. */
void story_print(FILE *to, const struct world *world, const struct search_report *report);

/* The scenario file. Its trace is still to be filled in, by the runner's --rewrite. */
void story_write(FILE *to, const struct world *world, const struct search_report *report);

/* The same without a trace, and at the end what the nodes must look like: the runner then shows
 * that the model here and the one there take the same way. Several may follow in one file. */
void story_write_sample(FILE *to, struct world *world, const struct search_report *report);

#endif
