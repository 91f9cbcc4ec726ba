#include "tests/support/damage.h"

#include "base/alloc.h"
#include "base/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

size_t damage_file_bytes(const char *path)
{
    struct stat info;

    CHECK(stat(path, &info) == 0);
    return (size_t)info.st_size;
}

uint8_t *damage_read(const char *path, size_t *ret_bytes)
{
    size_t bytes = damage_file_bytes(path);
    uint8_t *data = xmalloc(bytes);
    int file = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(file >= 0 && read(file, data, bytes) == (ssize_t)bytes);
    (void)close(file);
    *ret_bytes = bytes;
    return data;
}

void damage_write(const char *path, size_t offset, struct bytes bytes)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    CHECK(file >= 0);
    CHECK(pwrite(file, bytes.data, bytes.size, (off_t)offset) == (ssize_t)bytes.size);
    (void)close(file);
}

void damage_flip_at(const char *path, size_t offset)
{
    size_t bytes;
    uint8_t *data = damage_read(path, &bytes);

    CHECK_OP(offset, <, bytes);
    data[offset] ^= 4;
    damage_write(path, offset, bytes_of(data + offset, 1));
    free(data);
}

size_t damage_flip(const char *path, struct bytes content)
{
    size_t bytes;
    uint8_t *data = damage_read(path, &bytes);
    size_t count = 0;

    CHECK_OP(content.size, >, 0);
    for (uint8_t *at = data;
         (at = memmem(at, bytes - (size_t)(at - data), content.data, content.size)) != NULL;
         at += content.size) {
        size_t offset = (size_t)(at - data) + content.size / 2;
        uint8_t flipped = data[offset] ^ 4;

        damage_write(path, offset, bytes_of(&flipped, 1));
        count++;
    }
    free(data);
    return count;
}

void damage_truncate(const char *path, size_t bytes)
{
    CHECK(truncate(path, (off_t)bytes) == 0);
}
