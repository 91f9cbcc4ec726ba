#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#define PERSISTENT RECORD__CREATE_MODE__PERSISTENT

static struct state_lab lab;
static struct arena arena;

static void start(void)
{
    state_lab_init(&lab, 1 << 20);
    arena_init(&arena);
    EXPECT_EQ(state_lab_create(&lab, "/p", "", PERSISTENT), OP_OK);
}

static void stop(void)
{
    arena_release(&arena);
    state_lab_release(&lab);
}

static void make(const char *path)
{
    EXPECT_EQ(state_lab_create(&lab, path, "0123456789", PERSISTENT), OP_OK);
}

static void drop(const char *path)
{
    EXPECT_EQ(state_lab_remove(&lab, path, -1), OP_OK);
}

static void checkpoint(void)
{
    state_lab_seal(&lab);
    state_lab_end(&lab);
}

static struct state_children
list(const char *after, size_t count_max, size_t bytes_max, bool with_nodes)
{
    struct state_children children = {.count = 0};
    enum op_error error = OP_UNREADABLE;

    EXPECT_OK(state_read_children(lab.state, bytes_of_text("/p"), bytes_of_text(after), count_max,
                                  bytes_max, with_nodes, &arena, &error, &children));
    EXPECT_EQ(error, OP_OK);
    return children;
}

static void test_a_listing_merges_source_sealed_and_dirty(void)
{
    start();
    make("/p/b");
    make("/p/d");
    make("/p/f");
    make("/p/h");
    checkpoint();
    (void)state_lab_restart(&lab);
    make("/p/a");
    make("/p/e");
    drop("/p/d");
    drop("/p/h");
    state_lab_seal(&lab);
    make("/p/c");
    make("/p/d");
    drop("/p/a");
    drop("/p/f");
    EXPECT_TEXT(state_lab_children(&lab, "/p"), "b,c,d,e,");
    state_lab_end(&lab);
    EXPECT_TEXT(state_lab_children(&lab, "/p"), "b,c,d,e,");
    checkpoint();
    EXPECT_TEXT(state_lab_children(&lab, "/p"), "b,c,d,e,");
    (void)state_lab_restart(&lab);
    EXPECT_TEXT(state_lab_children(&lab, "/p"), "b,c,d,e,");
    stop();
}

static void test_pages_follow_each_other(void)
{
    struct state_children page;

    start();
    make("/p/a");
    make("/p/b");
    make("/p/c");
    page = list("", 2, SIZE_MAX, false);
    EXPECT_EQ(page.count, 2);
    EXPECT(page.more);
    EXPECT(page.items[0].node == NULL);
    EXPECT_EQ(page.parent.child_count, 3);
    page = list("b", 2, SIZE_MAX, false);
    EXPECT_EQ(page.count, 1);
    EXPECT_BYTES(page.items[0].name, bytes_of_text("c"));
    EXPECT(!page.more);
    page = list("", 3, SIZE_MAX, false);
    EXPECT_EQ(page.count, 3);
    EXPECT(!page.more);
    page = list("c", 3, SIZE_MAX, false);
    EXPECT_EQ(page.count, 0);
    EXPECT(!page.more);
    page = list("aa", 1, SIZE_MAX, false);
    EXPECT_BYTES(page.items[0].name, bytes_of_text("b"));
    page = list("", 0, SIZE_MAX, false);
    EXPECT_EQ(page.count, 0);
    EXPECT(page.more);
    stop();
}

static void test_a_page_ends_with_its_bytes_but_holds_at_least_one(void)
{
    struct state_children page;
    bool is_null;

    start();
    make("/p/a");
    make("/p/b");
    make("/p/c");
    EXPECT_EQ(list("", 9, 0, false).count, 1);
    EXPECT_EQ(list("", 9, 2, false).count, 2);
    page = list("", 9, 150, true);
    EXPECT_EQ(page.count, 1);
    EXPECT(page.more);
    EXPECT_BYTES(state_node_value(page.items[0].node, &is_null), bytes_of_text("0123456789"));
    state_node_unref(page.items[0].node);
    stop();
}

static void test_after_may_be_longer_than_any_name(void)
{
    static char after[STATE_PATH_BYTES_MAX + 1];
    static char path[3 + STATE_COMPONENT_BYTES_MAX + 1];

    start();
    memset(after, 'm', STATE_PATH_BYTES_MAX);
    memset(path, 'm', 3 + STATE_COMPONENT_BYTES_MAX);
    memcpy(path, "/p/", 3);
    make(path);
    make("/p/n");
    EXPECT_EQ(list(after, 9, SIZE_MAX, false).count, 1);
    EXPECT_BYTES(list(after, 9, SIZE_MAX, false).items[0].name, bytes_of_text("n"));
    stop();
}

static void test_a_listing_keeps_to_its_own_children(void)
{
    start();
    make("/p/a");
    make("/p/a/below");
    make("/p0");
    make("/o");
    EXPECT_TEXT(state_lab_children(&lab, "/p"), "a,");
    checkpoint();
    (void)state_lab_restart(&lab);
    EXPECT_TEXT(state_lab_children(&lab, "/p"), "a,");
    EXPECT_TEXT(state_lab_children(&lab, "/p/a/below"), "");
    EXPECT_TEXT(state_lab_children(&lab, "/p/b"), "(none)");
    stop();
}

/* What is not on the page is not read. */
static void test_a_page_reads_only_what_it_shows(void)
{
    uint64_t before;

    start();
    for (int i = 0; i < 1000; i++) {
        char path[32];

        (void)snprintf(path, sizeof path, "/p/%04d", i);
        make(path);
    }
    checkpoint();
    (void)state_lab_restart(&lab);
    EXPECT_TEXT(state_lab_value(&lab, "/p"), "");
    before = memory_source_reads(lab.source);
    EXPECT_EQ(list("0499", 10, SIZE_MAX, false).count, 10);
    EXPECT(memory_source_reads(lab.source) - before <= 12);
    stop();
}

static void test_a_node_of_a_page_outlives_its_removal(void)
{
    struct state_children page;
    bool is_null;

    start();
    make("/p/a");
    checkpoint();
    (void)state_lab_restart(&lab);
    page = list("", 9, SIZE_MAX, true);
    drop("/p/a");
    checkpoint();
    EXPECT_BYTES(state_node_value(page.items[0].node, &is_null), bytes_of_text("0123456789"));
    state_node_unref(page.items[0].node);
    stop();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_listing_merges_source_sealed_and_dirty),
        TEST_CASE(test_pages_follow_each_other),
        TEST_CASE(test_a_page_ends_with_its_bytes_but_holds_at_least_one),
        TEST_CASE(test_after_may_be_longer_than_any_name),
        TEST_CASE(test_a_listing_keeps_to_its_own_children),
        TEST_CASE(test_a_page_reads_only_what_it_shows),
        TEST_CASE(test_a_node_of_a_page_outlives_its_removal),
        TEST_END,
    };

    return test_main("listing", cases, argc, argv);
}
