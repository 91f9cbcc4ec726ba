#include "server/check.h"

#include "persistence/damage.h"
#include "persistence/data_folder.h"
#include "persistence/dump_file.h"
#include "persistence/inspect.h"
#include "persistence/key_text.h"
#include "persistence/tree_doubt.h"
#include "server/node/config_codec.h"
#include "server/node/dump_receiver.h"
#include "server/state/state_audit.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum { NAMED_MAX = 100, NAME_BYTES_MAX = 280 };

struct check {
    FILE *to;
    struct data_folder folder;
    const char *where; /* what is being read: "log", "tree-0", "dumps/NAME" */
    uint64_t wrong_count;
    struct log_inspection log;
    struct tree_inspection tree;
    bool has_log;
    raft_term last_term;        /* of the entries so far */
    struct state_audit records; /* of the tree or dump being read */
};

/* --- Telling --- */

static void wrong(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void wrong(struct check *check, const char *format, ...)
{
    va_list arguments;

    if (check->wrong_count++ >= NAMED_MAX) {
        return;
    }
    va_start(arguments, format);
    (void)fprintf(check->to, "wrong: %s: ", check->where);
    (void)vfprintf(check->to, format, arguments);
    (void)fputc('\n', check->to);
    va_end(arguments);
}

static void on_damage(void *context, const char *text)
{
    wrong(context, "%s", text);
}

static void print_hexadecimal(FILE *to, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        (void)fprintf(to, "%02x", bytes[i]);
    }
}

static void print_pages(const struct check *check, const struct page_walk *pages)
{
    (void)fprintf(check->to,
                  "    %" PRIu64 " bytes of file; %" PRIu64 " pages of %" PRIu64 " bytes, %" PRIu64
                  " of them free\n",
                  pages->file_bytes, pages->page_count, pages->page_bytes, pages->free_pages);
}

/* --- The log --- */

static void on_entry(void *context, const struct log_entry *entry)
{
    struct check *check = context;
    struct raft_config config;

    if (entry->term < check->last_term) {
        wrong(check, "entry %" PRIu64 " has the term %" PRIu64 ", one before it has %" PRIu64,
              entry->index, entry->term, check->last_term);
    }
    check->last_term = entry->term > check->last_term ? entry->term : check->last_term;
    if (entry->type == RAFT_ENTRY_CONFIG &&
        config_codec_unpack(entry->payload, &config) != STATUS_OK) {
        wrong(check, "the configuration in entry %" PRIu64 " cannot be understood", entry->index);
    }
}

static void print_identity(struct check *check)
{
    const struct log_identity *identity = &check->log.identity;

    (void)fprintf(check->to, "node %" PRIu64 ", incarnation ", identity->node_id);
    print_hexadecimal(check->to, identity->incarnation, sizeof identity->incarnation);
    if (identity->has_cluster) {
        (void)fprintf(check->to, ", cluster ");
        print_hexadecimal(check->to, identity->cluster_id, sizeof identity->cluster_id);
    } else {
        (void)fprintf(check->to, ", of no cluster yet");
    }
    (void)fprintf(check->to, "; started %" PRIu64 " times; last starts of %zu others known\n",
                  identity->start_count, check->log.witness_count);
    if (identity->is_superseded) {
        wrong(check, "it is an old copy of this server's folder, as another member found");
    }
}

static void print_log(struct check *check)
{
    const struct log_inspection *log = &check->log;

    if (log->has_identity) {
        print_identity(check);
    }
    (void)fprintf(check->to,
                  "log: format %" PRIu32 "; term %" PRIu64 ", voted for %" PRIu64 "; %" PRIu64
                  " entries with %" PRIu64 " bytes, from %" PRIu64 " to %" PRIu64 "\n",
                  log->format, log->state.term, log->state.vote, log->entry_count,
                  log->payload_bytes, log->state.base + 1, log->state.last);
    if (log->tail_count > 0) {
        (void)fprintf(check->to,
                      "    and %" PRIu64
                      " entries behind them, of the last write before a power cut, which the "
                      "next start takes in\n",
                      log->tail_count);
    }
    print_pages(check, &log->pages);
}

static void check_log(struct check *check)
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    struct error error;
    enum status status;

    data_folder_log_path(&check->folder, path);
    check->where = "log";
    check->log = (struct log_inspection){
        .path = path, .on_damage = on_damage, .on_entry = on_entry, .context = check};
    status = log_inspect(&check->log, &error);
    if (status != STATUS_OK) {
        if (status != STATUS_CORRUPT) {
            wrong(check, "%s", error.text);
        }
        return;
    }
    check->has_log = true;
    print_log(check);
    if (check->log.has_hard_state && check->last_term > check->log.state.term) {
        wrong(check, "an entry has the term %" PRIu64 ", above the server's own term %" PRIu64,
              check->last_term, check->log.state.term);
    }
}

/* --- Records --- */

static void on_record(void *context, struct bytes key, struct bytes value)
{
    struct check *check = context;
    const char *fault = state_audit_record(&check->records, key, value);
    char text[KEY_TEXT_BYTES_MAX];

    if (fault != NULL) {
        key_text(key, text);
        wrong(check, "the record '%s' %s", text, fault);
    }
}

/* What the records are together, and what the meta record or the head of the dump says of them. */
static void end_records(struct check *check, const struct tree_meta *meta)
{
    const struct state_audit *audit = &check->records;
    const struct state_digest digest = {.record_count = meta->record_count,
                                        .sum = meta->record_sum};
    const char *fault = state_audit_end(audit, digest);
    struct raft_config config;

    (void)fprintf(check->to,
                  "%s: applied %" PRIu64 " of term %" PRIu64 "; %" PRIu64 " records, %" PRIu64
                  " nodes, %" PRIu64 " sessions\n",
                  check->where, meta->applied_index, meta->applied_term,
                  audit->records.record_count, audit->node_count, audit->session_count);
    if (fault != NULL) {
        wrong(check, "%s", fault);
    }
    if (audit->has_meta && audit->meta.applied != meta->applied_index) {
        wrong(check, "its records are of zxid %" PRIu64 ", it says %" PRIu64, audit->meta.applied,
              meta->applied_index);
    }
    if (meta->config.size > 0 && config_codec_unpack(meta->config, &config) != STATUS_OK) {
        wrong(check, "the configuration cannot be understood");
    }
}

/* --- The tree --- */

/* What the server found out about this state while it ran, which its bytes do not tell. */
static void check_verdicts(struct check *check, const char *path)
{
    struct tree_doubt doubt;
    struct error error;

    if (data_folder_tree_is_condemned(&check->folder, check->log.identity.tree_generation)) {
        wrong(check, "its state was found damaged, or other than that of a majority: it is not "
                     "served any more, and the next start fetches another from the other members");
    }
    if (tree_doubt_read(path, &doubt, &error) != STATUS_OK) {
        wrong(check, "%s", error.text);
        return;
    }
    if (doubt.is_borrowed) {
        (void)fprintf(check->to, "    a copy of another member's state, which no majority has "
                                 "confirmed\n");
    }
    for (size_t i = 0; i < doubt.count; i++) {
        (void)fprintf(check->to,
                      "    voter %" PRIu64 " held another state, and no majority said who is "
                      "wrong\n",
                      doubt.members[i]);
    }
}

static void check_tree(struct check *check, const char *name)
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    struct error error;
    enum status status;

    data_folder_tree_path(&check->folder, check->log.identity.tree_generation, path);
    check->where = name;
    memset(&check->records, 0, sizeof check->records);
    check->tree = (struct tree_inspection){
        .path = path, .on_damage = on_damage, .on_record = on_record, .context = check};
    status = tree_inspect(&check->tree, &error);
    if (status == STATUS_NOT_FOUND && check->log.state.base == 0 && access(path, F_OK) != 0) {
        (void)fprintf(check->to, "%s: not made yet\n", name);
    } else if (status != STATUS_OK && status != STATUS_CORRUPT) {
        wrong(check, "%s", error.text);
    } else if (check->tree.has_meta) {
        end_records(check, &check->tree.meta);
        print_pages(check, &check->tree.pages);
        check_verdicts(check, path);
    }
}

/* The log begins at or before the end of what the checkpoint holds, and ends at or behind it. */
static void check_fit(struct check *check)
{
    const struct log_state *log = &check->log.state;
    raft_index applied = check->tree.has_meta ? check->tree.meta.applied_index : 0;

    check->where = "log and checkpoint";
    if (log->base > applied) {
        wrong(check, "the log begins after entry %" PRIu64 ", the checkpoint ends at %" PRIu64,
              log->base, applied);
    }
    if (log->last + check->log.tail_count < applied) {
        wrong(check, "the log ends at entry %" PRIu64 ", before the checkpoint's %" PRIu64,
              log->last + check->log.tail_count, applied);
    }
}

/* --- Dumps --- */

static void check_dump(struct check *check, const char *path)
{
    struct dump_reader reader;
    struct error error;
    struct bytes key;
    struct bytes value;
    enum status status = dump_reader_open(&reader, path, &error);

    if (status != STATUS_OK) {
        wrong(check, "%s", error.text);
        return;
    }
    memset(&check->records, 0, sizeof check->records);
    while ((status = dump_reader_next(&reader, &key, &value, &error)) == STATUS_OK) {
        on_record(check, key, value);
    }
    if (status == STATUS_NOT_FOUND) {
        end_records(check, &reader.header.meta);
    } else {
        wrong(check, "%s", error.text);
    }
    dump_reader_close(&reader);
}

static bool is_part(const char *name)
{
    size_t size = strlen(name);
    size_t suffix = strlen(FILES_PART_SUFFIX);

    return size > suffix && strcmp(name + size - suffix, FILES_PART_SUFFIX) == 0;
}

static void check_dumps(struct check *check)
{
    char folder[DATA_FOLDER_PATH_BYTES_MAX];
    char path[2 * DATA_FOLDER_PATH_BYTES_MAX];
    struct dirent *item;
    DIR *listing;

    (void)snprintf(folder, sizeof folder, "%.*s/dumps", (int)sizeof folder - 8, check->folder.path);
    listing = opendir(folder);
    while (listing != NULL && (item = readdir(listing)) != NULL) {
        char where[NAME_BYTES_MAX];

        if (item->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(where, sizeof where, "dumps/%s", item->d_name);
        check->where = where;
        (void)snprintf(path, sizeof path, "%s/%s", folder, item->d_name);
        if (is_part(item->d_name) ||
            strncmp(item->d_name, DUMP_RECEIVER_PREFIX, strlen(DUMP_RECEIVER_PREFIX)) == 0) {
            (void)fprintf(check->to, "%s: unfinished; the next start removes it\n", where);
        } else {
            check_dump(check, path);
        }
        check->where = "dumps";
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
}

/* --- The folder --- */

static bool is_known(const char *name)
{
    return name[0] == '.' || strcmp(name, "lock") == 0 || strcmp(name, "log") == 0 ||
           strcmp(name, "log-tail") == 0 || strcmp(name, "dumps") == 0;
}

static void check_names(struct check *check)
{
    DIR *listing = opendir(check->folder.path);
    struct dirent *item;

    check->where = "the folder";
    if (listing == NULL) {
        wrong(check, "cannot be listed: %s", strerror(errno));
        return;
    }
    while ((item = readdir(listing)) != NULL) {
        uint64_t generation;

        if (is_known(item->d_name)) {
            continue;
        }
        if (is_part(item->d_name)) {
            (void)fprintf(check->to, "%s: unfinished; a later start removes it\n", item->d_name);
        } else if (!data_folder_is_tree(item->d_name, &generation)) {
            (void)fprintf(check->to, "%s: not Confer's\n", item->d_name);
        } else if (check->log.has_identity && generation != check->log.identity.tree_generation) {
            (void)fprintf(check->to, "%s: of another generation; the next start removes it\n",
                          item->d_name);
        }
    }
    (void)closedir(listing);
}

static void check_all(struct check *check)
{
    char name[32];

    (void)fprintf(check->to, "data folder %s\n", check->folder.path);
    check_log(check);
    if (check->has_log && check->log.has_identity) {
        (void)snprintf(name, sizeof name, "tree-%" PRIu64, check->log.identity.tree_generation);
        check_tree(check, name);
        if (check->log.has_base) {
            check_fit(check);
        }
    }
    check_dumps(check);
    check_names(check);
    buffer_release(&check->tree.config_buffer);
}

bool check_folder(const char *path, FILE *to)
{
    struct check check = {.to = to};
    struct error error;

    if (data_folder_open_stopped(path, &check.folder, &error) != STATUS_OK) {
        (void)fprintf(to, "wrong: %s\n", error.text);
        return false;
    }
    check_all(&check);
    if (check.wrong_count > NAMED_MAX) {
        (void)fprintf(to, "and %" PRIu64 " more\n", check.wrong_count - NAMED_MAX);
    }
    if (check.wrong_count > 0) {
        (void)fprintf(to, "%" PRIu64 " %s wrong: %s\n", check.wrong_count,
                      check.wrong_count == 1 ? "thing is" : "things are", DAMAGE_WAY_OUT);
    } else {
        (void)fprintf(to, "all sound\n");
    }
    data_folder_close(&check.folder);
    return check.wrong_count == 0;
}
