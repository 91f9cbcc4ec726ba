#include "base/quantity.h"

#include "tests/support/test.h"

typedef enum status (*parser)(const char *text, uint64_t *ret, struct error *error);

static void expect_parsed(parser parse, const char *text, uint64_t expected)
{
    uint64_t value = 0;
    struct error error = {.text = ""};

    EXPECT_OK(parse(text, &value, &error));
    EXPECT_EQ(value, expected);
}

static void expect_refused(parser parse, const char *text)
{
    uint64_t value = 7;
    struct error error = {.text = ""};

    EXPECT_EQ(parse(text, &value, &error), STATUS_INVALID);
    EXPECT_EQ(value, 7);
    EXPECT_EQ(error.status, STATUS_INVALID);
    EXPECT_CONTAINS(error.text, text);
}

static void test_durations_need_a_known_unit(void)
{
    expect_parsed(quantity_parse_duration_ms, "0ms", 0);
    expect_parsed(quantity_parse_duration_ms, "100ms", 100);
    expect_parsed(quantity_parse_duration_ms, "5s", 5000);
    expect_parsed(quantity_parse_duration_ms, "2m", 120000);
    expect_parsed(quantity_parse_duration_ms, "1h", 3600000);
    expect_refused(quantity_parse_duration_ms, "");
    expect_refused(quantity_parse_duration_ms, "100");
    expect_refused(quantity_parse_duration_ms, "ms");
    expect_refused(quantity_parse_duration_ms, "-1s");
    expect_refused(quantity_parse_duration_ms, "+1s");
    expect_refused(quantity_parse_duration_ms, " 1s");
    expect_refused(quantity_parse_duration_ms, "1 s");
    expect_refused(quantity_parse_duration_ms, "1.5s");
    expect_refused(quantity_parse_duration_ms, "1S");
    expect_refused(quantity_parse_duration_ms, "1sec");
}

static void test_sizes_need_a_known_unit(void)
{
    expect_parsed(quantity_parse_bytes, "512B", 512);
    expect_parsed(quantity_parse_bytes, "64KiB", 65536);
    expect_parsed(quantity_parse_bytes, "256MiB", UINT64_C(256) << 20);
    expect_parsed(quantity_parse_bytes, "8GiB", UINT64_C(8) << 30);
    expect_parsed(quantity_parse_bytes, "2TiB", UINT64_C(2) << 40);
    expect_refused(quantity_parse_bytes, "64");
    expect_refused(quantity_parse_bytes, "64KB");
    expect_refused(quantity_parse_bytes, "64kib");
    expect_refused(quantity_parse_bytes, "0x10B");
}

static void test_what_does_not_fit_64_bits_is_refused(void)
{
    expect_parsed(quantity_parse_bytes, "18446744073709551615B", UINT64_MAX);
    expect_parsed(quantity_parse_bytes, "16777215TiB", UINT64_C(16777215) << 40);
    expect_refused(quantity_parse_bytes, "18446744073709551616B");
    expect_refused(quantity_parse_bytes, "16777216TiB");
    expect_refused(quantity_parse_duration_ms, "18446744073709551615h");
    expect_refused(quantity_parse_duration_ms, "99999999999999999999999ms");
}

static enum status parse_up_to_1024(const char *text, uint64_t *ret, struct error *error)
{
    return quantity_parse_count(text, 1024, ret, error);
}

static enum status parse_any_count(const char *text, uint64_t *ret, struct error *error)
{
    return quantity_parse_count(text, UINT64_MAX, ret, error);
}

static void test_counts_have_no_unit_and_a_maximum(void)
{
    expect_parsed(parse_up_to_1024, "0", 0);
    expect_parsed(parse_up_to_1024, "1024", 1024);
    expect_parsed(parse_any_count, "18446744073709551615", UINT64_MAX);
    expect_refused(parse_up_to_1024, "1025");
    expect_refused(parse_up_to_1024, "1s");
    expect_refused(parse_up_to_1024, "");
    expect_refused(parse_up_to_1024, "-1");
    expect_refused(parse_any_count, "18446744073709551616");
}

static void test_the_refusal_shows_the_accepted_form(void)
{
    uint64_t value;
    struct error error;

    EXPECT_EQ(quantity_parse_duration_ms("5", &value, &error), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "100ms");
    EXPECT_EQ(quantity_parse_bytes("5", &value, &error), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "64KiB");
    EXPECT_EQ(quantity_parse_count("5x", 9, &value, &error), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "0 to 9");
    EXPECT_EQ(quantity_parse_count("5x", 9, &value, NULL), STATUS_INVALID);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_durations_need_a_known_unit),
                                             TEST_CASE(test_sizes_need_a_known_unit),
                                             TEST_CASE(test_what_does_not_fit_64_bits_is_refused),
                                             TEST_CASE(test_counts_have_no_unit_and_a_maximum),
                                             TEST_CASE(test_the_refusal_shows_the_accepted_form),
                                             TEST_END};
    return test_main("quantity", cases, argc, argv);
}
