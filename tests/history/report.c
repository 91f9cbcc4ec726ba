#include "tests/history/report.h"

#include "base/check.h"
#include "tests/history/history_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES_MAX = 1000 };

struct report report_of(const struct history *history, const char *checker, struct buffer *text)
{
    return (struct report){.history = history, .checker = checker, .text = text};
}

static bool is_shown(const struct report *report)
{
    return report->fault_count <= REPORT_FAULTS_MAX;
}

static void put(struct report *report, const char *text)
{
    buffer_put(report->text, bytes_of_text(text));
}

static void put_formatted(struct report *report, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void put_formatted(struct report *report, const char *format, va_list arguments)
{
    char line[LINE_BYTES_MAX];

    (void)vsnprintf(line, sizeof line, format, arguments);
    put(report, line);
    put(report, "\n");
}

void report_fault(struct report *report, const char *format, ...)
{
    va_list arguments;

    report->fault_count++;
    if (!is_shown(report)) {
        return;
    }
    put(report, report->checker);
    put(report, ": ");
    va_start(arguments, format);
    put_formatted(report, format, arguments);
    va_end(arguments);
}

void report_line(struct report *report, const char *format, ...)
{
    va_list arguments;

    if (!is_shown(report)) {
        return;
    }
    put(report, "    ");
    va_start(arguments, format);
    put_formatted(report, format, arguments);
    va_end(arguments);
}

void report_call(struct report *report, const struct history_call *call)
{
    if (is_shown(report)) {
        put(report, "    ");
        history_write_call(report->history, call, report->text);
        put(report, "\n");
    }
}

void report_session(struct report *report, const struct history_session *session)
{
    if (is_shown(report)) {
        put(report, "    ");
        history_write_session(session, report->text);
        put(report, "\n");
    }
}

void report_event(struct report *report, const struct history_event *event)
{
    if (is_shown(report)) {
        put(report, "    ");
        history_write_event(report->history, event, report->text);
        put(report, "\n");
    }
}

void report_effect(struct report *report, const struct history_effect *effect)
{
    if (is_shown(report)) {
        put(report, "    ");
        history_write_effect(report->history, effect, report->text);
        put(report, "\n");
    }
}

void report_end(struct report *report)
{
    if (!is_shown(report)) {
        size_t more = report->fault_count - REPORT_FAULTS_MAX;

        report->fault_count = 0; /* so that this line is shown */
        report_line(report, "and %zu more of this kind", more);
        report->fault_count = more + REPORT_FAULTS_MAX;
    }
}
