/* The process's heap: what a flood took goes back to the system when it is over, instead of staying
 * with the process in pieces. Main thread. */
#ifndef SERVER_MEMORY_H
#define SERVER_MEMORY_H

#include <stdint.h>

/* At the start. */
void memory_prepare(void);
/* Now and then, with the time: looks every two seconds, and gives whole free pages back when there
 * is much that was in use before. */
void memory_give_back(uint64_t now_us);

#endif
