#include "server/front/identity.h"

#include "base/check.h"
#include "base/network.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_TEXT_BYTES = 28 };

static bool is_text(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_text(text));
}

static enum status append(struct identities *identities, struct bytes scheme, struct bytes id)
{
    struct state_identity items[STATE_IDENTITIES_MAX];
    struct state_identity *copy;
    size_t count = identities->count;

    for (size_t i = 0; i < count; i++) {
        items[i] = identities->items[i];
        if (bytes_equal(items[i].scheme, scheme) && bytes_equal(items[i].id, id)) {
            return STATUS_OK;
        }
    }
    if (count == STATE_IDENTITIES_MAX || scheme.size + id.size > STATE_IDENTITY_BYTES_MAX) {
        return STATUS_LIMIT;
    }
    items[count++] = (struct state_identity){.scheme = scheme, .id = id};
    copy = request_copy_identities((struct state_identities){.items = items, .count = count});
    free(identities->items);
    identities->items = copy;
    identities->count = count;
    return STATUS_OK;
}

void identities_init(struct identities *identities, struct bytes address, const char *super_digest)
{
    *identities = (struct identities){.super_digest = super_digest};
    CHECK(append(identities, bytes_of_text("ip"), address) == STATUS_OK);
}

void identities_release(struct identities *identities)
{
    free(identities->items);
    identities->items = NULL;
    identities->count = 0;
}

struct state_identities identities_lend(const struct identities *identities)
{
    return (struct state_identities){.items = identities->items, .count = identities->count};
}

/* user:base64(SHA1(user:password)), the form of DigestAuthenticationProvider. */
static struct bytes digest_of(struct bytes credentials, struct arena *arena)
{
    const uint8_t *colon =
        credentials.size == 0 ? NULL : memchr(credentials.data, ':', credentials.size);
    size_t user_bytes = colon == NULL ? credentials.size : (size_t)(colon - credentials.data);
    struct sha1_ctx sha1;
    uint8_t hash[SHA1_DIGEST_SIZE];
    uint8_t *id = arena_alloc(arena, user_bytes + 1 + DIGEST_TEXT_BYTES);

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
    struct arena arena;
    struct bytes digest;
    enum status status = STATUS_OK;

    if (is_text(scheme, "ip")) {
        return STATUS_OK;
    }
    if (!is_text(scheme, "digest") || credentials.size == 0) {
        return STATUS_INVALID;
    }
    arena_init(&arena);
    digest = digest_of(credentials, &arena);
    if (identities->super_digest != NULL && is_text(digest, identities->super_digest)) {
        status = append(identities, bytes_of_text("super"), BYTES_EMPTY);
    }
    if (status == STATUS_OK) {
        status = append(identities, scheme, digest);
    }
    arena_release(&arena);
    return status;
}

bool identities_have_super(const struct identities *identities)
{
    for (size_t i = 0; i < identities->count; i++) {
        if (is_text(identities->items[i].scheme, "super")) {
            return true;
        }
    }
    return false;
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
