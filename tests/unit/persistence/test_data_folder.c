#include "persistence/data_folder.h"

#include "tests/support/damage.h"
#include "tests/support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYNCED_MAX = 64 };

static struct error error;

/* The folders that were synced. A name of its own in C, the C library's for the linker. */
static ino_t synced[SYNCED_MAX];
static size_t synced_count;
int noted_fsync(int file) __asm__("fsync") __attribute__((visibility("default")));

int noted_fsync(int file)
{
    struct stat info;

    if (fstat(file, &info) == 0 && synced_count < SYNCED_MAX) {
        synced[synced_count++] = info.st_ino;
    }
    return (int)syscall(SYS_fsync, file);
}

static bool is_synced(const char *path)
{
    struct stat info;

    EXPECT_EQ(stat(path, &info), 0);
    for (size_t i = 0; i < synced_count; i++) {
        if (synced[i] == info.st_ino) {
            return true;
        }
    }
    return false;
}

static void test_missing_folders_are_made_for_the_owner_alone(void)
{
    struct data_folder folder;
    struct stat info;
    char path[4200];

    (void)snprintf(path, sizeof path, "%s/a//b/c", test_folder());
    EXPECT_OK(data_folder_open(path, &folder, &error));
    EXPECT_EQ(stat(path, &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700);
    data_folder_close(&folder);
    EXPECT_OK(data_folder_open(path, &folder, &error));
    data_folder_close(&folder);
}

/* Whoever made them may have died before it had synced them. */
static void test_names_that_are_found_are_made_durable(void)
{
    const char *top = test_folder();
    struct data_folder folder;
    char outer[4200];
    char inner[4200];

    (void)snprintf(outer, sizeof outer, "%s/outer", top);
    (void)snprintf(inner, sizeof inner, "%s/outer/inner", top);
    EXPECT_EQ(mkdir(outer, 0700), 0);
    EXPECT_EQ(mkdir(inner, 0700), 0);
    synced_count = 0;
    EXPECT_OK(data_folder_open(inner, &folder, &error));
    EXPECT(is_synced(inner));
    EXPECT(is_synced(outer));
    EXPECT(is_synced(top));
    data_folder_close(&folder);
}

/* Such as those that say that it is condemned, or in doubt. */
static void test_names_found_in_the_checkpoint_are_made_durable(void)
{
    struct data_folder folder;
    char tree[DATA_FOLDER_PATH_BYTES_MAX];

    EXPECT_OK(data_folder_open(test_folder(), &folder, &error));
    data_folder_tree_path(&folder, 3, tree);
    EXPECT_EQ(mkdir(tree, 0700), 0);
    synced_count = 0;
    EXPECT_OK(data_folder_sweep(&folder, 3, &error));
    EXPECT(is_synced(tree));
    data_folder_close(&folder);
}

static void test_a_relative_path_with_a_slash_behind_works(void)
{
    struct data_folder folder;
    char previous[4096];

    EXPECT(getcwd(previous, sizeof previous) != NULL);
    EXPECT_EQ(chdir(test_folder()), 0);
    EXPECT_OK(data_folder_open("x/y/", &folder, &error));
    data_folder_close(&folder);
    EXPECT_EQ(access("x/y/lock", F_OK), 0);
    EXPECT_EQ(chdir(previous), 0);
}

static void test_a_folder_in_use_names_the_process(void)
{
    const char *path = test_folder();
    char expected[64];
    struct data_folder folder;
    struct data_folder second;
    pid_t child;
    int status;
    int pipes[2];
    char byte = 0;

    EXPECT_EQ(pipe(pipes), 0);
    child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        if (data_folder_open(path, &folder, &error) != STATUS_OK || write(pipes[1], "x", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            (void)pause();
        }
    }
    EXPECT_EQ(read(pipes[0], &byte, 1), 1);
    EXPECT_EQ(data_folder_open(path, &second, &error), STATUS_LOCKED);
    (void)snprintf(expected, sizeof expected, "process %ld", (long)child);
    EXPECT_CONTAINS(error.text, expected);
    EXPECT_CONTAINS(error.text, path);
    EXPECT_CONTAINS(error.text, "--data");
    /* A killed process leaves no lock. */
    EXPECT_EQ(kill(child, SIGKILL), 0);
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_OK(data_folder_open(path, &second, &error));
    EXPECT_EQ(data_folder_open(path, &folder, &error), STATUS_LOCKED);
    data_folder_close(&second);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void test_a_file_in_the_way_is_named(void)
{
    struct data_folder folder;
    char file[4200];
    char below[4300];

    (void)snprintf(file, sizeof file, "%s/file", test_folder());
    (void)snprintf(below, sizeof below, "%s/folder", file);
    damage_write(file, 0, bytes_of_text("x"));
    EXPECT_EQ(data_folder_open(file, &folder, &error), STATUS_IO);
    EXPECT_CONTAINS(error.text, file);
    EXPECT_EQ(data_folder_open(below, &folder, &error), STATUS_IO);
    EXPECT_CONTAINS(error.text, file);
}

static void test_impossible_paths_are_refused(void)
{
    struct data_folder folder;
    char *path = malloc(10000);

    EXPECT(path != NULL);
    EXPECT_EQ(data_folder_open("", &folder, &error), STATUS_IO);
    EXPECT_EQ(data_folder_open("/proc/no/such/folder", &folder, &error), STATUS_IO);
    EXPECT_CONTAINS(error.text, "/proc/no");
    memset(path, 'a', 9999);
    path[9999] = '\0';
    EXPECT(data_folder_open(path, &folder, &error) != STATUS_OK);
    EXPECT_CONTAINS(error.text, "too long");
    path[3500] = '\0';
    EXPECT(data_folder_open(path, &folder, &error) != STATUS_OK);
    EXPECT_CONTAINS(error.text, "too long");
    free(path);
}

static void test_a_folder_that_may_not_be_written_is_named(void)
{
    struct data_folder folder;
    const char *path = test_folder();
    char below[4200];

    if (geteuid() == 0) {
        (void)printf("skipped: root may write everywhere\n");
        return;
    }
    EXPECT_EQ(chmod(path, 0500), 0);
    EXPECT_EQ(data_folder_open(path, &folder, &error), STATUS_IO);
    EXPECT_CONTAINS(error.text, path);
    (void)snprintf(below, sizeof below, "%s/below", path);
    EXPECT_EQ(data_folder_open(below, &folder, &error), STATUS_IO);
    EXPECT_CONTAINS(error.text, below);
    EXPECT_EQ(chmod(path, 0700), 0);
}

static void test_paths_are_where_the_header_says(void)
{
    struct data_folder folder;
    const char *path = test_folder();
    char expected[4300];
    char actual[DATA_FOLDER_PATH_BYTES_MAX];
    struct stat info;

    EXPECT_OK(data_folder_open(path, &folder, &error));
    data_folder_log_path(&folder, actual);
    (void)snprintf(expected, sizeof expected, "%s/log", path);
    EXPECT_TEXT(actual, expected);
    data_folder_tree_path(&folder, UINT64_MAX, actual);
    (void)snprintf(expected, sizeof expected, "%s/tree-18446744073709551615", path);
    EXPECT_TEXT(actual, expected);
    EXPECT_OK(data_folder_dump_path(&folder, "one", actual, &error));
    (void)snprintf(expected, sizeof expected, "%s/dumps/one", path);
    EXPECT_TEXT(actual, expected);
    (void)snprintf(expected, sizeof expected, "%s/dumps", path);
    EXPECT_EQ(stat(expected, &info), 0);
    EXPECT_EQ(data_folder_dump_path(&folder, "../x", actual, &error), STATUS_INVALID);
    EXPECT_EQ(data_folder_dump_path(&folder, "", actual, &error), STATUS_INVALID);
    EXPECT_EQ(data_folder_dump_path(&folder, "..", actual, &error), STATUS_INVALID);
    EXPECT_EQ(data_folder_dump_path(&folder, "a/b", actual, &error), STATUS_INVALID);
    data_folder_close(&folder);
}

static void make_file(const char *folder, const char *name, const char *file)
{
    char path[4400];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, name, file);
    damage_write(path, 0, bytes_of_text("x"));
}

static bool is_there(const char *folder, const char *name)
{
    char path[4400];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void test_sweeping_leaves_one_generation_and_what_is_not_ours(void)
{
    struct data_folder folder;
    const char *path = test_folder();

    EXPECT_OK(data_folder_open(path, &folder, &error));
    make_file(path, "tree-1", "data.mdb");
    make_file(path, "tree-12", "data.mdb");
    make_file(path, "tree-12", "lock.mdb");
    make_file(path, "tree-2", "data.mdb");
    make_file(path, "tree-3.part", "data.mdb");
    make_file(path, "tree-12.part", "data.mdb");
    make_file(path, "tree-backup", "data.mdb");
    make_file(path, "log", "data.mdb");
    make_file(path, "dumps", "one");
    make_file(path, "dumps", "two.part");
    EXPECT_OK(data_folder_sweep(&folder, 12, &error));
    EXPECT(is_there(path, "tree-12/data.mdb"));
    EXPECT(is_there(path, "tree-12/lock.mdb"));
    EXPECT(!is_there(path, "tree-1"));
    EXPECT(!is_there(path, "tree-2"));
    EXPECT(!is_there(path, "tree-3.part"));
    EXPECT(!is_there(path, "tree-12.part"));
    EXPECT(is_there(path, "tree-backup/data.mdb"));
    EXPECT(is_there(path, "log/data.mdb"));
    EXPECT(is_there(path, "dumps"));
    EXPECT(!is_there(path, "dumps/one"));
    EXPECT(!is_there(path, "dumps/two.part"));
    EXPECT_OK(data_folder_sweep(&folder, 12, &error));
    data_folder_close(&folder);
}

static void test_what_cannot_be_swept_is_named(void)
{
    struct data_folder folder;
    const char *path = test_folder();

    EXPECT_OK(data_folder_open(path, &folder, &error));
    make_file(path, "tree-1", "data.mdb");
    {
        char inner[4300];

        (void)snprintf(inner, sizeof inner, "%s/tree-1/inner", path);
        (void)mkdir(inner, 0700);
    }
    EXPECT_EQ(data_folder_sweep(&folder, 2, &error), STATUS_IO);
    EXPECT_CONTAINS(error.text, "tree-1");
    data_folder_close(&folder);
}

static void test_free_bytes_are_told(void)
{
    struct data_folder folder;
    uint64_t bytes = 0;

    EXPECT_OK(data_folder_open(test_folder(), &folder, &error));
    EXPECT_OK(data_folder_free_bytes(&folder, &bytes, &error));
    EXPECT(bytes > 0);
    data_folder_close(&folder);
}

static void test_a_stopped_folder_is_locked_and_not_changed(void)
{
    const char *path = test_folder();
    struct data_folder folder;
    struct data_folder second;
    char lock[4200];
    char none[4200];

    (void)snprintf(lock, sizeof lock, "%s/lock", path);
    (void)snprintf(none, sizeof none, "%s/none", path);
    EXPECT_EQ(data_folder_open_stopped(none, &folder, &error), STATUS_NOT_FOUND);
    EXPECT_CONTAINS(error.text, none);
    /* It never had a lock, and gets none. */
    EXPECT_OK(data_folder_open_stopped(path, &folder, &error));
    data_folder_close(&folder);
    EXPECT(access(lock, F_OK) != 0);
    EXPECT_OK(data_folder_open(path, &folder, &error));
    EXPECT_EQ(data_folder_open_stopped(path, &second, &error), STATUS_LOCKED);
    EXPECT_CONTAINS(error.text, "stop it first");
    EXPECT_EQ(data_folder_open_stopped(lock, &second, &error), STATUS_NOT_FOUND);
    data_folder_close(&folder);
    EXPECT_OK(data_folder_open_stopped(path, &folder, &error));
    EXPECT_EQ(data_folder_open(path, &second, &error), STATUS_LOCKED);
    data_folder_close(&folder);
}

static void test_the_names_of_trees_are_told_from_others(void)
{
    uint64_t generation = 0;

    EXPECT(data_folder_is_tree("tree-0", &generation));
    EXPECT_EQ(generation, 0);
    EXPECT(data_folder_is_tree("tree-17", &generation));
    EXPECT_EQ(generation, 17);
    EXPECT(!data_folder_is_tree("tree-17.part", &generation));
    EXPECT(!data_folder_is_tree("tree-", &generation));
    EXPECT(!data_folder_is_tree("tree-x", &generation));
    EXPECT(!data_folder_is_tree("log", &generation));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_missing_folders_are_made_for_the_owner_alone),
        TEST_CASE(test_names_that_are_found_are_made_durable),
        TEST_CASE(test_names_found_in_the_checkpoint_are_made_durable),
        TEST_CASE(test_a_relative_path_with_a_slash_behind_works),
        TEST_CASE(test_a_folder_in_use_names_the_process),
        TEST_CASE(test_a_file_in_the_way_is_named),
        TEST_CASE(test_impossible_paths_are_refused),
        TEST_CASE(test_a_folder_that_may_not_be_written_is_named),
        TEST_CASE(test_paths_are_where_the_header_says),
        TEST_CASE(test_sweeping_leaves_one_generation_and_what_is_not_ours),
        TEST_CASE(test_what_cannot_be_swept_is_named),
        TEST_CASE(test_free_bytes_are_told),
        TEST_CASE(test_a_stopped_folder_is_locked_and_not_changed),
        TEST_CASE(test_the_names_of_trees_are_told_from_others),
        TEST_END,
    };

    return test_main("data_folder", cases, argc, argv);
}
