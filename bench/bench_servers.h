/* What servers and this program use. The servers are those of --pids, all together. */
#ifndef BENCH_SERVERS_H
#define BENCH_SERVERS_H

#include <stdint.h>

/* Since they began. */
double bench_server_cpu_s(void);
uint64_t bench_server_resident_kib(void);
double bench_own_cpu_s(void);

#endif
