#include "server/net/seal.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/checksum.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

enum { MAC_BYTES = 32 };

struct seal {
    EVP_MAC_CTX *mac;
    uint64_t number; /* of the next frame */
};

struct seal *seal_new(const uint8_t key[SEAL_KEY_BYTES])
{
    struct seal *seal = xcalloc(1, sizeof *seal);
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    seal->mac = EVP_MAC_CTX_new(algorithm);
    EVP_MAC_free(algorithm);
    CHECK(seal->mac != NULL);
    CHECK(EVP_MAC_init(seal->mac, key, SEAL_KEY_BYTES, parameters) == 1);
    return seal;
}

void seal_free(struct seal *seal)
{
    if (seal != NULL) {
        EVP_MAC_CTX_free(seal->mac);
        free(seal);
    }
}

uint64_t seal_next(struct seal *seal, struct bytes body)
{
    uint8_t number[sizeof(uint64_t)];
    uint8_t code[MAC_BYTES];
    size_t size = 0;

    if (seal == NULL) {
        return checksum(body);
    }
    bytes_store_u64(number, seal->number++);
    CHECK(EVP_MAC_init(seal->mac, NULL, 0, NULL) == 1); /* the same key once more */
    CHECK(EVP_MAC_update(seal->mac, number, sizeof number) == 1);
    CHECK(EVP_MAC_update(seal->mac, body.data, body.size) == 1);
    CHECK(EVP_MAC_final(seal->mac, code, &size, sizeof code) == 1);
    CHECK_OP(size, ==, MAC_BYTES);
    return bytes_load_u64(code);
}

bool seal_holds(struct seal *seal, struct bytes body, uint64_t sealed)
{
    uint64_t expected = seal_next(seal, body);

    return CRYPTO_memcmp(&expected, &sealed, sizeof expected) == 0;
}
