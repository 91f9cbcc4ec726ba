/* The memory of a site: the model and the core's block in one piece without pointers, and the
 * short form in which many of them are kept: only the words that differ from the beginning. */
#ifndef TESTS_EXPLORER_SITE_IMAGE_H
#define TESTS_EXPLORER_SITE_IMAGE_H

#include "base/bytes.h"
#include "raft/raft_internal.h"
#include "tests/explorer/bounds.h"
#include "tests/explorer/vocabulary.h"

enum { SITE_WRITES_MAX = 6, SITE_LOG_END = VOCABULARY_LOG_MAX + 1 };

struct site_disk {
    uint8_t term;
    uint8_t vote;
    uint8_t base;
    uint8_t base_term;
    uint8_t last;
    uint8_t checkpoint; /* applied and durable */
    uint8_t config_index;
    uint8_t config;
    /* A complete dump, for a reset to take. */
    uint8_t dump_index;
    uint8_t dump_config_index;
    uint8_t dump_config;
    uint8_t entries[SITE_LOG_END]; /* by index; 0 = not there */
};

struct site_write {
    uint8_t hard_state;
    uint8_t term;
    uint8_t vote;
    uint8_t reset;
    uint8_t reset_index;
    uint8_t reset_term;
    uint8_t first; /* 0: no entries */
    uint8_t last;
    uint8_t entries[SITE_LOG_END];
};

struct site_model {
    uint8_t id;
    uint8_t applied;
    uint8_t starts;    /* counted where reads are made */
    uint8_t unflushed; /* inputs since the last flush */
    uint8_t write_count;
    uint8_t entries[SITE_LOG_END];
    struct site_disk disk;
    struct site_write writes[SITE_WRITES_MAX];
};

/* One core at work: a site is loaded into it, and it is then what an input leaves. */
struct site_bench {
    struct vocabulary *vocabulary;
    const struct bounds *bounds;
    uint64_t *image; /* the model, then the core */
    size_t image_words;
    struct site_model *model;
    struct raft *raft;
    uint64_t *first_images[BOUNDS_NODES_MAX + 1]; /* by id; NULL until it was packed */
    struct buffer packed;
    struct site_result *result; /* of the input at work */
    uint8_t commit_shown;       /* before it */
};

struct site_bench *site_bench_new(struct vocabulary *vocabulary, const struct bounds *bounds);
void site_bench_free(struct site_bench *bench);

/* Of the site that is loaded; the first one of each node is what others are compared to. Borrowed
 * until the next call. */
struct bytes site_image_pack(struct site_bench *bench);
void site_image_load(struct site_bench *bench, struct bytes packed);

#endif
