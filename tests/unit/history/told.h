/* Histories told as text, and what a checker says about them. */
#ifndef TESTS_UNIT_HISTORY_TOLD_H
#define TESTS_UNIT_HISTORY_TOLD_H

#include "tests/history/history_text.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

typedef size_t told_check(const struct history *history, struct buffer *text);

static inline struct history *told_history(const char *lines)
{
    struct buffer text = BUFFER_INIT;
    struct history *history = NULL;
    struct error error = {.status = STATUS_OK};
    enum status status;

    buffer_put(&text, bytes_of_text("confer-history 1\n"));
    buffer_put(&text, bytes_of_text(lines));
    status = history_read(buffer_lend(&text), &history, &error);
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
    }
    buffer_release(&text);
    EXPECT_OK(status);
    return history;
}

/* What `check` says; "" if nothing is wrong. Valid until the next call. */
static inline const char *told(told_check *check, const char *lines)
{
    static struct buffer text;
    struct history *history = told_history(lines);
    size_t count;

    buffer_clear(&text);
    count = check(history, &text);
    history_record_free(history);
    EXPECT_EQ(count > 0, text.size > 0);
    buffer_put_u8(&text, 0);
    return (const char *)text.data;
}

#define EXPECT_RIGHT(check, lines)       EXPECT_TEXT(told(check, lines), "")
#define EXPECT_WRONG(check, lines, part) EXPECT_CONTAINS(told(check, lines), part)

#endif
