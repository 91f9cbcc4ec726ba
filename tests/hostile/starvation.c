#include "tests/hostile/starvation.h"

#include "base/check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t starved_us(pid_t pid, pid_t thread)
{
    unsigned long long worked_ns = 0;
    unsigned long long starved_ns = 0;
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)pid, (int)thread);
    file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%llu %llu", &worked_ns, &starved_ns) != 2) {
            starved_ns = 0;
        }
        (void)fclose(file);
    }
    return starved_ns / 1000;
}

static bool is_called(pid_t pid, pid_t thread, const char *name)
{
    char path[64];
    char line[32] = "";
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)pid, (int)thread);
    file = fopen(path, "r");
    if (file != NULL) {
        (void)!fgets(line, sizeof line, file);
        (void)fclose(file);
    }
    line[strcspn(line, "\n")] = '\0';
    return strcmp(line, name) == 0;
}

struct starvation_threads starvation_threads(pid_t pid)
{
    struct starvation_threads threads = {.pid = pid};
    char path[64];
    DIR *folder;

    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    folder = opendir(path);
    CHECK(folder != NULL);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

        if (is_called(pid, thread, "log-writer")) {
            threads.log_writer = thread;
        }
    }
    (void)closedir(folder);
    CHECK(threads.log_writer != 0);
    return threads;
}

struct starvation starvation_now(const struct starvation_threads *servers, size_t count, pid_t self)
{
    struct starvation now = {.self_us = starved_us(getpid(), self)};

    for (size_t i = 0; i < count; i++) {
        now.servers[i].runs = servers[i].pid != 0;
        if (now.servers[i].runs) {
            now.servers[i].main_us = starved_us(servers[i].pid, servers[i].pid);
            now.servers[i].log_writer_us = starved_us(servers[i].pid, servers[i].log_writer);
        }
    }
    return now;
}

static uint64_t greater(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

static uint64_t main_us(const struct starvation *before, const struct starvation *after, size_t at)
{
    return after->servers[at].main_us - before->servers[at].main_us;
}

/* A server beside others: its main thread, or the one that writes its log. */
static uint64_t beside_us(const struct starvation *before,
                          const struct starvation *after,
                          size_t at,
                          struct starvation_way way)
{
    uint64_t lost_us;

    if (!after->servers[at].runs) {
        return UINT64_MAX;
    }
    /* The leader has heard itself. */
    lost_us = at == way.leader ? 0 : main_us(before, after, at);
    if (way.reach == STARVATION_DURABLE) {
        lost_us =
            greater(lost_us, after->servers[at].log_writer_us - before->servers[at].log_writer_us);
    }
    return lost_us;
}

static int by_value(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;

    return *a < *b ? -1 : *a > *b;
}

uint64_t starvation_on_way(const struct starvation *before,
                           const struct starvation *after,
                           size_t count,
                           struct starvation_way way)
{
    uint64_t lost_us = greater(after->self_us - before->self_us, main_us(before, after, way.asked));
    uint64_t beside[STARVATION_SERVERS_MAX];

    if (way.reach == STARVATION_ASKED) {
        return lost_us;
    }
    for (size_t i = 0; i < count; i++) {
        beside[i] = beside_us(before, after, i, way);
    }
    qsort(beside, count, sizeof *beside, by_value);
    CHECK_OP(beside[count / 2], !=, UINT64_MAX);
    return greater(greater(lost_us, main_us(before, after, way.leader)), beside[count / 2]);
}
