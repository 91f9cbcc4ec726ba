/* A path as a scenario of tests/scenario: the runner executes the same inputs on the same cores. */
#ifndef TESTS_EXPLORER_STORY_H
#define TESTS_EXPLORER_STORY_H

#include "tests/explorer/search.h"

#include <stdio.h>

/* One line for each event, for people. */
void story_print(FILE *to, const struct world *world, const struct search_report *report);

/* The scenario file. Its trace is still to be filled in, by the runner's --rewrite. */
void story_write(FILE *to, const struct world *world, const struct search_report *report);

#endif
