#include "tests/hostile/victim.h"

#include "tests/support/wire.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_DEADLINE_MS = 30000 };

static uint64_t kib_of(const char *line, const char *name)
{
    unsigned long long kib = 0;

    if (strncmp(line, name, strlen(name)) != 0 ||
        sscanf(line + strlen(name), ": %llu", &kib) != 1) {
        return 0;
    }
    return kib * 1024;
}

static uint64_t count_descriptors(pid_t pid)
{
    char path[64];
    DIR *folder;
    uint64_t count = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    folder = opendir(path);
    if (folder == NULL) {
        return 0;
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return count;
}

struct victim_load victim_load(pid_t pid)
{
    struct victim_load load = {.descriptors = count_descriptors(pid)};
    char line[256];
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        load.memory_bytes += kib_of(line, "RssAnon");
        load.memory_peak_bytes += kib_of(line, "VmHWM");
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return load;
}

void victim_reset_peak(pid_t pid)
{
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
    file = fopen(path, "w");
    if (file != NULL) {
        (void)fputs("5", file);
        (void)fclose(file);
    }
}

uint64_t victim_term(const char *address)
{
    Client__Status body = CLIENT__STATUS__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Response *response = NULL;
    uint64_t term = 0;
    struct wire wire;

    request.body_case = CLIENT__REQUEST__BODY_STATUS;
    request.status = &body;
    if (wire_connect(&wire, address) && wire_greet(&wire)) {
        response = wire_call(&wire, &request, ANSWER_DEADLINE_MS);
    }
    if (response != NULL && response->body_case == CLIENT__RESPONSE__BODY_STATUS) {
        term = response->status->term;
    }
    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    wire_close(&wire);
    return term;
}
