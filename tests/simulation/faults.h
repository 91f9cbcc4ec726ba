/* What goes wrong: servers die, pause, stop gracefully; links break, directions are cut, halves are
 * parted; disks are slow or full; wall clocks jump. All from one stream of random numbers. */
#ifndef TESTS_SIMULATION_FAULTS_H
#define TESTS_SIMULATION_FAULTS_H

#include "tests/simulation/cluster.h"

struct faults;

struct faults *faults_new(struct cluster *cluster);
void faults_free(struct faults *faults);
/* End them all: every server runs, everything passes. */
void faults_heal(struct faults *faults);
uint64_t faults_count(const struct faults *faults);

#endif
