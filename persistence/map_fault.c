#include "persistence/map_fault.h"

#include "persistence/damage.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 512 };

static const char *program;
static int exit_code;

/* Only what a signal handler may call. */
static void say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void say_place(const char *path)
{
    if (program != NULL) {
        say(program);
        say(": ");
    }
    say(path);
}

void map_fault_assertion(const char *path, const char *message)
{
    say_place(path);
    say(" is damaged: LMDB says ");
    say(message);
    say("; " DAMAGE_WAY_OUT "\n");
    if (program == NULL) {
        abort();
    }
    _exit(exit_code);
}

/* The number in hexadecimal at *at, which moves behind it. */
static uint64_t parse_hexadecimal(const char **at)
{
    uint64_t number = 0;

    for (;; (*at)++) {
        char digit = **at;

        if (digit >= '0' && digit <= '9') {
            number = number * 16 + (uint64_t)(digit - '0');
        } else if (digit >= 'a' && digit <= 'f') {
            number = number * 16 + (uint64_t)(digit - 'a') + 10;
        } else {
            return number;
        }
    }
}

/* Whether a line of /proc/self/maps is about the address: "7f00-7fff r--s 0000 08:01 17 /path". */
static const char *match(const char *line, uint64_t address)
{
    const char *at = line;
    uint64_t from = parse_hexadecimal(&at);
    const char *path = strchr(line, '/');

    at += *at == '-';
    return address >= from && address < parse_hexadecimal(&at) ? path : NULL;
}

/* The file that is mapped at the address, in `line`; NULL: none. */
static const char *find_mapped(uint64_t address, char line[LINE_BYTES_MAX])
{
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    const char *path = NULL;
    size_t size = 0;
    char byte;

    while (maps >= 0 && path == NULL && read(maps, &byte, 1) == 1) {
        if (byte != '\n') {
            line[size] = byte;
            size += size < LINE_BYTES_MAX - 1;
            continue;
        }
        line[size] = '\0';
        size = 0;
        path = match(line, address);
    }
    if (maps >= 0) {
        (void)close(maps);
    }
    return path;
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    char line[LINE_BYTES_MAX];
    const char *path = find_mapped((uint64_t)(uintptr_t)info->si_addr, line);

    (void)context;
    if (path == NULL || !ends_with(path, "/data.mdb")) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        return;
    }
    say_place(path);
    say(" cannot be read any more (the disk fails, or the file was cut off): " DAMAGE_WAY_OUT "\n");
    _exit(exit_code);
}

void map_fault_install(const char *program_name, int code)
{
    struct sigaction action;

    program = program_name;
    exit_code = code;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL);
}
