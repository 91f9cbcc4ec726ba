#include "bench/bench_servers.h"

#include "bench/bench_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* Field `number` (from 1) of the text behind the name in /proc/PID/stat: proc(5). */
static unsigned long stat_field(const char *text, int number)
{
    const char *at = text;

    for (int i = 1; i < number && *at != '\0'; i++) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    return strtoul(at, NULL, 10);
}

double bench_server_cpu_s(void)
{
    double total = 0;

    for (size_t i = 0; i < bench_options.pid_count; i++) {
        char line[1024];
        const char *rest;

        read_line(bench_options.pids[i], "stat", "", line, sizeof line);
        rest = strrchr(line, ')');
        if (rest == NULL) {
            bench_die("cannot understand /proc", "");
        }
        /* utime and stime: fields 14 and 15 of the line, whose second one ends in the bracket */
        total += (double)(stat_field(rest + 1, 12) + stat_field(rest + 1, 13)) /
                 (double)sysconf(_SC_CLK_TCK);
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
