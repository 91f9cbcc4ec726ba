/* The server's log: one line an event on stderr, as
 *     2026-01-31T12:00:00.000Z info event_name key=value key="value with blanks"
 *
 * Used by node, net, front and main; the layers below return statuses and stay silent. Safe from
 * any thread: one line is one write. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/status.h"

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped; the default is LOG_LEVEL_INFO. Call before threads start. */
void log_set_level(enum log_level level);
/* "error", "warn", "info" or "debug"; STATUS_INVALID otherwise. */
MUST_CHECK enum status log_parse_level(const char *text, enum log_level *ret_level);
/* A prefix of fields for every line, as "node=1"; copied, cut at 63 bytes. */
void log_set_context(const char *fields);

/* `format` makes the fields: log_event(LOG_LEVEL_INFO, "leader_elected", "term=%lu", term). Use
 * log_quote for a value that may hold blanks or foreign bytes. Keep errno. */
void log_event(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* `text` in double quotes with escapes, cut to fit, in a buffer of this thread that stays valid for
 * the next seven calls. */
const char *log_quote(const char *text);

#endif
