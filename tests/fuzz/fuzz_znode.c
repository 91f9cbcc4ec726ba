/* Bytes as the record of a node: what is well formed can be read to the last entry of its access
 * list, and is the same after being stored again. */
#include "base/check.h"
#include "server/state/znode.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record *record = record_new(bytes_of_text("key"), size);

    if (size > 0) {
        memcpy(record_value_space(record), data, size);
    }
    if (znode_is_well_formed(record)) {
        struct znode znode = znode_load(record);
        struct record *again = znode_store(bytes_of_text("key"), &znode);
        struct bytes before = record_value_of(record);
        struct bytes after = record_value_of(again);

        CHECK(before.size == after.size && memcmp(before.data, after.data, before.size) == 0);
        CHECK(acl_is_well_formed(znode.acl));
        for (uint32_t i = 0; i < acl_entry_count(znode.acl); i++) {
            struct state_acl_entry entry = acl_entry(znode.acl, i);

            CHECK_OP(entry.scheme.size, <=, ACL_SCHEME_BYTES_MAX);
            CHECK_OP(entry.id.size, <=, ACL_ID_BYTES_MAX);
        }
        CHECK(znode_id(record) == znode.id);
        CHECK(znode_is_ephemeral(record) == (znode_owner(&znode) != 0) ||
              (znode.flags & ZNODE_EPHEMERAL) != 0);
        record_unref(again);
    }
    record_unref(record);
    return 0;
}
