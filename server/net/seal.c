#include "server/net/seal.h"

#include "base/alloc.h"
#include "base/checksum.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdlib.h>
#include <string.h>

struct seal {
    struct hmac_sha256_ctx mac;
    uint64_t number; /* of the next frame */
};

struct seal *seal_new(const uint8_t key[SEAL_KEY_BYTES])
{
    struct seal *seal = xcalloc(1, sizeof *seal);

    hmac_sha256_set_key(&seal->mac, SEAL_KEY_BYTES, key);
    return seal;
}

void seal_free(struct seal *seal)
{
    if (seal != NULL) {
        explicit_bzero(seal, sizeof *seal);
        free(seal);
    }
}

uint64_t seal_next(struct seal *seal, struct bytes body)
{
    uint8_t number[sizeof(uint64_t)];
    uint8_t code[SHA256_DIGEST_SIZE];

    if (seal == NULL) {
        return checksum(body);
    }
    bytes_store_u64(number, seal->number++);
    hmac_sha256_update(&seal->mac, sizeof number, number);
    hmac_sha256_update(&seal->mac, body.size, body.data);
    hmac_sha256_digest(&seal->mac, sizeof code, code); /* and ready for the next */
    return bytes_load_u64(code);
}

bool seal_holds(struct seal *seal, struct bytes body, uint64_t sealed)
{
    uint64_t expected = seal_next(seal, body);

    return memeql_sec(&expected, &sealed, sizeof expected) != 0;
}
