#include "tests/support/process.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUTCOMES_KEPT = 32, PAUSE_MS = 5 };

static _Noreturn void give_up(const char *what)
{
    perror(what);
    abort();
}

uint64_t process_now_ms(void)
{
    return clock_monotonic_us() / 1000;
}

void process_pause(void)
{
    (void)poll(NULL, 0, PAUSE_MS);
}

/* In the child: exec, or leave with the shell's code for a command that cannot run. */
static _Noreturn void become(const char *const argv[], int out, int err, pid_t parent)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char **arguments;
    size_t count = 0;

    while (argv[count] != NULL) {
        count++;
    }
    arguments = xcalloc(count + 1, sizeof *arguments);
    for (size_t i = 0; i < count; i++) {
        arguments[i] = xstrdup(argv[i]);
    }
    /* The parent may have died before the request stood. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(126);
    }
    if (dup2(nothing, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(err, STDERR_FILENO) < 0) {
        _exit(126);
    }
    (void)execv(arguments[0], arguments);
    (void)dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

void process_start(struct process *process, const char *const argv[], const char *log)
{
    pid_t parent = getpid();

    if (log != NULL) {
        process->out = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        process->err = fcntl(process->out, F_DUPFD_CLOEXEC, 0);
    } else {
        process->out = memfd_create("out", MFD_CLOEXEC);
        process->err = memfd_create("err", MFD_CLOEXEC);
    }
    if (process->out < 0 || process->err < 0) {
        give_up(log == NULL ? "memfd_create" : log);
    }
    process->text = NULL;
    process->exit_code = -1;
    (void)fflush(NULL);
    process->pid = fork();
    if (process->pid == 0) {
        become(argv, process->out, process->err, parent);
    }
    if (process->pid < 0) {
        give_up("fork");
    }
    process->wait_file = pidfd_open(process->pid, 0);
    if (process->wait_file < 0) {
        give_up("pidfd_open");
    }
}

bool process_wait(struct process *process, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;
    int status;

    while (process->pid > 0) {
        struct pollfd ended = {.fd = process->wait_file, .events = POLLIN};
        uint64_t now = process_now_ms();
        int left = now < end ? (int)(end - now) : 0;

        if (poll(&ended, 1, left) > 0) {
            CHECK(waitpid(process->pid, &status, 0) == process->pid);
            process->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
            process->pid = 0;
            (void)close(process->wait_file);
        } else if (left == 0) {
            return false;
        }
    }
    return true;
}

void process_signal(struct process *process, int signal)
{
    if (process->pid > 0 && pidfd_send_signal(process->wait_file, signal, NULL, 0) != 0) {
        give_up("pidfd_send_signal");
    }
}

void process_kill(struct process *process)
{
    process_signal(process, SIGKILL);
    while (!process_wait(process, 60000)) {
        (void)fprintf(stderr, "process %d does not die\n", (int)process->pid);
    }
}

static char *read_all(int file)
{
    struct stat info;
    char *text;
    size_t size = 0;

    if (fstat(file, &info) != 0) {
        give_up("fstat");
    }
    text = xmalloc((size_t)info.st_size + 1);
    while (size < (size_t)info.st_size) {
        ssize_t more = pread(file, text + size, (size_t)info.st_size - size, (off_t)size);

        if (more <= 0) {
            break;
        }
        size += (size_t)more;
    }
    text[size] = '\0';
    return text;
}

const char *process_text(struct process *process, int file)
{
    free(process->text);
    process->text = read_all(file);
    return process->text;
}

bool process_wait_text(struct process *process, int file, const char *part, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;

    for (;;) {
        /* Asked before the look: what it wrote before its end is there by then. */
        bool over = process_wait(process, 0) || process_now_ms() >= end;

        if (strstr(process_text(process, file), part) != NULL) {
            return true;
        }
        if (over) {
            return false;
        }
        process_pause();
    }
}

void process_release(struct process *process)
{
    process_kill(process);
    if (process->out >= 0) {
        (void)close(process->out);
        (void)close(process->err);
    }
    process->out = -1;
    process->err = -1;
    free(process->text);
    process->text = NULL;
}

static struct outcome kept[OUTCOMES_KEPT];

static void release_kept(void)
{
    for (size_t i = 0; i < OUTCOMES_KEPT; i++) {
        free(kept[i].out);
        free(kept[i].err);
    }
}

const struct outcome *outcome_of(const char *const argv[], unsigned deadline_ms)
{
    static size_t turn;
    struct outcome *outcome = &kept[turn % OUTCOMES_KEPT];
    struct process process;

    if (turn++ == 0) {
        (void)atexit(release_kept);
    }
    process_start(&process, argv, NULL);
    (void)process_wait(&process, deadline_ms);
    outcome->exit_code = process.exit_code;
    free(outcome->out);
    free(outcome->err);
    outcome->out = read_all(process.out);
    outcome->err = read_all(process.err);
    process_release(&process);
    return outcome;
}
