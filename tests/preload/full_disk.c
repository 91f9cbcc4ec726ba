/* Loaded into a server (LD_PRELOAD), a disk that gets full: while a file DATA.full exists, DATA
 * being the folder $FULL_DISK_FOLDER, no file in it grows, and it is said to have no space. What is
 * written over what is there passes, as on a real disk. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *folder(void)
{
    const char *path = getenv("FULL_DISK_FOLDER");

    return path == NULL ? "" : path;
}

static bool is_full(void)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s.full", folder());
    return folder()[0] != '\0' && access(path, F_OK) == 0;
}

static bool is_inside(const char *path)
{
    size_t size = strlen(folder());

    return strncmp(path, folder(), size) == 0 && (path[size] == '/' || path[size] == '\0');
}

/* Whether bytes up to `end` need space that is not there. */
static bool is_refused(int file, off_t end)
{
    struct stat info;
    char link[64];
    char path[4096];
    ssize_t size;

    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || end <= info.st_size || !is_full()) {
        return false;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    return is_inside(path);
}

/* -1 for what has no place, as a socket. */
static off_t place_of(int file)
{
    int before = errno;
    off_t place = lseek(file, 0, SEEK_CUR);

    errno = before;
    return place;
}

__attribute__((visibility("default"))) ssize_t
pwrite(int file, const void *data, size_t size, off_t offset)
{
    void *symbol = dlsym(RTLD_NEXT, "pwrite");
    ssize_t (*real)(int, const void *, size_t, off_t);

    if (is_refused(file, offset + (off_t)size)) {
        errno = ENOSPC;
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(file, data, size, offset);
}

__attribute__((visibility("default"))) ssize_t write(int file, const void *data, size_t size)
{
    void *symbol = dlsym(RTLD_NEXT, "write");
    ssize_t (*real)(int, const void *, size_t);
    off_t place = place_of(file);

    if (place >= 0 && is_refused(file, place + (off_t)size)) {
        errno = ENOSPC;
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(file, data, size);
}

__attribute__((visibility("default"))) ssize_t
writev(int file, const struct iovec *parts, int count)
{
    void *symbol = dlsym(RTLD_NEXT, "writev");
    ssize_t (*real)(int, const struct iovec *, int);
    off_t end = place_of(file);

    for (int i = 0; end >= 0 && i < count; i++) {
        end += (off_t)parts[i].iov_len;
    }
    if (end >= 0 && is_refused(file, end)) {
        errno = ENOSPC;
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(file, parts, count);
}

__attribute__((visibility("default"))) int statvfs(const char *path, struct statvfs *ret_info)
{
    void *symbol = dlsym(RTLD_NEXT, "statvfs");
    int (*real)(const char *, struct statvfs *);
    int result;

    memcpy(&real, &symbol, sizeof real);
    result = real(path, ret_info);
    if (result == 0 && is_inside(path) && is_full()) {
        ret_info->f_bfree = 0;
        ret_info->f_bavail = 0;
    }
    return result;
}
