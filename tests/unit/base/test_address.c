#include "base/address.h"

#include "tests/support/test.h"

#include <string.h>

static void expect_parsed(const char *text, const char *host, uint16_t port, const char *formatted)
{
    struct address address = {.port = 0};
    struct error error = {.text = ""};
    char back[ADDRESS_TEXT_BYTES_MAX];

    EXPECT_EQ(address_parse(text, &address, &error), STATUS_OK);
    EXPECT_TEXT(address.host, host);
    EXPECT_EQ(address.port, port);
    address_format(&address, back);
    EXPECT_TEXT(back, formatted);
}

static void expect_refused(const char *text, const char *reason)
{
    struct address address = {.host = "untouched", .port = 7};
    struct error error = {.text = ""};

    EXPECT_EQ(address_parse(text, &address, &error), STATUS_INVALID);
    EXPECT_EQ(error.status, STATUS_INVALID);
    EXPECT_CONTAINS(error.text, reason);
    EXPECT_TEXT(address.host, "untouched");
    EXPECT_EQ(address.port, 7);
}

static void test_host_and_port_are_taken_apart(void)
{
    expect_parsed("127.0.0.1:10001", "127.0.0.1", 10001, "127.0.0.1:10001");
    expect_parsed("db-1.example.org:1", "db-1.example.org", 1, "db-1.example.org:1");
    expect_parsed("h:65535", "h", 65535, "h:65535");
}

static void test_a_web_prefix_and_slash_are_ignored(void)
{
    expect_parsed("http://127.0.0.1:10001", "127.0.0.1", 10001, "127.0.0.1:10001");
    expect_parsed("http://127.0.0.1:10001/", "127.0.0.1", 10001, "127.0.0.1:10001");
    expect_parsed("localhost:80/", "localhost", 80, "localhost:80");
}

static void test_ipv6_needs_brackets(void)
{
    expect_parsed("[::1]:80", "::1", 80, "[::1]:80");
    expect_parsed("http://[fe80::1%eth0]:80/", "fe80::1%eth0", 80, "[fe80::1%eth0]:80");
    expect_refused("::1:80", "brackets");
    expect_refused("[::1", "brackets");
}

static void test_the_refusal_names_the_reason(void)
{
    expect_refused("", "port is missing");
    expect_refused("http://", "port is missing");
    expect_refused("localhost", "port is missing");
    expect_refused(":80", "host is missing");
    expect_refused("[]:80", "host is missing");
    expect_refused("localhost:", "port is not a number");
    expect_refused("localhost:/", "port is not a number");
    expect_refused("localhost:eighty", "port is not a number");
    expect_refused("localhost:80x", "port is not a number");
    expect_refused("localhost:80//", "port is not a number");
    expect_refused("localhost:-1", "port is not a number");
    expect_refused("localhost:+1", "port is not a number");
    expect_refused("localhost: 1", "port is not a number");
    expect_refused("localhost:0", "1 to 65535");
    expect_refused("localhost:65536", "1 to 65535");
    expect_refused("localhost:99999999999999999999999", "1 to 65535");
    expect_refused("a b:80", "not a host name");
    expect_refused("a/b:80", "not a host name");
    expect_refused("a,b:80", "not a host name");
    expect_refused("1=a:80", "not a host name");
    expect_refused("a\nb:80", "not a host name");
    expect_refused("a\x1b[31m:80", "not a host name");
    expect_refused("[a:80", "not a host name");
    expect_refused("a]:80", "not a host name");
}

static void test_the_refusal_shows_the_text_and_the_form(void)
{
    expect_refused("localhost", "'localhost'");
    expect_refused("localhost", "HOST:PORT");
}

static void test_a_host_has_at_most_253_bytes(void)
{
    char text[300];
    char host[300];

    (void)memset(host, 'h', sizeof host);
    (void)memcpy(text, host, 253);
    (void)memcpy(text + 253, ":65535", sizeof ":65535");
    host[253] = '\0';
    expect_parsed(text, host, 65535, text);
    (void)memset(text, 'h', 254);
    (void)memcpy(text + 254, ":1", sizeof ":1");
    expect_refused(text, "not a host name");
}

static void test_the_error_may_be_left_out(void)
{
    struct address address;

    EXPECT_EQ(address_parse("nonsense", &address, NULL), STATUS_INVALID);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_host_and_port_are_taken_apart),
        TEST_CASE(test_a_web_prefix_and_slash_are_ignored),
        TEST_CASE(test_ipv6_needs_brackets),
        TEST_CASE(test_the_refusal_names_the_reason),
        TEST_CASE(test_the_refusal_shows_the_text_and_the_form),
        TEST_CASE(test_a_host_has_at_most_253_bytes),
        TEST_CASE(test_the_error_may_be_left_out),
        TEST_END};
    return test_main("address", cases, argc, argv);
}
