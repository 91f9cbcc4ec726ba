/* A tape in a file, for a process that may be killed: one record an event, whole or at the end. */
#ifndef TESTS_POWER_CUT_TAPE_FILE_H
#define TESTS_POWER_CUT_TAPE_FILE_H

#include "tests/power_cut/tape_event.h"

/* Append an event. Nothing of this file is recorded. */
void tape_file_write(int file, const struct tape_event *event);
/* Each event; `data` is given away. False: there is no file, or nothing in it. */
bool tape_file_read(const char *path, void (*visit)(struct tape_event *event));

#endif
