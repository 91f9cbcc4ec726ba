#include "server/state/session_table.h"

#include "base/alloc.h"
#include "base/check.h"
#include "server/state/record_key.h"

#include <stdlib.h>
#include <string.h>

enum { SESSION_BYTES = 44 + STATE_PASSWORD_BYTES, SESSION_KEY_BYTES = 9 };

void session_table_init(struct session_table *table, struct overlay *overlay)
{
    *table = (struct session_table){.overlay = overlay};
    map_init(&table->by_id);
    list_init(&table->in_order);
}

void session_table_release(struct session_table *table)
{
    for (struct list *link; (link = list_take_first(&table->in_order)) != NULL;) {
        free(CONTAINER_OF(link, struct session, in_order));
    }
    map_release(&table->by_id);
}

struct session *session_table_find(const struct session_table *table, session_id id)
{
    uint64_t hash = map_hash_u64(id);

    MAP_FOR_HASH (node, &table->by_id, hash) {
        struct session *session = CONTAINER_OF(node, struct session, by_id);

        if (session->id == id) {
            return session;
        }
    }
    return NULL;
}

struct session *session_table_add(struct session_table *table, session_id id)
{
    struct session *session = xmalloc(sizeof *session);

    if (!list_is_empty(&table->in_order)) {
        CHECK_OP(CONTAINER_OF(table->in_order.previous, struct session, in_order)->id, <, id);
    }
    *session = (struct session){.id = id};
    map_insert(&table->by_id, &session->by_id, map_hash_u64(id));
    list_append(&table->in_order, &session->in_order);
    return session;
}

static void drop(struct session_table *table, struct session *session)
{
    map_remove(&table->by_id, &session->by_id);
    map_shrink_some(&table->by_id);
    list_remove(&session->in_order);
    free(session);
}

/* --- Records --- */

static void session_store(const struct session *session, uint8_t *data)
{
    bytes_store_u64(data, session->generation);
    bytes_store_u64(data + 8, session->owner);
    bytes_store_u32(data + 16, session->timeout_ms);
    bytes_store_u64(data + 20, session->last_sequence);
    bytes_store_u64(data + 28, session->confirmed);
    bytes_store_u64(data + 36, session->kept_bytes);
    memcpy(data + 44, session->password, STATE_PASSWORD_BYTES);
}

static bool session_read(struct session_table *table, struct bytes key, struct bytes value)
{
    struct session *session;

    if (key.size != SESSION_KEY_BYTES || value.size != SESSION_BYTES) {
        return false;
    }
    session = session_table_add(table, bytes_load_u64(key.data + 1));
    session->generation = bytes_load_u64(value.data);
    session->owner = bytes_load_u64(value.data + 8);
    session->timeout_ms = bytes_load_u32(value.data + 16);
    session->last_sequence = bytes_load_u64(value.data + 20);
    session->confirmed = bytes_load_u64(value.data + 28);
    session->kept_bytes = bytes_load_u64(value.data + 36);
    memcpy(session->password, value.data + 44, STATE_PASSWORD_BYTES);
    return session->confirmed <= session->last_sequence;
}

struct loading {
    struct session_table *table;
    bool damaged;
};

static bool load_session(void *visitor, struct bytes key, struct bytes value, struct record *record)
{
    struct loading *loading = visitor;

    (void)record;
    loading->damaged = !session_read(loading->table, key, value);
    return !loading->damaged;
}

enum status session_table_load(struct session_table *table)
{
    struct loading loading = {.table = table};
    struct bytes prefix = bytes_of_text("s");
    enum status status =
        overlay_scan(table->overlay, prefix, prefix, SIZE_MAX, load_session, &loading);

    return status == STATUS_OK && loading.damaged ? STATUS_CORRUPT : status;
}

enum status session_table_write(struct session_table *table, struct session *session)
{
    struct record_key key;
    struct record *before = NULL;
    struct record *record;
    enum status status;

    record_key_session(session->id, &key);
    status = overlay_find(table->overlay, record_key_lend(&key), &before);
    if (status == STATUS_OK) {
        record = record_new(record_key_lend(&key), SESSION_BYTES);
        session_store(session, record_value_space(record));
        overlay_put(table->overlay, before, record);
    }
    return status;
}

static enum status
remove_key(struct session_table *table, const struct record_key *key, uint32_t *ret_value_bytes)
{
    struct record *record = NULL;
    enum status status = overlay_find(table->overlay, record_key_lend(key), &record);

    if (status != STATUS_OK) {
        return status;
    }
    if (record == NULL) {
        return STATUS_CORRUPT;
    }
    *ret_value_bytes = record->value_bytes;
    overlay_remove(table->overlay, record);
    return STATUS_OK;
}

enum status session_table_remove(struct session_table *table, struct session *session)
{
    struct record_key key;
    uint32_t value_bytes;
    bool changed;
    enum status status = session_confirm(table, session, session->last_sequence, &changed);

    record_key_session(session->id, &key);
    if (status == STATUS_OK) {
        status = remove_key(table, &key, &value_bytes);
    }
    if (status == STATUS_OK) {
        drop(table, session);
    }
    return status;
}

/* --- Kept results --- */

enum status session_confirm(struct session_table *table,
                            struct session *session,
                            uint64_t sequence,
                            bool *ret_changed)
{
    uint64_t last = sequence < session->last_sequence ? sequence : session->last_sequence;
    bool changed = session->confirmed < last;

    while (session->confirmed < last) {
        struct record_key key;
        uint32_t value_bytes = 0;
        enum status status;

        record_key_result(session->id, session->confirmed + 1, &key);
        status = remove_key(table, &key, &value_bytes);
        if (status != STATUS_OK) {
            return status;
        }
        if (value_bytes > session->kept_bytes) {
            return STATUS_CORRUPT;
        }
        session->kept_bytes -= value_bytes;
        session->confirmed++;
    }
    *ret_changed = changed;
    return STATUS_OK;
}

void session_keep(struct session_table *table, struct session *session, struct bytes result)
{
    struct record_key key;
    struct record *record;

    session->last_sequence++;
    session->kept_bytes += result.size;
    record_key_result(session->id, session->last_sequence, &key);
    record = record_new(record_key_lend(&key), result.size);
    if (result.size > 0) {
        memcpy(record_value_space(record), result.data, result.size);
    }
    overlay_put(table->overlay, NULL, record);
}

enum status session_kept(struct session_table *table,
                         const struct session *session,
                         uint64_t sequence,
                         struct bytes *ret_result)
{
    struct record_key key;
    struct record *record = NULL;
    enum status status;

    CHECK_OP(sequence, >, session->confirmed);
    CHECK_OP(sequence, <=, session->last_sequence);
    record_key_result(session->id, sequence, &key);
    status = overlay_find(table->overlay, record_key_lend(&key), &record);
    if (status == STATUS_OK && record == NULL) {
        return STATUS_CORRUPT;
    }
    if (status == STATUS_OK) {
        *ret_result = record_value_of(record);
    }
    return status;
}
