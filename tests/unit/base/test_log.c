#include "base/log.h"

#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREAD_COUNT = 4, LINES_PER_THREAD = 200, OUTPUT_BYTES_MAX = 1 << 18 };

static int saved_stderr = -1;
static int capture = -1;
static char output[OUTPUT_BYTES_MAX];

static void start_capture(void)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/log", test_folder());
    capture = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    saved_stderr = dup(STDERR_FILENO);
    EXPECT(capture >= 0 && saved_stderr >= 0);
    EXPECT(dup2(capture, STDERR_FILENO) == STDERR_FILENO);
}

/* What was written to stderr since start_capture. */
static const char *end_capture(void)
{
    ssize_t size;

    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    size = pread(capture, output, sizeof output - 1, 0);
    (void)close(capture);
    EXPECT(size >= 0);
    output[size] = '\0';
    return output;
}

static void test_a_line_has_time_level_event_and_fields(void)
{
    const char *line;

    start_capture();
    log_event(LOG_LEVEL_WARN, "peer_down", "peer=%d reason=%s", 3, log_quote("no \"route\"\n"));
    line = end_capture();
    EXPECT_EQ(strspn(line, "0123456789-"), 10);
    EXPECT_EQ(line[10], 'T');
    EXPECT_EQ(line[23], 'Z');
    EXPECT_TEXT(line + 24, " warn peer_down peer=3 reason=\"no \\\"route\\\"\\x0a\"\n");
}

static void test_an_event_without_fields_is_a_line_too(void)
{
    start_capture();
    log_event(LOG_LEVEL_INFO, "started", "%s", "");
    log_event(LOG_LEVEL_ERROR, "ended", " ");
    EXPECT_CONTAINS(end_capture(), " info started \n");
    EXPECT_CONTAINS(output, " error ended  \n");
}

static void test_lines_below_the_level_are_dropped(void)
{
    start_capture();
    log_event(LOG_LEVEL_DEBUG, "quiet", "n=%d", 1);
    log_set_level(LOG_LEVEL_DEBUG);
    log_event(LOG_LEVEL_DEBUG, "loud", "n=%d", 2);
    log_set_level(LOG_LEVEL_ERROR);
    log_event(LOG_LEVEL_INFO, "quiet", "n=%d", 3);
    log_set_level(LOG_LEVEL_INFO);
    EXPECT_CONTAINS(end_capture(), "debug loud n=2\n");
    EXPECT(strstr(output, "quiet") == NULL);
}

static void test_the_context_is_in_every_line(void)
{
    char longer[200];

    (void)memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    start_capture();
    log_set_context("node=1");
    log_event(LOG_LEVEL_INFO, "a", "k=%d", 1);
    log_set_context(longer);
    log_event(LOG_LEVEL_INFO, "b", "k=%d", 2);
    log_set_context("");
    EXPECT_CONTAINS(end_capture(), "info a node=1 k=1\n");
    longer[63] = '\0';
    EXPECT_CONTAINS(output, longer);
    EXPECT_CONTAINS(output, "xxx k=2\n");
}

static void test_a_long_line_is_cut_and_still_ends(void)
{
    char longer[5000];
    size_t size;

    (void)memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    start_capture();
    log_event(LOG_LEVEL_INFO, "long", "k=%s", longer);
    size = strlen(end_capture());
    EXPECT(size > 2000 && size <= 2048);
    EXPECT_EQ(output[size - 1], '\n');
    EXPECT(memchr(output, '\n', size - 1) == NULL);
}

static void test_errno_is_kept(void)
{
    int closed = dup(STDERR_FILENO);

    start_capture();
    errno = ENOSPC;
    log_event(LOG_LEVEL_INFO, "a", "k=%d", 1);
    EXPECT_EQ(errno, ENOSPC);
    (void)end_capture();
    (void)close(STDERR_FILENO);
    errno = EINTR;
    log_event(LOG_LEVEL_INFO, "nowhere", "k=%d", 1);
    EXPECT_EQ(errno, EINTR);
    EXPECT_EQ(dup2(closed, STDERR_FILENO), STDERR_FILENO);
    (void)close(closed);
}

static void *write_lines(void *context)
{
    for (int i = 0; i < LINES_PER_THREAD; i++) {
        log_event(LOG_LEVEL_INFO, "line", "thread=%s n=%d end", (const char *)context, i);
    }
    return NULL;
}

static void test_lines_of_threads_do_not_mix(void)
{
    static char names[THREAD_COUNT][2] = {"a", "b", "c", "d"};
    pthread_t threads[THREAD_COUNT];
    size_t lines = 0;

    start_capture();
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        EXPECT_EQ(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    }
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        EXPECT_EQ(pthread_join(threads[i], NULL), 0);
    }
    (void)end_capture();
    for (char *line = output, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        EXPECT(strncmp(line + 24, " info line thread=", 18) == 0);
        EXPECT_TEXT(end - 4, " end");
        lines++;
    }
    EXPECT_EQ(lines, THREAD_COUNT * LINES_PER_THREAD);
}

static void test_quoting_escapes_cuts_and_keeps_eight_values(void)
{
    char longer[3000];
    const char *kept[8];
    const char *quoted;

    EXPECT_TEXT(log_quote(""), "\"\"");
    EXPECT_TEXT(log_quote("a b"), "\"a b\"");
    EXPECT_TEXT(log_quote("\"\\\t\x7f\xc3\xa4"), "\"\\\"\\\\\\x09\\x7f\xc3\xa4\"");
    (void)memset(longer, '\n', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    quoted = log_quote(longer);
    EXPECT(strlen(quoted) < 1024);
    EXPECT_EQ(quoted[strlen(quoted) - 1], '"');
    for (size_t i = 0; i < 8; i++) {
        kept[i] = log_quote((char[]){(char)('0' + (char)i), '\0'});
    }
    for (size_t i = 0; i < 8; i++) {
        EXPECT_EQ(kept[i][1], '0' + (char)i);
    }
}

static void test_levels_are_known_by_their_names(void)
{
    enum log_level level = LOG_LEVEL_INFO;

    EXPECT_OK(log_parse_level("debug", &level));
    EXPECT_EQ(level, LOG_LEVEL_DEBUG);
    EXPECT_OK(log_parse_level("error", &level));
    EXPECT_EQ(level, LOG_LEVEL_ERROR);
    EXPECT_EQ(log_parse_level("loud", &level), STATUS_INVALID);
    EXPECT_EQ(log_parse_level("", &level), STATUS_INVALID);
    EXPECT_EQ(level, LOG_LEVEL_ERROR);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_line_has_time_level_event_and_fields),
        TEST_CASE(test_an_event_without_fields_is_a_line_too),
        TEST_CASE(test_lines_below_the_level_are_dropped),
        TEST_CASE(test_the_context_is_in_every_line),
        TEST_CASE(test_a_long_line_is_cut_and_still_ends),
        TEST_CASE(test_errno_is_kept),
        TEST_CASE(test_lines_of_threads_do_not_mix),
        TEST_CASE(test_quoting_escapes_cuts_and_keeps_eight_values),
        TEST_CASE(test_levels_are_known_by_their_names),
        TEST_END};
    return test_main("log", cases, argc, argv);
}
