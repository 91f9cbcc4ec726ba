#include "tests/explorer/site.h"

#include "base/check.h"
#include "tests/explorer/canonical.h"
#include "tests/scenario/timeless.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>

/* Reads of one start of a node get batch numbers from one range of this size. */
enum { BATCHES_PER_START = 8 };

static struct raft_output output;

/* --- Options --- */

static struct raft_options options_of(uint8_t id)
{
    struct raft_options options = raft_options_default(id);
    options.seed = 1;
    options.log_entries_max = 16;
    options.message_entries_max = 4;
    options.inflight_messages_max = 2;
    options.reads_max = 4;
    memset(options.incarnation, 1, sizeof options.incarnation);
    return options;
}

struct raft_member site_member(uint8_t id, uint8_t flags)
{
    struct raft_member member;
    memset(&member, 0, sizeof member);
    member.id = id;
    member.flags = flags;
    memset(member.incarnation, 1, sizeof member.incarnation);
    return member;
}

/* --- The log beside the core --- */

static void violate(struct site_bench *bench, const char *text)
{
    if (bench->result->violation == NULL) {
        bench->result->violation = text;
    }
}

static struct vocabulary_entry entry_of(const struct site_bench *bench, uint8_t number)
{
    return vocabulary_entry_of(bench->vocabulary, number);
}

/* Name the entries that the core appended by itself, and forget those that it cut. */
static void follow_log(struct site_bench *bench)
{
    struct site_model *model = bench->model;
    struct raft_status status = raft_status(bench->raft);
    CHECK_OP(status.last_index, <, SITE_LOG_END);
    for (raft_index i = 1; i < SITE_LOG_END; i++) {
        if (i <= status.log_base || i > status.last_index) {
            model->entries[i] = 0;
            continue;
        }
        struct raft_entry entry = raft_entry_at(bench->raft, i);
        if (model->entries[i] == 0) {
            struct vocabulary_entry named = {
                .term = (uint8_t)entry.term, .type = (uint8_t)entry.type, .tag = model->id};
            if (entry.type == RAFT_ENTRY_CONFIG) {
                named.tag = 0;
                named.config =
                    vocabulary_add_config(bench->vocabulary, raft_config_at(bench->raft, i));
            }
            model->entries[i] = vocabulary_add_entry(bench->vocabulary, named);
        }
        if (entry_of(bench, model->entries[i]).term != entry.term) {
            violate(bench, "the log in memory is not what was stored in it");
        }
    }
}

/* --- Disk --- */

static void take_write(struct site_bench *bench)
{
    const struct raft_write *write = &output.write;
    struct site_model *model = bench->model;
    if (write->seq == 0) {
        return;
    }
    if (model->write_count == SITE_WRITES_MAX) {
        bench->result->beyond = true;
        return;
    }
    struct site_write *pending = &model->writes[model->write_count++];
    memset(pending, 0, sizeof *pending);
    pending->hard_state = write->hard_state;
    pending->term = write->hard_state ? (uint8_t)write->term : 0;
    pending->vote = write->hard_state ? (uint8_t)write->vote : 0;
    pending->reset = write->reset;
    pending->reset_index = (uint8_t)write->reset_index;
    pending->reset_term = (uint8_t)write->reset_term;
    if (write->entries.first <= write->entries.last) {
        pending->first = (uint8_t)write->entries.first;
        pending->last = (uint8_t)write->entries.last;
        for (raft_index i = write->entries.first; i <= write->entries.last; i++) {
            if (raft_entry_at(bench->raft, i).type == RAFT_ENTRY_CONFIG &&
                raft_config_at(bench->raft, i) == NULL) {
                violate(bench, "a configuration was dropped before it was written");
            }
            pending->entries[i] = model->entries[i];
        }
    }
}

static void reset_disk(struct site_bench *bench, const struct site_write *write)
{
    struct site_disk *disk = &bench->model->disk;
    if (disk->dump_index != write->reset_index) {
        violate(bench, "the log is reset to a dump that is not there");
    }
    memset(disk->entries, 0, sizeof disk->entries);
    disk->base = write->reset_index;
    disk->base_term = write->reset_term;
    disk->last = write->reset_index;
    disk->checkpoint = write->reset_index;
    disk->config_index = disk->dump_config_index;
    disk->config = disk->dump_config;
    disk->dump_index = 0;
    disk->dump_config_index = 0;
    disk->dump_config = 0;
    if (bench->model->applied < write->reset_index) {
        bench->model->applied = write->reset_index;
    }
}

static void store_entries(struct site_bench *bench, const struct site_write *write)
{
    struct site_disk *disk = &bench->model->disk;
    if (write->first > disk->last + 1) {
        violate(bench, "a write leaves a gap in the log");
    }
    if (write->first <= disk->checkpoint) {
        violate(bench, "S11: a write replaces an entry that is applied");
    }
    for (unsigned i = 1; i < SITE_LOG_END; i++) {
        if (i >= write->first) {
            disk->entries[i] = i <= write->last ? write->entries[i] : 0;
        }
    }
    disk->last = write->last;
}

static void store_oldest(struct site_bench *bench)
{
    struct site_model *model = bench->model;
    struct site_disk *disk = &model->disk;
    struct site_write write = model->writes[0];
    model->write_count--;
    memmove(&model->writes[0], &model->writes[1], model->write_count * sizeof write);
    memset(&model->writes[model->write_count], 0, sizeof write);
    if (write.hard_state) {
        if (write.term < disk->term) {
            violate(bench, "S3: a term is taken back");
        } else if (write.term == disk->term && disk->vote != 0 && write.vote != disk->vote) {
            violate(bench, "S2: a vote is taken back");
        }
        disk->term = write.term;
        disk->vote = write.vote;
    }
    if (write.reset) {
        reset_disk(bench, &write);
    }
    if (write.first != 0) {
        store_entries(bench, &write);
    }
    raft_persisted(bench->raft, TIMELESS_NOW, 1); /* canonical: the oldest is number 1 */
}

static bool disk_has(const struct site_bench *bench, uint8_t index, uint8_t term)
{
    const struct site_disk *disk = &bench->model->disk;
    if (index <= disk->base) {
        return true; /* committed; compared when it was */
    }
    return index <= disk->last && entry_of(bench, disk->entries[index]).term == term;
}

/* --- Output --- */

/* What a message promises must be true of the disk when it leaves. */
static void check_promise(struct site_bench *bench, const struct vocabulary_message *message)
{
    const struct site_disk *disk = &bench->model->disk;
    bool granted = message->words[1] != 0;
    bool asks_ahead =
        message->type == RAFT_PREVOTE || (message->type == RAFT_PREVOTE_RESPONSE && granted);
    if (!asks_ahead && message->term > disk->term) {
        violate(bench, "S3: a message carries a term that is not durable");
    }
    bool votes = message->term == disk->term;
    if (message->type == RAFT_VOTE && (!votes || disk->vote != message->from ||
                                       !disk_has(bench, message->words[0], message->words[1]))) {
        violate(bench, "S2: a candidate's own vote or its last entry is not durable");
    }
    if (message->type == RAFT_VOTE_RESPONSE && granted && (!votes || disk->vote != message->to)) {
        violate(bench, "S2: a vote is granted that is not durable");
    }
    if (message->type == RAFT_APPEND_RESPONSE && message->words[0] != 0 &&
        message->words[1] > disk->last && message->words[1] > disk->base) {
        violate(bench, "S12: an acknowledgement goes beyond the disk");
    }
}

static void send_messages(struct site_bench *bench)
{
    struct site_result *result = bench->result;
    for (size_t i = 0; i < output.message_count; i++) {
        struct vocabulary_message packed = vocabulary_pack(&output.messages[i]);
        for (uint8_t k = 0; k < packed.entry_count; k++) {
            packed.entries[k] = bench->model->entries[packed.words[0] + 1 + k];
        }
        check_promise(bench, &packed);
        CHECK_OP(result->message_count, <, SITE_OUTPUT_MAX);
        result->messages[result->message_count++] =
            vocabulary_add_message(bench->vocabulary, &packed);
    }
}

static void apply(struct site_bench *bench)
{
    struct site_model *model = bench->model;
    if (output.commit_index > model->applied) {
        if (output.commit_index > model->disk.last) {
            violate(bench, "S11: an entry may be applied before it is durable");
        }
        model->applied = (uint8_t)output.commit_index;
    } else if (output.commit_index < bench->commit_shown) {
        violate(bench, "S11: what may be applied moved back");
    }
}

static void hand_out_reads(struct site_result *result)
{
    for (size_t i = 0; i < output.read_count; i++) {
        CHECK_OP(result->read_count, <, SITE_READS_MAX);
        result->reads[result->read_count++] =
            (struct site_read){.token = (uint8_t)output.reads[i].token,
                               .ok = output.reads[i].ok,
                               .index = (uint8_t)output.reads[i].index};
    }
}

static void settle_time(struct site_bench *bench)
{
    timeless_forget(bench->raft);
    canonical_form(bench->raft);
    raft_check(bench->raft);
}

static void flush(struct site_bench *bench)
{
    raft_flush(bench->raft, TIMELESS_NOW, &output);
    CHECK(!output.more);
    follow_log(bench);
    take_write(bench);
    send_messages(bench);
    apply(bench);
    hand_out_reads(bench->result);
    bench->model->unflushed = 0;
    settle_time(bench);
}

/* --- Start --- */

static void start_core(struct site_bench *bench)
{
    struct site_model *model = bench->model;
    const struct site_disk *disk = &model->disk;
    struct raft_options options = options_of(model->id);
    memset(bench->raft, 0, raft_size(&options));
    raft_init(bench->raft, &options);
    bench->raft->election.round = 0;
    bench->raft->reads.batch = (raft_seq)model->starts * BATCHES_PER_START;
    struct raft_boot boot;
    memset(&boot, 0, sizeof boot);
    boot.term = disk->term;
    boot.vote = disk->vote;
    boot.log_base = disk->base;
    boot.log_base_term = disk->base_term;
    boot.applied_index = disk->checkpoint;
    boot.config_index = disk->config_index;
    if (disk->config != 0) {
        boot.config = *vocabulary_config(bench->vocabulary, disk->config);
    }
    enum status status = raft_boot(bench->raft, &boot);
    memset(model->entries, 0, sizeof model->entries);
    for (uint8_t i = disk->base + 1; status == STATUS_OK && i <= disk->last; i++) {
        struct vocabulary_entry named = entry_of(bench, disk->entries[i]);
        struct raft_entry entry = {.term = named.term,
                                   .bytes = named.type == RAFT_ENTRY_COMMAND ? 1 : 0,
                                   .type = (enum raft_entry_type)named.type};
        model->entries[i] = disk->entries[i];
        status = raft_boot_entry(
            bench->raft, &entry,
            named.config != 0 ? vocabulary_config(bench->vocabulary, named.config) : NULL);
    }
    if (status == STATUS_OK) {
        status = raft_start(bench->raft, TIMELESS_NOW);
    }
    if (status != STATUS_OK) {
        violate(bench, "a node does not start with what its disk holds");
    }
    model->applied = disk->checkpoint;
    model->unflushed = 0;
}

static void first_config(const struct bounds *bounds, struct raft_config *config)
{
    memset(config, 0, sizeof *config);
    config->member_count = bounds->voters;
    for (uint8_t id = 1; id <= bounds->voters; id++) {
        config->members[id - 1] = site_member(id, RAFT_VOTER_NEW);
    }
}

void site_begin(struct site_bench *bench, uint8_t id)
{
    struct site_result result = {.violation = NULL};
    bench->result = &result;
    memset(bench->model, 0, sizeof *bench->model);
    bench->model->id = id;
    start_core(bench);
    flush(bench);
    if (id <= bench->bounds->voters) {
        struct raft_config config;
        first_config(bench->bounds, &config);
        enum status status = raft_bootstrap(bench->raft, &config);
        CHECK(status == STATUS_OK);
        flush(bench);
        while (bench->model->write_count > 0) {
            store_oldest(bench);
            flush(bench);
        }
    }
    CHECK(result.violation == NULL);
}

/* --- Inputs --- */

static void receive_dump(struct site_bench *bench, const struct vocabulary_message *dump)
{
    const struct raft_config *config =
        vocabulary_config(bench->vocabulary, dump->words[VOCABULARY_DUMP_CONFIG]);
    enum status status = raft_install(bench->raft, TIMELESS_NOW, dump->words[VOCABULARY_DUMP_INDEX],
                                      dump->words[VOCABULARY_DUMP_TERM], dump->term,
                                      dump->words[VOCABULARY_DUMP_AT], config);
    if (status == STATUS_INVALID) {
        violate(bench, "a legal dump is called invalid");
    }
    if (status == STATUS_OK) {
        struct site_disk *disk = &bench->model->disk;
        disk->dump_index = dump->words[VOCABULARY_DUMP_INDEX];
        disk->dump_config_index = dump->words[VOCABULARY_DUMP_AT];
        disk->dump_config = dump->words[VOCABULARY_DUMP_CONFIG];
    }
}

static void receive(struct site_bench *bench, const struct vocabulary_message *packed)
{
    struct vocabulary_unpacked unpacked;
    vocabulary_unpack(bench->vocabulary, packed, &unpacked);
    if (raft_message_validate(&unpacked.message, bench->raft->options.entry_bytes_max) !=
        STATUS_OK) {
        violate(bench, "an illegal message was sent");
        return;
    }
    struct raft_range stored;
    raft_receive(bench->raft, TIMELESS_NOW, &unpacked.message, &stored);
    for (raft_index i = stored.first; i <= stored.last; i++) {
        bench->model->entries[i] = packed->entries[i - packed->words[0] - 1];
    }
}

static void crash(struct site_bench *bench)
{
    struct site_model *model = bench->model;
    model->write_count = 0;
    memset(model->writes, 0, sizeof model->writes);
    model->disk.dump_index = 0;
    model->disk.dump_config_index = 0;
    model->disk.dump_config = 0;
    if (bench->bounds->budgets[BOUNDS_READS] > 0) {
        model->starts++;
    }
    bench->commit_shown = 0;
    start_core(bench);
}

static bool propose(struct site_bench *bench, uint8_t tag)
{
    uint32_t bytes = 1;
    raft_index index = 0;
    raft_term term = 0;
    if (raft_propose(bench->raft, TIMELESS_NOW, &bytes, 1, &index, &term) != STATUS_OK) {
        return false;
    }
    struct vocabulary_entry entry = {.term = (uint8_t)term, .type = RAFT_ENTRY_COMMAND, .tag = tag};
    bench->model->entries[index] = vocabulary_add_entry(bench->vocabulary, entry);
    return true;
}

static bool change(struct site_bench *bench, uint32_t argument)
{
    raft_index before = raft_status(bench->raft).config_index;
    raft_index index = 0;
    enum status status;
    if ((argument & SITE_CHANGE_LEARNER) != 0) {
        struct raft_member member = site_member((uint8_t)(argument & UINT8_MAX), 0);
        status = raft_add_learner(bench->raft, TIMELESS_NOW, &member, &index);
    } else {
        raft_id voters[BOUNDS_NODES_MAX];
        size_t count = 0;
        for (unsigned id = 1; id <= BOUNDS_NODES_MAX; id++) {
            if ((argument & (1u << id)) != 0) {
                voters[count++] = id;
            }
        }
        status = raft_change_voters(bench->raft, TIMELESS_NOW, voters, count, false, true, &index);
    }
    return status == STATUS_OK && index != before;
}

static bool cancel(struct site_bench *bench)
{
    raft_index before = raft_status(bench->raft).config_index;
    raft_index index = 0;
    return raft_cancel_change(bench->raft, TIMELESS_NOW, &index) == STATUS_OK && index != before;
}

static bool checkpoint(struct site_bench *bench)
{
    struct site_model *model = bench->model;
    struct site_disk *disk = &model->disk;
    /* Nor while a dump waits to replace everything. */
    if (model->applied <= disk->checkpoint || disk->dump_index != 0) {
        return false;
    }
    for (uint8_t i = disk->checkpoint + 1; i <= model->applied; i++) {
        struct vocabulary_entry entry = entry_of(bench, model->entries[i]);
        if (entry.type == RAFT_ENTRY_CONFIG) {
            disk->config_index = i;
            disk->config = entry.config;
        }
    }
    disk->checkpoint = model->applied;
    return true;
}

static bool trim(struct site_bench *bench)
{
    struct site_disk *disk = &bench->model->disk;
    /* Nor here. */
    if (disk->checkpoint <= disk->base || disk->checkpoint > disk->last || disk->dump_index != 0) {
        return false;
    }
    disk->base_term = entry_of(bench, disk->entries[disk->checkpoint]).term;
    for (uint8_t i = 1; i <= disk->checkpoint; i++) {
        disk->entries[i] = 0;
    }
    disk->base = disk->checkpoint;
    raft_trim(bench->raft, disk->checkpoint);
    return true;
}

/* False: not possible now, or refused. */
static bool give_input(struct site_bench *bench, const struct site_input *input)
{
    uint32_t argument = input->argument;
    switch (input->kind) {
    case SITE_RECEIVE: {
        const struct vocabulary_message *message =
            vocabulary_message_of(bench->vocabulary, argument);
        if (message->type == VOCABULARY_DUMP && bench->model->disk.dump_index != 0) {
            return false; /* the driver takes one at a time */
        }
        if (message->type == VOCABULARY_DUMP) {
            receive_dump(bench, message);
        } else {
            receive(bench, message);
        }
        return true;
    }
    case SITE_EXPIRE:
        if (!timeless_may_expire(bench->raft, (enum timeless_timer)argument)) {
            return false;
        }
        timeless_expire(bench->raft, (enum timeless_timer)argument);
        return true;
    case SITE_PERSIST:
        if (bench->model->write_count == 0) {
            return false;
        }
        store_oldest(bench);
        return true;
    case SITE_CRASH:
        crash(bench);
        return true;
    case SITE_PROPOSE:
        return propose(bench, (uint8_t)argument);
    case SITE_READ:
        return raft_read(bench->raft, TIMELESS_NOW, argument) == STATUS_OK;
    case SITE_CHANGE:
        return change(bench, argument);
    case SITE_CANCEL:
        return cancel(bench);
    case SITE_TRANSFER:
        return raft_transfer(bench->raft, TIMELESS_NOW, argument) == STATUS_OK;
    case SITE_PEER_DOWN:
        raft_peer_down(bench->raft, TIMELESS_NOW, argument);
        return true;
    case SITE_CHECKPOINT:
        return checkpoint(bench);
    case SITE_TRIM:
        return trim(bench);
    case SITE_FLUSH:
        return bench->model->unflushed > 0;
    }
    return false;
}

/* --- Before and after --- */

static void check_change(struct site_bench *bench,
                         const struct site_view *before,
                         const struct site_input *input)
{
    struct site_view after = site_look(bench);
    if (input->kind == SITE_CRASH) {
        return;
    }
    if (after.commit < before->commit) {
        violate(bench, "S11: commit moved back");
    }
    if (after.term < before->term) {
        violate(bench, "S3: a term fell");
    }
    if (before->role == RAFT_LEADER && after.role == RAFT_LEADER && before->term == after.term) {
        for (uint8_t i = after.base + 1; i <= before->last; i++) {
            if (i > before->base && before->entries[i] != after.entries[i]) {
                violate(bench, "S5: a leader replaces an entry of its own log");
            }
        }
        if (after.commit > before->commit &&
            entry_of(bench, after.entries[after.commit]).term != after.term) {
            violate(bench, "S10: a leader commits by counting an entry of an earlier term");
        }
    }
}

static bool is_beyond(const struct site_bench *bench)
{
    struct raft_status status = raft_status(bench->raft);
    const struct bounds *bounds = bench->bounds;
    return status.term > bounds->term_max || status.last_index > bounds->log_max ||
           bench->model->write_count > bounds->write_max;
}

static void run_input(struct site_bench *bench, const struct site_input *input)
{
    struct site_result *result = bench->result;
    struct site_view before = site_look(bench);
    bench->commit_shown = (uint8_t)bench->raft->commit_shown;
    result->enabled = give_input(bench, input);
    if (!result->enabled) {
        return;
    }
    if (raft_status(bench->raft).last_index >= SITE_LOG_END) {
        result->beyond = true;
        return;
    }
    follow_log(bench);
    settle_time(bench);
    if (input->delay) {
        bench->model->unflushed++;
    } else {
        flush(bench);
    }
    while (bench->bounds->instant_disk && bench->model->write_count > 0) {
        store_oldest(bench);
        follow_log(bench);
        settle_time(bench);
        flush(bench);
    }
    check_change(bench, &before, input);
    result->beyond = result->beyond || is_beyond(bench);
}

static sigjmp_buf failed_check;

static void on_abort(int signal)
{
    (void)signal;
    siglongjmp(failed_check, 1);
}

void site_run(struct site_bench *bench,
              struct bytes packed,
              const struct site_input *input,
              struct site_result *ret)
{
    memset(ret, 0, sizeof *ret);
    bench->result = ret;
    site_image_load(bench, packed);
    struct sigaction action = {.sa_handler = on_abort};
    struct sigaction old;
    sigaction(SIGABRT, &action, &old);
    if (sigsetjmp(failed_check, 1) == 0) {
        run_input(bench, input);
    } else {
        ret->enabled = true;
        ret->violation = "a check in the code failed; its text stands above";
    }
    sigaction(SIGABRT, &old, NULL);
}

/* --- Looking --- */

static void look_at_disk(const struct site_bench *bench, struct site_view *view)
{
    const struct site_disk *disk = &bench->model->disk;
    view->disk_term = disk->term;
    view->disk_base = disk->base;
    view->disk_last = disk->last;
    view->checkpoint = disk->checkpoint;
    view->checkpoint_config = disk->config;
    view->checkpoint_config_index = disk->config_index;
    if (disk->checkpoint > disk->base) {
        view->checkpoint_term = entry_of(bench, disk->entries[disk->checkpoint]).term;
    } else {
        view->checkpoint_term = disk->base_term;
    }
    memcpy(view->disk_entries, disk->entries, sizeof view->disk_entries);
}

static uint8_t config_number(const struct site_bench *bench, const struct raft_config *config)
{
    return config->member_count == 0 ? 0 : vocabulary_add_config(bench->vocabulary, config);
}

struct site_view site_look(const struct site_bench *bench)
{
    struct raft_status status = raft_status(bench->raft);
    struct site_view view;
    memset(&view, 0, sizeof view);
    view.id = bench->model->id;
    view.role = (uint8_t)status.role;
    view.term = (uint8_t)status.term;
    view.commit = (uint8_t)status.commit_index;
    view.base = (uint8_t)status.log_base;
    view.last = (uint8_t)status.last_index;
    view.applied = bench->model->applied;
    view.write_count = bench->model->write_count;
    view.unflushed = bench->model->unflushed;
    view.config = config_number(bench, raft_config_effective(bench->raft));
    view.config_index = (uint8_t)status.config_index;
    raft_index ignored;
    view.config_committed = config_number(bench, raft_config_committed(bench->raft, &ignored));
    memset(view.match, UINT8_MAX, sizeof view.match);
    for (unsigned id = 1; id <= BOUNDS_NODES_MAX; id++) {
        struct raft_peer_status peer;
        if (raft_peer_status(bench->raft, id, &peer) == STATUS_OK) {
            view.match[id] = (uint8_t)peer.match;
        }
    }
    memcpy(view.entries, bench->model->entries, sizeof view.entries);
    look_at_disk(bench, &view);
    return view;
}
