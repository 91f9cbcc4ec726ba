/* Loaded into a server (LD_PRELOAD), a disk that gets stuck or slow: fdatasync of a file in a data
 * folder DATA, or a write that is synced (O_DSYNC), does not return while a file DATA.stuck exists,
 * takes as many milliseconds more as stand in DATA.slow, and fails when a file DATA.broken exists.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int file);

enum { PATH_BYTES_MAX = 4096, NAME_BYTES_MAX = 96 };

/* The data folder is two above the file: DATA/log/data.mdb. */
static void name_switch(int file, const char *name, char path[PATH_BYTES_MAX])
{
    char link[64];
    ssize_t size;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, PATH_BYTES_MAX - NAME_BYTES_MAX);
    path[size > 0 ? size : 0] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(path, '/');

        if (slash != NULL) {
            *slash = '\0';
        }
    }
    (void)strcat(path, name);
}

static bool is_switched(int file, const char *name)
{
    char path[PATH_BYTES_MAX];

    name_switch(file, name, path);
    return access(path, F_OK) == 0;
}

static void be_slow(int file)
{
    char path[PATH_BYTES_MAX];
    unsigned ms = 0;
    FILE *text;

    name_switch(file, ".slow", path);
    text = fopen(path, "re");
    if (text == NULL) {
        return;
    }
    if (fscanf(text, "%u", &ms) == 1) {
        const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

        (void)nanosleep(&pause, NULL);
    }
    (void)fclose(text);
}

/* False: it fails. */
static bool wait_for_disk(int file)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

    while (is_switched(file, ".stuck")) {
        (void)nanosleep(&pause, NULL);
    }
    be_slow(file);
    if (is_switched(file, ".broken")) {
        errno = EIO;
        return false;
    }
    return true;
}

__attribute__((visibility("default"))) int fdatasync(int file)
{
    void *symbol = dlsym(RTLD_NEXT, "fdatasync");
    int (*real)(int);

    if (!wait_for_disk(file)) {
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(file);
}

__attribute__((visibility("default"))) ssize_t
pwrite(int file, const void *data, size_t size, off_t offset)
{
    void *symbol = dlsym(RTLD_NEXT, "pwrite");
    ssize_t (*real)(int, const void *, size_t, off_t);

    if ((fcntl(file, F_GETFL) & O_DSYNC) != 0 && !wait_for_disk(file)) {
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(file, data, size, offset);
}
