/* The support that the other tests here stand on, tried on programs of the system. */
#include "tests/support/process.h"

#include "tests/support/cluster.h"
#include "tests/support/test.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

static void start_shell(struct process *process, const char *command)
{
    process_start(process, (const char *const[]){"/bin/sh", "-c", command, NULL}, NULL);
}

static void test_a_command_gives_its_code_and_both_outputs(void)
{
    const struct outcome *outcome = outcome_of(
        (const char *const[]){"/bin/sh", "-c", "echo out; echo err >&2; exit 7", NULL}, 30000);

    EXPECT_EQ(outcome->exit_code, 7);
    EXPECT_TEXT(outcome->out, "out\n");
    EXPECT_TEXT(outcome->err, "err\n");
}

static void test_a_missing_program_is_the_shells_127(void)
{
    const struct outcome *outcome =
        outcome_of((const char *const[]){"/nowhere/program", NULL}, 30000);

    EXPECT_EQ(outcome->exit_code, 127);
    EXPECT_CONTAINS(outcome->err, "/nowhere/program");
}

static void test_a_command_past_its_deadline_is_killed(void)
{
    const struct outcome *outcome =
        outcome_of((const char *const[]){"/bin/sh", "-c", "echo begun; exec sleep 600", NULL}, 300);

    EXPECT_EQ(outcome->exit_code, -1);
}

static void test_output_is_seen_while_it_runs(void)
{
    struct process process;

    start_shell(&process, "echo ready; exec sleep 600");
    EXPECT(process_wait_text(&process, process.out, "ready\n", 30000));
    EXPECT(!process_wait(&process, 0));
    EXPECT(!process_wait_text(&process, process.out, "never", 50));
    process_kill(&process);
    EXPECT_EQ(process.exit_code, 128 + SIGKILL);
    process_release(&process);
}

static void test_waiting_for_text_ends_with_the_process(void)
{
    struct process process;

    start_shell(&process, "echo last words");
    EXPECT(!process_wait_text(&process, process.out, "never", 30000));
    EXPECT(process_wait_text(&process, process.out, "last words\n", 30000));
    EXPECT_EQ(process.exit_code, 0);
    process_release(&process);
}

static void test_a_stopped_process_can_be_killed(void)
{
    struct process process;

    start_shell(&process, "echo ready; exec sleep 600");
    EXPECT(process_wait_text(&process, process.out, "ready\n", 30000));
    process_signal(&process, SIGSTOP);
    process_release(&process);
    EXPECT_EQ(process.exit_code, 128 + SIGKILL);
}

static void test_a_log_is_appended_to_by_each_run(void)
{
    struct process process;
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/log", test_folder());
    for (int i = 0; i < 2; i++) {
        process_start(&process, (const char *const[]){"/bin/echo", "a line", NULL}, path);
        EXPECT(process_wait(&process, 30000));
        if (i == 1) {
            EXPECT_TEXT(process_text(&process, process.out), "a line\na line\n");
        }
        process_release(&process);
    }
}

static void test_children_die_with_the_test(void)
{
    int ends[2];
    char text[32] = "";
    pid_t child;
    struct pollfd gone = {.events = POLLIN};

    /* A child plays the test: it starts a process, tells its id, and is killed. */
    EXPECT_EQ(pipe(ends), 0);
    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        struct process process;

        start_shell(&process, "echo ready; exec sleep 600");
        (void)process_wait_text(&process, process.out, "ready\n", 30000);
        (void)dprintf(ends[1], "%d", (int)process.pid);
        (void)kill(getpid(), SIGKILL);
    }
    EXPECT(read(ends[0], text, sizeof text - 1) > 0);
    gone.fd = pidfd_open((pid_t)strtol(text, NULL, 10), 0);
    /* No such process, or it ends soon. */
    EXPECT(gone.fd < 0 || poll(&gone, 1, 30000) == 1);
    (void)close(gone.fd);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_free_ports_differ(void)
{
    unsigned ports[20];

    for (size_t i = 0; i < 20; i++) {
        ports[i] = cluster_free_port();
        for (size_t other = 0; other < i; other++) {
            EXPECT(ports[other] != ports[i]);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_command_gives_its_code_and_both_outputs),
        TEST_CASE(test_a_missing_program_is_the_shells_127),
        TEST_CASE(test_a_command_past_its_deadline_is_killed),
        TEST_CASE(test_output_is_seen_while_it_runs),
        TEST_CASE(test_waiting_for_text_ends_with_the_process),
        TEST_CASE(test_a_stopped_process_can_be_killed),
        TEST_CASE(test_a_log_is_appended_to_by_each_run),
        TEST_CASE(test_children_die_with_the_test),
        TEST_CASE(test_free_ports_differ),
        TEST_END};
    return test_main("process", cases, argc, argv);
}
