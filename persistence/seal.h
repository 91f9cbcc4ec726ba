/* A stored value is its bytes and, behind them, a checksum over its key and its bytes: LMDB notices
 * neither a flipped bit nor a value that belongs to another key. */
#ifndef PERSISTENCE_SEAL_H
#define PERSISTENCE_SEAL_H

#include "base/bytes.h"

enum { SEAL_BYTES = 8 };

/* Write the checksum of `key` and value[0..size) to value[size..size + SEAL_BYTES). */
void seal_put(struct bytes key, uint8_t *value, size_t size);
/* The value without its checksum, lent from `stored`. False: damaged. */
bool seal_check(struct bytes key, struct bytes stored, struct bytes *ret_value);

#endif
