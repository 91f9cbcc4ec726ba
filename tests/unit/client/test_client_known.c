#include "client/client_known.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct confer_stat stat_of(uint64_t mzxid)
{
    return (struct confer_stat){.czxid = 1, .mzxid = mzxid};
}

static void test_parents_stand_before_children_and_siblings_by_name(void)
{
    static const char *const ordered[] = {"/",    "/a",     "/a/b", "/a/b/c", "/a/c",
                                          "/a-b", "/a-b/x", "/a.b", "/aa",    "/b"};

    for (size_t i = 0; i < sizeof ordered / sizeof ordered[0]; i++) {
        for (size_t j = 0; j < sizeof ordered / sizeof ordered[0]; j++) {
            int order = client_known_compare(ordered[i], ordered[j]);

            EXPECT_EQ(order < 0, i < j);
            EXPECT_EQ(order == 0, i == j);
        }
    }
}

/* Against an array of flags. */
static void test_it_holds_what_was_put_and_not_removed(void)
{
    enum { PATHS = 300 };
    struct client_known known;
    struct prng prng;
    uint64_t expected[PATHS] = {0};
    size_t count = 0;

    client_known_init(&known, 1);
    prng_init(&prng, 2);
    for (uint64_t step = 1; step <= 20000; step++) {
        size_t i = (size_t)prng_below(&prng, PATHS);
        char path[16];
        struct confer_stat stat = stat_of(step);

        (void)snprintf(path, sizeof path, "/%zu/%zu", i % 7, i);
        if (prng_below(&prng, 2) == 0) {
            EXPECT(client_known_put(&known, path, &stat));
            count += expected[i] == 0 ? 1 : 0;
            expected[i] = step;
        } else {
            client_known_remove(&known, path);
            count -= expected[i] != 0 ? 1 : 0;
            expected[i] = 0;
        }
        if (step % 500 == 0) {
            for (i = 0; i < PATHS; i++) {
                const struct client_known_node *node;

                (void)snprintf(path, sizeof path, "/%zu/%zu", i % 7, i);
                node = client_known_find(&known, path);
                EXPECT_EQ(node == NULL ? 0 : node->mzxid, expected[i]);
            }
            EXPECT_EQ(known.count, count);
        }
    }
    client_known_clear(&known);
    EXPECT_EQ(known.count, 0);
    EXPECT(client_known_from(&known, "/") == NULL);
}

static void test_it_is_walked_in_order_from_any_place(void)
{
    struct client_known known;
    const char *before = NULL;
    struct confer_stat stat = stat_of(1);
    size_t count = 0;

    client_known_init(&known, 3);
    for (unsigned i = 0; i < 1000; i++) {
        char path[16];

        (void)snprintf(path, sizeof path, "/%u", i * 7919 % 1000);
        EXPECT(client_known_put(&known, path, &stat));
    }
    for (const struct client_known_node *node = client_known_from(&known, "/5"); node != NULL;
         node = client_known_next(node)) {
        EXPECT(before == NULL || client_known_compare(before, node->path) < 0);
        EXPECT(client_known_compare(node->path, "/5") >= 0);
        before = node->path;
        count++;
    }
    EXPECT_EQ(count, 5 * 111);
    client_known_clear(&known);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_parents_stand_before_children_and_siblings_by_name),
        TEST_CASE(test_it_holds_what_was_put_and_not_removed),
        TEST_CASE(test_it_is_walked_in_order_from_any_place), TEST_END};
    return test_main("client_known", cases, argc, argv);
}
