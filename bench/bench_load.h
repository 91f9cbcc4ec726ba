/* Commands about requests in numbers. Each prints its line; the exit code. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

int bench_load_run(void);
int bench_load_populate(void);

#endif
