/* Random changes, streams and slow readers, against a naive twin. */
#include "server/node/watch_table.h"

#include "base/prng.h"
#include "tests/unit/node/watch_table_lab.h"

#include <stdio.h>

static void random_path(struct prng *prng, char path[PATH_MAX_BYTES])
{
    size_t depth = prng_below(prng, 5);
    size_t size = 0;

    (void)snprintf(path, PATH_MAX_BYTES, "/");
    for (size_t i = 0; i < depth; i++) {
        const char *letter = prng_below(prng, 2) == 0 ? "a" : "b";
        const char *more = prng_below(prng, 3) == 0 ? "b" : "";

        size += (size_t)snprintf(path + size, PATH_MAX_BYTES - size, "/%s%s", letter, more);
    }
}

static void random_step(struct prng *prng, zxid *last, uint64_t *last_watch)
{
    static const enum state_change_kind kinds[] = {STATE_CREATED, STATE_VALUE_SET, STATE_REMOVED,
                                                   STATE_ACL_SET};
    char path[PATH_MAX_BYTES];
    size_t owner = prng_below(prng, OWNERS_MAX);
    uint64_t dice = prng_below(prng, 100);

    random_path(prng, path);
    if (dice < 50) {
        enum state_change_kind kind = kinds[prng_below(prng, 4)];
        size_t count_max = prng_below(prng, 20) == 0 ? 700 : 3;
        size_t value_bytes = prng_below(prng, 10) == 0 ? 90000 : 10;

        *last += prng_between(prng, 1, 3);
        change_times(*last, kind, path, prng_below(prng, count_max), value_bytes);
    } else if (dice < 62 && watch_table_count(table) < MODEL_STREAMS_MAX / 2) {
        bool recursive = prng_below(prng, 2) == 0;
        bool with_values = prng_below(prng, 2) == 0;
        zxid from = prng_between(prng, history_oldest(history), history_last(history));

        (*last_watch)++;
        EXPECT_OK(add(owner, *last_watch, path, recursive, with_values,
                      prng_below(prng, 2) == 0 ? 0 : from));
    } else if (dice < 66) {
        struct model_stream *stream = &streams[prng_below(prng, MODEL_STREAMS_MAX)];

        if (stream->used) {
            EXPECT_OK(watch_table_remove(table, &clients[stream->owner].owner, stream->watch));
            stream->used = false;
        }
    } else if (dice < 76) {
        clients[owner].output = 0;
    } else if (dice < 80) {
        clients[owner].limit = prng_below(prng, 4) == 0 ? 0 : prng_below(prng, 1000000);
    } else if (dice < 81) {
        watch_owner_release(table, &clients[owner].owner);
        watch_owner_init(table, &clients[owner].owner, &clients[owner]);
        for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
            streams[i].used = streams[i].used && streams[i].owner != owner;
        }
    } else if (dice < 95) {
        (void)watch_table_pump(table);
        if (prng_below(prng, 3) == 0) {
            watch_table_progress(table, prng_below(prng, 50));
        }
        history_trim(history);
        watch_table_check(table);
    }
}

static void test_random_runs_agree_with_the_naive_twin(void)
{
    struct prng prng;
    size_t lost = 0;
    size_t given = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        zxid last = 100;
        uint64_t last_watch = 0;

        prng_init(&prng, seed);
        begin(OWNERS_MAX, UINT64_MAX, prng_between(&prng, 50, 3000));
        while (model_count < 12000) {
            random_step(&prng, &last, &last_watch);
        }
        for (size_t i = 0; i < OWNERS_MAX; i++) {
            clients[i].limit = SIZE_MAX;
        }
        for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
            lost += streams[i].lost;
        }
        pump_all();
        watch_table_progress(table, SIZE_MAX);
        for (size_t i = 0; i < MODEL_STREAMS_MAX; i++) {
            if (streams[i].used) {
                advance(&streams[i]);
                EXPECT_EQ(streams[i].seen, model_count);
                EXPECT_EQ(streams[i].up_to, last);
                given += streams[i].events;
            }
        }
        end(OWNERS_MAX);
    }
    /* The run must have come by what it is about. */
    EXPECT(lost > 5);
    EXPECT(given > 10000);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_random_runs_agree_with_the_naive_twin),
                                             TEST_END};

    return test_main("watch_table_random", cases, argc, argv);
}
