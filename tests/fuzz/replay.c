/* Feeds one decoder with every file of its corpus and with mutations of them: always the same ones,
 * so that a failure in a test is a failure at a desk too.
 *
 *     replay_NAME CORPUS-FOLDER COUNT [SEED]
 *
 * The input that ends the process is written to the working folder, and its file named. */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/prng.h"
#include "base/quantity.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEEDS_MAX = 4096, INPUT_BYTES_MAX = 1 << 20, MUTANT_BYTES_MAX = 1 << 16, CHANGES_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Of the sanitizers' runtime, when there is one: what to call before the process ends. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static struct buffer seeds[SEEDS_MAX];
static size_t seed_count;
static struct bytes current;

/* Called from a signal's handler, so it only opens and writes. */
static void save_current(void)
{
    static const char saved[] = "the input is in the working folder, in fuzz-failure.bin\n";
    int file = open("fuzz-failure.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (file >= 0 && write(file, current.data, current.size) == (ssize_t)current.size) {
        (void)!write(STDERR_FILENO, saved, sizeof saved - 1);
    }
    if (file >= 0) {
        (void)close(file);
    }
}

static void on_signal(int number)
{
    save_current();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void run(struct bytes input)
{
    /* A copy of exact size on the heap, so that a sanitizer sees the first byte read too far. */
    uint8_t *copy = bytes_copy(input);

    current = bytes_of(copy, input.size);
    (void)LLVMFuzzerTestOneInput(copy, input.size);
    free(copy);
}

static void read_seed(const char *path)
{
    struct buffer seed = BUFFER_INIT;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (file < 0) {
        perror(path);
        exit(1);
    }
    do {
        size = read(file, buffer_extend(&seed, 65536), 65536);
        seed.size -= 65536 - (size > 0 ? (size_t)size : 0);
    } while (size > 0 && seed.size < INPUT_BYTES_MAX);
    (void)close(file);
    seeds[seed_count++] = seed;
}

/* In the order of names, as a folder's own order differs between machines. */
static void read_corpus(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char path[4096];

        if (entries[i]->d_name[0] != '.' && seed_count < SEEDS_MAX - 1) {
            (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
            read_seed(path);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    seeds[seed_count++] = (struct buffer)BUFFER_INIT;
}

static void insert(struct buffer *input, size_t at, struct bytes bytes)
{
    size_t behind = input->size - at;

    (void)buffer_extend(input, bytes.size);
    memmove(input->data + at + bytes.size, input->data + at, behind);
    if (bytes.size > 0) {
        memcpy(input->data + at, bytes.data, bytes.size);
    }
}

static void cut(struct buffer *input, size_t at, size_t size)
{
    memmove(input->data + at, input->data + at + size, input->size - at - size);
    input->size -= size;
}

static uint8_t telling_byte(struct prng *prng)
{
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, '/', 0x0a};

    return prng_below(prng, 2) == 0 ? telling[prng_below(prng, sizeof telling)]
                                    : (uint8_t)prng_next(prng);
}

static void change_once(struct buffer *input, struct prng *prng)
{
    size_t at = prng_below(prng, input->size + 1);
    size_t behind = input->size - at;
    const struct buffer *other = &seeds[prng_below(prng, seed_count)];
    uint8_t noise[16];

    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = telling_byte(prng);
    }
    switch (prng_below(prng, 6)) {
    case 0: /* flip a bit */
        if (behind > 0) {
            input->data[at] ^= (uint8_t)(1u << prng_below(prng, 8));
        }
        break;
    case 1: /* another byte */
        if (behind > 0) {
            input->data[at] = noise[0];
        }
        break;
    case 2:
        insert(input, at, bytes_of(noise, 1 + prng_below(prng, sizeof noise)));
        break;
    case 3:
        cut(input, at, prng_below(prng, behind + 1));
        break;
    case 4: /* the end of another seed */
        if (other->size > 0) {
            size_t from = prng_below(prng, other->size);

            input->size = at;
            insert(input, at, bytes_of(other->data + from, other->size - from));
        }
        break;
    default: /* say a piece twice */
        if (behind > 0) {
            struct bytes piece = bytes_of(input->data + at, 1 + prng_below(prng, behind));
            uint8_t *copy = bytes_copy(piece);

            insert(input, at, bytes_of(copy, piece.size));
            free(copy);
        }
    }
    input->size = input->size < MUTANT_BYTES_MAX ? input->size : MUTANT_BYTES_MAX;
}

static void run_mutants(uint64_t count, uint64_t seed)
{
    struct buffer mutant = BUFFER_INIT;
    struct prng prng;

    prng_init(&prng, seed);
    for (uint64_t i = 0; i < count; i++) {
        buffer_clear(&mutant);
        buffer_put(&mutant, buffer_lend(&seeds[prng_below(&prng, seed_count)]));
        (void)buffer_extend(&mutant, 0);
        for (uint64_t left = prng_between(&prng, 1, CHANGES_MAX); left > 0; left--) {
            change_once(&mutant, &prng);
        }
        run(buffer_lend(&mutant));
    }
    buffer_release(&mutant);
}

int main(int argc, char **argv)
{
    uint64_t count;
    uint64_t seed = 1;
    struct error error;

    if (argc < 3 || argc > 4 ||
        quantity_parse_count(argv[2], UINT64_MAX, &count, &error) != STATUS_OK ||
        (argc == 4 && quantity_parse_count(argv[3], UINT64_MAX, &seed, &error) != STATUS_OK)) {
        (void)fprintf(stderr, "usage: %s CORPUS-FOLDER COUNT [SEED]\n", argv[0]);
        return 2;
    }
    (void)signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(save_current);
    } else {
        (void)signal(SIGSEGV, on_signal);
    }
    read_corpus(argv[1]);
    for (size_t i = 0; i < seed_count; i++) {
        run(buffer_lend(&seeds[i]));
    }
    run_mutants(count, seed);
    (void)printf("%zu inputs of the corpus, %" PRIu64 " mutants of them from seed %" PRIu64 "\n",
                 seed_count, count, seed);
    for (size_t i = 0; i < seed_count; i++) {
        buffer_release(&seeds[i]);
    }
    return 0;
}
