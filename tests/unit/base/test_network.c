#include "base/network.h"

#include "tests/support/test.h"

static struct network parsed(const char *text)
{
    struct network network;

    EXPECT(network_parse(bytes_of_text(text), &network));
    return network;
}

static bool contains(const char *network, const char *host)
{
    const struct network left = parsed(network);
    const struct network right = parsed(host);

    return network_contains(&left, &right);
}

static void test_addresses_and_networks_are_told_from_other_text(void)
{
    static const char *const wrong[] = {"",           "10",          "10.0.0",     "10.0.0.0.0",
                                        "10.0.0.256", "10.0.0.0/",   "1.2.3.4/33", "1.2.3.4/-1",
                                        "1.2.3.4/8x", "1.2.3.4/8/8", "::1/129",    "host",
                                        ":::",        " 10.0.0.1",   "10.0.0.1 "};
    struct network network;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        EXPECT(!network_parse(bytes_of_text(wrong[i]), &network));
    }
    EXPECT(!network_parse(bytes_of("1.2.3.4\0", 8), &network));
    EXPECT_EQ(parsed("10.1.2.3").bits, 32);
    EXPECT_EQ(parsed("10.0.0.0/0").bits, 0);
    EXPECT_EQ(parsed("fe80::/10").bits, 10);
    EXPECT(!parsed("::1").is_ipv4);
}

static void test_a_network_contains_its_hosts_and_no_others(void)
{
    EXPECT(contains("10.1.2.3", "10.1.2.3"));
    EXPECT(!contains("10.1.2.3", "10.1.2.2"));
    EXPECT(contains("10.0.0.0/8", "10.255.0.1"));
    EXPECT(!contains("10.0.0.0/8", "11.0.0.1"));
    EXPECT(contains("10.9.9.9/8", "10.255.0.1"));
    EXPECT(contains("192.168.64.0/18", "192.168.127.255"));
    EXPECT(!contains("192.168.64.0/18", "192.168.128.0"));
    EXPECT(contains("0.0.0.0/0", "8.8.8.8"));
    EXPECT(!contains("0.0.0.0/0", "::1"));
    EXPECT(contains("fe80::/10", "febf::1"));
    EXPECT(!contains("fe80::/10", "fec0::1"));
    EXPECT(contains("::1", "0:0:0:0:0:0:0:1"));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_addresses_and_networks_are_told_from_other_text),
        TEST_CASE(test_a_network_contains_its_hosts_and_no_others), TEST_END};
    return test_main("network", cases, argc, argv);
}
