#include "server/recover.h"

#include "base/alloc.h"
#include "base/check.h"
#include "persistence/damage.h"
#include "persistence/data_folder.h"
#include "persistence/log_store.h"
#include "persistence/tree_store.h"
#include "server/node/config_codec.h"
#include "server/node/membership_operation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* The most entries that a core holds above its base. */
#define LOG_ENTRIES_MAX (raft_options_default(1).log_entries_max)

enum { ROOM_LEFT = 4096 /* entries that the core can still take after those skipped */ };

struct survivor {
    const struct config *config;
    struct data_folder folder;
    struct log_store *log;
    struct tree_store *tree;
    struct log_state state;
    raft_term last_term;
    struct raft_config members; /* the last configuration it holds */
    struct error *error;
};

/* --- Looking --- */

static enum status visit_entry(void *context, const struct log_entry *entry)
{
    struct survivor *survivor = context;

    survivor->last_term = entry->term;
    if (entry->type == RAFT_ENTRY_CONFIG &&
        config_codec_unpack(entry->payload, &survivor->members) != STATUS_OK) {
        return error_set(survivor->error, STATUS_CORRUPT,
                         "the configuration in log entry %" PRIu64 " is unreadable", entry->index);
    }
    return STATUS_OK;
}

static bool visit_record(void *visitor, struct bytes key, struct bytes value)
{
    (void)visitor;
    (void)key;
    (void)value;
    return true;
}

/* A folder that was never made is not made now. */
static enum status open_folder(struct survivor *survivor, struct error *error)
{
    const struct config *config = survivor->config;
    const struct log_store_options options = {.map_bytes = config->log_map_bytes,
                                              .is_inspected = true};
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    enum status status;

    (void)snprintf(survivor->folder.path, sizeof survivor->folder.path, "%s", config->data);
    data_folder_log_path(&survivor->folder, path);
    if (access(path, F_OK) != 0) {
        return error_set(error, STATUS_NOT_FOUND,
                         "there is no data of a server in %s: give the --data of a survivor",
                         config->data);
    }
    status = data_folder_open(config->data, &survivor->folder, error);
    if (status == STATUS_OK) {
        status = log_store_open(path, config->id, &options, &survivor->log, error);
    }
    return status;
}

static enum status open_tree(struct survivor *survivor, struct error *error)
{
    const struct tree_store_options options = {.map_bytes = survivor->config->map_bytes};
    uint64_t generation = log_store_identity(survivor->log)->tree_generation;
    char path[DATA_FOLDER_PATH_BYTES_MAX];

    data_folder_tree_path(&survivor->folder, generation, path);
    return tree_store_open(path, &options, &survivor->tree, error);
}

/* Everything is read, so that damage is found before anything is changed. */
static enum status read_tree(struct survivor *survivor, struct error *error)
{
    struct tree_meta meta = tree_store_meta(survivor->tree);
    enum status status;

    if (meta.applied_index < survivor->state.base || meta.applied_index > survivor->state.last) {
        return error_set(
            error, STATUS_CORRUPT,
            "log and checkpoint do not fit together: the log holds the entries %" PRIu64
            " to %" PRIu64 ", the checkpoint ends at %" PRIu64 ": take another survivor",
            survivor->state.base + 1, survivor->state.last, meta.applied_index);
    }
    if (meta.config.size > 0 && config_codec_unpack(meta.config, &survivor->members) != STATUS_OK) {
        return error_set(
            error, STATUS_CORRUPT,
            "the configuration in the checkpoint is unreadable: take another survivor");
    }
    status =
        tree_store_range(survivor->tree, BYTES_EMPTY, BYTES_EMPTY, SIZE_MAX, visit_record, NULL);
    if (status != STATUS_OK) {
        *error = *tree_store_error(survivor->tree);
    }
    return status;
}

static enum status look(struct survivor *survivor, struct error *error)
{
    enum status status = open_folder(survivor, error);

    if (status == STATUS_OK && !log_store_identity(survivor->log)->has_cluster) {
        status = error_set(error, STATUS_NOT_FOUND,
                           "server %" PRIu64
                           " belongs to no cluster yet: there is nothing to recover; start it and "
                           "make one with init",
                           survivor->config->id);
    }
    if (status == STATUS_OK) {
        survivor->state = log_store_state(survivor->log);
        survivor->last_term = survivor->state.base_term;
        status = open_tree(survivor, error);
    }
    if (status == STATUS_OK) {
        status = read_tree(survivor, error);
    }
    if (status == STATUS_OK) {
        survivor->error = error;
        status = log_store_read(survivor->log, survivor->state.base + 1, survivor->state.last,
                                visit_entry, survivor, error);
    }
    return status;
}

static enum status check_member(const struct survivor *survivor, struct error *error)
{
    const struct raft_member *self = raft_config_find(&survivor->members, survivor->config->id);

    if (self != NULL && memcmp(self->incarnation, log_store_identity(survivor->log)->incarnation,
                               RAFT_INCARNATION_BYTES) == 0) {
        return STATUS_OK;
    }
    return error_set(
        error, STATUS_CONFLICT,
        "server %" PRIu64
        " is no member of its cluster by what it knows (it was removed, or never got so "
        "far): its data is of before that; take another survivor",
        survivor->config->id);
}

static bool is_alone(const struct survivor *survivor)
{
    return survivor->members.member_count == 1 && !survivor->members.joint &&
           survivor->members.members[0].flags == RAFT_VOTER_NEW;
}

/* --- Telling --- */

static void print_members(const struct survivor *survivor, FILE *to)
{
    for (uint32_t i = 0; i < survivor->members.member_count; i++) {
        const struct raft_member *member = &survivor->members.members[i];
        bool votes = (member->flags & (RAFT_VOTER_OLD | RAFT_VOTER_NEW)) != 0;

        (void)fprintf(to, "  %s %" PRIu64 " at %s%s\n", votes ? "voter  " : "learner", member->id,
                      member->address,
                      member->id == survivor->config->id ? ", this server" : ", given up");
    }
}

static void print_state(const struct survivor *survivor, FILE *to)
{
    char hex[MEMBERSHIP_HEX_BYTES];

    membership_operation_hex(log_store_identity(survivor->log)->cluster_id, hex);
    (void)fprintf(to,
                  "Server %" PRIu64 ", data folder %s, cluster %s\n"
                  "  last entry  %" PRIu64 ".%" PRIu64 "  (term.index)\n"
                  "  checkpoint  up to entry %" PRIu64 "\n"
                  "  term        %" PRIu64 "\n",
                  survivor->config->id, survivor->config->data, hex, survivor->last_term,
                  survivor->state.last, tree_store_meta(survivor->tree).applied_index,
                  survivor->state.term);
    print_members(survivor, to);
    if (survivor->members.joint) {
        (void)fputs("  A change of voters was under way; it is given up.\n", to);
    }
    if (log_store_identity(survivor->log)->is_superseded) {
        (void)fputs("  Another member found this folder to be an old copy: look for a newer one.\n",
                    to);
    }
}

static void print_plan(const struct survivor *survivor, FILE *to)
{
    print_state(survivor, to);
    if (is_alone(survivor)) {
        (void)fputs("\nIt is the only voter already: start it without --recover.\n", to);
        return;
    }
    (void)fprintf(
        to,
        "\nRecovering makes server %" PRIu64
        " at %s the only voter of a new cluster, with all that "
        "its folder holds.\n"
        "Of several survivors take the one whose last entry has the highest term, then the highest "
        "index.\n"
        "What the others acknowledged beyond it is lost. None of them can come back with its "
        "folder: "
        "be sure that\n"
        "none of them runs. Keep a copy of this folder. Nothing was changed yet; to do it:\n\n"
        "  confer-server --id %" PRIu64 " --server %s --data %s --recover %" PRIu64 ".%" PRIu64
        "\n",
        survivor->config->id, survivor->config->server, survivor->config->id,
        survivor->config->server, survivor->config->data, survivor->last_term,
        survivor->state.last);
}

/* --- Doing --- */

static enum status draw(uint8_t bytes[RAFT_INCARNATION_BYTES], struct error *error)
{
    return getrandom(bytes, RAFT_INCARNATION_BYTES, 0) == RAFT_INCARNATION_BYTES
               ? STATUS_OK
               : error_set(error, STATUS_IO, "the system gives no random numbers (getrandom)");
}

/* How many indexes can be skipped: the core must be able to hold them all. */
static size_t count_skipped(const struct survivor *survivor)
{
    uint64_t held = survivor->state.last - survivor->state.base;
    uint64_t room = held + ROOM_LEFT < LOG_ENTRIES_MAX ? LOG_ENTRIES_MAX - held - ROOM_LEFT : 0;

    return room < RECOVER_SKIPPED ? (size_t)room : RECOVER_SKIPPED;
}

static enum status write_recovery(struct survivor *survivor, struct error *error)
{
    size_t count = 1 + count_skipped(survivor);
    struct log_entry *entries = xcalloc(count, sizeof *entries);
    struct log_recovery recovery = {
        .term = survivor->state.term + 1, .entries = entries, .entry_count = count};
    struct raft_config config;
    struct buffer packed = BUFFER_INIT;
    enum status status = draw(recovery.incarnation, error);

    memset(&config, 0, sizeof config);
    config.member_count = 1;
    config.members[0].id = survivor->config->id;
    config.members[0].flags = RAFT_VOTER_NEW;
    memcpy(config.members[0].incarnation, recovery.incarnation, RAFT_INCARNATION_BYTES);
    (void)snprintf(config.members[0].address, sizeof config.members[0].address, "%s",
                   survivor->config->server);
    config_codec_pack(&config, &packed);
    membership_operation_cluster_id(&config, recovery.cluster_id);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct log_entry){
            .index = survivor->state.last + 1 + i, .term = recovery.term, .type = RAFT_ENTRY_NOOP};
    }
    entries[0].type = RAFT_ENTRY_CONFIG;
    entries[0].payload = buffer_lend(&packed);
    if (status == STATUS_OK) {
        status = log_store_recover(survivor->log, &recovery, error);
    }
    buffer_release(&packed);
    free(entries);
    return status;
}

static enum status recover(struct survivor *survivor, FILE *to, struct error *error)
{
    const struct config *config = survivor->config;
    enum status status;

    if (is_alone(survivor)) {
        print_plan(survivor, to);
        return STATUS_OK;
    }
    if (config->recover_term != survivor->last_term ||
        config->recover_index != survivor->state.last) {
        return error_set(error, STATUS_CONFLICT,
                         "the last entry in %s is %" PRIu64 ".%" PRIu64 ", not %" PRIu64 ".%" PRIu64
                         ": look again with --recover show",
                         config->data, survivor->last_term, survivor->state.last,
                         config->recover_term, config->recover_index);
    }
    print_state(survivor, to);
    status = write_recovery(survivor, error);
    if (status == STATUS_OK) {
        (void)fprintf(to,
                      "\nServer %" PRIu64 " is the only voter of its new cluster now. Start it "
                      "without --recover, then add others,\neach with an empty data folder: "
                      "confer-cli add-learner --node ID=HOST:PORT --promote\n",
                      config->id);
    }
    return status;
}

/* There are no others to get the data from. */
static void name_way_out(struct error *error)
{
    char *usual = strstr(error->text, DAMAGE_WAY_OUT);

    if (usual != NULL) {
        (void)snprintf(usual, sizeof error->text - (size_t)(usual - error->text),
                       "nothing was changed; take another survivor, or restore a backup");
    }
}

enum status recover_run(const struct config *config, FILE *to, struct error *error)
{
    struct survivor survivor = {.config = config, .folder = {.lock = -1}};
    enum status status = look(&survivor, error);

    if (status == STATUS_CORRUPT) {
        name_way_out(error);
    }
    if (status == STATUS_OK) {
        status = check_member(&survivor, error);
    }
    if (status == STATUS_OK && config->recover == CONFIG_RECOVER_SHOW) {
        print_plan(&survivor, to);
    } else if (status == STATUS_OK) {
        status = recover(&survivor, to, error);
    }
    tree_store_close(survivor.tree);
    log_store_close(survivor.log);
    data_folder_close(&survivor.folder);
    return status;
}
