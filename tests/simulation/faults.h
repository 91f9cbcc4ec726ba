/* What goes wrong, with processes, the network, disks and clocks: drawn from one stream of random
 * numbers, or as a plan says. Each fault ends by itself after a while.
 *
 * Disks are destroyed (wiped, or damaged) only as far as the voters tolerate it. */
#ifndef TESTS_SIMULATION_FAULTS_H
#define TESTS_SIMULATION_FAULTS_H

#include "tests/simulation/cluster.h"

struct faults;

struct faults *faults_new(struct cluster *cluster);
void faults_free(struct faults *faults);
/* A server ended by itself: it comes back later. */
void faults_on_death(struct faults *faults, struct cluster_server *server);

/* No new ones. Everything ends for the servers marked in `core`, and they are cut off from the
 * others, some of which die. */
void faults_heal_core(struct faults *faults, const bool core[NETWORK_PLACES_MAX]);
/* No new ones, and all end: every server runs, lost ones with a fresh disk, everything passes. */
void faults_heal(struct faults *faults);

uint64_t faults_count(const struct faults *faults);
/* Folders that were put back to what they were once. */
uint64_t faults_put_back_count(const struct faults *faults);
/* Disks of members that were wiped or damaged. */
uint64_t faults_destroyed_count(const struct faults *faults);

#endif
