#include "tests/power_cut/image.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/prng.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SECTOR_BYTES = 512,
    PAGE_BYTES = 4096,
    NAMES_MAX = 512,
    PENDING_NAMES_MAX = 4096,
    PATH_BYTES_MAX = 8192
};

/* One file. The length of `cache` is that of the file for those who read it now. */
struct file {
    struct buffer durable;
    struct buffer cache; /* when the first of `pending` came */
    size_t *pending;     /* events since the last sync */
    size_t pending_count;
    size_t pending_capacity;
};

struct name {
    int folder; /* -1 = unused */
    int node;
    bool is_folder;
    char text[TAPE_NAME_BYTES_MAX];
};

struct names {
    struct name items[NAMES_MAX];
    size_t count;
};

struct image {
    struct prng prng;
    size_t position;
    struct file *files; /* by node */
    size_t file_count;
    struct names durable;
    size_t pending[PENDING_NAMES_MAX]; /* events that change names and are not synced */
    size_t pending_count;
    uint64_t done;
    uint64_t begun;
};

enum { SURVIVES_SELDOM = 0, SURVIVES_MOSTLY = 4, SURVIVES = 5 };

/* How much survives: nothing that need not, up to all. */
struct mood {
    struct prng prng;
    unsigned
        survival; /* of each thing so many chances in four; SURVIVES = the last of its states */
    bool names_in_order; /* a prefix of the changes of names survives, as with a journal */
};

struct image *image_new(uint64_t seed)
{
    struct image *image = xcalloc(1, sizeof *image);

    prng_init(&image->prng, seed);
    return image;
}

void image_free(struct image *image)
{
    if (image == NULL) {
        return;
    }
    for (size_t i = 0; i < image->file_count; i++) {
        buffer_release(&image->files[i].durable);
        buffer_release(&image->files[i].cache);
        free(image->files[i].pending);
    }
    free(image->files);
    free(image);
}

uint64_t image_done(const struct image *image)
{
    return image->done;
}

uint64_t image_begun(const struct image *image)
{
    return image->begun;
}

/* --- The contents of a file --- */

static void resize(struct buffer *buffer, size_t size)
{
    if (size > buffer->size) {
        size_t old = buffer->size;

        memset(buffer_extend(buffer, size - old), 0, size - old);
    }
    buffer->size = size;
}

static void apply(struct buffer *cache, const struct tape_event *event)
{
    if (event->kind == TAPE_RESIZE) {
        resize(cache, (size_t)event->size);
        return;
    }
    if (event->offset + event->size > cache->size) {
        resize(cache, (size_t)(event->offset + event->size));
    }
    memcpy(cache->data + event->offset, event->data, (size_t)event->size);
}

/* The sectors that an event changes in a file of `size` bytes: [first, end). */
static void
sectors_of(const struct tape_event *event, size_t size, size_t *ret_first, size_t *ret_end)
{
    uint64_t from = event->kind == TAPE_WRITE ? event->offset : event->size;
    uint64_t to = event->kind == TAPE_WRITE ? event->offset + event->size : size;

    *ret_first = (size_t)(from / SECTOR_BYTES);
    *ret_end = to <= from ? *ret_first : (size_t)((to + SECTOR_BYTES - 1) / SECTOR_BYTES);
}

static size_t largest_size(const struct file *file)
{
    size_t size = file->cache.size > file->durable.size ? file->cache.size : file->durable.size;

    for (size_t i = 0; i < file->pending_count; i++) {
        const struct tape_event *event = tape_at(file->pending[i]);
        size_t end = (size_t)(event->offset + event->size);

        size = end > size ? end : size;
    }
    return size;
}

/* Which of the states a thing had survives: 0 is the durable one, `count` the last. */
static unsigned choose(struct mood *mood, unsigned forced, unsigned count)
{
    if (mood->survival == SURVIVES) {
        return count;
    }
    if (count == forced || prng_below(&mood->prng, SURVIVES_MOSTLY) >= mood->survival) {
        return forced;
    }
    return prng_below(&mood->prng, 2) == 0 ? count
                                           : (unsigned)prng_between(&mood->prng, forced, count);
}

/* For each sector the number of states since the last sync, and the state that must survive. */
struct states {
    unsigned *counts;
    unsigned *chosen;
    size_t count;
    unsigned size_chosen;
};

static void count_states(const struct file *file, struct states *states, struct mood *mood)
{
    size_t size = file->cache.size;
    unsigned size_forced = 0;

    for (size_t i = 0; i < file->pending_count; i++) {
        const struct tape_event *event = tape_at(file->pending[i]);
        size_t first;
        size_t end;

        sectors_of(event, size, &first, &end);
        for (size_t sector = first; sector < end && sector < states->count; sector++) {
            states->counts[sector]++;
            if (event->forced) {
                states->chosen[sector] = states->counts[sector];
            }
        }
        if (event->kind == TAPE_RESIZE) {
            size = (size_t)event->size;
        } else if (event->offset + event->size > size) {
            size = (size_t)(event->offset + event->size);
        }
        size_forced = event->forced ? (unsigned)i + 1 : size_forced;
    }
    for (size_t sector = 0; sector < states->count; sector++) {
        states->chosen[sector] = choose(mood, states->chosen[sector], states->counts[sector]);
        states->counts[sector] = 0;
    }
    states->size_chosen = choose(mood, size_forced, (unsigned)file->pending_count);
}

static void keep_sectors(const struct buffer *cache,
                         const struct tape_event *event,
                         size_t size_before,
                         struct states *states,
                         struct buffer *result)
{
    size_t first;
    size_t end;

    sectors_of(event, size_before, &first, &end);
    for (size_t sector = first; sector < end && sector < states->count; sector++) {
        size_t at = sector * SECTOR_BYTES;
        size_t rest = at < cache->size ? cache->size - at : 0;

        if (++states->counts[sector] == states->chosen[sector]) {
            memset(result->data + at, 0, SECTOR_BYTES);
            if (rest > 0) {
                memcpy(result->data + at, cache->data + at,
                       rest < SECTOR_BYTES ? rest : SECTOR_BYTES);
            }
        }
    }
}

/* What survives of a file, into an empty buffer. */
static void survive(const struct file *file, struct mood *mood, struct buffer *result)
{
    struct buffer cache = BUFFER_INIT;
    struct states states = {.count = (largest_size(file) + SECTOR_BYTES - 1) / SECTOR_BYTES};
    size_t size = file->durable.size;

    states.counts = xcalloc(states.count, sizeof *states.counts);
    states.chosen = xcalloc(states.count, sizeof *states.chosen);
    count_states(file, &states, mood);
    buffer_put(&cache, buffer_lend(&file->cache));
    buffer_put(result, buffer_lend(&file->durable));
    resize(result, states.count * SECTOR_BYTES);
    for (size_t i = 0; i < file->pending_count; i++) {
        const struct tape_event *event = tape_at(file->pending[i]);
        size_t size_before = cache.size;

        apply(&cache, event);
        keep_sectors(&cache, event, size_before, &states, result);
        if (i + 1 == states.size_chosen) {
            size = cache.size;
        }
    }
    resize(result, size);
    buffer_release(&cache);
    free(states.counts);
    free(states.chosen);
}

static struct file *file_of(struct image *image, int node)
{
    size_t wanted = (size_t)node + 1;

    if (wanted > image->file_count) {
        image->files = xrealloc(image->files, wanted * sizeof *image->files);
        memset(image->files + image->file_count, 0,
               (wanted - image->file_count) * sizeof *image->files);
        image->file_count = wanted;
    }
    return &image->files[node];
}

static void add_pending(struct file *file, size_t position)
{
    if (file->pending_count == file->pending_capacity) {
        file->pending_capacity = file->pending_capacity == 0 ? 16 : 2 * file->pending_capacity;
        file->pending = xrealloc(file->pending, file->pending_capacity * sizeof *file->pending);
    }
    file->pending[file->pending_count++] = position;
}

/* A sync with this outcome: what it left is durable, and the rest counts as written. What it lost
 * comes to the disk only when somebody writes it again. */
static void settle(struct file *file, struct mood *mood)
{
    struct buffer result = BUFFER_INIT;

    survive(file, mood, &result);
    buffer_release(&file->durable);
    file->durable = result;
    for (size_t i = 0; i < file->pending_count; i++) {
        apply(&file->cache, tape_at(file->pending[i]));
    }
    file->pending_count = 0;
}

/* --- Names --- */

static struct name *find_name(struct names *names, int folder, const char *text)
{
    for (size_t i = 0; i < names->count; i++) {
        struct name *name = &names->items[i];

        if (name->folder == folder && strcmp(name->text, text) == 0) {
            return name;
        }
    }
    return NULL;
}

static void put_name(struct names *names, int folder, const char *text, int node, bool is_folder)
{
    struct name *name = find_name(names, folder, text);

    for (size_t i = 0; name == NULL && i < names->count; i++) {
        name = names->items[i].folder < 0 ? &names->items[i] : NULL;
    }
    if (name == NULL) {
        CHECK_OP(names->count, <, NAMES_MAX);
        name = &names->items[names->count++];
    }
    *name = (struct name){.folder = folder, .node = node, .is_folder = is_folder};
    memcpy(name->text, text, strlen(text) + 1);
}

/* Also what was in a folder: it was empty when it was removed. */
static void remove_name(struct names *names, struct name *name)
{
    for (size_t i = 0; name->is_folder && i < names->count; i++) {
        if (names->items[i].folder == name->node) {
            names->items[i].folder = -1;
        }
    }
    name->folder = -1;
}

/* Do what the event says, if what survived before it allows that. */
static void change_names(struct names *names, const struct tape_event *event)
{
    struct name *name = find_name(names, event->folder, event->name);

    if (event->kind == TAPE_MAKE) {
        if (name == NULL || name->node == event->node) {
            put_name(names, event->folder, event->name, event->node, event->is_folder);
        }
        return;
    }
    if (name == NULL || name->node != event->node) {
        return;
    }
    if (event->kind == TAPE_RENAME) {
        bool is_folder = name->is_folder;

        name->folder = -1;
        put_name(names, event->new_folder, event->new_name, event->node, is_folder);
    } else {
        remove_name(names, name);
    }
}

static void sync_folder(struct image *image, int folder)
{
    size_t kept = 0;

    for (size_t i = 0; i < image->pending_count; i++) {
        const struct tape_event *event = tape_at(image->pending[i]);

        if (event->folder == folder ||
            (event->kind == TAPE_RENAME && event->new_folder == folder)) {
            change_names(&image->durable, event);
        } else {
            image->pending[kept++] = image->pending[i];
        }
    }
    image->pending_count = kept;
}

static void survive_names(const struct image *image, struct mood *mood, struct names *names)
{
    size_t count = image->pending_count;

    *names = image->durable;
    if (mood->names_in_order) {
        count = choose(mood, 0, (unsigned)count);
    }
    for (size_t i = 0; i < count; i++) {
        if (mood->names_in_order || choose(mood, 0, 1) == 1) {
            change_names(names, tape_at(image->pending[i]));
        }
    }
}

/* --- Along the tape --- */

static void take(struct image *image, size_t position)
{
    const struct tape_event *event = tape_at(position);
    struct mood mood = {.survival = SURVIVES};

    switch (event->kind) {
    case TAPE_WRITE:
    case TAPE_RESIZE:
        add_pending(file_of(image, event->node), position);
        break;
    case TAPE_SYNC:
        settle(file_of(image, event->node), &mood);
        break;
    case TAPE_FAILED_SYNC:
        prng_init(&mood.prng, prng_next(&image->prng));
        mood.survival = (unsigned)prng_below(&image->prng, SURVIVES + 1);
        settle(file_of(image, event->node), &mood);
        break;
    case TAPE_MAKE:
        (void)file_of(image, event->node);
        /* fallthrough */
    case TAPE_REMOVE:
    case TAPE_RENAME:
        CHECK_OP(image->pending_count, <, PENDING_NAMES_MAX);
        image->pending[image->pending_count++] = position;
        break;
    case TAPE_SYNC_FOLDER:
        sync_folder(image, event->node);
        break;
    case TAPE_FAILED_WRITE:
        break;
    case TAPE_BEGIN:
        image->begun = event->number;
        break;
    case TAPE_DONE:
        image->done = event->number;
        break;
    }
}

void image_advance(struct image *image, size_t count)
{
    CHECK_OP(image->position, <=, count);
    while (image->position < count) {
        take(image, image->position++);
    }
}

/* --- To the disk --- */

static void write_file(const char *path, const struct buffer *contents)
{
    static const uint8_t zeros[PAGE_BYTES];
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    CHECK(file >= 0 && ftruncate(file, (off_t)contents->size) == 0);
    for (size_t at = 0; at < contents->size; at += PAGE_BYTES) {
        size_t rest = contents->size - at;
        size_t size = rest < PAGE_BYTES ? rest : PAGE_BYTES;

        if (memcmp(contents->data + at, zeros, size) != 0) {
            CHECK(pwrite(file, contents->data + at, size, (off_t)at) == (ssize_t)size);
        }
    }
    (void)close(file);
}

static void write_folder(const struct image *image,
                         const struct names *names,
                         int folder,
                         const char *path,
                         struct mood *mood)
{
    char below[PATH_BYTES_MAX];

    CHECK(mkdir(path, 0700) == 0);
    for (size_t i = 0; i < names->count; i++) {
        const struct name *name = &names->items[i];
        struct buffer contents = BUFFER_INIT;

        if (name->folder != folder) {
            continue;
        }
        CHECK(snprintf(below, sizeof below, "%s/%s", path, name->text) < (int)sizeof below);
        if (name->is_folder) {
            write_folder(image, names, name->node, below, mood);
            continue;
        }
        survive(&image->files[name->node], mood, &contents);
        /* Written through a map: anything may stand there. */
        if (strcmp(name->text, "lock.mdb") == 0) {
            for (size_t at = 0; at < contents.size; at++) {
                contents.data[at] = (uint8_t)prng_next(&mood->prng);
            }
        }
        write_file(below, &contents);
        buffer_release(&contents);
    }
}

void image_write(const struct image *image, uint64_t seed, const char *folder)
{
    struct mood mood;
    struct names names;

    prng_init(&mood.prng, seed);
    mood.survival = (unsigned)prng_below(&mood.prng, SURVIVES + 1);
    mood.names_in_order = prng_below(&mood.prng, 2) == 0;
    if (seed == IMAGE_WHOLE) {
        mood.survival = SURVIVES;
        mood.names_in_order = true;
    }
    survive_names(image, &mood, &names);
    write_folder(image, &names, TAPE_ROOT, folder, &mood);
}
