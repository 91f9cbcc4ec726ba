/* Parts of the server driven by themselves. Each command prints its line and gives the exit code;
 * a failure ends the program. */
#ifndef BENCH_PARTS_H
#define BENCH_PARTS_H

#include "base/bytes.h"
#include "proto/record.pb-c.h"

#include <stdint.h>

_Noreturn void parts_die(const char *what, const char *detail);

/* A log store in `folder`, made and left there: commits of batches, and the disk's floor, by turns
 * for `seconds`. */
int parts_log(const char *folder, double seconds);

/* `count` times what `what` names, always the same: create, set or get on a state; pack or unpack
 * on messages. */
int parts_state(const char *what, uint64_t count);
int parts_codec(const char *what, uint64_t count);

enum { PARTS_PATH_BYTES = 64, PARTS_VALUE_BYTES = 100 };

/* An entry of the log that creates or sets node `number` of a thousand. */
void parts_put_entry(struct buffer *buffer, Record__Operation__KindCase kind, uint64_t number);
void parts_path(char path[PARTS_PATH_BYTES], uint64_t number);

#endif
