#include "bench/parts/parts.h"
#include "server/state/state.h"

#include <stdio.h>
#include <string.h>

enum { NODES = 1000, CACHE_BYTES = 256 * 1024 * 1024, HASH_SEED = 1 };

struct bench {
    struct state *state;
    struct arena arena;
    struct buffer entry;
    zxid last;
};

static void apply(struct bench *bench, Record__Operation__KindCase kind, uint64_t number)
{
    struct state_result result;

    buffer_clear(&bench->entry);
    parts_put_entry(&bench->entry, kind, number);
    if (state_apply(bench->state, ++bench->last, buffer_lend(&bench->entry), &bench->arena,
                    &result) != STATUS_OK ||
        result.error != OP_OK) {
        parts_die("a command failed", "");
    }
    arena_reset(&bench->arena);
}

static void read_node(struct bench *bench, uint64_t number)
{
    char path[PARTS_PATH_BYTES];
    struct state_node *node = NULL;
    enum op_error error;

    parts_path(path, number);
    if (state_read(bench->state, bytes_of_text(path), &error, &node) != STATUS_OK ||
        error != OP_OK) {
        parts_die("a read failed", "");
    }
    state_node_unref(node);
}

static void do_one(struct bench *bench, const char *what, uint64_t number)
{
    if (strcmp(what, "create") == 0) {
        apply(bench, RECORD__OPERATION__KIND_CREATE, NODES + number);
    } else if (strcmp(what, "set") == 0) {
        apply(bench, RECORD__OPERATION__KIND_SET, number % NODES);
    } else if (strcmp(what, "get") == 0) {
        read_node(bench, number % NODES);
    } else {
        parts_die("state does create, set or get, not ", what);
    }
}

int parts_state(const char *what, uint64_t count)
{
    struct bench bench = {.last = 0};
    struct state_options options = {.cache_bytes_max = CACHE_BYTES, .hash_seed = HASH_SEED};
    struct error error;

    arena_init(&bench.arena);
    if (state_new(&options, &state_source_empty, &bench.state, &error) != STATUS_OK) {
        parts_die("no state: ", error.text);
    }
    for (uint64_t i = 0; i < NODES; i++) {
        apply(&bench, RECORD__OPERATION__KIND_CREATE, i);
    }
    for (uint64_t i = 0; i < count; i++) {
        do_one(&bench, what, i);
    }
    (void)printf("{\"op\":\"state %s\",\"count\":%llu,\"nodes\":%llu}\n", what,
                 (unsigned long long)count, (unsigned long long)state_node_count(bench.state));
    state_free(bench.state);
    arena_release(&bench.arena);
    buffer_release(&bench.entry);
    return 0;
}
