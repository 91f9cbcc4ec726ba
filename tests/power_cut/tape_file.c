#include "tests/power_cut/tape_file.h"

#include "base/alloc.h"
#include "base/check.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

void tape_file_write(int file, const struct tape_event *event)
{
    const struct iovec parts[] = {
        {.iov_base = (void *)(uintptr_t)event, .iov_len = sizeof *event},
        {.iov_base = event->data, .iov_len = event->kind == TAPE_WRITE ? event->size : 0}};
    ssize_t size = (ssize_t)(parts[0].iov_len + parts[1].iov_len);

    CHECK(syscall(SYS_writev, file, parts, 2) == size);
}

static bool read_event(int file, struct tape_event *event)
{
    if (read(file, event, sizeof *event) != (ssize_t)sizeof *event) {
        return false;
    }
    event->data = NULL;
    if (event->kind == TAPE_WRITE) {
        event->data = xmalloc((size_t)event->size);
        CHECK(read(file, event->data, (size_t)event->size) == (ssize_t)event->size);
    }
    return true;
}

bool tape_file_read(const char *path, void (*visit)(struct tape_event *event))
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct tape_event event;
    bool any = false;

    while (file >= 0 && read_event(file, &event)) {
        visit(&event);
        any = true;
    }
    if (file >= 0) {
        (void)close(file);
    }
    return any;
}
