#include "tests/explorer/site_image.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* A packed site: the id, then pieces of (first word, count, words). */
struct piece {
    uint32_t first;
    uint32_t count;
};

/* Equal words inside a piece cost less than another piece does. */
enum { MERGE_WORDS = 1 };

static size_t model_words(void)
{
    return (sizeof(struct site_model) + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

struct site_bench *site_bench_new(struct vocabulary *vocabulary, const struct bounds *bounds)
{
    struct site_bench *bench = xcalloc(1, sizeof *bench);
    bench->vocabulary = vocabulary;
    bench->bounds = bounds;
    struct raft_options options = raft_options_default(1);
    options.log_entries_max = 16;
    options.inflight_messages_max = 2;
    options.reads_max = 4;
    bench->image_words = model_words() + raft_size(&options) / sizeof(uint64_t);
    bench->image = xcalloc(bench->image_words, sizeof(uint64_t));
    bench->model = (struct site_model *)(void *)bench->image;
    bench->raft = (struct raft *)(void *)(bench->image + model_words());
    return bench;
}

void site_bench_free(struct site_bench *bench)
{
    for (size_t i = 0; i <= BOUNDS_NODES_MAX; i++) {
        free(bench->first_images[i]);
    }
    buffer_release(&bench->packed);
    free(bench->image);
    free(bench);
}

static void put_piece(struct site_bench *bench, size_t first, size_t count)
{
    struct piece piece = {.first = (uint32_t)first, .count = (uint32_t)count};
    buffer_put(&bench->packed, bytes_of(&piece, sizeof piece));
    buffer_put(&bench->packed, bytes_of(bench->image + first, count * sizeof(uint64_t)));
}

struct bytes site_image_pack(struct site_bench *bench)
{
    uint8_t id = bench->model->id;
    size_t bytes = bench->image_words * sizeof(uint64_t);
    if (bench->first_images[id] == NULL) {
        bench->first_images[id] = xmalloc(bytes);
        memcpy(bench->first_images[id], bench->image, bytes);
    }
    const uint64_t *before = bench->first_images[id];
    const uint64_t *now = bench->image;
    buffer_clear(&bench->packed);
    uint64_t head = id;
    buffer_put(&bench->packed, bytes_of(&head, sizeof head));
    size_t at = 0;
    while (at < bench->image_words) {
        if (now[at] == before[at]) {
            at++;
            continue;
        }
        size_t end = at + 1;
        while (end < bench->image_words &&
               (now[end] != before[end] || (end + MERGE_WORDS < bench->image_words &&
                                            now[end + MERGE_WORDS] != before[end + MERGE_WORDS]))) {
            end++;
        }
        put_piece(bench, at, end - at);
        at = end;
    }
    return buffer_lend(&bench->packed);
}

void site_image_load(struct site_bench *bench, struct bytes packed)
{
    uint64_t id;
    memcpy(&id, packed.data, sizeof id);
    CHECK(id <= BOUNDS_NODES_MAX && bench->first_images[id] != NULL);
    memcpy(bench->image, bench->first_images[id], bench->image_words * sizeof(uint64_t));
    size_t at = sizeof id;
    while (at < packed.size) {
        struct piece piece;
        memcpy(&piece, packed.data + at, sizeof piece);
        at += sizeof piece;
        memcpy(bench->image + piece.first, packed.data + at, piece.count * sizeof(uint64_t));
        at += piece.count * sizeof(uint64_t);
    }
}
