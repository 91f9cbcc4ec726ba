/* Nodes that must be there before something is measured. */
#ifndef BENCH_NODES_H
#define BENCH_NODES_H

#include <stdint.h>

#define BENCH_FOLDER "/bench"

enum { BENCH_PATH_BYTES = 64 };

/* Node `number` of those to be made, a parent before its children. */
typedef void bench_node_path(char path[BENCH_PATH_BYTES], uint64_t number);
/* Through one connection, many creations under way; what is there already stays. Nothing is done
 * when the last one is there. */
void bench_make_nodes(bench_node_path *path_of, uint64_t count);

/* Return when a server answers a linearizable read of BENCH_FOLDER, which must be there. Prints its
 * line; the exit code. */
int bench_nodes_wait(void);

/* BENCH_FOLDER, then the keys of a load below it: key `number - 1`. */
bench_node_path bench_key_path;

#endif
