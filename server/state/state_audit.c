#include "server/state/state_audit.h"

#include "base/checksum.h"
#include "server/state/record.h"
#include "server/state/znode.h"

#include <string.h>

enum {
    NODE_KEY_BYTES_MIN = 9,
    SESSION_KEY_BYTES = 9,
    DUE_KEY_BYTES = 9,  /* of containers and sessions */
    PAIR_KEY_BYTES = 17 /* two integers behind the letter */
};

static const char *audit_node(struct state_audit *audit, struct bytes key, struct bytes value)
{
    struct record *record;
    bool is_sound;

    audit->node_count++;
    if (key.size < NODE_KEY_BYTES_MIN || value.size > UINT32_MAX) {
        return "is no node";
    }
    record = record_new(key, value.size);
    memcpy(record_value_space(record), value.data, value.size);
    is_sound = znode_is_well_formed(record);
    record_unref(record);
    return is_sound ? NULL : "is no node";
}

static const char *audit_meta(struct state_audit *audit, struct bytes key, struct bytes value)
{
    audit->has_meta = key.size == 1 && state_meta_decode(value, &audit->meta, NULL) == STATUS_OK;
    return audit->has_meta ? NULL : "is not what a restart needs";
}

static const char *audit_size(struct bytes key, size_t bytes)
{
    return key.size == bytes ? NULL : "has a key of a wrong size";
}

const char *state_audit_record(struct state_audit *audit, struct bytes key, struct bytes value)
{
    uint8_t table = key.size == 0 ? 0 : key.data[0];

    if (table == 'm') {
        return audit_meta(audit, key, value);
    }
    audit->records.record_count++;
    audit->records.sum += checksum_pair(key, value);
    switch (table) {
    case 'n':
        return audit_node(audit, key, value);
    case 'c':
    case 'o':
        return audit_size(key, DUE_KEY_BYTES);
    case 's':
        audit->session_count++;
        return audit_size(key, SESSION_KEY_BYTES);
    case 'e':
    case 'r':
    case 't':
        return audit_size(key, PAIR_KEY_BYTES);
    default:
        return "is of an unknown table";
    }
}

const char *state_audit_end(const struct state_audit *audit, struct state_digest digest)
{
    struct state_digest whole;

    if (!audit->has_meta) {
        return audit->records.record_count == 0 && digest.record_count == 0
                   ? NULL
                   : "the record 'm' is missing";
    }
    whole = state_meta_digest(&audit->meta);
    if (audit->records.record_count != audit->meta.records.record_count ||
        audit->records.sum != audit->meta.records.sum ||
        audit->node_count != audit->meta.node_count) {
        return "the records are not those of which the record 'm' tells";
    }
    if (whole.record_count != digest.record_count || whole.sum != digest.sum) {
        return "the digest of the records is not the one in the meta record";
    }
    return NULL;
}
