#include "persistence/tree_doubt.h"

#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct error error;
static const char *tree;

static void touch(const char *name)
{
    char path[4200];
    int file;

    (void)snprintf(path, sizeof path, "%s/%s", tree, name);
    file = open(path, O_WRONLY | O_CREAT, 0600);
    EXPECT(file >= 0);
    (void)close(file);
}

static struct tree_doubt kept(void)
{
    struct tree_doubt doubt;

    EXPECT_OK(tree_doubt_read(tree, &doubt, &error));
    return doubt;
}

static void test_what_was_written_last_is_read(void)
{
    static const struct tree_doubt doubts[] = {
        {.is_borrowed = true, .count = 2, .members = {3, UINT64_MAX}},
        {.is_borrowed = true, .count = 2, .members = {7, 3}},
        {.is_borrowed = false, .count = 1, .members = {7}},
        {.is_borrowed = true, .count = 0},
        {.is_borrowed = false, .count = 0}};

    tree = test_folder();
    EXPECT_EQ(kept().count, 0);
    EXPECT(!kept().is_borrowed);
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++) {
        struct tree_doubt doubt;

        EXPECT_OK(tree_doubt_write(tree, &doubts[i], &error));
        doubt = kept();
        EXPECT(tree_doubt_is_same(&doubt, &doubts[i]));
        EXPECT_EQ(doubt.count, doubts[i].count);
        EXPECT_EQ(doubt.is_borrowed, doubts[i].is_borrowed);
    }
}

static void test_doubts_are_the_same_in_any_order(void)
{
    struct tree_doubt left = {.count = 2, .members = {1, 2}};
    struct tree_doubt right = {.count = 2, .members = {2, 1}};

    EXPECT(tree_doubt_is_same(&left, &right));
    right.members[0] = 3;
    EXPECT(!tree_doubt_is_same(&left, &right));
    right.members[0] = 2;
    right.is_borrowed = true;
    EXPECT(!tree_doubt_is_same(&left, &right));
    right = (struct tree_doubt){.count = 1, .members = {2}};
    EXPECT(!tree_doubt_is_same(&left, &right));
    EXPECT(!tree_doubt_is_same(&right, &left));
}

static void test_other_names_are_passed_over(void)
{
    struct tree_doubt doubt;
    char name[64];

    tree = test_folder();
    touch("differs-");
    touch("differs-x");
    touch("differs-4x");
    touch("differs--4");
    touch("borrowed.part");
    touch("data.mdb");
    doubt = kept();
    EXPECT_EQ(doubt.count, 0);
    EXPECT(!doubt.is_borrowed);
    for (int i = 1; i <= TREE_DOUBT_MEMBERS_MAX + 5; i++) {
        (void)snprintf(name, sizeof name, "differs-%d", i);
        touch(name);
    }
    EXPECT_EQ(kept().count, TREE_DOUBT_MEMBERS_MAX);
}

static void test_without_a_folder_there_is_no_doubt_and_room_for_none(void)
{
    const struct tree_doubt doubt = {.is_borrowed = true};
    struct tree_doubt read;

    EXPECT_OK(tree_doubt_read("/nowhere/tree-1", &read, &error));
    EXPECT(!read.is_borrowed);
    EXPECT_EQ(tree_doubt_read("/dev/null", &read, &error), STATUS_IO);
    EXPECT_EQ(tree_doubt_write("/nowhere/tree-1", &doubt, &error), STATUS_IO);
    EXPECT_CONTAINS(error.text, "/nowhere/tree-1");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_what_was_written_last_is_read),
        TEST_CASE(test_doubts_are_the_same_in_any_order),
        TEST_CASE(test_other_names_are_passed_over),
        TEST_CASE(test_without_a_folder_there_is_no_doubt_and_room_for_none), TEST_END};

    return test_main("tree_doubt", cases, argc, argv);
}
