#include "base/mark.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

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
#endif
        TEST_CASE(test_an_unwritable_file_is_told),
        TEST_END,
    };
    return test_main("mark", cases, argc, argv);
}
