/* Power cuts, failing calls and damaged files under the real stores.
 *
 *     power_cut [--images N] [--seconds S] [--seed N]     stories, and images of power cuts in them
 *     power_cut --faults [--runs N] [--seconds S] [--seed N]
 *                                                         stories in which one call fails
 *     power_cut --flips N [--seconds S] [--seed N]        stories, and flipped bits after them
 *     power_cut --story SEED [--fault SPEC] [--cut N --image SEED | --flip SEED]
 *                                                         one of these again; its folders are kept
 *
 * Ends 0 when all was right, 1 when something was wrong, 2 on wrong usage. */
#include "base/check.h"
#include "base/prng.h"
#include "tests/power_cut/image.h"
#include "tests/power_cut/stores.h"
#include "tests/power_cut/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STEPS = 40,
    IMAGES_PER_STORY = 25,
    IMAGES_PER_FAULT = 2,
    FLIPS_PER_STORY = 60,
    FILES_MAX = 64,
    PAGE_BYTES = 4096,
    META_PAGES = 2,
    META_END = 152, /* of what LMDB reads in a meta page */
    STORY_SECONDS_MAX = 120,
    EXIT_WRONG = 1,
    EXIT_USAGE = 2
};

struct fault {
    const char *name;
    enum tape_fault kind;
    int error_number;
    uint64_t count;
};

/* A sync that failed, a device that is gone, a full disk, and the last bytes of one. */
static const struct fault faults[] = {
    {"io", TAPE_FAULT_REFUSED, EIO, 1},
    {"io-done", TAPE_FAULT_DONE, EIO, 1},
    {"io-ever", TAPE_FAULT_REFUSED, EIO, UINT64_MAX},
    {"full", TAPE_FAULT_REFUSED, ENOSPC, 1},
    {"full-ever", TAPE_FAULT_REFUSED, ENOSPC, UINT64_MAX},
    {"short", TAPE_FAULT_SHORT, ENOSPC, 1},
};

enum { FAULT_COUNT = sizeof faults / sizeof faults[0] };

struct options {
    bool faults;
    bool one;
    uint64_t seed;
    uint64_t images;
    uint64_t runs;
    uint64_t seconds;
    const struct fault *fault;
    uint64_t call; /* the one that fails */
    bool has_cut;
    uint64_t cut;
    uint64_t image_seed;
    uint64_t flips;
    bool has_flip;
    uint64_t flip_seed;
};

/* One story, as it goes on in a process of its own; shared with the one that waits. */
struct run {
    uint64_t seed;
    const struct fault *fault; /* NULL = none */
    uint64_t call;
    uint64_t images_wanted;
    uint64_t flips_wanted;
    bool has_cut;
    bool has_flip;
    bool keep;
    /* Out. */
    uint64_t calls;
    uint64_t events;
    uint64_t images;
    bool has_failed; /* the fault came */
    bool in_image;
    uint64_t cut;
    uint64_t image_seed;
    bool in_flip;
    uint64_t flips;
    uint64_t flips_named;
    uint64_t flip_seed;
    char flipped[128]; /* where */
    bool is_right;
    char failed_call[32];
    char folder[PATH_MAX];
    char text[STORES_TEXT_BYTES_MAX];
};

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_tree(const char *path)
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

static void below(const char *folder, const char *name, char path[PATH_MAX + 16])
{
    (void)snprintf(path, PATH_MAX + 16, "%s/%s", folder, name);
}

/* --- One story, in the process made for it --- */

/* Had folder `node` the name that `text` gives to what is damaged? */
static bool is_named_damaged(int node, const char *text)
{
    for (size_t i = 0; i < tape_count(); i++) {
        const struct tape_event *event = tape_at(i);
        const char *name = event->kind == TAPE_MAKE     ? event->name
                           : event->kind == TAPE_RENAME ? event->new_name
                                                        : NULL;
        char words[TAPE_NAME_BYTES_MAX + 32];

        if (name != NULL && event->node == node) {
            (void)snprintf(words, sizeof words, "/%s/data.mdb is damaged", name);
            if (strstr(text, words) != NULL) {
                return true;
            }
        }
    }
    return false;
}

static int folder_of(int node)
{
    for (size_t i = 0; i < tape_count(); i++) {
        const struct tape_event *event = tape_at(i);

        if (event->kind == TAPE_MAKE && event->node == node) {
            return strcmp(event->name, "data.mdb") == 0 ? event->folder : -1;
        }
    }
    return -1;
}

/* LMDB writes what it uses of a meta page, without the head; others write from the page's start. */
static bool is_commit(const struct tape_event *event)
{
    return event->offset < (uint64_t)META_PAGES * PAGE_BYTES && event->offset % PAGE_BYTES != 0;
}

/* LMDB commits with one write, of a part of one sector; and if that fails it writes the old number
 * into the new page, before it can be put back whole. A kernel that did half of it, for a process
 * that ended then, and a power cut just then leave a page that says two things at once: that this
 * is named is all there is to ask. So it is of the file in which such a write failed, until its
 * next sync. */
static bool is_half_a_commit(const struct run *run)
{
    bool is_expected = false;

    if (strstr(run->text, "a meta page is of transaction") == NULL &&
        strstr(run->text, "the list of free pages is at page") == NULL) {
        return false;
    }
    for (size_t i = 0; i < run->cut; i++) {
        const struct tape_event *event = tape_at(i);
        int folder = folder_of(event->node);

        if (folder >= 0 && is_named_damaged(folder, run->text)) {
            if (event->kind == TAPE_FAILED_WRITE && is_commit(event)) {
                is_expected = true;
            } else if (event->kind == TAPE_SYNC) {
                is_expected = false;
            }
        }
    }
    return is_expected;
}

static void judge_image(struct run *run, const struct stores *stores, const struct image *image)
{
    char path[PATH_MAX + 16];

    below(run->folder, "image", path);
    image_write(image, run->image_seed, path);
    run->is_right = stores_judge(stores, path, image_done(image), image_begun(image), run->text) ||
                    is_half_a_commit(run);
    run->images++;
    if (!run->keep) {
        remove_tree(path);
    }
}

static int compare_cuts(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

/* Cut anywhere, more often where something is under way than where all is settled: most events lie
 * there anyway. */
static void judge_images(struct run *run, const struct stores *stores)
{
    struct image *image = image_new(run->seed);
    uint64_t cuts[IMAGES_PER_STORY];
    struct prng prng;

    prng_init(&prng, run->seed ^ run->call << 20);
    if (run->has_cut) {
        run->images_wanted = 1;
        cuts[0] = run->cut < tape_count() ? run->cut : tape_count();
    } else {
        CHECK_OP(run->images_wanted, <=, (uint64_t)IMAGES_PER_STORY);
        for (uint64_t i = 0; i < run->images_wanted; i++) {
            cuts[i] = prng_below(&prng, tape_count() + 1);
        }
        qsort(cuts, (size_t)run->images_wanted, sizeof cuts[0], compare_cuts);
    }
    run->in_image = run->images_wanted > 0;
    for (uint64_t i = 0; run->is_right && i < run->images_wanted; i++) {
        run->cut = cuts[i];
        if (!run->has_cut) {
            run->image_seed = prng_next(&prng) % 1000000;
        }
        image_advance(image, (size_t)cuts[i]);
        judge_image(run, stores, image);
    }
    image_free(image);
}

/* --- Flipped bits --- */

struct file {
    char path[PATH_MAX];
    uint64_t bytes;
};

static struct {
    struct file items[FILES_MAX];
    size_t count;
} files;

static int add_file(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)walk;
    if (kind == FTW_F && info->st_size > 0 && files.count < FILES_MAX) {
        struct file *file = &files.items[files.count++];

        (void)snprintf(file->path, sizeof file->path, "%s", path);
        file->bytes = (uint64_t)info->st_size;
    }
    return 0;
}

/* Mostly one of LMDB's, which hold everything. */
static const struct file *draw_file(struct prng *prng)
{
    bool wants_data = prng_below(prng, 8) != 0;
    const struct file *file;

    do {
        file = &files.items[prng_below(prng, files.count)];
    } while (wants_data && strstr(file->path, "data.mdb") == NULL);
    return file;
}

/* Anywhere, or where a flip does the most harm: in a meta page, or in the head of a page. */
static uint64_t draw_offset(struct prng *prng, const struct file *file)
{
    uint64_t offset = prng_below(prng, file->bytes);

    switch (prng_below(prng, 4)) {
    case 0:
        offset = prng_below(prng, 2) * PAGE_BYTES + prng_below(prng, META_END);
        break;
    case 1:
        offset = offset / PAGE_BYTES * PAGE_BYTES + prng_below(prng, 64);
        break;
    default:
        break;
    }
    return offset < file->bytes ? offset : file->bytes - 1;
}

static void flip(struct run *run, const char *folder)
{
    struct prng prng;
    const struct file *file;
    uint64_t offset;
    uint8_t byte;
    uint8_t bit;
    int descriptor;

    prng_init(&prng, run->flip_seed);
    files.count = 0;
    CHECK(nftw(folder, add_file, 16, FTW_PHYS) == 0 && files.count > 0);
    file = draw_file(&prng);
    offset = draw_offset(&prng, file);
    bit = (uint8_t)prng_below(&prng, 8);
    descriptor = open(file->path, O_RDWR | O_CLOEXEC);
    CHECK(descriptor >= 0 && pread(descriptor, &byte, 1, (off_t)offset) == 1);
    byte ^= (uint8_t)(1U << bit);
    CHECK(pwrite(descriptor, &byte, 1, (off_t)offset) == 1);
    (void)close(descriptor);
    (void)snprintf(run->flipped, sizeof run->flipped, "bit %d of byte %" PRIu64 " of %.80s", bit,
                   offset, file->path + strlen(folder) + 1);
}

static void judge_flips(struct run *run, const struct stores *stores)
{
    struct image *image = image_new(run->seed);
    char path[PATH_MAX + 16];
    struct prng prng;

    prng_init(&prng, run->seed);
    below(run->folder, "damaged", path);
    image_advance(image, tape_count());
    run->in_flip = run->flips_wanted > 0;
    for (uint64_t i = 0; run->is_right && i < run->flips_wanted; i++) {
        bool is_named = false;

        if (!run->has_flip) {
            run->flip_seed = prng_next(&prng) % 1000000;
        }
        image_write(image, IMAGE_WHOLE, path);
        flip(run, path);
        run->is_right = stores_judge_damaged(stores, path, &is_named, run->text);
        run->flips++;
        run->flips_named += is_named;
        if (!run->keep) {
            remove_tree(path);
        }
    }
    image_free(image);
}

static void play(struct run *run)
{
    char folder[PATH_MAX + 16];
    char scratch[PATH_MAX + 16];
    struct stores *stores;
    const char *name;

    below(run->folder, "data", folder);
    below(run->folder, "elsewhere", scratch);
    CHECK(mkdir(folder, 0700) == 0 && mkdir(scratch, 0700) == 0);
    tape_start(folder);
    if (run->fault != NULL) {
        tape_fail(run->call, run->fault->count, run->fault->kind, run->fault->error_number);
    }
    run->is_right = stores_play(folder, scratch, run->seed, STEPS, &stores, run->text);
    tape_stop();
    run->has_failed = run->fault != NULL && tape_calls() > run->call;
    run->calls = tape_calls();
    run->events = tape_count();
    (void)tape_failed(&name);
    if (name != NULL) {
        (void)snprintf(run->failed_call, sizeof run->failed_call, "%s", name);
    }
    if (run->is_right) {
        judge_images(run, stores);
    }
    if (run->is_right) {
        judge_flips(run, stores);
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
    (void)printf("wrong: %s\n  again: power_cut --story %" PRIu64, run->text, run->seed);
    if (run->fault != NULL) {
        (void)printf(" --fault %s:%" PRIu64, run->fault->name, run->call);
    }
    if (run->in_flip) {
        (void)printf(" --flip %" PRIu64 " (%s)", run->flip_seed, run->flipped);
    } else if (run->in_image) {
        (void)printf(" --cut %" PRIu64 " --image %" PRIu64, run->cut, run->image_seed);
    }
    (void)printf("\n");
}

/* False: something was wrong, and it was told. */
static bool perform(struct run *run)
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
        remove_tree(run->folder);
    }
    return is_right;
}

static struct run *new_run(uint64_t seed)
{
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(run != MAP_FAILED);
    run->seed = seed;
    return run;
}

static void free_run(struct run *run)
{
    (void)munmap(run, sizeof *run);
}

static uint64_t clock_seconds(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec;
}

static int perform_cuts(const struct options *options)
{
    uint64_t end = options->seconds == 0 ? UINT64_MAX : clock_seconds() + options->seconds;
    uint64_t stories = 0;
    uint64_t images = 0;
    uint64_t events = 0;
    bool is_right = true;

    while (is_right && images < options->images && clock_seconds() < end) {
        struct run *run = new_run(options->seed + stories);

        run->images_wanted = IMAGES_PER_STORY;
        is_right = perform(run);
        stories++;
        images += run->images;
        events += run->events;
        free_run(run);
    }
    (void)printf("%" PRIu64 " stories of %d steps, %" PRIu64 " file operations; %" PRIu64
                 " images of power cuts: %s\n",
                 stories, (int)STEPS, events, images, is_right ? "all right" : "one is wrong");
    return is_right ? 0 : EXIT_WRONG;
}

static int perform_flips(const struct options *options)
{
    uint64_t end = options->seconds == 0 ? UINT64_MAX : clock_seconds() + options->seconds;
    uint64_t stories = 0;
    uint64_t flips = 0;
    uint64_t named = 0;
    bool is_right = true;

    while (is_right && flips < options->flips && clock_seconds() < end) {
        struct run *run = new_run(options->seed + stories);

        run->flips_wanted = FLIPS_PER_STORY;
        is_right = perform(run);
        stories++;
        flips += run->flips;
        named += run->flips_named;
        free_run(run);
    }
    (void)printf("%" PRIu64 " flipped bits after %" PRIu64 " stories: %" PRIu64
                 " were named, the others harmless: %s\n",
                 flips, stories, named, is_right ? "all right" : "one is wrong");
    return is_right ? 0 : EXIT_WRONG;
}

/* Each call of a story fails once in each way; with `runs`, that many of these, evenly spread. */
static int perform_faults(const struct options *options)
{
    uint64_t end = options->seconds == 0 ? UINT64_MAX : clock_seconds() + options->seconds;
    uint64_t done = 0;
    uint64_t failed = 0;
    uint64_t images = 0;
    uint64_t calls = 0;
    struct run *run = new_run(options->seed);
    bool is_right = perform(run);
    uint64_t runs = options->runs;

    calls = run->calls;
    if (runs == 0 || runs > calls * FAULT_COUNT) {
        runs = calls * FAULT_COUNT;
    }
    free_run(run);
    while (is_right && clock_seconds() < end) {
        uint64_t choice = done * (calls * FAULT_COUNT) / runs;

        if (done == runs) {
            break;
        }
        run = new_run(options->seed);
        run->fault = &faults[choice % FAULT_COUNT];
        run->call = choice / FAULT_COUNT;
        run->images_wanted = IMAGES_PER_FAULT;
        is_right = perform(run);
        done++;
        failed += run->has_failed;
        images += run->images;
        free_run(run);
    }
    (void)printf("a story of %" PRIu64 " calls, played %" PRIu64
                 " times with one of them failing (%" PRIu64 " times it did), and %" PRIu64
                 " images of power cuts after it: %s\n",
                 calls, done, failed, images, is_right ? "all right" : "one is wrong");
    return is_right ? 0 : EXIT_WRONG;
}

static int perform_one(const struct options *options)
{
    struct run *run = new_run(options->seed);
    bool is_right;

    run->fault = options->fault;
    run->call = options->call;
    run->has_cut = options->has_cut;
    run->cut = options->cut;
    run->image_seed = options->image_seed;
    run->has_flip = options->has_flip;
    run->flips_wanted = options->has_flip ? 1 : 0;
    run->flip_seed = options->flip_seed;
    run->keep = true;
    is_right = perform(run);
    (void)printf("%s\n", is_right ? "all right" : "wrong");
    free_run(run);
    return is_right ? 0 : EXIT_WRONG;
}

/* --- Usage --- */

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/* NAME:CALL */
static bool parse_fault(const char *text, struct options *options)
{
    const char *colon = strchr(text, ':');

    for (size_t i = 0; colon != NULL && i < FAULT_COUNT; i++) {
        if (strlen(faults[i].name) == (size_t)(colon - text) &&
            strncmp(faults[i].name, text, (size_t)(colon - text)) == 0) {
            options->fault = &faults[i];
            return parse_number(colon + 1, &options->call);
        }
    }
    return false;
}

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {
        {"images", required_argument, NULL, 'i'}, {"seconds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'S'},   {"faults", no_argument, NULL, 'f'},
        {"runs", required_argument, NULL, 'r'},   {"story", required_argument, NULL, 'o'},
        {"fault", required_argument, NULL, 'F'},  {"cut", required_argument, NULL, 'c'},
        {"image", required_argument, NULL, 'I'},  {"flips", required_argument, NULL, 'p'},
        {"flip", required_argument, NULL, 'P'},   {NULL, 0, NULL, 0}};
    bool is_right = true;
    int option;

    while (is_right && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'i':
            is_right = parse_number(optarg, &options->images);
            break;
        case 's':
            is_right = parse_number(optarg, &options->seconds);
            break;
        case 'S':
            is_right = parse_number(optarg, &options->seed);
            break;
        case 'f':
            options->faults = true;
            break;
        case 'r':
            is_right = parse_number(optarg, &options->runs);
            break;
        case 'o':
            options->one = true;
            is_right = parse_number(optarg, &options->seed);
            break;
        case 'F':
            is_right = parse_fault(optarg, options);
            break;
        case 'c':
            options->has_cut = true;
            is_right = parse_number(optarg, &options->cut);
            break;
        case 'I':
            is_right = parse_number(optarg, &options->image_seed);
            break;
        case 'p':
            is_right = parse_number(optarg, &options->flips);
            break;
        case 'P':
            options->has_flip = true;
            is_right = parse_number(optarg, &options->flip_seed);
            break;
        default:
            is_right = false;
        }
    }
    return is_right && optind == argc;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1, .images = UINT64_MAX};

    if (!parse(argc, argv, &options) || (!options.one && !options.faults && options.flips == 0 &&
                                         options.seconds == 0 && options.images == UINT64_MAX)) {
        (void)fprintf(stderr, "usage: power_cut --images N | --seconds S [--seed N]\n"
                              "       power_cut --faults [--runs N] [--seconds S] [--seed N]\n"
                              "       power_cut --flips N [--seconds S] [--seed N]\n"
                              "       power_cut --story SEED [--fault NAME:CALL] [--cut N --image "
                              "SEED | --flip SEED]\n");
        return EXIT_USAGE;
    }
    if (options.one) {
        return perform_one(&options);
    }
    if (options.flips > 0) {
        return perform_flips(&options);
    }
    return options.faults ? perform_faults(&options) : perform_cuts(&options);
}
