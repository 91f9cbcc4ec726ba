/* The process's heap: what a flood took goes back to the system when it is over, instead of staying
 * with the process in pieces. Main thread. */
#ifndef SERVER_MEMORY_H
#define SERVER_MEMORY_H

#include <stdint.h>

/* At the start. Large tables get mappings of their own, of which untouched pages cost nothing. */
void memory_prepare(void);
/* Once those are there, before anybody is served: large buffers stay in the heap from now on, and
 * what it grows by, when it is no longer small, gets huge pages where the system has them. */
void memory_serve(void);
/* After each turn, with the time: sees to new heap every ten milliseconds, and every two seconds
 * gives whole free pages back when there is much that was in use before. */
void memory_turn(uint64_t now_us);

#endif
