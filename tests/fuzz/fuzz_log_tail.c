/* Bytes as the file of what a start saved of a log's end, or as the log's own file: they are taken
 * or refused with words. What is taken are entries that follow the log and each other, of terms
 * that the hard state knows. The first byte says which file it is, and the stamp record's stamp. */
#include "base/check.h"
#include "persistence/log_tail.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IS_SAVED = 1, INPUT_BYTES_MAX = 64 * 1024, PATH_BYTES = 128, LAST = 4, TERM = 3 };

struct place {
    char log[PATH_BYTES];
    char log_file[PATH_BYTES + 16];
    char tail_file[PATH_BYTES + 16];
};

static void make_folder(const char *path)
{
    CHECK(mkdir(path, 0700) == 0);
}

static const struct place *own_place(void)
{
    static struct place place;
    char folder[64];

    if (place.log[0] == '\0') {
        (void)snprintf(folder, sizeof folder, "%s/confer-fuzz-log-XXXXXX",
                       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        CHECK(mkdtemp(folder) != NULL);
        (void)snprintf(place.log, sizeof place.log, "%s/log", folder);
        make_folder(place.log);
        (void)snprintf(place.tail_file, sizeof place.tail_file, "%s-tail", place.log);
        make_folder(place.tail_file);
        (void)snprintf(place.log_file, sizeof place.log_file, "%s/data.mdb", place.log);
        (void)snprintf(place.tail_file, sizeof place.tail_file, "%s-tail/data.mdb", place.log);
    }
    return &place;
}

static void write_file(const char *path, const uint8_t *data, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(file >= 0 && write(file, data, size) == (ssize_t)size);
    (void)close(file);
}

static void check_tail(const struct log_tail *tail, const struct log_state *state)
{
    raft_term term = 0;

    for (size_t i = 0; i < tail->count; i++) {
        const struct log_entry *entry = &tail->entries[i];

        CHECK_OP(entry->index, ==, state->last + 1 + i);
        CHECK(entry->term >= term && entry->term <= state->term);
        CHECK(entry->payload.data >= tail->payloads.data &&
              entry->payload.data + entry->payload.size <=
                  tail->payloads.data + tail->payloads.size);
        term = entry->term;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct log_state state = {.term = TERM, .base = 1, .base_term = 1, .last = LAST};
    const struct place *place = own_place();
    struct error error = {.status = STATUS_OK};
    struct log_tail tail;
    bool is_saved;
    enum status status;

    if (size < 1 || size > INPUT_BYTES_MAX) {
        return 0;
    }
    is_saved = (data[0] & IS_SAVED) != 0;
    (void)unlink(place->tail_file);
    (void)unlink(place->log_file);
    write_file(is_saved ? place->tail_file : place->log_file, data + 1, size - 1);
    status = log_tail_find(place->log, &state, data[0] >> 1, &tail, &error);
    if (status == STATUS_OK) {
        CHECK(tail.is_saved == is_saved || tail.count == 0);
        check_tail(&tail, &state);
    } else {
        CHECK(error.text[0] != '\0');
    }
    log_tail_release(&tail);
    return 0;
}
