/* Make the plan of a failing run small: drop faults, clients, operator commands and servers, and
 * calm the settings, while the same invariant fails (Zeller and Hildebrandt, "Simplifying and
 * Isolating Failure-Inducing Input", 2002). Each trial runs in a child process, because a violated
 * invariant aborts. */
#ifndef TESTS_SIMULATION_MINIMIZE_H
#define TESTS_SIMULATION_MINIMIZE_H

#include "tests/simulation/plan.h"

enum { MINIMIZE_TEXT_BYTES = 256 };

/* Run a seed's plan in a child process, to fill in what happens in it until it fails; replayed from
 * then on. */
void minimize_record(struct plan *plan);

/* Run the plan in a child process. True: it failed; `text` says how. */
bool minimize_fails(struct plan *plan, char text[MINIMIZE_TEXT_BYTES]);

/* `plan`, replayed, fails; it is made as small as `trials_max` trials allow. Returns the trials. */
size_t minimize_plan(struct plan *plan, size_t trials_max);

#endif
