#include "persistence/inspect.h"

#include "persistence/files.h"
#include "persistence/key_text.h"
#include "persistence/log_format.h"
#include "persistence/log_tail.h"
#include "persistence/tree_format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES_MAX = 256 };

static void tell(inspect_damage *on_damage, void *context, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(inspect_damage *on_damage, void *context, const char *format, ...)
{
    char text[LINE_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    on_damage(context, text);
}

/* --- The log --- */

struct log_reading {
    struct log_inspection *inspection;
    /* The entry whose pieces come. */
    struct log_entry entry;
    size_t payload_bytes;
    struct buffer payload;
    bool is_open;
    uint32_t next_piece;
    raft_index next_index; /* 0 = none was seen yet */
};

static void entry_damaged(const struct log_reading *reading, raft_index index, const char *how)
{
    tell(reading->inspection->on_damage, reading->inspection->context, "entry %" PRIu64 " %s",
         index, how);
}

static void take_record(struct log_reading *reading, uint64_t key, struct bytes stored)
{
    struct log_inspection *inspection = reading->inspection;
    enum status status = STATUS_CORRUPT;
    const char *name = "identity";

    if (key == LOG_KEY_IDENTITY) {
        status = log_format_get_identity(stored, &inspection->identity, &inspection->format);
        inspection->has_identity = status == STATUS_OK;
    } else if (key == LOG_KEY_HARD_STATE) {
        name = "hard state";
        status = log_format_get_hard_state(stored, &inspection->state);
        inspection->has_hard_state = status == STATUS_OK;
    } else if (key == LOG_KEY_BASE) {
        name = "base";
        status = log_format_get_base(stored, &inspection->state);
        inspection->has_base = status == STATUS_OK;
    } else if (key == LOG_KEY_WITNESSES) {
        name = "list of witnesses";
        status =
            log_format_get_witnesses(stored, inspection->witnesses, &inspection->witness_count);
        inspection->has_witnesses = status == STATUS_OK;
    } else if (key == LOG_KEY_STAMP) {
        name = "stamp";
        inspection->has_stamp = log_format_get_stamp_record(stored, &inspection->stamp);
        status = inspection->has_stamp ? STATUS_OK : STATUS_CORRUPT;
    } else {
        tell(inspection->on_damage, inspection->context, "a record has the unknown key %" PRIu64,
             key);
        return;
    }
    if (status == STATUS_FORMAT) {
        tell(inspection->on_damage, inspection->context,
             "its format is %" PRIu32 ", this program knows up to %d: check it with the version "
             "that wrote it",
             inspection->format, (int)LOG_STORE_FORMAT);
    } else if (status != STATUS_OK) {
        tell(inspection->on_damage, inspection->context, "the %s is damaged", name);
    }
}

static void take_entry(struct log_reading *reading, const struct log_entry *entry)
{
    struct log_inspection *inspection = reading->inspection;

    inspection->entry_count++;
    inspection->payload_bytes += entry->payload.size;
    if (inspection->on_entry != NULL) {
        inspection->on_entry(inspection->context, entry);
    }
}

/* The entry in pieces that was read is complete, or never will be. */
static void end_entry(struct log_reading *reading)
{
    if (!reading->is_open) {
        return;
    }
    reading->is_open = false;
    if (reading->payload.size != reading->payload_bytes) {
        entry_damaged(reading, reading->entry.index, "lacks a piece");
        return;
    }
    reading->entry.payload = buffer_lend(&reading->payload);
    take_entry(reading, &reading->entry);
}

static void run_damaged(const struct log_reading *reading, raft_index expected, raft_index last)
{
    if (expected == 0 || expected >= last) {
        entry_damaged(reading, last, "is damaged");
        return;
    }
    tell(reading->inspection->on_damage, reading->inspection->context,
         "the entries %" PRIu64 " to %" PRIu64 " are damaged", expected, last);
}

/* The entries of a value; the first one of them may have further pieces. */
static void take_run(struct log_reading *reading, raft_index last, struct bytes stored)
{
    bool is_first = reading->next_index == 0;
    raft_index base = reading->inspection->state.base;
    raft_index expected = !is_first                       ? reading->next_index
                          : reading->inspection->has_base ? base + 1
                                                          : 0;
    struct log_run run;
    struct log_entry entry;

    reading->next_index = last + 1;
    reading->inspection->state.last = last;
    if (!log_format_get_run(last, stored, &run)) {
        run_damaged(reading, expected, last);
        return;
    }
    /* The first run may begin with entries that the log has let go. */
    if (expected != 0 &&
        (run.first > expected || last < expected || (!is_first && run.first < expected))) {
        tell(reading->inspection->on_damage, reading->inspection->context,
             "entry %" PRIu64 " is there where %" PRIu64 " should be", run.first, expected);
    }
    if (run.payload_bytes > LOG_PIECE_BYTES) {
        reading->is_open = log_format_next_entry(&run, &reading->entry);
        reading->payload_bytes = run.payload_bytes;
        reading->next_piece = 1;
        buffer_clear(&reading->payload);
        buffer_put(&reading->payload, reading->entry.payload);
        return;
    }
    while (log_format_next_entry(&run, &entry)) {
        if (!is_first || entry.index >= expected) {
            take_entry(reading, &entry);
        }
    }
}

static void
take_piece(struct log_reading *reading, raft_index index, uint32_t piece, struct bytes stored)
{
    struct bytes part;

    if (!reading->is_open) {
        return; /* of an entry that was named already */
    }
    if (index != reading->entry.index || piece != reading->next_piece) {
        end_entry(reading);
        entry_damaged(reading, index, "has a piece where none should be");
        return;
    }
    reading->next_piece++;
    if (!log_format_check(log_key(index, piece), stored, &part) ||
        part.size > reading->payload_bytes - reading->payload.size) {
        reading->is_open = false;
        entry_damaged(reading, index, "is damaged");
        return;
    }
    buffer_put(&reading->payload, part);
}

static void on_log_value(void *context, struct bytes key, struct bytes value)
{
    struct log_reading *reading = context;
    uint64_t number = 0;
    raft_index index;
    uint32_t piece;

    if (key.size == sizeof number) {
        memcpy(&number, key.data, sizeof number);
    }
    index = number >> LOG_KEY_PIECE_BITS;
    piece = (uint32_t)(number & (LOG_PIECES_MAX - 1));
    if (index == 0) {
        take_record(reading, number, value);
    } else if (piece == 0) {
        end_entry(reading);
        take_run(reading, index, value);
    } else {
        take_piece(reading, index, piece, value);
    }
}

static bool on_log_damage(void *context, const char *text)
{
    struct log_reading *reading = context;

    reading->inspection->on_damage(reading->inspection->context, text);
    return true;
}

static enum status count_tail(struct log_inspection *inspection, struct error *error)
{
    struct log_tail tail;
    enum status status =
        log_tail_find(inspection->path, &inspection->state, inspection->stamp, &tail, error);

    inspection->tail_count = tail.count;
    log_tail_release(&tail);
    if (status == STATUS_CORRUPT) {
        tell(inspection->on_damage, inspection->context, "its end is not whole: %s", error->text);
        return STATUS_OK;
    }
    return status;
}

enum status log_inspect(struct log_inspection *inspection, struct error *error)
{
    struct log_reading reading = {.inspection = inspection, .payload = BUFFER_INIT};
    char data[FILES_PATH_BYTES_MAX];
    enum status status = files_join(inspection->path, "/data.mdb", data, error);

    if (status != STATUS_OK) {
        return status;
    }
    inspection->pages = (struct page_walk){.path = data,
                                           .integer_keys = true,
                                           .depth = PAGE_WALK_VALUES,
                                           .on_entry = on_log_value,
                                           .on_damage = on_log_damage,
                                           .context = &reading};
    status = page_walk(&inspection->pages, error);
    inspection->pages.path = NULL;
    end_entry(&reading);
    buffer_release(&reading.payload);
    if (status != STATUS_OK) {
        return status;
    }
    if (!inspection->has_identity) {
        tell(inspection->on_damage, inspection->context, "there is no sound identity");
    }
    if (!inspection->has_hard_state) {
        tell(inspection->on_damage, inspection->context, "there is no sound hard state");
    }
    if (!inspection->has_base) {
        tell(inspection->on_damage, inspection->context, "there is no sound base");
    }
    if (!inspection->has_witnesses && inspection->format >= LOG_STORE_FORMAT_OF_WITNESSES) {
        tell(inspection->on_damage, inspection->context, "there is no sound list of witnesses");
    }
    if (!inspection->has_stamp && inspection->format >= LOG_STORE_FORMAT_OF_STAMPS) {
        tell(inspection->on_damage, inspection->context, "there is no sound stamp");
    }
    if (reading.next_index == 0) {
        inspection->state.last = inspection->state.base;
    }
    return inspection->has_stamp ? count_tail(inspection, error) : STATUS_OK;
}

/* --- A tree --- */

static void take_meta(struct tree_inspection *inspection, struct bytes stored)
{
    enum status status = tree_format_get_meta(stored, &inspection->meta, &inspection->format);

    inspection->has_meta = status == STATUS_OK;
    if (status == STATUS_OK) {
        buffer_clear(&inspection->config_buffer);
        buffer_put(&inspection->config_buffer, inspection->meta.config);
        inspection->meta.config = buffer_lend(&inspection->config_buffer);
    } else if (status == STATUS_FORMAT) {
        tell(inspection->on_damage, inspection->context,
             "its format is %" PRIu32 ", this program knows %d: check it with the version that "
             "wrote it",
             inspection->format, (int)TREE_STORE_FORMAT);
    }
}

static void on_tree_value(void *context, struct bytes stored_key, struct bytes stored)
{
    struct tree_inspection *inspection = context;
    struct bytes key;
    struct bytes value;
    char text[KEY_TEXT_BYTES_MAX];

    if (bytes_equal(stored_key, tree_format_meta_key())) {
        take_meta(inspection, stored);
        return;
    }
    if (!tree_format_record_key(stored_key, &key)) {
        key_text(stored_key, text);
        tell(inspection->on_damage, inspection->context, "there is an unknown key '%s'", text);
        return;
    }
    if (!tree_format_get_record(stored_key, stored, SIZE_MAX, &value)) {
        key_text(key, text);
        tell(inspection->on_damage, inspection->context, "the record '%s' is damaged", text);
        return;
    }
    inspection->record_count++;
    if (inspection->on_record != NULL) {
        inspection->on_record(inspection->context, key, value);
    }
}

static bool on_tree_damage(void *context, const char *text)
{
    struct tree_inspection *inspection = context;

    inspection->on_damage(inspection->context, text);
    return true;
}

enum status tree_inspect(struct tree_inspection *inspection, struct error *error)
{
    char data[FILES_PATH_BYTES_MAX];
    enum status status = files_join(inspection->path, "/data.mdb", data, error);

    if (status != STATUS_OK) {
        return status;
    }
    inspection->config_buffer = (struct buffer)BUFFER_INIT;
    inspection->pages = (struct page_walk){.path = data,
                                           .depth = PAGE_WALK_VALUES,
                                           .on_entry = on_tree_value,
                                           .on_damage = on_tree_damage,
                                           .context = inspection};
    status = page_walk(&inspection->pages, error);
    inspection->pages.path = NULL;
    if (status == STATUS_OK && !inspection->has_meta) {
        tell(inspection->on_damage, inspection->context, "there is no sound meta record");
    }
    return status;
}
