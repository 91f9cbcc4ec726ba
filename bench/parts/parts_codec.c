#include "bench/parts/parts.h"
#include "server/state/command.h"

#include <stdio.h>
#include <string.h>

enum { STAMP_BYTES = 8 };

static void unpack(struct buffer *entry, struct arena *arena)
{
    Record__Command *command;
    struct bytes bytes = bytes_of(entry->data + STAMP_BYTES, entry->size - STAMP_BYTES);

    if (command_decode(bytes, arena, &command) != OP_OK) {
        parts_die("a command cannot be unpacked", "");
    }
    arena_reset(arena);
}

int parts_codec(const char *what, uint64_t count)
{
    bool packs = strcmp(what, "pack") == 0;
    struct buffer entry = {.size = 0};
    struct arena arena;

    if (!packs && strcmp(what, "unpack") != 0) {
        parts_die("codec does pack or unpack, not ", what);
    }
    arena_init(&arena);
    parts_put_entry(&entry, RECORD__OPERATION__KIND_SET, 0);
    for (uint64_t i = 0; i < count; i++) {
        if (packs) {
            buffer_clear(&entry);
            parts_put_entry(&entry, RECORD__OPERATION__KIND_SET, i);
        } else {
            unpack(&entry, &arena);
        }
    }
    (void)printf("{\"op\":\"codec %s\",\"count\":%llu,\"bytes\":%zu}\n", what,
                 (unsigned long long)count, entry.size);
    arena_release(&arena);
    buffer_release(&entry);
    return 0;
}
