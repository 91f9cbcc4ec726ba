/* What a client is told that was away and sets its watches again, and which of them it has then. */
#include "server/front/zookeeper_comeback.h"

#include "server/front/zookeeper_replay.h"
#include "tests/unit/front/front_double.h"

#include <stdio.h>

#define PERSISTENT RECORD__CREATE_MODE__PERSISTENT

enum { LISTS = 5 };

static struct zookeeper_watches *watches;
static struct zookeeper_watcher watcher;
static struct buffer output;
static struct zookeeper_comeback comeback;

static bool see_all(struct zookeeper_watcher *of, const struct state_node *node)
{
    (void)of;
    (void)node;
    return true;
}

static size_t heard; /* while connected */

static void hear(struct zookeeper_watcher *of, struct bytes frame)
{
    (void)of;
    (void)frame;
    heard++;
}

static void begin(void)
{
    const struct zookeeper_watch_limits watch_limits = zookeeper_watch_limits_default();
    node_double_init();
    heard = 0;
    watches = zookeeper_watches_new(&watch_limits, 1, see_all, hear);
    zookeeper_watcher_init(watches, &watcher);
    comeback =
        (struct zookeeper_comeback){.watches = watches, .watcher = &watcher, .output = &output};
}

static void end(void)
{
    zookeeper_watcher_release(watches, &watcher);
    zookeeper_watches_free(watches);
    buffer_release(&output);
    node_double_release();
}

static void create(const char *path, const char *value)
{
    EXPECT_EQ(state_lab_create(&node_double.lab, path, value, PERSISTENT), OP_OK);
    node_double_publish();
}

static void set(const char *path)
{
    EXPECT_EQ(state_lab_set(&node_double.lab, path, "changed", -1), OP_OK);
    node_double_publish();
}

static void remove_node(const char *path)
{
    EXPECT_EQ(state_lab_remove(&node_double.lab, path, -1), OP_OK);
    node_double_publish();
}

static zxid now(void)
{
    return state_applied(node_double.lab.state);
}

/* Of each list one path, or NULL for an empty list. */
static struct buffer record_of(int32_t type, zxid seen, const char *const paths[LISTS])
{
    struct buffer record = BUFFER_INIT;

    jute_put_long(&record, (int64_t)seen);
    for (size_t i = 0; i < (type == JUTE_TYPE_SET_WATCHES ? 3 : LISTS); i++) {
        jute_put_int(&record, paths[i] == NULL ? 0 : 1);
        if (paths[i] != NULL) {
            jute_put_buffer(&record, bytes_of_text(paths[i]), false);
        }
    }
    return record;
}

/* On a new connection. */
static enum jute_error come_back(zxid seen, const char *const paths[LISTS])
{
    struct buffer record = record_of(JUTE_TYPE_SET_WATCHES_2, seen, paths);
    const struct zookeeper_details details = {.type = JUTE_TYPE_SET_WATCHES_2,
                                              .body = buffer_lend(&record)};
    struct zookeeper_comeback_place place = {.is_begun = false};
    enum jute_error error;

    zookeeper_watcher_release(watches, &watcher);
    zookeeper_watcher_init(watches, &watcher);
    buffer_clear(&output);
    comeback.events = 0;
    error = zookeeper_come_back(&comeback, &details, &place);
    buffer_release(&record);
    return error;
}

/* As "changed /a, created /b 5": with the zxid unless it is -1. */
static void expect_told(const char *expected)
{
    static const char *const names[] = {"", "created", "deleted", "changed", "children"};
    struct reader reader = reader_of(buffer_lend(&output));
    char told[512] = "";
    size_t size = 0;
    size_t count = 0;

    while (reader.rest.size > 0 && !reader.failed) {
        int64_t at;
        int32_t type;
        struct bytes path;

        (void)jute_read_int(&reader);
        EXPECT(jute_read_int(&reader) == JUTE_XID_NOTIFICATION);
        at = jute_read_long(&reader);
        (void)jute_read_int(&reader);
        type = jute_read_int(&reader);
        (void)jute_read_int(&reader);
        path = jute_read_buffer(&reader, NULL);
        CHECK(!reader.failed && type >= 1 && type <= 4);
        size +=
            (size_t)snprintf(told + size, sizeof told - size, "%s%s %.*s", count == 0 ? "" : ", ",
                             names[type], (int)path.size, (const char *)path.data);
        if (at != -1) {
            size += (size_t)snprintf(told + size, sizeof told - size, " %d", (int)at);
        }
        count++;
    }
    EXPECT(!reader.failed);
    EXPECT_EQ(comeback.events, count);
    EXPECT_TEXT(told, expected);
}

static unsigned watched(const char *path)
{
    return zookeeper_watches_find(watches, &watcher, bytes_of_text(path));
}

static void test_a_data_watch_is_set_again_or_its_event_told(void)
{
    const char *const paths[LISTS] = {"/a"};
    zxid seen;

    begin();
    create("/a", "1");
    seen = now();
    create("/a/child", "");
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("");
    EXPECT_EQ(watched("/a"), ZOOKEEPER_WATCH_DATA);
    EXPECT_EQ(zookeeper_watches_remove(watches, &watcher, bytes_of_text("/a"), ~0U),
              ZOOKEEPER_WATCH_DATA);
    set("/a");
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("changed /a");
    EXPECT_EQ(watched("/a"), 0);
    remove_node("/a/child");
    remove_node("/a");
    EXPECT_EQ(come_back(now(), paths), JUTE_ERROR_OK);
    expect_told("deleted /a");
    EXPECT_EQ(watched("/a"), 0);
    end();
}

static void test_a_watch_for_a_node_to_come_is_set_again_or_told(void)
{
    const char *const paths[LISTS] = {NULL, "/a"};

    begin();
    EXPECT_EQ(come_back(now(), paths), JUTE_ERROR_OK);
    expect_told("");
    EXPECT_EQ(watched("/a"), ZOOKEEPER_WATCH_DATA);
    EXPECT_EQ(zookeeper_watches_remove(watches, &watcher, bytes_of_text("/a"), ~0U),
              ZOOKEEPER_WATCH_DATA);
    create("/a", "");
    EXPECT_EQ(come_back(now(), paths), JUTE_ERROR_OK);
    expect_told("created /a");
    EXPECT_EQ(watched("/a"), 0);
    end();
}

static void test_a_child_watch_follows_the_children_alone(void)
{
    const char *const paths[LISTS] = {NULL, NULL, "/a"};
    zxid seen;

    begin();
    create("/a", "");
    seen = now();
    set("/a");
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("");
    EXPECT_EQ(watched("/a"), ZOOKEEPER_WATCH_CHILD);
    create("/a/b", "");
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("children /a");
    seen = now();
    remove_node("/a/b");
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("children /a");
    remove_node("/a");
    EXPECT_EQ(come_back(now(), paths), JUTE_ERROR_OK);
    expect_told("deleted /a");
    end();
}

static void test_lasting_watches_are_told_all_that_was_missed(void)
{
    const char *const paths[LISTS] = {NULL, NULL, NULL, "/a", "/t"};
    zxid seen;

    begin();
    create("/t", "");
    seen = now();
    create("/a", "");
    create("/a/b", "");
    create("/t/u", "");
    set("/t/u");
    remove_node("/t/u");
    set("/a");
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("created /a 2, children /a 3, created /t/u 4, changed /t/u 5, deleted /t/u 6, "
                "changed /a 7");
    EXPECT_EQ(watched("/a"), ZOOKEEPER_WATCH_PERSISTENT);
    EXPECT_EQ(watched("/t"), ZOOKEEPER_WATCH_RECURSIVE);
    /* Who has seen all is told nothing. */
    EXPECT_EQ(come_back(now(), paths), JUTE_ERROR_OK);
    expect_told("");
    end();
}

static void test_what_the_history_does_not_reach_is_lost(void)
{
    const char *const paths[LISTS] = {NULL, NULL, NULL, "/a", "/"};
    zxid seen;

    begin();
    create("/a", "");
    seen = now();
    set("/a");
    node_double.history_from = seen + 1;
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("");
    EXPECT_EQ(watched("/a"), ZOOKEEPER_WATCH_PERSISTENT);
    node_double.history_from = 0;
    EXPECT_EQ(come_back(0, paths), JUTE_ERROR_OK); /* it has seen nothing, so it missed nothing */
    expect_told("");
    comeback.forgets_missed = true;
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("");
    comeback.forgets_missed = false;
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("changed /a 2"); /* once, by whichever of the two */
    end();
}

static void test_too_many_changes_are_as_good_as_lost(void)
{
    const char *const paths[LISTS] = {"/gone", NULL, NULL, NULL, "/"};
    zxid seen;

    begin();
    create("/a", "");
    seen = now();
    create("/b", "");
    while (node_double.history_count < DOUBLE_HISTORY_MAX) {
        struct watch_event copy = node_double.history[1];

        (void)state_node_ref(copy.node);
        node_double.history[node_double.history_count++] = copy;
    }
    node_double.history_more = ZOOKEEPER_REPLAY_CHANGES_MAX + 2 - DOUBLE_HISTORY_MAX;
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    expect_told("deleted /gone"); /* which does not come out of the history */
    node_double.history_more--;
    EXPECT_EQ(come_back(seen, paths), JUTE_ERROR_OK);
    EXPECT_EQ(comeback.events, DOUBLE_HISTORY_MAX); /* but for /a, and with /gone */
    end();
}

static void test_a_secret_node_is_not_told_of(void)
{
    const char *const paths[LISTS] = {"/secret", "/secret", "/secret", "/secret", "/secret"};
    struct state_lab *lab = &node_double.lab;
    Record__Operation operation = RECORD__OPERATION__INIT;
    Record__SetAcl set_acl = RECORD__SET_ACL__INIT;
    Record__AclEntry entry = RECORD__ACL_ENTRY__INIT;
    Record__AclEntry *entries[] = {&entry};
    uint8_t path[] = "/secret";
    uint8_t scheme[] = "digest";
    uint8_t id[] = "u:hash";

    begin();
    create("/secret", "");
    entry.permissions = 31;
    entry.scheme = (ProtobufCBinaryData){.data = scheme, .len = 6};
    entry.id = (ProtobufCBinaryData){.data = id, .len = 6};
    set_acl.path = (ProtobufCBinaryData){.data = path, .len = 7};
    set_acl.acl = entries;
    set_acl.n_acl = 1;
    set_acl.version = -1;
    operation.kind_case = RECORD__OPERATION__KIND_SET_ACL;
    operation.set_acl = &set_acl;
    EXPECT_EQ(state_lab_operation(lab, &operation), OP_OK);
    create("/other", "");
    lab->result.change_count = 0;
    EXPECT_EQ(come_back(1, paths), JUTE_ERROR_OK);
    expect_told("");
    EXPECT_EQ(watched("/secret"), (unsigned)ZOOKEEPER_WATCH_DATA | ZOOKEEPER_WATCH_CHILD |
                                      ZOOKEEPER_WATCH_PERSISTENT | ZOOKEEPER_WATCH_RECURSIVE);
    EXPECT_EQ(come_back(0, (const char *const[LISTS]){NULL, "/secret"}), JUTE_ERROR_OK);
    expect_told(""); /* missed for good */
    end();
}

/* Without time, one step in a call; what comes between two calls is told of what is set already. */
static void test_watches_are_set_in_pieces(void)
{
    const char *const paths[LISTS] = {"/a", "/b", "/c", "/d", "/e"};
    struct buffer record;
    struct zookeeper_comeback_place place = {.is_begun = false};
    struct zookeeper_details details = {.type = JUTE_TYPE_SET_WATCHES_2};
    size_t steps = 1;

    begin();
    create("/a", "1");
    create("/c", "1");
    record = record_of(JUTE_TYPE_SET_WATCHES_2, now(), paths);
    details.body = buffer_lend(&record);
    buffer_clear(&output);
    EXPECT(!zookeeper_come_back_some(&comeback, &details, &place, 0));
    EXPECT_EQ(watcher.count, 1);
    EXPECT_EQ(watched("/a"), ZOOKEEPER_WATCH_DATA);
    create("/b", "1");
    do {
        size_t before = watcher.count;

        steps++;
        (void)zookeeper_come_back_some(&comeback, &details, &place, 0);
        EXPECT(watcher.count <= before + 1);
    } while (!place.is_done);
    EXPECT(steps >= LISTS);
    expect_told("created /b");
    EXPECT_EQ(watcher.count, 4);
    EXPECT_EQ(watched("/d"), ZOOKEEPER_WATCH_PERSISTENT);
    EXPECT_EQ(watched("/e"), ZOOKEEPER_WATCH_RECURSIVE);
    EXPECT_EQ(zookeeper_come_back(&comeback, &details, &place), JUTE_ERROR_OK);
    EXPECT_EQ(watcher.count, 4);
    buffer_release(&record);
    end();
}

/* As it happens, to those who are connected. */
static void fire_last(void)
{
    zookeeper_watches_fire(watches, &node_double.lab.result.changes[0], NULL);
}

static void test_a_lasting_watch_is_silent_until_all_that_it_missed_is_told(void)
{
    const char *const paths[LISTS] = {NULL, NULL, NULL, "/a", "/"};
    struct buffer record;
    struct zookeeper_comeback_place place = {.is_begun = false};
    struct zookeeper_details details = {.type = JUTE_TYPE_SET_WATCHES_2};
    zxid seen;

    begin();
    EXPECT_OK(zookeeper_watches_add(watches, &watcher, bytes_of_text("/a"), ZOOKEEPER_WATCH_DATA));
    create("/a", "");
    seen = now();
    set("/a");
    set("/a");
    record = record_of(JUTE_TYPE_SET_WATCHES_2, seen, paths);
    details.body = buffer_lend(&record);
    buffer_clear(&output);
    while (watched("/") == 0) {
        EXPECT(!zookeeper_come_back_some(&comeback, &details, &place, 0));
    }
    set("/a");
    fire_last();
    EXPECT_EQ(heard, 1); /* by the watch that was there */
    EXPECT_EQ(watched("/a"), ZOOKEEPER_WATCH_PERSISTENT);
    while (!zookeeper_come_back_some(&comeback, &details, &place, 0)) {
        fire_last();
        EXPECT_EQ(heard, 1);
    }
    expect_told("changed /a 2, changed /a 3, changed /a 4");
    fire_last();
    EXPECT_EQ(heard, 2);
    buffer_release(&record);
    end();
}

static void test_an_unreadable_request_has_no_effect(void)
{
    static const int32_t types[] = {JUTE_TYPE_SET_WATCHES, JUTE_TYPE_SET_WATCHES_2};
    const char *const paths[LISTS] = {"/gone", "/b", "/gone", "/d", "/e"};

    begin();
    for (size_t i = 0; i < 2; i++) {
        struct buffer record = record_of(types[i], 1, paths);

        for (size_t cut = 0; cut < record.size; cut++) {
            const struct zookeeper_details details = {.type = types[i],
                                                      .body = bytes_of(record.data, cut)};

            struct zookeeper_comeback_place place = {.is_begun = false};

            EXPECT_EQ((uint32_t)zookeeper_come_back(&comeback, &details, &place),
                      (uint32_t)JUTE_ERROR_MARSHALLING);
        }
        buffer_release(&record);
    }
    expect_told("");
    EXPECT_EQ(watcher.count, 0);
    end();
}

static void test_a_node_that_cannot_be_read_ends_the_connection(void)
{
    const char *const paths[LISTS] = {"/a"};

    begin();
    node_double.cannot_read = true;
    EXPECT_EQ(come_back(1, paths), JUTE_ERROR_OK);
    EXPECT(comeback.trouble != NULL);
    EXPECT_EQ(watched("/a"), 0);
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_data_watch_is_set_again_or_its_event_told),
        TEST_CASE(test_a_watch_for_a_node_to_come_is_set_again_or_told),
        TEST_CASE(test_a_child_watch_follows_the_children_alone),
        TEST_CASE(test_lasting_watches_are_told_all_that_was_missed),
        TEST_CASE(test_what_the_history_does_not_reach_is_lost),
        TEST_CASE(test_too_many_changes_are_as_good_as_lost),
        TEST_CASE(test_a_secret_node_is_not_told_of),
        TEST_CASE(test_watches_are_set_in_pieces),
        TEST_CASE(test_a_lasting_watch_is_silent_until_all_that_it_missed_is_told),
        TEST_CASE(test_an_unreadable_request_has_no_effect),
        TEST_CASE(test_a_node_that_cannot_be_read_ends_the_connection),
        TEST_END};

    return test_main("zookeeper_comeback", cases, argc, argv);
}
