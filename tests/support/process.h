/* Child processes of a test: started with their output kept, waited for with a deadline, ended by
 * their own id. A child dies with the test, whatever ends it. For the main thread only: a child
 * dies with the thread that started it.
 *
 * The functions abort the test program, with the reason, when the machine refuses (no process, no
 * file); what the child does is reported to the test. */
#ifndef TESTS_SUPPORT_PROCESS_H
#define TESTS_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    pid_t pid;     /* 0 = not running */
    int wait_file; /* a pidfd, for waiting with a deadline */
    int out;       /* files with what it wrote so far, -1 = none */
    int err;
    int exit_code; /* after its end: its code, or 128 + the signal */
    char *text;    /* of the last process_text */
};

/* Start `argv` (NULL at the end; argv[0] is a path). `log` names a file to append stdout and stderr
 * to; with NULL they are kept apart, for process_text. */
void process_start(struct process *process, const char *const argv[], const char *log);
/* True once it has ended; false when the deadline passes first. */
bool process_wait(struct process *process, unsigned deadline_ms);
/* Does nothing when it has ended. */
void process_signal(struct process *process, int signal);
/* SIGKILL, and wait for the end. */
void process_kill(struct process *process);
/* What it wrote to `file` (process->out or ->err) so far; valid until the next call and release. */
const char *process_text(struct process *process, int file);
/* Wait until that contains `part`; false when the deadline passes or the process ends without. */
bool process_wait_text(struct process *process, int file, const char *part, unsigned deadline_ms);
/* Kill it if it runs, and let go of its files. */
void process_release(struct process *process);

/* One command from start to end. */
struct outcome {
    int exit_code; /* -1: it did not end before the deadline and was killed */
    char *out;
    char *err;
};

/* Run `argv`. The outcome stays valid for the next 31 runs. */
const struct outcome *outcome_of(const char *const argv[], unsigned deadline_ms);

/* Milliseconds from an arbitrary start, and the shortest useful pause before looking again. */
uint64_t process_now_ms(void);
void process_pause(void);

#endif
