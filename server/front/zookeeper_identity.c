#include "server/front/zookeeper_identity.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

enum { ADDRESS_TEXT_MAX = 64, DIGEST_TEXT_BYTES = 28 };

static bool is_text(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_text(text));
}

static enum status
append(struct zookeeper_identities *identities, struct bytes scheme, struct bytes id)
{
    for (size_t i = 0; i < identities->count; i++) {
        if (bytes_equal(identities->items[i].scheme, scheme) &&
            bytes_equal(identities->items[i].id, id)) {
            return STATUS_OK;
        }
    }
    if (identities->count == ZOOKEEPER_IDENTITIES_MAX) {
        return STATUS_LIMIT;
    }
    identities->items[identities->count++] = (struct zookeeper_identity){
        .scheme = arena_copy(&identities->arena, scheme), .id = arena_copy(&identities->arena, id)};
    return STATUS_OK;
}

void zookeeper_identities_init(struct zookeeper_identities *identities, struct bytes address)
{
    identities->count = 0;
    arena_init(&identities->arena);
    CHECK(append(identities, bytes_of_text("ip"), address) == STATUS_OK);
}

void zookeeper_identities_release(struct zookeeper_identities *identities)
{
    arena_release(&identities->arena);
}

/* user:base64(SHA1(user:password)), the form of DigestAuthenticationProvider. */
static struct bytes digest_of(struct zookeeper_identities *identities, struct bytes credentials)
{
    const uint8_t *colon =
        credentials.size == 0 ? NULL : memchr(credentials.data, ':', credentials.size);
    size_t user_bytes = colon == NULL ? credentials.size : (size_t)(colon - credentials.data);
    uint8_t hash[SHA_DIGEST_LENGTH];
    uint8_t text[DIGEST_TEXT_BYTES + 1];
    uint8_t *id = arena_alloc(&identities->arena, user_bytes + 1 + DIGEST_TEXT_BYTES);

    (void)SHA1(credentials.data, credentials.size, hash);
    CHECK(EVP_EncodeBlock(text, hash, sizeof hash) == DIGEST_TEXT_BYTES);
    memcpy(id, credentials.data, user_bytes);
    id[user_bytes] = ':';
    memcpy(id + user_bytes + 1, text, DIGEST_TEXT_BYTES);
    return bytes_of(id, user_bytes + 1 + DIGEST_TEXT_BYTES);
}

enum status zookeeper_identities_add(struct zookeeper_identities *identities,
                                     struct bytes scheme,
                                     struct bytes credentials)
{
    if (is_text(scheme, "ip")) {
        return STATUS_OK;
    }
    if (!is_text(scheme, "digest") || credentials.size == 0) {
        return STATUS_INVALID;
    }
    return append(identities, scheme, digest_of(identities, credentials));
}

bool zookeeper_identity_is_authenticated(const struct zookeeper_identity *identity)
{
    return !is_text(identity->scheme, "ip");
}

struct bytes zookeeper_identity_user(const struct zookeeper_identity *identity)
{
    const uint8_t *colon = identity->id.size == 0 || !is_text(identity->scheme, "digest")
                               ? NULL
                               : memchr(identity->id.data, ':', identity->id.size);

    return colon == NULL ? identity->id
                         : bytes_of(identity->id.data, (size_t)(colon - identity->id.data));
}

/* --- ACL entries --- */

static bool is_bits(const char *text, long most)
{
    long bits = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        bits = bits * 10 + (*text - '0');
        if (bits > most) {
            return false;
        }
    }
    return true;
}

/* a.b.c.d or an IPv6 address, with /BITS or without. */
static bool is_network(struct bytes id)
{
    char text[ADDRESS_TEXT_MAX];
    uint8_t parsed[16];
    char *slash;

    if (id.size == 0 || id.size >= sizeof text || memchr(id.data, '\0', id.size) != NULL) {
        return false;
    }
    memcpy(text, id.data, id.size);
    text[id.size] = '\0';
    slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (inet_pton(AF_INET, text, parsed) == 1) {
        return slash == NULL || is_bits(slash + 1, 32);
    }
    return inet_pton(AF_INET6, text, parsed) == 1 && (slash == NULL || is_bits(slash + 1, 128));
}

static bool is_digest(struct bytes id)
{
    const uint8_t *colon = id.size == 0 ? NULL : memchr(id.data, ':', id.size);
    size_t after = colon == NULL ? 0 : id.size - (size_t)(colon - id.data) - 1;

    return after > 0 && memchr(colon + 1, ':', after) == NULL;
}

bool zookeeper_acl_id_is_valid(struct bytes scheme, struct bytes id)
{
    if (is_text(scheme, "world")) {
        return is_text(id, "anyone");
    }
    if (is_text(scheme, "ip")) {
        return is_network(id);
    }
    return is_text(scheme, "digest") && is_digest(id);
}
