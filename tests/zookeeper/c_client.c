/* libzookeeper, ZooKeeper's client for C with threads: its blocking and its asynchronous calls, its
 * watches, and what it does when servers die. Run by with_servers.py. */
#include "tests/support/process.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* It has a struct buffer of its own. */
#define buffer zookeeper_buffer
#include <zookeeper/zookeeper.h>
#undef buffer

enum { SESSION_TIMEOUT_MS = 20000, DEADLINE_SECONDS = 60, VALUE_BYTES_MAX = 64, BURST = 500 };

/* What the library's threads tell, to be waited for. */
struct inbox {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int count;
    int last_type;
    int last_state;
    int last_rc;
    char last_path[VALUE_BYTES_MAX];
    int order[BURST]; /* of answers: which request each belongs to */
};

static void inbox_init(struct inbox *inbox)
{
    memset(inbox, 0, sizeof *inbox);
    (void)pthread_mutex_init(&inbox->mutex, NULL);
    (void)pthread_cond_init(&inbox->changed, NULL);
}

/* Wait for `count` things, and tell how many came. */
static int inbox_wait(struct inbox *inbox, int count)
{
    struct timespec end;
    int came;

    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += DEADLINE_SECONDS;
    (void)pthread_mutex_lock(&inbox->mutex);
    while (inbox->count < count &&
           pthread_cond_timedwait(&inbox->changed, &inbox->mutex, &end) == 0) {
    }
    came = inbox->count;
    (void)pthread_mutex_unlock(&inbox->mutex);
    return came;
}

static void on_event(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    struct inbox *inbox = context;

    (void)handle;
    (void)pthread_mutex_lock(&inbox->mutex);
    if (type != ZOO_SESSION_EVENT) {
        inbox->count++;
        inbox->last_type = type;
        (void)snprintf(inbox->last_path, sizeof inbox->last_path, "%s", path);
    }
    inbox->last_state = state;
    (void)pthread_cond_broadcast(&inbox->changed);
    (void)pthread_mutex_unlock(&inbox->mutex);
}

static void on_rc(int rc, const void *context)
{
    struct inbox *inbox = (struct inbox *)(uintptr_t)context;

    (void)pthread_mutex_lock(&inbox->mutex);
    inbox->last_rc = rc;
    inbox->count++;
    (void)pthread_cond_broadcast(&inbox->changed);
    (void)pthread_mutex_unlock(&inbox->mutex);
}

/* --- Connections --- */

/* What a session was told of its state; its count is of connections. */
static void on_session(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    struct inbox *inbox = context;

    (void)handle;
    (void)path;
    if (type != ZOO_SESSION_EVENT) {
        return;
    }
    (void)pthread_mutex_lock(&inbox->mutex);
    inbox->count += state == ZOO_CONNECTED_STATE || state == ZOO_EXPIRED_SESSION_STATE;
    inbox->last_state = state;
    (void)pthread_cond_broadcast(&inbox->changed);
    (void)pthread_mutex_unlock(&inbox->mutex);
}

static zhandle_t *open_session_as(struct inbox *session, const clientid_t *id)
{
    zhandle_t *handle;

    inbox_init(session);
    handle =
        zookeeper_init(getenv("ZOOKEEPER_HOSTS"), on_session, SESSION_TIMEOUT_MS, id, session, 0);
    EXPECT(handle != NULL);
    EXPECT_EQ(inbox_wait(session, 1), 1);
    return handle;
}

static zhandle_t *open_session(struct inbox *session)
{
    zhandle_t *handle = open_session_as(session, NULL);

    EXPECT_EQ(zoo_state(handle), ZOO_CONNECTED_STATE);
    return handle;
}

static void ask_operator(const char *command)
{
    char answer[16];

    (void)printf("\n%s\n", command);
    (void)fflush(stdout);
    EXPECT(fgets(answer, sizeof answer, stdin) != NULL);
    EXPECT_TEXT(answer, "done\n");
}

/* What fails only because the connection was lost is tried again, as applications do. */
#define RETRY(call)                                                                                \
    retry_begin();                                                                                 \
    while (is_lost(call)) {                                                                        \
        process_pause();                                                                           \
    }                                                                                              \
    EXPECT_EQ(last_rc, ZOK)

static int last_rc;
static uint64_t retry_end_ms;

static void retry_begin(void)
{
    retry_end_ms = process_now_ms() + DEADLINE_SECONDS * 1000;
}

static bool is_lost(int rc)
{
    last_rc = rc;
    return (rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT) && process_now_ms() < retry_end_ms;
}

static int create_plain(zhandle_t *handle, const char *path, const char *value)
{
    return zoo_create(handle, path, value, (int)strlen(value), &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
}

/* Another server may lag: then this waits until it has what is committed. */
static void on_synced(int rc, const char *path, const void *context)
{
    (void)path;
    on_rc(rc, context);
}

static void catch_up(zhandle_t *handle)
{
    struct inbox inbox;

    inbox_init(&inbox);
    EXPECT_EQ(zoo_async(handle, "/", on_synced, &inbox), ZOK);
    EXPECT_EQ(inbox_wait(&inbox, 1), 1);
    EXPECT_EQ(inbox.last_rc, ZOK);
}

/* --- Blocking calls --- */

static void test_nodes_and_their_counters(void)
{
    struct inbox session;
    zhandle_t *handle = open_session(&session);
    struct Stat stat;
    struct String_vector children;
    char value[VALUE_BYTES_MAX];
    char path[VALUE_BYTES_MAX];
    int size = sizeof value;

    EXPECT_EQ(create_plain(handle, "/c", "one"), ZOK);
    EXPECT_EQ(create_plain(handle, "/c", "one"), ZNODEEXISTS);
    EXPECT_EQ(create_plain(handle, "/missing/c", ""), ZNONODE);
    EXPECT_EQ(zoo_get(handle, "/c", 0, value, &size, &stat), ZOK);
    EXPECT_EQ(size, 3);
    EXPECT_EQ(stat.version, 0);
    EXPECT_EQ(stat.czxid, stat.mzxid);
    EXPECT_EQ(zoo_set2(handle, "/c", "two", 3, 0, &stat), ZOK);
    EXPECT_EQ(stat.version, 1);
    EXPECT(stat.mzxid > stat.czxid);
    EXPECT_EQ(zoo_set(handle, "/c", "three", 5, 0), ZBADVERSION);
    EXPECT_EQ(zoo_create2(handle, "/c/n-", NULL, -1, &ZOO_OPEN_ACL_UNSAFE,
                          ZOO_PERSISTENT_SEQUENTIAL, path, sizeof path, &stat),
              ZOK);
    EXPECT_TEXT(path, "/c/n-0000000000");
    size = sizeof value;
    EXPECT_EQ(zoo_get(handle, path, 0, value, &size, &stat), ZOK);
    EXPECT_EQ(size, -1); /* null, not empty */
    EXPECT_EQ(zoo_delete(handle, "/c", -1), ZNOTEMPTY);
    EXPECT_EQ(zoo_get_children2(handle, "/c", 0, &children, &stat), ZOK);
    EXPECT_EQ(children.count, 1);
    EXPECT_EQ(stat.numChildren, 1);
    EXPECT_TEXT(children.data[0], "n-0000000000");
    (void)deallocate_String_vector(&children);
    EXPECT_EQ(zoo_delete(handle, path, 0), ZOK);
    EXPECT_EQ(zoo_delete(handle, "/c", 1), ZOK);
    EXPECT_EQ(zoo_exists(handle, "/c", 0, &stat), ZNONODE);
    EXPECT_EQ(zookeeper_close(handle), ZOK);
}

static void test_containers_and_nodes_with_a_time_to_live(void)
{
    struct inbox session;
    zhandle_t *handle = open_session(&session);
    struct Stat stat;

    EXPECT_EQ(zoo_create(handle, "/box", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, NULL, 0), ZOK);
    EXPECT_EQ(zoo_create2_ttl(handle, "/brief", "", 0, &ZOO_OPEN_ACL_UNSAFE,
                              ZOO_PERSISTENT_WITH_TTL, 3600000, NULL, 0, &stat),
              ZOK);
    EXPECT_EQ(stat.ephemeralOwner, 0);
    EXPECT_EQ(zoo_delete(handle, "/box", -1), ZOK);
    EXPECT_EQ(zoo_delete(handle, "/brief", -1), ZOK);
    EXPECT_EQ(zookeeper_close(handle), ZOK);
}

static void test_a_transaction_is_all_or_nothing(void)
{
    struct inbox session;
    zhandle_t *handle = open_session(&session);
    zoo_op_t operations[3];
    zoo_op_result_t results[3];
    struct Stat stat;
    char path[VALUE_BYTES_MAX];

    zoo_create_op_init(&operations[0], "/t", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
    zoo_set_op_init(&operations[1], "/t", "x", 1, 0, &stat);
    zoo_check_op_init(&operations[2], "/t", 1);
    EXPECT_EQ(zoo_multi(handle, 3, operations, results), ZOK);
    EXPECT_TEXT(path, "/t");
    EXPECT_EQ(stat.version, 1);
    zoo_set_op_init(&operations[0], "/t", "y", 1, -1, &stat);
    zoo_check_op_init(&operations[1], "/t", 7);
    zoo_delete_op_init(&operations[2], "/t", -1);
    EXPECT_EQ(zoo_multi(handle, 3, operations, results), ZBADVERSION);
    EXPECT_EQ(results[0].err, ZOK);
    EXPECT_EQ(results[1].err, ZBADVERSION);
    EXPECT_EQ(results[2].err, ZRUNTIMEINCONSISTENCY);
    EXPECT_EQ(zoo_exists(handle, "/t", 0, &stat), ZOK);
    EXPECT_EQ(stat.version, 1);
    EXPECT_EQ(zoo_delete(handle, "/t", -1), ZOK);
    EXPECT_EQ(zookeeper_close(handle), ZOK);
}

static void authenticate(zhandle_t *handle, const char *credentials)
{
    struct inbox inbox;

    inbox_init(&inbox);
    EXPECT_EQ(zoo_add_auth(handle, "digest", credentials, (int)strlen(credentials), on_rc, &inbox),
              ZOK);
    EXPECT_EQ(inbox_wait(&inbox, 1), 1);
    EXPECT_EQ(inbox.last_rc, ZOK);
}

static void test_permissions_keep_strangers_out(void)
{
    struct inbox owner_session;
    struct inbox stranger_session;
    zhandle_t *owner = open_session(&owner_session);
    zhandle_t *stranger = open_session(&stranger_session);
    struct ACL_vector acl;
    struct Stat stat;
    char value[VALUE_BYTES_MAX];
    int size = sizeof value;

    authenticate(owner, "u:p");
    EXPECT_EQ(zoo_create(owner, "/mine", "s", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
    EXPECT_EQ(zoo_get(owner, "/mine", 0, value, &size, &stat), ZOK);
    catch_up(stranger);
    EXPECT_EQ(zoo_get(stranger, "/mine", 0, value, &size, &stat), ZNOAUTH);
    EXPECT_EQ(zoo_set(stranger, "/mine", "", 0, -1), ZNOAUTH);
    EXPECT_EQ(zoo_create(stranger, "/theirs", "", 0, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0),
              ZINVALIDACL);
    EXPECT_EQ(zoo_get_acl(owner, "/mine", &acl, &stat), ZOK);
    EXPECT_EQ(acl.count, 1);
    EXPECT_TEXT(acl.data[0].id.scheme, "digest");
    EXPECT_TEXT(acl.data[0].id.id, "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
    deallocate_ACL_vector(&acl);
    EXPECT_EQ(zoo_set_acl(owner, "/mine", 0, &ZOO_READ_ACL_UNSAFE), ZOK);
    size = sizeof value;
    catch_up(stranger);
    EXPECT_EQ(zoo_get(stranger, "/mine", 0, value, &size, &stat), ZOK);
    EXPECT_EQ(stat.aversion, 1);
    EXPECT_EQ(zookeeper_close(stranger), ZOK);
    EXPECT_EQ(zookeeper_close(owner), ZOK);
}

/* --- Watches --- */

static void test_watches_of_every_kind_fire_once(void)
{
    struct inbox session;
    struct inbox other_session;
    struct inbox inboxes[3];
    zhandle_t *handle = open_session(&session);
    zhandle_t *other = open_session(&other_session);
    struct String_vector children;
    struct Stat stat;
    char value[VALUE_BYTES_MAX];
    int size = sizeof value;

    for (size_t i = 0; i < sizeof inboxes / sizeof *inboxes; i++) {
        inbox_init(&inboxes[i]);
    }
    EXPECT_EQ(create_plain(handle, "/w", ""), ZOK);
    EXPECT_EQ(zoo_wget(handle, "/w", on_event, &inboxes[0], value, &size, &stat), ZOK);
    EXPECT_EQ(zoo_wget_children(handle, "/w", on_event, &inboxes[1], &children), ZOK);
    (void)deallocate_String_vector(&children);
    EXPECT_EQ(zoo_wexists(handle, "/w/n", on_event, &inboxes[2], &stat), ZNONODE);
    EXPECT_EQ(zoo_set(other, "/w", "x", 1, -1), ZOK);
    EXPECT_EQ(zoo_set(other, "/w", "y", 1, -1), ZOK);
    EXPECT_EQ(create_plain(other, "/w/n", ""), ZOK);
    EXPECT_EQ(create_plain(other, "/w/m", ""), ZOK);
    EXPECT_EQ(inbox_wait(&inboxes[0], 1), 1);
    EXPECT_EQ(inboxes[0].last_type, ZOO_CHANGED_EVENT);
    EXPECT_EQ(inbox_wait(&inboxes[1], 1), 1);
    EXPECT_EQ(inboxes[1].last_type, ZOO_CHILD_EVENT);
    EXPECT_EQ(inbox_wait(&inboxes[2], 1), 1);
    EXPECT_EQ(inboxes[2].last_type, ZOO_CREATED_EVENT);
    EXPECT_TEXT(inboxes[2].last_path, "/w/n");
    /* Removed, it does not fire. */
    EXPECT_EQ(zoo_wexists(handle, "/w", on_event, &inboxes[0], &stat), ZOK);
    EXPECT_EQ(zoo_remove_watches(handle, "/w", ZWATCHTYPE_DATA, on_event, &inboxes[0], 0), ZOK);
    EXPECT_EQ(zoo_remove_watches(handle, "/w", ZWATCHTYPE_DATA, on_event, &inboxes[0], 0),
              ZNOWATCHER);
    EXPECT_EQ(zoo_wexists(handle, "/w", on_event, &inboxes[1], &stat), ZOK);
    EXPECT_EQ(zoo_set(other, "/w", "z", 1, -1), ZOK);
    EXPECT_EQ(inbox_wait(&inboxes[1], 2), 2);
    EXPECT_EQ(inboxes[0].count, 1);
    EXPECT_EQ(zookeeper_close(other), ZOK);
    EXPECT_EQ(zookeeper_close(handle), ZOK);
}

/* --- Asynchronous calls --- */

struct burst {
    struct inbox inbox;
    struct call {
        struct burst *burst;
        int number;
    } calls[BURST];
};

static void note_call(int rc, const struct call *call)
{
    struct inbox *inbox = &call->burst->inbox;

    (void)pthread_mutex_lock(&inbox->mutex);
    if (rc == ZOK && inbox->count < BURST) {
        inbox->order[inbox->count++] = call->number;
    }
    (void)pthread_cond_broadcast(&inbox->changed);
    (void)pthread_mutex_unlock(&inbox->mutex);
}

static void on_created(int rc, const char *path, const void *data)
{
    (void)path;
    note_call(rc, data);
}

static void on_stat(int rc, const struct Stat *stat, const void *data)
{
    (void)stat;
    note_call(rc, data);
}

static void test_answers_come_in_the_order_of_the_calls(void)
{
    static struct burst burst;
    struct inbox session;
    zhandle_t *handle = open_session(&session);
    char path[VALUE_BYTES_MAX];

    inbox_init(&burst.inbox);
    EXPECT_EQ(create_plain(handle, "/burst", ""), ZOK);
    for (int i = 0; i < BURST; i++) {
        burst.calls[i] = (struct call){.burst = &burst, .number = i};
        (void)snprintf(path, sizeof path, "/burst/%d", i / 2);
        if (i % 2 == 0) {
            EXPECT_EQ(zoo_acreate(handle, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, on_created,
                                  &burst.calls[i]),
                      ZOK);
        } else {
            EXPECT_EQ(zoo_aexists(handle, path, 0, on_stat, &burst.calls[i]), ZOK);
        }
    }
    EXPECT_EQ(inbox_wait(&burst.inbox, BURST), BURST);
    for (int i = 0; i < BURST; i++) {
        EXPECT_EQ(burst.inbox.order[i], i);
    }
    EXPECT_EQ(zookeeper_close(handle), ZOK);
}

/* --- Servers that die, sessions that end --- */

static void test_a_session_outlives_the_leader_with_all_that_is_its_own(void)
{
    struct inbox session;
    struct inbox other_session;
    struct inbox watched;
    zhandle_t *handle = open_session(&session);
    zhandle_t *other = open_session(&other_session);
    int64_t id = zoo_client_id(handle)->client_id;
    struct Stat stat;

    inbox_init(&watched);
    EXPECT_EQ(create_plain(handle, "/own", "0"), ZOK);
    EXPECT_EQ(zoo_create(handle, "/own/e", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0),
              ZOK);
    EXPECT_EQ(zoo_wexists(handle, "/own/later", on_event, &watched, &stat), ZNONODE);
    catch_up(other);
    for (int round = 1; round <= 2; round++) {
        ask_operator("@kill-leader");
        RETRY(zoo_set(handle, "/own", "x", 1, -1));
        RETRY(zoo_exists(other, "/own/e", 0, &stat));
        EXPECT_EQ(stat.ephemeralOwner, id);
        EXPECT_EQ(zoo_client_id(handle)->client_id, id);
        ask_operator("@start-killed");
    }
    RETRY(create_plain(other, "/own/later", ""));
    EXPECT_EQ(inbox_wait(&watched, 1), 1);
    EXPECT_EQ(watched.last_type, ZOO_CREATED_EVENT);
    RETRY(zoo_exists(handle, "/own/e", 0, &stat));
    EXPECT_EQ(zookeeper_close(handle), ZOK);
    retry_begin();
    while (zoo_exists(other, "/own/e", 0, &stat) != ZNONODE && process_now_ms() < retry_end_ms) {
        process_pause();
    }
    EXPECT_EQ(zoo_exists(other, "/own/e", 0, &stat), ZNONODE);
    EXPECT_EQ(zookeeper_close(other), ZOK);
}

static void test_a_closed_session_is_not_resumed(void)
{
    struct inbox session;
    struct inbox late_session;
    zhandle_t *handle = open_session(&session);
    clientid_t id = *zoo_client_id(handle);
    zhandle_t *late;
    struct Stat stat;

    EXPECT_EQ(zookeeper_close(handle), ZOK);
    late = open_session_as(&late_session, &id);
    EXPECT_EQ(zoo_state(late), ZOO_EXPIRED_SESSION_STATE);
    EXPECT_EQ(zoo_exists(late, "/", 0, &stat), ZINVALIDSTATE);
    (void)zookeeper_close(late);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_nodes_and_their_counters),
        TEST_CASE(test_containers_and_nodes_with_a_time_to_live),
        TEST_CASE(test_a_transaction_is_all_or_nothing),
        TEST_CASE(test_permissions_keep_strangers_out),
        TEST_CASE(test_watches_of_every_kind_fire_once),
        TEST_CASE(test_answers_come_in_the_order_of_the_calls),
        TEST_CASE(test_a_session_outlives_the_leader_with_all_that_is_its_own),
        TEST_CASE(test_a_closed_session_is_not_resumed),
        TEST_END};

    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    return test_main("c_client", cases, argc, argv);
}
