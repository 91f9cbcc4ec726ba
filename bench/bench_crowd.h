/* Commands about many connections that do little. Each prints its line; the exit code. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

int bench_crowd_watch(void);
int bench_crowd_sessions(void);
int bench_crowd_stall(void);

#endif
