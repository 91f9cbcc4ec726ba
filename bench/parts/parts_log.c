#include "base/alloc.h"
#include "base/clock.h"
#include "bench/bench_histogram.h"
#include "bench/parts/parts.h"
#include "persistence/log_store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    NODE = 1,
    MAP_BYTES = 1024 * 1024 * 1024,
    BLOCK_BYTES = 4096,
    BLOCKS = 1024,
    ENTRIES_KEPT = 10000 /* behind them the log is trimmed, as a server does */
};

static const size_t batches[] = {1, 10, 100, 1000};
enum { BATCHES = sizeof batches / sizeof batches[0], BATCH_MAX = 1000 };

struct bench {
    struct log_store *store;
    struct error error;
    raft_index last;
    struct log_entry *entries;
    struct buffer payload; /* shared by all entries: the store copies it */
    struct bench_histogram commits_us[BATCHES];
    int floor;
    uint64_t floor_count;
    struct bench_histogram floor_us;
};

static void floor_open(struct bench *bench, const char *folder)
{
    static uint8_t block[BLOCK_BYTES];
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/floor", folder);
    bench->floor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t i = 0; bench->floor >= 0 && i < BLOCKS; i++) {
        if (pwrite(bench->floor, block, BLOCK_BYTES, (off_t)(i * BLOCK_BYTES)) != BLOCK_BYTES) {
            parts_die("cannot write ", path);
        }
    }
    if (bench->floor < 0 || fsync(bench->floor) != 0) {
        parts_die("cannot write ", path);
    }
}

static void floor_write(struct bench *bench)
{
    static uint8_t block[BLOCK_BYTES];
    uint64_t start_us = clock_monotonic_us();
    off_t place = (off_t)(bench->floor_count++ % BLOCKS * BLOCK_BYTES);

    if (pwrite(bench->floor, block, BLOCK_BYTES, place) != BLOCK_BYTES ||
        fdatasync(bench->floor) != 0) {
        parts_die("cannot write a block", "");
    }
    bench_histogram_add(&bench->floor_us, clock_monotonic_us() - start_us);
}

static void commit(struct bench *bench, size_t batch)
{
    struct log_write write = {.entries = bench->entries, .entry_count = batches[batch]};
    uint64_t start_us = clock_monotonic_us();

    for (size_t i = 0; i < batches[batch]; i++) {
        bench->entries[i] = (struct log_entry){.index = ++bench->last,
                                               .term = 1,
                                               .type = RAFT_ENTRY_COMMAND,
                                               .payload = buffer_lend(&bench->payload)};
    }
    write.trim = bench->last > ENTRIES_KEPT ? bench->last - ENTRIES_KEPT : 0;
    if (log_store_write(bench->store, &write, &bench->error) != STATUS_OK) {
        parts_die("a commit failed: ", bench->error.text);
    }
    bench_histogram_add(&bench->commits_us[batch], clock_monotonic_us() - start_us);
}

static void print(const struct bench *bench)
{
    (void)printf(
        "{\"op\":\"log\",\"floor_p50_us\":%" PRIu64 ",\"floor_p99_us\":%" PRIu64 ",\"batches\":[",
        bench_histogram_at(&bench->floor_us, 0.5), bench_histogram_at(&bench->floor_us, 0.99));
    for (size_t i = 0; i < BATCHES; i++) {
        (void)printf("%s{\"entries\":%zu,\"commits\":%" PRIu64 ",\"p50_us\":%" PRIu64
                     ",\"p99_us\":%" PRIu64 "}",
                     i == 0 ? "" : ",", batches[i], bench->commits_us[i].count,
                     bench_histogram_at(&bench->commits_us[i], 0.5),
                     bench_histogram_at(&bench->commits_us[i], 0.99));
    }
    (void)printf("]}\n");
}

int parts_log(const char *folder, double seconds)
{
    struct bench *bench = xcalloc(1, sizeof *bench);
    const struct log_store_options options = {
        .map_bytes = MAP_BYTES, .journal_bytes = LOG_STORE_JOURNAL_BYTES, .prezero = true};
    char path[4096];
    uint64_t end_us;

    (void)snprintf(path, sizeof path, "%s/log", folder);
    if (log_store_open(path, NODE, &options, &bench->store, &bench->error) != STATUS_OK) {
        parts_die("cannot open the log: ", bench->error.text);
    }
    bench->entries = xcalloc(BATCH_MAX, sizeof *bench->entries);
    parts_put_entry(&bench->payload, RECORD__OPERATION__KIND_SET, 0);
    floor_open(bench, folder);
    end_us = clock_monotonic_us() + (uint64_t)(seconds * 1e6);
    do {
        for (size_t i = 0; i < BATCHES; i++) {
            floor_write(bench);
            commit(bench, i);
        }
    } while (clock_monotonic_us() < end_us);
    print(bench);
    log_store_close(bench->store);
    (void)close(bench->floor);
    buffer_release(&bench->payload);
    free(bench->entries);
    free(bench);
    return 0;
}
