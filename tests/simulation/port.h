/* What the shipped driver of a modelled server sees of the world: its node_port over the models. */
#ifndef TESTS_SIMULATION_PORT_H
#define TESTS_SIMULATION_PORT_H

#include "tests/simulation/cluster.h"

struct node_port port_of(struct cluster_server *server);

#endif
