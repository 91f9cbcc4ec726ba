#include "bench/bench_servers.h"

#include "bench/bench_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* A line of /proc/PID/NAME that begins with `start`. */
static void read_line(int pid, const char *name, const char *start, char *line, int bytes)
{
    char path[64];
    FILE *file;
    bool is_found = false;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    file = fopen(path, "re");
    while (file != NULL && !is_found && fgets(line, bytes, file) != NULL) {
        is_found = strncmp(line, start, strlen(start)) == 0;
    }
    if (!is_found) {
        bench_die("cannot read ", path);
    }
    (void)fclose(file);
}

double bench_server_cpu_s(void)
{
    double total = 0;

    for (size_t i = 0; i < bench_options.pid_count; i++) {
        struct timespec used;
        clockid_t clock;

        if (clock_getcpuclockid(bench_options.pids[i], &clock) != 0 ||
            clock_gettime(clock, &used) != 0) {
            bench_die("a server of --pids is gone", "");
        }
        total += (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    }
    return total;
}

uint64_t bench_server_resident_kib(void)
{
    uint64_t total = 0;

    for (size_t i = 0; i < bench_options.pid_count; i++) {
        char line[256];

        read_line(bench_options.pids[i], "status", "VmRSS:", line, sizeof line);
        total += strtoull(line + strlen("VmRSS:"), NULL, 10);
    }
    return total;
}

double bench_own_cpu_s(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
