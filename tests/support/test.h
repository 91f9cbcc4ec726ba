/* What every test program uses: CUnit as the runner, expectations that print both values, and a
 * folder of the test's own.
 *
 *     static void test_get_fails_past_the_end(void) { EXPECT_EQ(reader_u8(&reader, &value),
 * STATUS_INVALID); }
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const struct test_case cases[] = {TEST_CASE(test_get_fails_past_the_end),
 * TEST_END}; return test_main("bytes", cases, argc, argv);
 *     }
 *
 * A failed expectation ends its test case. With arguments, only the named cases run. */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include "base/bytes.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_case {
    const char *name;
    void (*run)(void);
};

#define TEST_CASE(function)                                                                        \
    {                                                                                              \
        .name = #function, .run = function                                                         \
    }
#define TEST_END                                                                                   \
    {                                                                                              \
        .name = NULL, .run = NULL                                                                  \
    }

/* Run the cases; 0 if all passed, else 1. */
int test_main(const char *suite, const struct test_case *cases, int argc, char **argv);

/* A new empty folder, removed with its contents when all cases passed and kept (and named) when one
 * failed. Below TMPDIR, else /tmp. The text lives until the program ends. */
const char *test_folder(void);

#if defined(__clang_analyzer__) || defined(TEST_WITHOUT_CASES)
/* A failed expectation does not return: it leaves the test case by longjmp, or ends a program that
 * has no cases. */
#define EXPECT(condition)           ((condition) ? (void)0 : __builtin_trap())
#define EXPECT_EQ(actual, expected) EXPECT((uint64_t)(actual) == (uint64_t)(expected))
#else
#define EXPECT(condition) test_expect((condition), __FILE__, __LINE__, #condition)
#define EXPECT_EQ(actual, expected)                                                                \
    test_expect_eq((uint64_t)(actual), (uint64_t)(expected), __FILE__, __LINE__,                   \
                   #actual " == " #expected)
#endif
#define EXPECT_TEXT(actual, expected)                                                              \
    test_expect_text((actual), (expected), __FILE__, __LINE__, #actual)
#define EXPECT_BYTES(actual, expected)                                                             \
    test_expect_bytes((actual), (expected), __FILE__, __LINE__, #actual)
/* `actual` contains `part`. */
#define EXPECT_CONTAINS(actual, part)                                                              \
    test_expect_contains((actual), (part), __FILE__, __LINE__, #actual)
#define EXPECT_OK(status) EXPECT_EQ((status), STATUS_OK)

void test_expect(bool condition, const char *file, int line, const char *text);
void test_expect_eq(
    uint64_t actual, uint64_t expected, const char *file, int line, const char *text);
void test_expect_text(
    const char *actual, const char *expected, const char *file, int line, const char *text);
void test_expect_bytes(
    struct bytes actual, struct bytes expected, const char *file, int line, const char *text);
void test_expect_contains(
    const char *actual, const char *part, const char *file, int line, const char *text);

#endif
