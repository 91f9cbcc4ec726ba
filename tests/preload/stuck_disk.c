/* Loaded into a server (LD_PRELOAD), a disk that gets stuck: fdatasync of a file in a data folder
 * DATA does not return while a file DATA.stuck exists, and fails when a file DATA.broken does. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int file);

/* The data folder is two above the file: DATA/log/data.mdb. */
static bool is_switched(int file, const char *name)
{
    char link[64];
    char path[4096];
    ssize_t size;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, 4000);
    path[size > 0 ? size : 0] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(path, '/');

        if (slash != NULL) {
            *slash = '\0';
        }
    }
    (void)strcat(path, name);
    return access(path, F_OK) == 0;
}

__attribute__((visibility("default"))) int fdatasync(int file)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    void *symbol = dlsym(RTLD_NEXT, "fdatasync");
    int (*real)(int);

    while (is_switched(file, ".stuck")) {
        (void)nanosleep(&pause, NULL);
    }
    if (is_switched(file, ".broken")) {
        errno = EIO;
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(file);
}
