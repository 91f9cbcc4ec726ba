#include "tests/power_cut/run.h"

#include "base/check.h"

#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STORY_SECONDS_MAX = 120 };

struct run *run_new(uint64_t seed)
{
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(run != MAP_FAILED);
    run->seed = seed;
    return run;
}

void run_free(struct run *run)
{
    (void)munmap(run, sizeof *run);
}

/* --- Folders --- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void run_remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* In memory if possible: nothing is really synced. */
static void make_folder(char path[PATH_MAX])
{
    const char *parent = getenv("TMPDIR");
    char template[PATH_MAX];

    if (parent == NULL) {
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    }
    CHECK(snprintf(template, sizeof template, "%s/confer-power-cut-XXXXXX", parent) <
          (int)sizeof template);
    CHECK(mkdtemp(template) != NULL && realpath(template, path) != NULL);
}

void run_path(const struct run *run, const char *name, char path[RUN_PATH_BYTES_MAX])
{
    (void)snprintf(path, RUN_PATH_BYTES_MAX, "%s/%s", run->folder, name);
}

/* --- In the process of the story --- */

static void count_operations(struct run *run, const struct stores *stores)
{
    for (size_t i = 0; i < tape_count(); i++) {
        run->operations[stores_step_at(stores, i + 1)]++;
    }
}

static void set_fault(const struct run *run)
{
    const struct run_fault *fault = run->fault;

    if (fault != NULL && fault->of_reads) {
        tape_fail_reads(run->call, fault->count);
    } else if (fault != NULL) {
        tape_fail(run->call, fault->count, fault->kind, fault->error_number);
    }
}

static void play(struct run *run)
{
    char folder[RUN_PATH_BYTES_MAX];
    char scratch[RUN_PATH_BYTES_MAX];
    struct stores *stores;
    const char *name;

    run_path(run, "data", folder);
    run_path(run, "elsewhere", scratch);
    CHECK(mkdir(folder, 0700) == 0 && mkdir(scratch, 0700) == 0);
    tape_start(folder);
    set_fault(run);
    /* Flips are looked for in folders that a start reads. */
    run->is_right = stores_play(folder, scratch, run->seed, RUN_STEPS,
                                run->flips_wanted == 0 && !run->has_flip, &stores, run->text);
    tape_stop();
    run->calls = tape_calls();
    run->reads = tape_reads();
    run->has_failed =
        run->fault != NULL && (run->fault->of_reads ? run->reads : run->calls) > run->call;
    run->events = tape_count();
    (void)tape_failed(&name);
    if (name != NULL) {
        (void)snprintf(run->failed_call, sizeof run->failed_call, "%s", name);
    }
    count_operations(run, stores);
    if (run->is_right) {
        run_judge_images(run, stores);
    }
    if (run->is_right) {
        run_judge_flips(run, stores);
    }
    stores_free(stores);
    tape_forget();
}

/* --- From outside --- */

static bool wait_for_story(struct run *run, pid_t child)
{
    int status;

    CHECK(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) {
        (void)snprintf(run->text, sizeof run->text, "signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
        return false;
    }
    if (WEXITSTATUS(status) != 0) {
        (void)snprintf(run->text, sizeof run->text, "the process ended with %d",
                       WEXITSTATUS(status));
        return false;
    }
    return run->is_right;
}

static void tell_wrong(const struct run *run)
{
    if (run->failed_call[0] != '\0') {
        (void)printf("the call that failed: %s\n", run->failed_call);
    }
    (void)printf("wrong: %s\n  again: power_cut --story %" PRIu64, run->text, run->seed);
    if (run->fault != NULL) {
        (void)printf(" --fault %s:%" PRIu64, run->fault->name, run->call);
    }
    if (run->in_flip) {
        (void)printf(" --%s %" PRIu64 " (%s)", run->of_tail ? "tail-flip" : "flip", run->flip_seed,
                     run->flipped);
    } else if (run->in_image) {
        (void)printf(" --cut %" PRIu64 " --image %" PRIu64, run->cut, run->image_seed);
    }
    (void)printf("\n");
}

bool run_perform(struct run *run)
{
    pid_t child;
    bool is_right;

    make_folder(run->folder);
    (void)fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)alarm(STORY_SECONDS_MAX);
        play(run);
        exit(0);
    }
    is_right = wait_for_story(run, child);
    if (!is_right) {
        tell_wrong(run);
    }
    if (run->keep) {
        (void)printf("kept for a look: %s\n", run->folder);
    } else {
        run_remove_tree(run->folder);
    }
    return is_right;
}
