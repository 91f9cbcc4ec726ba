/* Clients of libconfer that write side by side, each on a thread of its own, and the check that
 * what they were told is true. Each write makes one sequential node whose value names it, so a
 * write that took effect twice is seen. */
#ifndef TESTS_INTEGRATION_WRITERS_H
#define TESTS_INTEGRATION_WRITERS_H

#include <stddef.h>
#include <stdint.h>

struct writers;

/* Start `count` writers below `parent` (which is made) on these servers ("HOST:PORT,..."). */
struct writers *writers_start(const char *servers, size_t count, const char *parent);
/* Wait until every writer got another `count` writes acknowledged from now on; a failed expectation
 * after `deadline_ms`. */
void writers_wait(struct writers *writers, uint64_t count, unsigned deadline_ms);
/* Let each finish its last write, and close. */
void writers_stop(struct writers *writers);
/* Read everything back through `servers`: each acknowledged write is there, exactly once;
 * nothing else is, but writes whose outcome nobody knows. Returns how many were
 * acknowledged. */
uint64_t writers_check(const struct writers *writers, const char *servers);
void writers_free(struct writers *writers);

#endif
