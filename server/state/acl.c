#include "server/state/acl.h"

#include "base/check.h"
#include "base/network.h"

#include <string.h>

enum { ENTRY_HEADER_BYTES = 7 };

static struct state_acl_entry open_entry(void)
{
    return (struct state_acl_entry){
        .permissions = ACL_ALL,
        .scheme = bytes_of_text("world"),
        .id = bytes_of_text("anyone"),
    };
}

static bool entry_equal(const struct state_acl_entry *left, const struct state_acl_entry *right)
{
    return left->permissions == right->permissions && bytes_equal(left->scheme, right->scheme) &&
           bytes_equal(left->id, right->id);
}

bool state_acl_entry_is_open(const struct state_acl_entry *entry)
{
    const struct state_acl_entry open = open_entry();

    return entry_equal(entry, &open);
}

static bool is_text(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_text(text));
}

static enum op_error entry_check(const struct state_acl_entry *entry)
{
    if (entry->scheme.size > ACL_SCHEME_BYTES_MAX || entry->id.size > ACL_ID_BYTES_MAX) {
        return OP_LIMIT;
    }
    if (entry->scheme.size == 0 || is_text(entry->scheme, "super")) {
        return OP_INVALID_ACL;
    }
    if (is_text(entry->scheme, "world") && !is_text(entry->id, "anyone")) {
        return OP_INVALID_ACL;
    }
    return OP_OK;
}

static uint8_t *entry_store(uint8_t *to, const struct state_acl_entry *entry)
{
    bytes_store_u32(to, entry->permissions);
    to[4] = (uint8_t)entry->scheme.size;
    bytes_store_u16(to + 5, (uint16_t)entry->id.size);
    to += ENTRY_HEADER_BYTES;
    memcpy(to, entry->scheme.data, entry->scheme.size);
    to += entry->scheme.size;
    if (entry->id.size > 0) {
        memcpy(to, entry->id.data, entry->id.size);
    }
    return to + entry->id.size;
}

/* Entries as they will be stored, without duplicates. */
struct stored {
    struct state_acl_entry entries[STATE_ACL_ENTRIES_MAX];
    size_t count;
};

static enum op_error stored_add(struct stored *stored, const struct state_acl_entry *entry)
{
    for (size_t i = 0; i < stored->count; i++) {
        if (entry_equal(&stored->entries[i], entry)) {
            return OP_OK;
        }
    }
    if (stored->count == STATE_ACL_ENTRIES_MAX) {
        return OP_LIMIT;
    }
    stored->entries[stored->count++] = *entry;
    return OP_OK;
}

/* An address was not proved, and whoever is super needs no entry. */
static bool is_proved(const struct state_identity *identity)
{
    return !is_text(identity->scheme, "ip") && !is_text(identity->scheme, "super");
}

static enum op_error
stored_add_proved(struct stored *stored, uint32_t permissions, struct state_identities identities)
{
    enum op_error error = OP_INVALID_ACL;

    for (size_t i = 0; i < identities.count; i++) {
        const struct state_acl_entry entry = {.permissions = permissions,
                                              .scheme = identities.items[i].scheme,
                                              .id = identities.items[i].id};

        if (is_proved(&identities.items[i])) {
            error = stored_add(stored, &entry);
            if (error != OP_OK) {
                return error;
            }
        }
    }
    return error;
}

enum op_error acl_encode(const struct state_acl_entry *entries,
                         size_t count,
                         struct state_identities identities,
                         struct arena *arena,
                         struct acl *ret_acl)
{
    struct stored stored;
    size_t size = 0;
    uint8_t *start;
    uint8_t *end;

    stored.count = 0;
    for (size_t i = 0; i < count; i++) {
        enum op_error error = entry_check(&entries[i]);

        if (error == OP_OK) {
            error = is_text(entries[i].scheme, "auth")
                        ? stored_add_proved(&stored, entries[i].permissions, identities)
                        : stored_add(&stored, &entries[i]);
        }
        if (error != OP_OK) {
            return error;
        }
    }
    if (stored.count == 1 && state_acl_entry_is_open(&stored.entries[0])) {
        stored.count = 0;
    }
    for (size_t i = 0; i < stored.count; i++) {
        size += ENTRY_HEADER_BYTES + stored.entries[i].scheme.size + stored.entries[i].id.size;
    }
    start = arena_alloc(arena, size);
    end = start;
    for (size_t i = 0; i < stored.count; i++) {
        end = entry_store(end, &stored.entries[i]);
    }
    CHECK_OP((size_t)(end - start), ==, size);
    *ret_acl = (struct acl){.count = (uint8_t)stored.count, .encoded = bytes_of(start, size)};
    return OP_OK;
}

struct acl acl_read_only(struct arena *arena)
{
    struct state_acl_entry entry = open_entry();
    struct acl acl;

    entry.permissions = 1;
    CHECK(acl_encode(&entry, 1, (struct state_identities){.count = 0}, arena, &acl) == OP_OK);
    return acl;
}

static enum status entry_read(struct reader *reader, struct state_acl_entry *ret_entry)
{
    struct state_acl_entry entry = {.permissions = 0};
    uint8_t scheme_bytes = 0;
    uint16_t id_bytes = 0;

    (void)reader_u32(reader, &entry.permissions);
    (void)reader_u8(reader, &scheme_bytes);
    (void)reader_u16(reader, &id_bytes);
    (void)reader_lend(reader, scheme_bytes, &entry.scheme);
    (void)reader_lend(reader, id_bytes, &entry.id);
    *ret_entry = entry;
    return reader->failed ? STATUS_INVALID : STATUS_OK;
}

bool acl_is_well_formed(struct acl acl)
{
    struct reader reader = reader_of(acl.encoded);
    struct state_acl_entry entry;

    for (uint8_t i = 0; i < acl.count; i++) {
        if (entry_read(&reader, &entry) != STATUS_OK) {
            return false;
        }
    }
    return reader_finish(&reader) == STATUS_OK;
}

uint32_t acl_entry_count(struct acl acl)
{
    return acl.count == 0 ? 1 : acl.count;
}

struct state_acl_entry acl_entry(struct acl acl, uint32_t position)
{
    struct reader reader = reader_of(acl.encoded);
    struct state_acl_entry entry = open_entry();

    CHECK_OP(position, <, acl_entry_count(acl));
    if (acl.count == 0) {
        return entry;
    }
    for (uint32_t i = 0; i <= position; i++) {
        CHECK(entry_read(&reader, &entry) == STATUS_OK);
    }
    return entry;
}

/* --- Permissions --- */

/* The addresses among the identities, taken apart when the first entry asks. */
struct hosts {
    bool are_known;
    size_t count;
    struct network items[STATE_IDENTITIES_MAX];
};

static void hosts_read(struct hosts *hosts, struct state_identities identities)
{
    hosts->are_known = true;
    hosts->count = 0;
    for (size_t i = 0; i < identities.count; i++) {
        if (is_text(identities.items[i].scheme, "ip") &&
            network_parse(identities.items[i].id, &hosts->items[hosts->count])) {
            hosts->count++;
        }
    }
}

static bool
is_host_in(struct bytes network_text, struct state_identities identities, struct hosts *hosts)
{
    struct network network;
    bool is_in = false;

    if (!hosts->are_known) {
        hosts_read(hosts, identities);
    }
    if (hosts->count == 0 || !network_parse(network_text, &network)) {
        return false;
    }
    for (size_t i = 0; i < hosts->count && !is_in; i++) {
        is_in = network_contains(&network, &hosts->items[i]);
    }
    return is_in;
}

static bool is_one_of(const struct state_acl_entry *entry, struct state_identities identities)
{
    for (size_t i = 0; i < identities.count; i++) {
        if (bytes_equal(entry->scheme, identities.items[i].scheme) &&
            bytes_equal(entry->id, identities.items[i].id)) {
            return true;
        }
    }
    return false;
}

static bool entry_permits(const struct state_acl_entry *entry,
                          struct state_identities identities,
                          struct hosts *hosts)
{
    return is_text(entry->scheme, "world") ||
           (is_text(entry->scheme, "ip") ? is_host_in(entry->id, identities, hosts)
                                         : is_one_of(entry, identities));
}

static bool is_super(struct state_identities identities)
{
    for (size_t i = 0; i < identities.count; i++) {
        if (is_text(identities.items[i].scheme, "super")) {
            return true;
        }
    }
    return false;
}

bool acl_permits(struct acl acl, unsigned permissions, struct state_identities identities)
{
    struct reader reader = reader_of(acl.encoded);
    struct state_acl_entry entry;
    struct hosts hosts;

    CHECK_OP(identities.count, <=, STATE_IDENTITIES_MAX);
    if (acl.count == 0 || is_super(identities)) {
        return true;
    }
    hosts.are_known = false;
    for (uint32_t i = 0; i < acl.count; i++) {
        CHECK(entry_read(&reader, &entry) == STATUS_OK);
        if ((entry.permissions & permissions) != 0 && entry_permits(&entry, identities, &hosts)) {
            return true;
        }
    }
    return false;
}
