#include "server/front/identity.h"

#include "base/check.h"
#include "base/network.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <string.h>

enum { DIGEST_TEXT_BYTES = 28 };

static bool is_text(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_text(text));
}

static enum status append(struct identities *identities, struct bytes scheme, struct bytes id)
{
    for (size_t i = 0; i < identities->count; i++) {
        if (bytes_equal(identities->items[i].scheme, scheme) &&
            bytes_equal(identities->items[i].id, id)) {
            return STATUS_OK;
        }
    }
    if (identities->count == STATE_IDENTITIES_MAX ||
        scheme.size + id.size > STATE_IDENTITY_BYTES_MAX) {
        return STATUS_LIMIT;
    }
    identities->items[identities->count++] = (struct state_identity){
        .scheme = arena_copy(&identities->arena, scheme), .id = arena_copy(&identities->arena, id)};
    return STATUS_OK;
}

void identities_init(struct identities *identities, struct bytes address, const char *super_digest)
{
    identities->count = 0;
    identities->super_digest = super_digest;
    arena_init(&identities->arena);
    CHECK(append(identities, bytes_of_text("ip"), address) == STATUS_OK);
}

void identities_release(struct identities *identities)
{
    arena_release(&identities->arena);
}

struct state_identities identities_lend(const struct identities *identities)
{
    return (struct state_identities){.items = identities->items, .count = identities->count};
}

/* user:base64(SHA1(user:password)), the form of DigestAuthenticationProvider. */
static struct bytes digest_of(struct identities *identities, struct bytes credentials)
{
    const uint8_t *colon =
        credentials.size == 0 ? NULL : memchr(credentials.data, ':', credentials.size);
    size_t user_bytes = colon == NULL ? credentials.size : (size_t)(colon - credentials.data);
    struct sha1_ctx sha1;
    uint8_t hash[SHA1_DIGEST_SIZE];
    uint8_t *id = arena_alloc(&identities->arena, user_bytes + 1 + DIGEST_TEXT_BYTES);

    sha1_init(&sha1);
    sha1_update(&sha1, credentials.size, credentials.data);
    sha1_digest(&sha1, sizeof hash, hash);
    memcpy(id, credentials.data, user_bytes);
    id[user_bytes] = ':';
    base64_encode_raw((char *)id + user_bytes + 1, sizeof hash, hash);
    return bytes_of(id, user_bytes + 1 + DIGEST_TEXT_BYTES);
}

enum status
identities_add(struct identities *identities, struct bytes scheme, struct bytes credentials)
{
    struct bytes digest;

    if (is_text(scheme, "ip")) {
        return STATUS_OK;
    }
    if (!is_text(scheme, "digest") || credentials.size == 0) {
        return STATUS_INVALID;
    }
    digest = digest_of(identities, credentials);
    if (identities->super_digest != NULL && is_text(digest, identities->super_digest) &&
        append(identities, bytes_of_text("super"), BYTES_EMPTY) != STATUS_OK) {
        return STATUS_LIMIT;
    }
    return append(identities, scheme, digest);
}

struct bytes identity_user(const struct state_identity *identity)
{
    const uint8_t *colon = identity->id.size == 0 || !is_text(identity->scheme, "digest")
                               ? NULL
                               : memchr(identity->id.data, ':', identity->id.size);

    return colon == NULL ? identity->id
                         : bytes_of(identity->id.data, (size_t)(colon - identity->id.data));
}

/* --- ACL entries --- */

static bool is_digest(struct bytes id)
{
    const uint8_t *colon = id.size == 0 ? NULL : memchr(id.data, ':', id.size);
    size_t after = colon == NULL ? 0 : id.size - (size_t)(colon - id.data) - 1;

    return after > 0 && memchr(colon + 1, ':', after) == NULL;
}

bool identity_may_stand_in_acl(struct bytes scheme, struct bytes id)
{
    struct network ignored;

    if (is_text(scheme, "auth")) {
        return true;
    }
    if (is_text(scheme, "world")) {
        return is_text(id, "anyone");
    }
    if (is_text(scheme, "ip")) {
        return network_parse(id, &ignored);
    }
    return is_text(scheme, "digest") && is_digest(id);
}

struct bytes
identity_shown_in_acl(const struct state_acl_entry *entry, bool may_administer, struct arena *arena)
{
    const struct state_identity identity = {.scheme = entry->scheme, .id = entry->id};
    struct bytes user = identity_user(&identity);
    uint8_t *shown;

    if (may_administer || user.size == entry->id.size) {
        return entry->id;
    }
    shown = arena_alloc(arena, user.size + 2);
    memcpy(shown, user.data, user.size);
    memcpy(shown + user.size, ":x", 2);
    return bytes_of(shown, user.size + 2);
}
