/* confer-server --check: what lies in the data folder of a stopped server, and whether it is sound.
 */
#ifndef SERVER_CHECK_H
#define SERVER_CHECK_H

#include <stdbool.h>
#include <stdio.h>

/* Read every byte that counts, print in plain words what was found, and a line "wrong: ..." on each
 * thing that is not as it should be. Nothing is changed, and the folder is locked meanwhile. False:
 * something is wrong, or the folder is in use or cannot be read. */
bool check_folder(const char *path, FILE *to);

#endif
