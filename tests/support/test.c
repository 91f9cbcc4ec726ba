#include "tests/support/test.h"

#include "base/mark.h"
#include "tests/support/folder.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLDERS_MAX = 64, MESSAGE_BYTES_MAX = 2048 };

static char *folders[FOLDERS_MAX];
static size_t folder_count;

static void fail(const char *file, int line, const char *message)
{
    /* The last argument makes the failure fatal: CUnit leaves the test case by longjmp. */
    (void)CU_assertImplementation(CU_FALSE, (unsigned)line, message, file, "", CU_TRUE);
}

void test_expect(bool condition, const char *file, int line, const char *text)
{
    (void)CU_assertImplementation(condition, (unsigned)line, text, file, "", CU_TRUE);
}

void test_expect_eq(
    uint64_t actual, uint64_t expected, const char *file, int line, const char *text)
{
    char message[MESSAGE_BYTES_MAX];

    if (actual == expected) {
        test_expect(true, file, line, text);
        return;
    }
    (void)snprintf(message, sizeof message, "%s: got %" PRIu64 ", expected %" PRIu64, text, actual,
                   expected);
    fail(file, line, message);
}

void test_expect_text(
    const char *actual, const char *expected, const char *file, int line, const char *text)
{
    char message[MESSAGE_BYTES_MAX];

    if (actual != NULL && strcmp(actual, expected) == 0) {
        test_expect(true, file, line, text);
        return;
    }
    (void)snprintf(message, sizeof message, "%s: got '%s', expected '%s'", text,
                   actual == NULL ? "(null)" : actual, expected);
    fail(file, line, message);
}

static void format_bytes(struct bytes bytes, char *text, size_t capacity)
{
    size_t used = (size_t)snprintf(text, capacity, "%zu bytes", bytes.size);

    for (size_t i = 0; i < bytes.size && used + 4 < capacity && i < 64; i++) {
        used += (size_t)snprintf(text + used, capacity - used, " %02x", bytes.data[i]);
    }
}

void test_expect_bytes(
    struct bytes actual, struct bytes expected, const char *file, int line, const char *text)
{
    char message[MESSAGE_BYTES_MAX];
    char got[256];
    char wanted[256];

    if (bytes_equal(actual, expected)) {
        test_expect(true, file, line, text);
        return;
    }
    format_bytes(actual, got, sizeof got);
    format_bytes(expected, wanted, sizeof wanted);
    (void)snprintf(message, sizeof message, "%s: got %s, expected %s", text, got, wanted);
    fail(file, line, message);
}

void test_expect_contains(
    const char *actual, const char *part, const char *file, int line, const char *text)
{
    char message[MESSAGE_BYTES_MAX];

    if (actual != NULL && strstr(actual, part) != NULL) {
        test_expect(true, file, line, text);
        return;
    }
    (void)snprintf(message, sizeof message, "%s: got '%.1500s', expected it to contain '%s'", text,
                   actual == NULL ? "(null)" : actual, part);
    fail(file, line, message);
}

const char *test_folder(void)
{
    const char *parent = getenv("TMPDIR");
    char *folder = malloc(4096);

    if (folder == NULL || folder_count == FOLDERS_MAX) {
        (void)fprintf(stderr, "test_folder: too many folders\n");
        abort();
    }
    (void)snprintf(folder, 4096, "%s/confer-test-XXXXXX", parent == NULL ? "/tmp" : parent);
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        abort();
    }
    folders[folder_count++] = folder;
    return folder;
}

static void finish_folders(bool keep)
{
    for (size_t i = 0; i < folder_count; i++) {
        if (keep) {
            (void)printf("kept for a look: %s\n", folders[i]);
        } else {
            folder_remove(folders[i]);
        }
        free(folders[i]);
    }
    folder_count = 0;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    if (argc < 2) {
        return true;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(name, argv[i]) == 0) {
            return true;
        }
    }
    return false;
}

int test_main(const char *suite, const struct test_case *cases, int argc, char **argv)
{
    CU_pSuite registered;
    unsigned failures;
    unsigned run;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return 1;
    }
    registered = CU_add_suite(suite, NULL, NULL);
    for (const struct test_case *test = cases; test->name != NULL; test++) {
        if (is_wanted(test->name, argc, argv)) {
            (void)CU_add_test(registered, test->name, test->run);
        }
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    failures = CU_get_number_of_tests_failed();
    run = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    finish_folders(failures > 0);
    if (getenv("TEST_MARKS") != NULL && !mark_write(getenv("TEST_MARKS"))) {
        perror(getenv("TEST_MARKS"));
        return 1;
    }
    if (run == 0) {
        (void)fprintf(stderr, "%s: no such test case\n", suite);
        return 1;
    }
    return failures > 0 ? 1 : 0;
}
