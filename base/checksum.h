/* Checksums over what LMDB and TCP carry for us: neither notices a flipped bit by itself. XXH3
 * (libxxhash), 64 bits: a damaged record passes with a chance of 2^-64. */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include "base/bytes.h"

#include <stdint.h>

uint64_t checksum(struct bytes bytes);
/* Over two parts, as a key and its value; both lengths count. */
uint64_t checksum_pair(struct bytes first, struct bytes second);

#endif
