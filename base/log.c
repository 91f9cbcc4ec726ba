#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 2048, QUOTED_BYTES_MAX = 1024, QUOTED_KEPT = 8 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static enum log_level level_max = LOG_LEVEL_INFO;
static char context[64];

void log_set_level(enum log_level level)
{
    level_max = level;
}

enum status log_parse_level(const char *text, enum log_level *ret_level)
{
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return STATUS_OK;
        }
    }
    return STATUS_INVALID;
}

void log_set_context(const char *fields)
{
    (void)snprintf(context, sizeof context, "%s", fields);
}

static size_t put_head(char *line, size_t capacity, enum log_level level, const char *event)
{
    struct timespec now;
    struct tm utc;
    char date[32];
    int size;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    size = snprintf(line, capacity, "%s.%03ldZ %s %s%s%s", date, now.tv_nsec / 1000000,
                    level_names[level], event, context[0] == '\0' ? "" : " ", context);
    return size < 0 ? 0 : (size_t)size < capacity ? (size_t)size : capacity - 1;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    char line[LINE_BYTES_MAX];
    int saved_errno = errno;
    size_t size;
    va_list args;

    if (level > level_max) {
        return;
    }
    size = put_head(line, sizeof line - 1, level, event);
    if (format[0] != '\0' && size + 2 < sizeof line - 1) {
        int more;

        line[size++] = ' ';
        va_start(args, format);
        more = vsnprintf(line + size, sizeof line - 1 - size, format, args);
        va_end(args);
        if (more > 0) {
            size += (size_t)more < sizeof line - 1 - size ? (size_t)more : sizeof line - 2 - size;
        }
    }
    line[size++] = '\n';
    /* A log that cannot be written must not stop the server: the error is dropped. */
    if (write(STDERR_FILENO, line, size) < 0) {
        errno = saved_errno;
    }
    errno = saved_errno;
}

const char *log_quote(const char *text)
{
    static _Thread_local char kept[QUOTED_KEPT][QUOTED_BYTES_MAX];
    static _Thread_local unsigned turn;
    char *quoted = kept[turn++ % QUOTED_KEPT];
    size_t size = 0;

    quoted[size++] = '"';
    for (const char *at = text; *at != '\0' && size < QUOTED_BYTES_MAX - 6; at++) {
        unsigned char byte = (unsigned char)*at;

        if (byte == '"' || byte == '\\') {
            quoted[size++] = '\\';
            quoted[size++] = (char)byte;
        } else if (byte < 0x20 || byte == 0x7f) {
            size += (size_t)snprintf(quoted + size, 5, "\\x%02x", byte);
        } else {
            quoted[size++] = (char)byte;
        }
    }
    quoted[size++] = '"';
    quoted[size] = '\0';
    return quoted;
}
