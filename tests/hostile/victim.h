/* The server under attack: what it holds, and which term it is in. */
#ifndef TESTS_HOSTILE_VICTIM_H
#define TESTS_HOSTILE_VICTIM_H

#include <stdint.h>
#include <sys/types.h>

struct victim_load {
    uint64_t memory_bytes; /* RssAnon */
    uint64_t memory_peak_bytes;
    uint64_t descriptors;
};

struct victim_load victim_load(pid_t pid);
/* Forget the peak. */
void victim_reset_peak(pid_t pid);
/* The term as the server at `address` sees it; 0: no answer. */
uint64_t victim_term(const char *address);

#endif
