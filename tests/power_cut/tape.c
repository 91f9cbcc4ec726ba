#include "tests/power_cut/tape.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/check.h"
#include "tests/power_cut/tape_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 8192, NODES_MAX = 4096, ADOPTED_BYTES = 4096 };

/* A file or folder as it is now. */
struct live {
    bool exists;
    bool is_folder;
    int parent;
    char name[TAPE_NAME_BYTES_MAX];
};

static struct {
    pthread_mutex_t lock;
    bool is_running;
    char root[PATH_BYTES_MAX];
    size_t root_bytes;
    struct live nodes[NODES_MAX];
    int node_count;
    struct tape_event *events;
    size_t count;
    size_t capacity;
    uint64_t calls;
    uint64_t fail_first;
    uint64_t fail_end;
    uint64_t reads;
    uint64_t fail_read_first;
    uint64_t fail_read_end;
    const char *fail_name; /* NULL = none */
    uint64_t fail_number;  /* so many of that name still pass */
    enum tape_fault fault;
    int error_number;
    uint64_t failed;
    const char *failed_name;
    uint64_t die_at;
    int file; /* where the events go at the end of each call; 0 = they are kept */
} tape = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- Recording --- */

void tape_forget(void)
{
    for (size_t i = 0; i < tape.count; i++) {
        free(tape.events[i].data);
    }
    free(tape.events);
    tape.events = NULL;
    tape.count = 0;
    tape.capacity = 0;
}

void tape_start(const char *root)
{
    CHECK(!tape.is_running && root[0] == '/');
    tape_forget();
    tape.root_bytes = strlen(root);
    CHECK_OP(tape.root_bytes, <, sizeof tape.root);
    memcpy(tape.root, root, tape.root_bytes + 1);
    tape.nodes[TAPE_ROOT] = (struct live){.exists = true, .is_folder = true, .parent = -1};
    tape.node_count = 1;
    tape.calls = 0;
    tape.fail_first = UINT64_MAX;
    tape.fail_end = UINT64_MAX;
    tape.reads = 0;
    tape.fail_read_first = UINT64_MAX;
    tape.fail_read_end = UINT64_MAX;
    tape.fail_name = NULL;
    tape.failed = 0;
    tape.die_at = UINT64_MAX;
    tape.is_running = true;
}

void tape_stop(void)
{
    tape.is_running = false;
}

size_t tape_count(void)
{
    return tape.count;
}

const struct tape_event *tape_at(size_t position)
{
    CHECK_OP(position, <, tape.count);
    return &tape.events[position];
}

static struct tape_event *add(enum tape_kind kind, int node)
{
    if (tape.count == tape.capacity) {
        tape.capacity = tape.capacity == 0 ? 1024 : 2 * tape.capacity;
        tape.events = xrealloc(tape.events, tape.capacity * sizeof *tape.events);
    }
    tape.events[tape.count] = (struct tape_event){.kind = kind, .node = node};
    return &tape.events[tape.count++];
}

static void enter(void)
{
    (void)pthread_mutex_lock(&tape.lock);
}

/* What the call did is in the file before anybody can build on it. */
static void leave(void)
{
    for (size_t i = 0; tape.file != 0 && i < tape.count; i++) {
        tape_file_write(tape.file, &tape.events[i]);
    }
    if (tape.file != 0) {
        tape_forget();
    }
    (void)pthread_mutex_unlock(&tape.lock);
}

static void add_step(enum tape_kind kind, uint64_t step)
{
    enter();
    if (tape.is_running) {
        add(kind, TAPE_ROOT)->number = step;
    }
    leave();
}

void tape_begin(uint64_t step)
{
    add_step(TAPE_BEGIN, step);
}

void tape_done(uint64_t step)
{
    add_step(TAPE_DONE, step);
}

static void add_write(int node, const void *data, size_t size, uint64_t offset, bool forced)
{
    struct tape_event *event = add(TAPE_WRITE, node);

    event->offset = offset;
    event->size = size;
    event->data = xmemdup(data, size);
    event->forced = forced;
}

/* --- Names --- */

static int find_child(int parent, const char *name, size_t size)
{
    for (int i = 1; i < tape.node_count; i++) {
        const struct live *node = &tape.nodes[i];

        if (node->exists && node->parent == parent && strlen(node->name) == size &&
            memcmp(node->name, name, size) == 0) {
            return i;
        }
    }
    return -1;
}

/* The folder that holds `path` and the name in it, if it lies below the root. The root itself has
 * no name. */
static bool
find_place(const char *path, int *ret_folder, char name[TAPE_NAME_BYTES_MAX], int *ret_node)
{
    const char *at = path + tape.root_bytes;
    int folder = TAPE_ROOT;

    if (!tape.is_running || strncmp(path, tape.root, tape.root_bytes) != 0 ||
        (*at != '/' && *at != '\0')) {
        return false;
    }
    name[0] = '\0';
    *ret_node = TAPE_ROOT;
    *ret_folder = -1;
    for (;;) {
        size_t size;

        at += strspn(at, "/");
        size = strcspn(at, "/");
        if (size == 0) {
            return true;
        }
        if (*ret_node < 0 || size >= TAPE_NAME_BYTES_MAX) {
            return false;
        }
        folder = *ret_node;
        memcpy(name, at, size);
        name[size] = '\0';
        *ret_folder = folder;
        *ret_node = find_child(folder, name, size);
        at += size;
    }
}

/* The node behind a descriptor; -1: none of ours, or deleted. */
static int node_of(int file)
{
    char link[64];
    char path[PATH_BYTES_MAX];
    char name[TAPE_NAME_BYTES_MAX];
    ssize_t length;
    int folder;
    int node;

    if (!tape.is_running) {
        return -1;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) {
        return -1;
    }
    path[length] = '\0';
    return find_place(path, &folder, name, &node) ? node : -1;
}

static bool place_at(int file, const char *name, char path[PATH_BYTES_MAX])
{
    char link[64];
    ssize_t length;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, PATH_BYTES_MAX - TAPE_NAME_BYTES_MAX - 2);
    if (length < 0 || strlen(name) >= TAPE_NAME_BYTES_MAX) {
        return false;
    }
    (void)snprintf(path + length, PATH_BYTES_MAX - (size_t)length, "/%s", name);
    return true;
}

static void make_node(int folder, const char *name, bool is_folder)
{
    struct tape_event *event;
    struct live *node;

    CHECK_OP(tape.node_count, <, NODES_MAX);
    node = &tape.nodes[tape.node_count];
    *node = (struct live){.exists = true, .is_folder = is_folder, .parent = folder};
    memcpy(node->name, name, strlen(name) + 1);
    event = add(TAPE_MAKE, tape.node_count++);
    event->folder = folder;
    event->is_folder = is_folder;
    memcpy(event->name, name, strlen(name) + 1);
}

static void remove_node(int node)
{
    struct tape_event *event = add(TAPE_REMOVE, node);

    event->folder = tape.nodes[node].parent;
    memcpy(event->name, tape.nodes[node].name, TAPE_NAME_BYTES_MAX);
    tape.nodes[node].exists = false;
}

static void rename_node(int node, int folder, const char *name, int replaced)
{
    struct tape_event *event = add(TAPE_RENAME, node);

    event->folder = tape.nodes[node].parent;
    memcpy(event->name, tape.nodes[node].name, TAPE_NAME_BYTES_MAX);
    event->new_folder = folder;
    memcpy(event->new_name, name, strlen(name) + 1);
    if (replaced >= 0) {
        tape.nodes[replaced].exists = false;
    }
    tape.nodes[node].parent = folder;
    memcpy(tape.nodes[node].name, name, strlen(name) + 1);
}

/* --- Faults --- */

uint64_t tape_calls(void)
{
    return tape.calls;
}

uint64_t tape_reads(void)
{
    return tape.reads;
}

static uint64_t end_of(uint64_t first, uint64_t count)
{
    return count > UINT64_MAX - first ? UINT64_MAX : first + count;
}

void tape_fail(uint64_t first, uint64_t count, enum tape_fault fault, int error_number)
{
    tape.fail_first = first;
    tape.fail_end = end_of(first, count);
    tape.fail_read_first = UINT64_MAX;
    tape.fail_read_end = UINT64_MAX;
    tape.fault = fault;
    tape.error_number = error_number;
    tape.failed = 0;
    tape.failed_name = NULL;
    tape.fail_name = NULL;
}

void tape_fail_reads(uint64_t first, uint64_t count)
{
    tape_fail(UINT64_MAX, 0, TAPE_FAULT_REFUSED, EIO);
    tape.fail_read_first = first;
    tape.fail_read_end = end_of(first, count);
}

void tape_fail_named(const char *name, uint64_t number)
{
    tape_fail(UINT64_MAX, 0, TAPE_FAULT_REFUSED, EIO);
    tape.fail_name = name;
    tape.fail_number = number;
}

uint64_t tape_failed(const char **ret_name)
{
    *ret_name = tape.failed_name;
    return tape.failed;
}

/* Is this the one that tape_fail_named has chosen? */
static bool is_named_call(const char *name)
{
    return tape.fail_name != NULL && strcmp(tape.fail_name, name) == 0 && tape.fail_number-- == 0;
}

static void note_failure(const char *name)
{
    if (tape.failed++ == 0) {
        tape.failed_name = name;
    }
}

/* Count a call; what must become of it. */
static enum tape_fault count_call(const char *name)
{
    uint64_t call = tape.calls++;

    if (call == tape.die_at) {
        (void)kill(getpid(), SIGKILL);
    }
    if (!is_named_call(name) && (call < tape.fail_first || call >= tape.fail_end)) {
        return TAPE_FAULT_NONE;
    }
    note_failure(name);
    return tape.fault;
}

/* Count a call that reads; must it fail? */
static bool count_read(const char *name)
{
    uint64_t read = tape.reads++;
    bool is_chosen = read >= tape.fail_read_first && read < tape.fail_read_end;
    bool is_device_gone =
        tape.failed > 0 && tape.error_number == EIO && tape.fail_end == UINT64_MAX;

    if (!is_named_call(name) && !is_chosen && !is_device_gone) {
        return false;
    }
    note_failure(name);
    return true;
}

static int refuse(void)
{
    errno = tape.error_number;
    return -1;
}

/* --- In a file --- */

/* Where names stand after an event. */
static void replay_names(const struct tape_event *event)
{
    struct live *node = &tape.nodes[event->node];
    int replaced;

    switch (event->kind) {
    case TAPE_MAKE:
        CHECK(event->node < NODES_MAX);
        *node =
            (struct live){.exists = true, .is_folder = event->is_folder, .parent = event->folder};
        memcpy(node->name, event->name, sizeof node->name);
        tape.node_count = event->node + 1;
        break;
    case TAPE_REMOVE:
        node->exists = false;
        break;
    case TAPE_RENAME:
        replaced = find_child(event->new_folder, event->new_name, strlen(event->new_name));
        if (replaced >= 0) {
            tape.nodes[replaced].exists = false;
        }
        node->parent = event->new_folder;
        memcpy(node->name, event->new_name, sizeof node->name);
        break;
    case TAPE_WRITE:
    case TAPE_FAILED_WRITE:
    case TAPE_RESIZE:
    case TAPE_SYNC:
    case TAPE_FAILED_SYNC:
    case TAPE_SYNC_FOLDER:
    case TAPE_BEGIN:
    case TAPE_DONE:
        break;
    }
}

static void replay_event(struct tape_event *event)
{
    replay_names(event);
    free(event->data);
}

static void keep_event(struct tape_event *event)
{
    *add(event->kind, event->node) = *event;
}

static void adopt_file(int node, const char *path)
{
    static uint8_t page[ADOPTED_BYTES];
    static const uint8_t zeros[ADOPTED_BYTES];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t offset = 0;
    ssize_t size;

    CHECK(file >= 0);
    while ((size = read(file, page, sizeof page)) > 0) {
        if (memcmp(page, zeros, (size_t)size) != 0) {
            add_write(node, page, (size_t)size, offset, false);
        }
        offset += (uint64_t)size;
    }
    CHECK(size == 0);
    (void)close(file);
    add(TAPE_RESIZE, node)->size = offset;
    (void)add(TAPE_SYNC, node);
}

/* What is there is durable. */
static void adopt_folder(int folder, const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char below[PATH_BYTES_MAX];
        int node = tape.node_count;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        CHECK(snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < (int)sizeof below &&
              strlen(entry->d_name) < TAPE_NAME_BYTES_MAX);
        make_node(folder, entry->d_name, entry->d_type == DT_DIR);
        if (entry->d_type == DT_DIR) {
            adopt_folder(node, below);
        } else {
            adopt_file(node, below);
        }
    }
    (void)add(TAPE_SYNC_FOLDER, folder);
    if (directory != NULL) {
        (void)closedir(directory);
    }
}

static int real_open(const char *path, int flags, unsigned mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

void tape_resume(const char *root, const char *file, uint64_t die_at)
{
    bool goes_on;

    tape_start(root);
    tape.is_running = false;
    goes_on = tape_file_read(file, replay_event);
    tape.file = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CHECK_OP(tape.file, >, 0);
    if (!goes_on) {
        adopt_folder(TAPE_ROOT, root);
    }
    enter();
    tape.die_at = die_at;
    tape.is_running = true;
    leave();
}

void tape_load(const char *file)
{
    CHECK(!tape.is_running);
    tape_forget();
    (void)tape_file_read(file, keep_event);
}

/* --- In the place of the C library's: names of their own in C, the library's for the linker --- */

#define IN_PLACE_OF(name) __asm__(name) __attribute__((visibility("default")))

int tape_open(const char *path, int flags, ...) IN_PLACE_OF("open");
ssize_t tape_read(int file, void *data, size_t size) IN_PLACE_OF("read");
ssize_t tape_pread(int file, void *data, size_t size, off_t offset) IN_PLACE_OF("pread");
ssize_t tape_write(int file, const void *data, size_t size) IN_PLACE_OF("write");
ssize_t tape_pwrite(int file, const void *data, size_t size, off_t offset) IN_PLACE_OF("pwrite");
ssize_t tape_writev(int file, const struct iovec *parts, int count) IN_PLACE_OF("writev");
int tape_fdatasync(int file) IN_PLACE_OF("fdatasync");
int tape_fsync(int file) IN_PLACE_OF("fsync");
int tape_ftruncate(int file, off_t size) IN_PLACE_OF("ftruncate");
int tape_mkdir(const char *path, mode_t mode) IN_PLACE_OF("mkdir");
int tape_openat(int folder, const char *name, int flags, ...) IN_PLACE_OF("openat");
int tape_rmdir(const char *path) IN_PLACE_OF("rmdir");
int tape_unlink(const char *path) IN_PLACE_OF("unlink");
int tape_unlinkat(int folder, const char *name, int flags) IN_PLACE_OF("unlinkat");
int tape_rename(const char *from, const char *to) IN_PLACE_OF("rename");

static int open_path(const char *call, const char *path, int flags, unsigned mode)
{
    char name[TAPE_NAME_BYTES_MAX];
    int folder;
    int node;
    int file = -1;

    enter();
    if (!find_place(path, &folder, name, &node)) {
        file = real_open(path, flags, mode);
    } else if (count_call(call) != TAPE_FAULT_NONE) {
        file = refuse();
    } else {
        file = real_open(path, flags, mode);
        if (file >= 0 && node < 0) {
            make_node(folder, name, false);
        } else if (file >= 0 && (flags & O_TRUNC) != 0) {
            add(TAPE_RESIZE, node)->size = 0;
        }
    }
    leave();
    return file;
}

int tape_open(const char *path, int flags, ...)
{
    unsigned mode = 0;

    if ((flags & O_CREAT) != 0) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, unsigned);
        va_end(arguments);
    }
    return open_path("open", path, flags, mode);
}

int tape_openat(int folder, const char *name, int flags, ...)
{
    char path[PATH_BYTES_MAX];
    unsigned mode = 0;

    if ((flags & O_CREAT) != 0) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, unsigned);
        va_end(arguments);
    }
    if (name[0] == '/' || !place_at(folder, name, path)) {
        return (int)syscall(SYS_openat, folder, name, flags, mode);
    }
    return open_path("openat", path, flags, mode);
}

/* Writing with a fault that still writes: the whole, the first half, or nothing. */
static size_t part_of(enum tape_fault fault, size_t size)
{
    switch (fault) {
    case TAPE_FAULT_NONE:
    case TAPE_FAULT_DONE:
        return size;
    case TAPE_FAULT_SHORT:
        return size / 2;
    case TAPE_FAULT_REFUSED:
        break;
    }
    return 0;
}

/* `data` is what is written at `offset` of a recorded file. */
static ssize_t
write_at(const char *call, int file, int node, const void *data, size_t size, uint64_t offset)
{
    bool forced = (fcntl(file, F_GETFL) & O_DSYNC) != 0;
    enum tape_fault fault = count_call(call);
    size_t part = part_of(fault, size);
    ssize_t written = 0;

    if (fault != TAPE_FAULT_NONE) {
        struct tape_event *event = add(TAPE_FAILED_WRITE, node);

        event->offset = offset;
        event->size = size;
    }
    if (part > 0) {
        written = syscall(SYS_pwrite64, file, data, part, offset);
        CHECK_OP(written, ==, (ssize_t)part);
        add_write(node, data, part, offset, forced && fault == TAPE_FAULT_NONE);
    }
    if (fault == TAPE_FAULT_NONE) {
        return written;
    }
    if (forced) {
        (void)add(TAPE_FAILED_SYNC, node);
    }
    return fault == TAPE_FAULT_SHORT && written > 0 ? written : refuse();
}

ssize_t tape_pwrite(int file, const void *data, size_t size, off_t offset)
{
    ssize_t written;
    int node;

    enter();
    node = node_of(file);
    written = node < 0 ? syscall(SYS_pwrite64, file, data, size, offset)
                       : write_at("pwrite", file, node, data, size, (uint64_t)offset);
    leave();
    return written;
}

/* Writing where the descriptor stands, and moving it on. */
static ssize_t write_here(const char *call, int file, int node, const uint8_t *data, size_t size)
{
    off_t offset = lseek(file, 0, SEEK_CUR);
    ssize_t written;

    CHECK_OP(offset, >=, 0);
    written = write_at(call, file, node, data, size, (uint64_t)offset);
    if (written > 0) {
        CHECK(lseek(file, offset + written, SEEK_SET) >= 0);
    }
    return written;
}

/* Sockets and the like are nothing to the tape; a signal handler may write to one. */
static bool is_stored(int file)
{
    struct stat info;

    return fstat(file, &info) == 0 && S_ISREG(info.st_mode);
}

ssize_t tape_write(int file, const void *data, size_t size)
{
    ssize_t written;
    int node;

    if (!is_stored(file)) {
        return syscall(SYS_write, file, data, size);
    }
    enter();
    node = node_of(file);
    written = node < 0 ? syscall(SYS_write, file, data, size)
                       : write_here("write", file, node, data, size);
    leave();
    return written;
}

ssize_t tape_writev(int file, const struct iovec *parts, int count)
{
    struct buffer joined = BUFFER_INIT;
    ssize_t written;
    int node;

    if (!is_stored(file)) {
        return syscall(SYS_writev, file, parts, count);
    }
    enter();
    node = node_of(file);
    if (node < 0) {
        written = syscall(SYS_writev, file, parts, count);
    } else {
        for (int i = 0; i < count; i++) {
            buffer_put(&joined, bytes_of(parts[i].iov_base, parts[i].iov_len));
        }
        written = write_here("writev", file, node, joined.data, joined.size);
        buffer_release(&joined);
    }
    leave();
    return written;
}

ssize_t tape_read(int file, void *data, size_t size)
{
    ssize_t got;

    if (!is_stored(file)) {
        return syscall(SYS_read, file, data, size);
    }
    enter();
    got = node_of(file) >= 0 && count_read("read") ? refuse() : syscall(SYS_read, file, data, size);
    leave();
    return got;
}

ssize_t tape_pread(int file, void *data, size_t size, off_t offset)
{
    ssize_t got;

    enter();
    got = node_of(file) >= 0 && count_read("pread")
              ? refuse()
              : syscall(SYS_pread64, file, data, size, offset);
    leave();
    return got;
}

static int sync_file(const char *call, int file)
{
    int result = 0;
    int node;

    enter();
    node = node_of(file);
    if (node >= 0 && count_call(call) != TAPE_FAULT_NONE) {
        (void)add(TAPE_FAILED_SYNC, node);
        result = refuse();
    } else if (node >= 0) {
        (void)add(tape.nodes[node].is_folder ? TAPE_SYNC_FOLDER : TAPE_SYNC, node);
    }
    leave();
    return result;
}

int tape_fdatasync(int file)
{
    return sync_file("fdatasync", file);
}

int tape_fsync(int file)
{
    return sync_file("fsync", file);
}

int tape_ftruncate(int file, off_t size)
{
    int result;
    int node;

    enter();
    node = node_of(file);
    if (node >= 0 && count_call("ftruncate") != TAPE_FAULT_NONE) {
        result = refuse();
    } else {
        result = (int)syscall(SYS_ftruncate, file, size);
        if (result == 0 && node >= 0) {
            add(TAPE_RESIZE, node)->size = (uint64_t)size;
        }
    }
    leave();
    return result;
}

int tape_mkdir(const char *path, mode_t mode)
{
    char name[TAPE_NAME_BYTES_MAX];
    int result;
    int folder;
    int node;

    enter();
    if (!find_place(path, &folder, name, &node) || node >= 0) {
        result = (int)syscall(SYS_mkdir, path, mode);
    } else if (count_call("mkdir") != TAPE_FAULT_NONE) {
        result = refuse();
    } else {
        result = (int)syscall(SYS_mkdir, path, mode);
        if (result == 0) {
            make_node(folder, name, true);
        }
    }
    leave();
    return result;
}

static int remove_path(const char *call, const char *path, int flags)
{
    char name[TAPE_NAME_BYTES_MAX];
    int result;
    int folder;
    int node = -1;

    enter();
    if (find_place(path, &folder, name, &node) && node >= 0 &&
        count_call(call) != TAPE_FAULT_NONE) {
        result = refuse();
    } else {
        result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags);
        if (result == 0 && node >= 0) {
            remove_node(node);
        }
    }
    leave();
    return result;
}

int tape_rmdir(const char *path)
{
    return remove_path("rmdir", path, AT_REMOVEDIR);
}

int tape_unlink(const char *path)
{
    return remove_path("unlink", path, 0);
}

int tape_unlinkat(int folder, const char *name, int flags)
{
    char path[PATH_BYTES_MAX];

    if (name[0] == '/' || !place_at(folder, name, path)) {
        return (int)syscall(SYS_unlinkat, folder, name, flags);
    }
    return remove_path("unlinkat", path, flags);
}

int tape_rename(const char *from, const char *to)
{
    char old_name[TAPE_NAME_BYTES_MAX];
    char name[TAPE_NAME_BYTES_MAX];
    int old_folder;
    int folder;
    int node = -1;
    int replaced = -1;
    int result;
    bool is_ours;

    enter();
    is_ours = find_place(from, &old_folder, old_name, &node) && node >= 0 &&
              find_place(to, &folder, name, &replaced);
    if (is_ours && count_call("rename") != TAPE_FAULT_NONE) {
        result = refuse();
    } else {
        result = (int)syscall(SYS_rename, from, to);
        if (result == 0 && is_ours) {
            rename_node(node, folder, name, replaced);
        }
    }
    leave();
    return result;
}
