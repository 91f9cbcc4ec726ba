#include "base/mark.h"

#include "tests/support/process.h"
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct listed {
    size_t passed;
    size_t never;
    size_t conditional;
    uint64_t passed_count;
    uint64_t never_count;
    uint64_t conditional_count;
    bool ordered;
    char previous[64];
};

static void note(const char *name, uint64_t count, void *context)
{
    struct listed *listed = context;

    listed->ordered = listed->ordered && strcmp(listed->previous, name) < 0;
    (void)snprintf(listed->previous, sizeof listed->previous, "%s", name);
    if (strcmp(name, "test_passed") == 0) {
        listed->passed++;
        listed->passed_count = count;
    } else if (strcmp(name, "test_never_passed") == 0) {
        listed->never++;
        listed->never_count = count;
    } else if (strcmp(name, "test_conditional") == 0) {
        listed->conditional++;
        listed->conditional_count = count;
    }
}

static struct listed list(void)
{
    struct listed listed = {.ordered = true};

    mark_each(note, &listed);
    return listed;
}

static void pass(int number)
{
    if (number < 0) {
        MARK(test_never_passed);
    }
    MARK(test_passed);
    MARK_IF(number % 2 == 0, test_conditional);
}

static void test_each_mark_is_listed_with_its_count(void)
{
    struct listed before = list();
    struct listed after;

    for (int i = 0; i < 5; i++) {
        pass(i);
    }
    after = list();
#ifdef CONFER_MARKS
    EXPECT(after.ordered);
    EXPECT_EQ(before.passed, 1);
    EXPECT_EQ(after.passed, 1);
    EXPECT_EQ(after.passed_count, before.passed_count + 5);
    EXPECT_EQ(after.conditional, 1);
    EXPECT_EQ(after.conditional_count, before.conditional_count + 3);
    EXPECT_EQ(after.never, 1);
    EXPECT_EQ(after.never_count, 0);
#else
    EXPECT_EQ(before.passed + after.passed + after.never + after.conditional, 0);
#endif
}

#ifdef CONFER_MARKS
static void test_a_file_has_a_line_for_each_mark(void)
{
    char path[4096];
    char lines[256] = "";
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/marks", test_folder());
    EXPECT(mark_write(path));
    file = fopen(path, "re");
    EXPECT(file != NULL);
    EXPECT(fread(lines, 1, sizeof lines - 1, file) > 0);
    (void)fclose(file);
    EXPECT_CONTAINS(lines, "test_never_passed 0\n");
    EXPECT_CONTAINS(lines, "test_passed ");
}

/* This program again, told to die at a mark. */
static const struct outcome *run_killed_at(const char *order)
{
    char setting[128];
    char self[4096] = "";
    const char *const argv[] = {"/usr/bin/env", setting, self,
                                "test_each_mark_is_listed_with_its_count", NULL};

    EXPECT(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    (void)snprintf(setting, sizeof setting, "CONFER_MARK_KILL=%s", order);
    return outcome_of(argv, 60000);
}

static void test_a_process_dies_at_the_pass_it_was_told(void)
{
    EXPECT_EQ(run_killed_at("test_passed:5")->exit_code, 128 + SIGKILL);
    EXPECT_CONTAINS(run_killed_at("test_passed:5")->err, "killed at mark test_passed\n");
    EXPECT_EQ(run_killed_at("test_passed:6")->exit_code, 0);
    EXPECT_EQ(run_killed_at("test_never_passed:1")->exit_code, 0);
}

static void test_an_order_that_cannot_be_followed_is_refused(void)
{
    static const char *const orders[] = {"",
                                         "test_passed",
                                         "test_passed:",
                                         "test_pass:1",
                                         "test_passed:0",
                                         "test_passed:-1",
                                         "test_passed:1x",
                                         "test_passed:99999999999999999999"};

    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        const struct outcome *outcome = run_killed_at(orders[i]);

        EXPECT_EQ(outcome->exit_code, 2);
        EXPECT_CONTAINS(outcome->err, "not a mark of this program");
    }
}
#endif

static void test_an_unwritable_file_is_told(void)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/absent/marks", test_folder());
    EXPECT(!mark_write(path));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_each_mark_is_listed_with_its_count),
#ifdef CONFER_MARKS
        TEST_CASE(test_a_file_has_a_line_for_each_mark),
        TEST_CASE(test_a_process_dies_at_the_pass_it_was_told),
        TEST_CASE(test_an_order_that_cannot_be_followed_is_refused),
#endif
        TEST_CASE(test_an_unwritable_file_is_told),
        TEST_END,
    };
    return test_main("mark", cases, argc, argv);
}
