#include "server/node/node_reads.h"

#include "base/alloc.h"
#include "tests/support/state_lab.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads of a state on a bench, as the node makes them for a client that may read everything. */
static struct state_lab lab;
static struct node node;
static struct client client;
static struct request *request;
static struct reply reply;

static void begin(void)
{
    state_lab_init(&lab, 256 * 1024 * 1024);
    memset(&node, 0, sizeof node);
    memset(&client, 0, sizeof client);
    node.state = lab.state;
    client.node = &node;
}

static void end(void)
{
    state_lab_release(&lab);
}

static void create(const char *path, const char *value)
{
    EXPECT_EQ(state_lab_create(&lab, path, value, RECORD__CREATE_MODE__PERSISTENT), OP_OK);
}

static void create_large(const char *path, size_t value_bytes)
{
    char *value = xmalloc(value_bytes + 1);

    memset(value, 'v', value_bytes);
    value[value_bytes] = '\0';
    create(path, value);
    free(value);
}

/* `count` children of /wide from number `first` on, with names of `name_bytes`. */
static void create_children(size_t first, size_t count, size_t name_bytes)
{
    char path[512];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "/wide/%0*zu", (int)name_bytes, first + i);
        create(path, "");
    }
}

static void ask(enum request_kind kind, const char *path)
{
    request = request_new(kind);
    request->client = &client;
    request->path = arena_copy(&request->arena, bytes_of_text(path));
    reply = (struct reply){.code = CLIENT__CODE__OK};
}

static void forget(void)
{
    node_reads_release(request, &reply);
    request_free(request);
}

/* It is more than a little: that is found out, and done when it may be much. */
static void expect_much(void)
{
    EXPECT(!node_reads_execute(&node, request, true, &reply));
    EXPECT_EQ(reply.children.count, 0);
    EXPECT(node_reads_execute(&node, request, false, &reply));
    EXPECT_EQ(reply.code, CLIENT__CODE__OK);
    forget();
}

static void expect_little(void)
{
    EXPECT(node_reads_execute(&node, request, true, &reply));
    EXPECT_EQ(reply.code, CLIENT__CODE__OK);
    forget();
}

static void test_large_values_are_much(void)
{
    begin();
    create_large("/little", 64 * 1024);
    create_large("/much", 64 * 1024 + 1);
    ask(REQUEST_GET, "/little");
    expect_little();
    ask(REQUEST_GET, "/much");
    expect_much();
    ask(REQUEST_GET, "/none");
    EXPECT(node_reads_execute(&node, request, true, &reply));
    EXPECT_EQ(reply.code, CLIENT__CODE__NO_NODE);
    forget();
    end();
}

static void test_long_lists_are_much_and_short_pages_of_them_are_not(void)
{
    begin();
    create("/wide", "");
    create_children(0, 256, 8);
    ask(REQUEST_LIST, "/wide");
    expect_little();
    create_children(256, 1, 8);
    ask(REQUEST_LIST, "/wide");
    expect_much();
    ask(REQUEST_LIST, "/wide");
    request->page.count_max = 256;
    EXPECT(node_reads_execute(&node, request, true, &reply));
    EXPECT_EQ(reply.children.count, 256);
    EXPECT(reply.children.more);
    forget();
    end();
}

static void test_lists_with_large_nodes_are_much(void)
{
    begin();
    create("/one", "");
    create_large("/one/child", 64 * 1024 + 1);
    ask(REQUEST_LIST, "/one");
    expect_little();
    ask(REQUEST_LIST, "/one");
    request->page.with_nodes = true;
    expect_much();
    end();
}

static void test_large_subtrees_are_much(void)
{
    begin();
    create("/wide", "");
    create_children(0, 255, 8);
    ask(REQUEST_READ_TREE, "/wide");
    expect_little();
    create_children(255, 1, 8);
    ask(REQUEST_READ_TREE, "/wide");
    expect_much();
    create_large("/large", 64 * 1024 + 1);
    ask(REQUEST_READ_TREE, "/large");
    expect_little();
    ask(REQUEST_READ_TREE, "/large");
    request->page.with_nodes = true;
    expect_much();
    end();
}

static void expect_page(size_t count, bool more)
{
    EXPECT(node_reads_execute(&node, request, false, &reply));
    EXPECT_EQ(reply.code, CLIENT__CODE__OK);
    EXPECT_EQ(request->kind == REQUEST_LIST ? reply.children.count : reply.tree.count, count);
    EXPECT_EQ(request->kind == REQUEST_LIST ? reply.children.more : reply.tree.more, more);
    forget();
}

static void ask_wide(enum request_kind kind, uint32_t count_max, bool with_nodes)
{
    ask(kind, "/wide");
    request->page.count_max = count_max;
    request->page.with_nodes = with_nodes;
}

static void test_pages_are_cut_by_their_number(void)
{
    begin();
    create("/wide", "");
    create_children(0, 16384, 5);
    ask_wide(REQUEST_LIST, 0, false);
    expect_page(16384, false);
    create_children(16384, 1, 5);
    ask_wide(REQUEST_LIST, 0, false);
    expect_page(16384, true);
    ask_wide(REQUEST_LIST, 20000, false);
    expect_page(16385, false);
    ask_wide(REQUEST_LIST, 20000, true);
    expect_page(4096, true);
    ask_wide(REQUEST_READ_TREE, 20000, false);
    expect_page(4096, true);
    ask_wide(REQUEST_READ_TREE, 3, false);
    expect_page(3, true);
    end();
}

static void test_pages_are_cut_by_their_bytes(void)
{
    begin();
    create("/wide", "");
    create_children(0, 4097, 256);
    ask_wide(REQUEST_LIST, 100000, false);
    expect_page(4096, true); /* a MiB of names */
    end();
    begin();
    create("/wide", "");
    for (char digit = '1'; digit <= '9'; digit++) {
        char path[] = {'/', 'w', 'i', 'd', 'e', '/', digit, '\0'};

        create_large(path, 500 * 1000);
    }
    ask_wide(REQUEST_LIST, 0, true);
    expect_page(4, true); /* two MiB of nodes */
    ask_wide(REQUEST_READ_TREE, 0, true);
    expect_page(6, true); /* the same and one more, behind their parent */
    end();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_large_values_are_much),
        TEST_CASE(test_long_lists_are_much_and_short_pages_of_them_are_not),
        TEST_CASE(test_lists_with_large_nodes_are_much),
        TEST_CASE(test_large_subtrees_are_much),
        TEST_CASE(test_pages_are_cut_by_their_number),
        TEST_CASE(test_pages_are_cut_by_their_bytes),
        TEST_END};

    return test_main("node_reads", cases, argc, argv);
}
