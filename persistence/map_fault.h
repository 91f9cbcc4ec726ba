/* Damage that shows in the middle of a read of LMDB's map, where no status can be returned: the
 * kernel cannot read a page (SIGBUS), or one of LMDB's own assertions fails. The process then ends
 * at once, with one line that names the file and the way out. */
#ifndef PERSISTENCE_MAP_FAULT_H
#define PERSISTENCE_MAP_FAULT_H

/* For programs: from now on such an end has this exit code, and SIGBUS is such an end when it came
 * from the map of a data.mdb. Without it LMDB's assertions abort. `program` stands at the beginning
 * of the line and lives as long as the process. Once, before any other thread. */
void map_fault_install(const char *program, int exit_code);

/* An environment's assertion failed. */
void map_fault_assertion(const char *path, const char *message) __attribute__((noreturn));

#endif
