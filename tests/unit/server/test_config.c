#include "server/config.h"

#include "base/check.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 40 };

static struct error error;

/* Parse a command line, its words separated by blanks. */
static enum status parse(const char *line, struct config *config)
{
    char text[2000] = "confer-server ";
    char *arguments[ARGUMENTS_MAX + 1];
    int count = 0;
    char *rest = NULL;

    CHECK_OP(strlen(line) + strlen(text), <, sizeof text);
    memcpy(text + strlen(text), line, strlen(line) + 1);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        CHECK_OP(count, <, ARGUMENTS_MAX);
        arguments[count++] = word;
    }
    arguments[count] = NULL;
    memset(&error, 0, sizeof error);
    return config_parse(count, arguments, config, &error);
}

static struct config parsed(const char *line)
{
    struct config config;
    char whole[2000];

    (void)snprintf(whole, sizeof whole, "--id 1 --server 127.0.0.1:10001 %s", line);
    memset(&config, 0, sizeof config);
    EXPECT_OK(parse(whole, &config));
    return config;
}

static void expect_refused(const char *line, const char *reason)
{
    struct config config;
    char whole[2000];

    (void)snprintf(whole, sizeof whole, "--id 1 --server 127.0.0.1:10001 %s", line);
    EXPECT_EQ(parse(whole, &config), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, reason);
}

static void test_two_options_are_enough(void)
{
    struct config config = parsed("");

    EXPECT_EQ(config.id, 1);
    EXPECT_TEXT(config.server, "127.0.0.1:10001");
    EXPECT_EQ(config.listen_count, 1);
    EXPECT_TEXT(config.listen[0], "127.0.0.1:10001");
    EXPECT_TEXT(config.data, "./confer-data/1");
    EXPECT_TEXT(config.secret_file, "");
    EXPECT(!config.insecure_peers);
    EXPECT_EQ(config.log_level, LOG_LEVEL_INFO);
    EXPECT_EQ(config.cache_bytes, 64 << 20);
    EXPECT_EQ(config.heartbeat_ms, 250);
    EXPECT_EQ(config.election_timeout_ms, 1000);
    EXPECT_EQ(config.checkpoint_records, 8192);
    EXPECT_EQ(config.checkpoint_bytes, 16 << 20);
    EXPECT_EQ(config.checkpoint_interval_ms, 10000);
    EXPECT_EQ(config.log_tail_bytes, 64 << 20);
    EXPECT_EQ(config.log_tail_entries, 1 << 17);
    EXPECT_EQ(config.history_bytes, 16 << 20);
    EXPECT_EQ(config.history_changes, 1 << 18);
    EXPECT_EQ(config.map_bytes, UINT64_C(64) << 30);
    EXPECT_EQ(config.log_map_bytes, UINT64_C(8) << 30);
    EXPECT_EQ(config.disk_reserve_bytes, 256 << 20);
    EXPECT_EQ(config.max_connections, 10000);
    EXPECT_EQ(config.max_connections_per_address, 1000);
}

static void test_every_option_is_taken(void)
{
    struct config config = parsed("--data /d --cache 1KiB --log-level debug --insecure-peers "
                                  "--heartbeat 20ms --election-timeout=2s --checkpoint-records 7 "
                                  "--checkpoint-bytes 8KiB --checkpoint-interval 9s "
                                  "--log-tail 10KiB --log-tail-entries 11 --history 12KiB "
                                  "--history-changes 13 --map-size 14MiB --log-map-size 15MiB "
                                  "--disk-reserve 0B --max-connections 17 "
                                  "--max-connections-per-address 18");

    EXPECT_TEXT(config.data, "/d");
    EXPECT_EQ(config.cache_bytes, 1024);
    EXPECT_EQ(config.log_level, LOG_LEVEL_DEBUG);
    EXPECT(config.insecure_peers);
    EXPECT_EQ(config.heartbeat_ms, 20);
    EXPECT_EQ(config.election_timeout_ms, 2000);
    EXPECT_EQ(config.checkpoint_records, 7);
    EXPECT_EQ(config.checkpoint_bytes, 8192);
    EXPECT_EQ(config.checkpoint_interval_ms, 9000);
    EXPECT_EQ(config.log_tail_bytes, 10240);
    EXPECT_EQ(config.log_tail_entries, 11);
    EXPECT_EQ(config.history_bytes, 12288);
    EXPECT_EQ(config.history_changes, 13);
    EXPECT_EQ(config.map_bytes, 14 << 20);
    EXPECT_EQ(config.log_map_bytes, 15 << 20);
    EXPECT_EQ(config.disk_reserve_bytes, 0);
    EXPECT_EQ(config.max_connections, 17);
    EXPECT_EQ(config.max_connections_per_address, 18);
    config = parsed("--cluster-secret-file /s");
    EXPECT_TEXT(config.secret_file, "/s");
}

static void test_addresses_lose_what_is_ignored(void)
{
    struct config config;

    EXPECT_OK(parse("--id 2 --server http://[::1]:10002/", &config));
    EXPECT_TEXT(config.server, "[::1]:10002");
}

static void test_listen_may_be_given_several_times(void)
{
    struct config config = parsed("--listen 0.0.0.0:1 --listen [::]:2");

    EXPECT_EQ(config.listen_count, 2);
    EXPECT_TEXT(config.listen[0], "0.0.0.0:1");
    EXPECT_TEXT(config.listen[1], "[::]:2");
    expect_refused("--listen a:1 --listen a:2 --listen a:3 --listen a:4 --listen a:5 "
                   "--listen a:6 --listen a:7 --listen a:8 --listen a:9",
                   "8 times");
}

static void test_what_is_missing_is_named(void)
{
    struct config config;

    EXPECT_EQ(parse("--server 127.0.0.1:10001", &config), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "--id is missing");
    EXPECT_EQ(parse("--id 1", &config), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "--server is missing");
    expect_refused("--data", "--data needs a value");
}

static void test_help_and_version_need_nothing_else(void)
{
    struct config config;

    EXPECT_OK(parse("--help", &config));
    EXPECT(config.help);
    EXPECT_OK(parse("--version", &config));
    EXPECT(config.version);
}

static void test_a_near_miss_gets_a_suggestion(void)
{
    expect_refused("--hartbeat 50ms", "did you mean --heartbeat?");
    expect_refused("--cach 1MiB", "did you mean --cache?");
    expect_refused("--elction-timeout=1s", "did you mean --election-timeout?");
    expect_refused("--log-map 1GiB", "did you mean --log-map-size?");
    expect_refused("-data x", "did you mean --data?");
    expect_refused("--publish", "see confer-server --help");
    expect_refused("--", "see confer-server --help");
    expect_refused("start", "is not an option");
}

static void test_an_endless_name_is_survived(void)
{
    char line[1500] = "--";

    memset(line + 2, 'x', sizeof line - 3);
    expect_refused(line, "unknown option");
}

static void test_wrong_values_are_named_with_what_is_right(void)
{
    expect_refused("--id 0", "it must be 1 to");
    expect_refused("--id -1", "not a number");
    expect_refused("--id 1x", "not a number");
    expect_refused("--id 99999999999999999999", "not a number");
    expect_refused("--server 127.0.0.1", "the port is missing");
    expect_refused("--server 127.0.0.1:0", "1 to 65535");
    expect_refused("--listen :1", "the host is missing");
    expect_refused("--cache 10", "write it as");
    expect_refused("--heartbeat 10", "write it as");
    expect_refused("--heartbeat 1ms", "it must be 5ms to 60s");
    expect_refused("--map-size 1KiB", "it must be 1MiB to 16TiB");
    expect_refused("--log-level loud", "error, warn, info, debug");
    expect_refused("--insecure-peers=yes", "takes no value");
    expect_refused("--data=", "empty");
}

static void test_zookeepers_options_are_taken_and_judged(void)
{
    EXPECT_EQ(parsed("--id 1").zookeeper_session_timeout_ms[0], 4000);
    EXPECT_EQ(parsed("--id 1").zookeeper_session_timeout_ms[1], 40000);
    EXPECT_EQ(parsed("--zookeeper-session-timeout 1s..2m").zookeeper_session_timeout_ms[1], 120000);
    expect_refused("--zookeeper-session-timeout 4s", "no range");
    expect_refused("--zookeeper-session-timeout 4s..", "zookeeper-session-timeout");
    expect_refused("--zookeeper-session-timeout 9s..4s", "above the second");
    expect_refused("--zookeeper-session-timeout 10ms..4s", "it must be 1s to 600s");
    EXPECT(parsed("--four-letter-words all").four_letter_words >
           parsed("--id 1").four_letter_words);
    EXPECT(parsed("--four-letter-words ruok,srvr").four_letter_words != 0);
    EXPECT_EQ(parsed("--four-letter-words ,").four_letter_words, 0);
    expect_refused("--four-letter-words ruok,reboot", "'reboot'");
    EXPECT_TEXT(parsed("--zookeeper-super-digest super:D/InIHSb7yEEbrWz8b9l71RjZJU=")
                    .zookeeper_super_digest,
                "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    expect_refused("--zookeeper-super-digest super:test", "openssl sha1");
    expect_refused("--zookeeper-super-digest :D/InIHSb7yEEbrWz8b9l71RjZJU=", "USER:HASH");
}

static void test_the_history_is_a_quarter_of_the_cache(void)
{
    EXPECT_EQ(parsed("--cache 1GiB").history_bytes, 256 << 20);
    EXPECT_EQ(parsed("--cache 15MiB").history_bytes, 4 << 20);
    EXPECT_EQ(parsed("--cache 0B").history_bytes, 4 << 20);
    EXPECT_EQ(parsed("--history 1GiB").history_bytes, 1 << 30);
    EXPECT_EQ(parsed("--history 0B --cache 1GiB").history_bytes, 0);
}

static void test_a_shorter_election_timeout_shortens_the_heartbeat(void)
{
    EXPECT_EQ(parsed("--election-timeout 500ms").heartbeat_ms, 125);
    EXPECT_EQ(parsed("--election-timeout 20ms").heartbeat_ms, 5);
    EXPECT_EQ(parsed("--election-timeout 1s").heartbeat_ms, 250);
    EXPECT_EQ(parsed("--election-timeout 1m").heartbeat_ms, 250);
}

static void test_options_that_contradict_each_other_are_refused(void)
{
    expect_refused("--heartbeat 334ms", "less than 3 heartbeats");
    expect_refused("--election-timeout 599ms --heartbeat 200ms", "less than 3 heartbeats");
    EXPECT_EQ(parsed("--election-timeout 600ms --heartbeat 200ms").election_timeout_ms, 600);
    expect_refused("--insecure-peers --cluster-secret-file /s", "exclude each other");
    expect_refused("--log-map-size 100MiB", "more than half");
}

static void test_recover_takes_show_or_the_last_entry(void)
{
    static const char *const wrong[] = {"",     "yes",  "7",    "7.",   ".7",   "7.8.9",
                                        "-1.2", "7 .8", "7.8x", "+7.8", "7..8", "7.-8"};
    struct config config = parsed("--recover=7.1234");

    EXPECT_EQ(parsed("").recover, CONFIG_RECOVER_NOT);
    EXPECT_EQ(parsed("--recover show").recover, CONFIG_RECOVER_SHOW);
    EXPECT_EQ(config.recover, CONFIG_RECOVER_DO);
    EXPECT_EQ(config.recover_term, 7);
    EXPECT_EQ(config.recover_index, 1234);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char line[64];

        (void)snprintf(line, sizeof line, "--recover=%s", wrong[i]);
        expect_refused(line, "--recover");
    }
}

static void test_check_needs_a_folder_and_nothing_else(void)
{
    struct config config;

    EXPECT_OK(parse("--check /data/1", &config));
    EXPECT_TEXT(config.check, "/data/1");
    expect_refused("--check", "--check DIR");
}

static void test_help_names_every_option(void)
{
    static const char *const names[] = {
        "--id N", "--listen HOST:PORT", "--disk-reserve SIZE", "--max-connections-per-address N",
        "--help", "(default: 256MiB)"};
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    CHECK(to != NULL);
    config_print_help(to);
    CHECK(fclose(to) == 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        EXPECT_CONTAINS(text, names[i]);
    }
    free(text);
}

/* --- The secret --- */

static const char *secret_file(const void *contents, size_t size, mode_t mode)
{
    static char path[600];
    int file;

    (void)snprintf(path, sizeof path, "%s/secret", test_folder());
    (void)unlink(path);
    file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    CHECK(write(file, contents, size) == (ssize_t)size);
    CHECK(fchmod(file, mode) == 0);
    CHECK(close(file) == 0);
    return path;
}

static void expect_secret(const char *contents, const char *expected)
{
    struct buffer secret = BUFFER_INIT;

    EXPECT_OK(config_read_secret(secret_file(contents, strlen(contents), 0600), &secret, &error));
    EXPECT_BYTES(buffer_lend(&secret), bytes_of_text(expected));
    buffer_release(&secret);
}

static void expect_no_secret(const char *path, enum status status, const char *reason)
{
    struct buffer secret = BUFFER_INIT;

    EXPECT_EQ(config_read_secret(path, &secret, &error), status);
    EXPECT_CONTAINS(error.text, reason);
    EXPECT_EQ(secret.size, 0);
    buffer_release(&secret);
}

static void test_a_secret_is_read_without_its_line_end(void)
{
    expect_secret("sixteen letters.", "sixteen letters.");
    expect_secret("sixteen letters.\n", "sixteen letters.");
    expect_secret("sixteen letters.\r\n", "sixteen letters.");
    expect_secret(" sixteen letters. ", " sixteen letters. ");
}

static void test_a_secret_that_others_may_read_is_refused(void)
{
    expect_no_secret(secret_file("secret", 6, 0640), STATUS_INVALID, "chmod 600");
    expect_no_secret(secret_file("secret", 6, 0604), STATUS_INVALID, "chmod 600");
    expect_no_secret(secret_file("secret", 6, 0620), STATUS_INVALID, "chmod 600");
}

static void test_what_is_no_secret_is_refused(void)
{
    static const char large[CONFIG_SECRET_BYTES_MAX + 1];

    expect_no_secret(secret_file("", 0, 0600), STATUS_INVALID, "0 bytes");
    expect_no_secret(secret_file("\n\n", 2, 0600), STATUS_INVALID, "0 bytes");
    expect_no_secret(secret_file("fifteen letters\n", 16, 0600), STATUS_INVALID, "15 bytes");
    expect_no_secret(secret_file(large, sizeof large, 0600), STATUS_INVALID, "more than");
    expect_no_secret(test_folder(), STATUS_INVALID, "not a file");
    expect_no_secret("/no/such/file", STATUS_IO, "/no/such/file");
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_two_options_are_enough),
        TEST_CASE(test_every_option_is_taken),
        TEST_CASE(test_addresses_lose_what_is_ignored),
        TEST_CASE(test_listen_may_be_given_several_times),
        TEST_CASE(test_what_is_missing_is_named),
        TEST_CASE(test_help_and_version_need_nothing_else),
        TEST_CASE(test_a_near_miss_gets_a_suggestion),
        TEST_CASE(test_an_endless_name_is_survived),
        TEST_CASE(test_wrong_values_are_named_with_what_is_right),
        TEST_CASE(test_zookeepers_options_are_taken_and_judged),
        TEST_CASE(test_the_history_is_a_quarter_of_the_cache),
        TEST_CASE(test_a_shorter_election_timeout_shortens_the_heartbeat),
        TEST_CASE(test_options_that_contradict_each_other_are_refused),
        TEST_CASE(test_recover_takes_show_or_the_last_entry),
        TEST_CASE(test_check_needs_a_folder_and_nothing_else),
        TEST_CASE(test_help_names_every_option),
        TEST_CASE(test_a_secret_is_read_without_its_line_end),
        TEST_CASE(test_a_secret_that_others_may_read_is_refused),
        TEST_CASE(test_what_is_no_secret_is_refused),
        TEST_END};

    return test_main("config", cases, argc, argv);
}
