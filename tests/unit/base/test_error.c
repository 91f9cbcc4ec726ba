#include "base/error.h"

#include "tests/support/test.h"

#include <string.h>

static void test_set_stores_status_and_text_and_returns_the_status(void)
{
    struct error error = {.status = STATUS_OK};

    EXPECT_EQ(error_set(&error, STATUS_LOCKED, "folder %s: %d", "/data", 7), STATUS_LOCKED);
    EXPECT_EQ(error.status, STATUS_LOCKED);
    EXPECT_TEXT(error.text, "folder /data: 7");
}

static void test_the_error_may_be_left_out(void)
{
    EXPECT_EQ(error_set(NULL, STATUS_IO, "nobody reads %s", "this"), STATUS_IO);
}

static void test_a_long_text_is_cut(void)
{
    struct error error;
    char longer[2 * ERROR_TEXT_BYTES_MAX];

    (void)memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    EXPECT_EQ(error_set(&error, STATUS_IO, "%s", longer), STATUS_IO);
    EXPECT_EQ(strlen(error.text), ERROR_TEXT_BYTES_MAX - 1);
}

static void test_every_status_has_a_text_of_its_own(void)
{
    for (int i = STATUS_OK; i <= STATUS_LOCKED; i++) {
        EXPECT(strcmp(status_text((enum status)i), "unknown status") != 0);
        for (int other = STATUS_OK; other < i; other++) {
            EXPECT(strcmp(status_text((enum status)i), status_text((enum status)other)) != 0);
        }
    }
    EXPECT_TEXT(status_text((enum status)(STATUS_LOCKED + 1)), "unknown status");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_set_stores_status_and_text_and_returns_the_status),
        TEST_CASE(test_the_error_may_be_left_out), TEST_CASE(test_a_long_text_is_cut),
        TEST_CASE(test_every_status_has_a_text_of_its_own), TEST_END};
    return test_main("error", cases, argc, argv);
}
