#include "server/front/zookeeper_watches.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

enum { WATCHERS = 3 };

static struct zookeeper_watches *watches;
static struct zookeeper_watcher watchers[WATCHERS];
static char heard[4096]; /* "0 created /a\n" and so on, in order */

static void send_event(struct zookeeper_watcher *watcher, struct bytes frame)
{
    static const char *const names[] = {"", "created", "deleted", "changed", "children"};
    struct reader reader = reader_of(frame);
    size_t used = strlen(heard);
    int32_t type;
    struct bytes path;

    EXPECT_EQ(jute_read_int(&reader), frame.size - JUTE_FRAME_HEAD_BYTES);
    EXPECT(jute_read_int(&reader) == JUTE_XID_NOTIFICATION);
    EXPECT_EQ(jute_read_long(&reader), 9);
    EXPECT_EQ(jute_read_int(&reader), JUTE_ERROR_OK);
    type = jute_read_int(&reader);
    EXPECT_EQ(jute_read_int(&reader), JUTE_STATE_SYNC_CONNECTED);
    path = jute_read_buffer(&reader, NULL);
    EXPECT_OK(reader_finish(&reader));
    (void)snprintf(heard + used, sizeof heard - used, "%d %s %.*s\n", (int)(watcher - watchers),
                   names[type], (int)path.size, (const char *)path.data);
}

/* The lists of permissions are judged elsewhere: here, a node is a number that says who may see. */
static bool may_see(struct zookeeper_watcher *watcher, const struct state_node *node)
{
    return node == NULL || ((uintptr_t)node >> (watcher - watchers) & 1) != 0;
}

static void begin(void)
{
    const struct zookeeper_watch_limits watch_limits = zookeeper_watch_limits_default();
    watches = zookeeper_watches_new(&watch_limits, 1, may_see, send_event);
    for (size_t i = 0; i < WATCHERS; i++) {
        zookeeper_watcher_init(watches, &watchers[i]);
    }
    heard[0] = '\0';
}

static void finish(void)
{
    for (size_t i = 0; i < WATCHERS; i++) {
        zookeeper_watcher_release(watches, &watchers[i]);
    }
    EXPECT_EQ(zookeeper_watches_count(watches).watches, 0);
    EXPECT_EQ(zookeeper_watches_count(watches).paths, 0);
    zookeeper_watches_free(watches);
}

static void leave(size_t watcher, const char *path, enum zookeeper_watch kind)
{
    EXPECT_OK(zookeeper_watches_add(watches, &watchers[watcher], bytes_of_text(path), kind));
}

/* What one change makes be heard. */
static const char *fire(enum state_change_kind kind, const char *path)
{
    const struct state_change change = {.kind = kind, .zxid = 9, .path = bytes_of_text(path)};

    heard[0] = '\0';
    zookeeper_watches_fire(watches, &change, NULL);
    return heard;
}

static void test_who_may_not_see_is_not_told_and_loses_the_watch(void)
{
    struct state_change change = {.kind = STATE_CREATED, .zxid = 9, .path = bytes_of_text("/p/n")};

    begin();
    leave(0, "/p/n", ZOOKEEPER_WATCH_DATA);
    leave(1, "/p/n", ZOOKEEPER_WATCH_PERSISTENT);
    leave(0, "/p", ZOOKEEPER_WATCH_CHILD);
    leave(1, "/p", ZOOKEEPER_WATCH_CHILD);
    change.after = (struct state_node *)(uintptr_t)2; /* watcher 1 alone */
    heard[0] = '\0';
    zookeeper_watches_fire(watches, &change, (const struct state_node *)(uintptr_t)1);
    EXPECT_TEXT(heard, "1 created /p/n\n0 children /p\n");
    EXPECT_EQ(zookeeper_watches_count(watches).watches, 1);
    change.kind = STATE_REMOVED;
    change.after = NULL;
    change.before = (struct state_node *)(uintptr_t)5;
    heard[0] = '\0';
    zookeeper_watches_fire(watches, &change, NULL);
    EXPECT_TEXT(heard, "");
    finish();
}

static void test_one_shot_watches_fire_once(void)
{
    begin();
    leave(0, "/p/n", ZOOKEEPER_WATCH_DATA);
    leave(1, "/p", ZOOKEEPER_WATCH_CHILD);
    leave(2, "/p", ZOOKEEPER_WATCH_DATA);
    EXPECT_TEXT(fire(STATE_CREATED, "/p/n"), "0 created /p/n\n1 children /p\n");
    EXPECT_TEXT(fire(STATE_VALUE_SET, "/p/n"), "");
    leave(0, "/p/n", ZOOKEEPER_WATCH_DATA);
    leave(0, "/p/n", ZOOKEEPER_WATCH_DATA);
    EXPECT_TEXT(fire(STATE_VALUE_SET, "/p/n"), "0 changed /p/n\n");
    EXPECT_TEXT(fire(STATE_ACL_SET, "/p"), "");
    EXPECT_TEXT(fire(STATE_VALUE_SET, "/p"), "2 changed /p\n");
    finish();
}

static void test_a_deletion_is_told_once_to_each_connection(void)
{
    begin();
    leave(0, "/p/n", ZOOKEEPER_WATCH_DATA);
    leave(0, "/p/n", ZOOKEEPER_WATCH_CHILD);
    leave(1, "/p/n", ZOOKEEPER_WATCH_CHILD);
    leave(2, "/p/n", ZOOKEEPER_WATCH_PERSISTENT);
    leave(1, "/p", ZOOKEEPER_WATCH_CHILD);
    EXPECT_TEXT(fire(STATE_REMOVED, "/p/n"),
                "0 deleted /p/n\n2 deleted /p/n\n1 deleted /p/n\n1 children /p\n");
    /* The child watch whose event was kept back is gone as well. */
    EXPECT_EQ(zookeeper_watches_find(watches, &watchers[0], bytes_of_text("/p/n")), 0);
    EXPECT_TEXT(fire(STATE_CREATED, "/p/n"), "2 created /p/n\n");
    finish();
}

static void test_a_persistent_watch_sees_node_and_children(void)
{
    begin();
    leave(0, "/p", ZOOKEEPER_WATCH_PERSISTENT);
    for (int round = 0; round < 2; round++) {
        EXPECT_TEXT(fire(STATE_CREATED, "/p"), "0 created /p\n");
        EXPECT_TEXT(fire(STATE_CREATED, "/p/n"), "0 children /p\n");
        EXPECT_TEXT(fire(STATE_VALUE_SET, "/p/n"), "");
        EXPECT_TEXT(fire(STATE_REMOVED, "/p/n"), "0 children /p\n");
        EXPECT_TEXT(fire(STATE_REMOVED, "/p"), "0 deleted /p\n");
    }
    finish();
}

static void test_a_recursive_watch_sees_all_below_and_no_lists(void)
{
    begin();
    leave(0, "/", ZOOKEEPER_WATCH_RECURSIVE);
    leave(0, "/a", ZOOKEEPER_WATCH_RECURSIVE);
    leave(1, "/a/b", ZOOKEEPER_WATCH_RECURSIVE);
    EXPECT_TEXT(fire(STATE_CREATED, "/a/b/c"), "1 created /a/b/c\n0 created /a/b/c\n");
    EXPECT_TEXT(fire(STATE_VALUE_SET, "/a/bc"), "0 changed /a/bc\n");
    EXPECT_TEXT(fire(STATE_REMOVED, "/a/b"), "1 deleted /a/b\n0 deleted /a/b\n");
    finish();
}

static void test_several_kinds_on_one_path_are_one_event(void)
{
    begin();
    leave(0, "/p", ZOOKEEPER_WATCH_DATA);
    leave(0, "/p", ZOOKEEPER_WATCH_PERSISTENT);
    leave(0, "/p", ZOOKEEPER_WATCH_RECURSIVE);
    EXPECT_TEXT(fire(STATE_VALUE_SET, "/p"), "0 changed /p\n");
    EXPECT_EQ(zookeeper_watches_find(watches, &watchers[0], bytes_of_text("/p")),
              (unsigned)ZOOKEEPER_WATCH_PERSISTENT | ZOOKEEPER_WATCH_RECURSIVE);
    EXPECT_TEXT(fire(STATE_CREATED, "/p/n"), "0 created /p/n\n0 children /p\n");
    finish();
}

static void test_what_is_taken_back_fires_no_more(void)
{
    begin();
    leave(0, "/p", ZOOKEEPER_WATCH_DATA);
    leave(0, "/p", ZOOKEEPER_WATCH_CHILD);
    EXPECT_EQ(zookeeper_watches_remove(watches, &watchers[1], bytes_of_text("/p"), UINT32_MAX), 0);
    EXPECT_EQ(zookeeper_watches_remove(watches, &watchers[0], bytes_of_text("/p"),
                                       ZOOKEEPER_WATCH_CHILD | ZOOKEEPER_WATCH_RECURSIVE),
              (unsigned)ZOOKEEPER_WATCH_CHILD);
    EXPECT_EQ(zookeeper_watches_count(watches).watches, 1);
    EXPECT_TEXT(fire(STATE_CREATED, "/p/n"), "");
    EXPECT_TEXT(fire(STATE_REMOVED, "/p"), "0 deleted /p\n");
    finish();
}

static void test_a_path_never_stands_for_its_prefix(void)
{
    begin();
    leave(0, "/a", ZOOKEEPER_WATCH_RECURSIVE);
    leave(1, "/a", ZOOKEEPER_WATCH_PERSISTENT);
    EXPECT_TEXT(fire(STATE_CREATED, "/ab"), "");
    EXPECT_TEXT(fire(STATE_CREATED, "/ab/a"), "");
    finish();
}

static size_t shown_max;

static bool show(void *visitor, const struct zookeeper_watcher *watcher, struct bytes path)
{
    size_t *shown = visitor;
    size_t used = strlen(heard);

    (void)snprintf(heard + used, sizeof heard - used, "%d %.*s\n", (int)(watcher - watchers),
                   (int)path.size, (const char *)path.data);
    return ++*shown < shown_max;
}

static const char *shown_by_path(void)
{
    size_t shown = 0;

    heard[0] = '\0';
    zookeeper_watches_each(watches, show, &shown);
    return heard;
}

static void test_watches_of_data_are_shown_by_path_and_by_watcher(void)
{
    size_t shown = 0;

    begin();
    leave(1, "/b", ZOOKEEPER_WATCH_DATA);
    leave(0, "/a", ZOOKEEPER_WATCH_RECURSIVE);
    leave(0, "/b", ZOOKEEPER_WATCH_PERSISTENT);
    leave(0, "/c", ZOOKEEPER_WATCH_CHILD);
    shown_max = 100;
    EXPECT_TEXT(shown_by_path(), "1 /b\n0 /b\n0 /a\n");
    heard[0] = '\0';
    EXPECT(zookeeper_watcher_each(&watchers[0], show, &shown));
    EXPECT_TEXT(heard, "0 /a\n0 /b\n");
    shown_max = 1;
    EXPECT_TEXT(shown_by_path(), "1 /b\n");
    shown = 0;
    EXPECT(!zookeeper_watcher_each(&watchers[0], show, &shown));
    /* A path goes with its last watch. */
    shown_max = 100;
    EXPECT_EQ(
        zookeeper_watches_remove(watches, &watchers[1], bytes_of_text("/b"), ZOOKEEPER_WATCH_DATA),
        ZOOKEEPER_WATCH_DATA);
    (void)fire(STATE_VALUE_SET, "/b");
    EXPECT_TEXT(shown_by_path(), "0 /b\n0 /a\n");
    finish();
}

/* How many paths of a KiB one connection may watch. */
static size_t fill(size_t watcher)
{
    char path[1025];
    size_t count = 0;

    memset(path, 'p', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    do {
        (void)snprintf(path + 1, 9, "%08zu", count++);
        path[9] = 'p';
    } while (zookeeper_watches_add(watches, &watchers[watcher], bytes_of_text(path),
                                   ZOOKEEPER_WATCH_DATA) == STATUS_OK);
    return watchers[watcher].count;
}

static void test_bytes_are_limited_for_one_and_for_all(void)
{
    struct zookeeper_watch_limits limits = zookeeper_watch_limits_default();
    size_t first;

    limits.one_bytes = 64 * 1024;
    limits.all_bytes = 96 * 1024;
    watches = zookeeper_watches_new(&limits, 1, may_see, send_event);
    for (size_t i = 0; i < WATCHERS; i++) {
        zookeeper_watcher_init(watches, &watchers[i]);
    }
    first = fill(0);
    EXPECT(first <= 64);
    EXPECT(first > 32);
    EXPECT(fill(1) <= first / 2 + 1);
    EXPECT(watchers[1].count > 0);
    EXPECT_EQ(fill(0), first); /* what is there already takes nothing more */
    zookeeper_watcher_release(watches, &watchers[0]);
    zookeeper_watcher_init(watches, &watchers[0]);
    EXPECT_EQ(fill(0), first); /* and what went makes room */
    finish();
}

static void test_watches_go_a_few_at_a_time(void)
{
    begin();
    for (size_t i = 0; i < 10; i++) {
        char path[] = {'/', (char)('a' + i), '\0'};

        leave(0, path, ZOOKEEPER_WATCH_DATA);
        leave(0, path, ZOOKEEPER_WATCH_CHILD);
        leave(1, path, ZOOKEEPER_WATCH_DATA);
    }
    EXPECT(!zookeeper_watcher_release_some(watches, &watchers[0], 4));
    EXPECT_EQ(watchers[0].count, 12);
    EXPECT(!zookeeper_watcher_release_some(watches, &watchers[0], 5));
    EXPECT(zookeeper_watcher_release_some(watches, &watchers[0], 5));
    EXPECT_EQ(watchers[0].count, 0);
    EXPECT_EQ(zookeeper_watches_count(watches).watches, 10);
    finish();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_one_shot_watches_fire_once),
        TEST_CASE(test_who_may_not_see_is_not_told_and_loses_the_watch),
        TEST_CASE(test_a_deletion_is_told_once_to_each_connection),
        TEST_CASE(test_a_persistent_watch_sees_node_and_children),
        TEST_CASE(test_a_recursive_watch_sees_all_below_and_no_lists),
        TEST_CASE(test_several_kinds_on_one_path_are_one_event),
        TEST_CASE(test_what_is_taken_back_fires_no_more),
        TEST_CASE(test_a_path_never_stands_for_its_prefix),
        TEST_CASE(test_watches_of_data_are_shown_by_path_and_by_watcher),
        TEST_CASE(test_bytes_are_limited_for_one_and_for_all),
        TEST_CASE(test_watches_go_a_few_at_a_time),
        TEST_END};
    return test_main("zookeeper_watches", cases, argc, argv);
}
