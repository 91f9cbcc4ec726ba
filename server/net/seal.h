/* The 8 bytes before a peer frame that show it to be whole and, with a key, to come from the peer:
 * a frame that was changed, repeated, left out or put in by somebody on the way is found.
 *
 * Without a key they are the checksum of base/checksum.h. With one they are the first 8 bytes of
 * HMAC-SHA256 (RFC 2104) over the frame's number in its direction and the body; who guesses has one
 * try a connection. Main thread. */
#ifndef NET_SEAL_H
#define NET_SEAL_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum { SEAL_KEY_BYTES = 32 };

/* One direction of one connection. */
struct seal;

struct seal *seal_new(const uint8_t key[SEAL_KEY_BYTES]);
void seal_free(struct seal *seal); /* NULL is fine */

/* The seal of the frame that follows the ones before. NULL: its checksum. */
uint64_t seal_next(struct seal *seal, struct bytes body);
/* The next frame that came is what was sent. */
bool seal_holds(struct seal *seal, struct bytes body, uint64_t sealed);

#endif
