#include "tests/history/history_text.h"

#include "base/alloc.h"
#include "base/check.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE "confer-history 1"

enum {
    PATH_BYTES_MAX = 4096,
    WORDS_MAX = 24,
    STEPS_MAX = 4096,
    FILE_BYTES_MAX = 1 << 30,
    CHUNK_BYTES = 1 << 16
};

/* --- What a record consists of --- */

enum field_type { FIELD_U64, FIELD_U32, FIELD_I32, FIELD_FLAG, FIELD_PATH, FIELD_CHOICE };

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    uint64_t usual;             /* not written */
    const char *const *choices; /* CHOICE: by number, NULL at the end */
};

#define FIELD(structure, member, kind)                                                             \
    {                                                                                              \
        .name = #member, .type = (kind), .offset = offsetof(struct structure, member)              \
    }
#define FIELD_USUALLY(structure, member, kind, value)                                              \
    {                                                                                              \
        .name = #member, .type = (kind), .offset = offsetof(struct structure, member),             \
        .usual = (value)                                                                           \
    }
#define FIELDS_END                                                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }

static const char *const outcomes[] = {"ok", "refused", "not-applied", "unknown", NULL};

static const struct field call_fields[] = {
    FIELD(history_call, client, FIELD_U64),
    FIELD(history_call, session, FIELD_U64),
    FIELD(history_call, linearizable, FIELD_FLAG),
    FIELD(history_call, invoked, FIELD_U64),
    FIELD_USUALLY(history_call, returned, FIELD_U64, HISTORY_NEVER),
    {.name = "outcome",
     .type = FIELD_CHOICE,
     .offset = offsetof(struct history_call, outcome),
     .usual = UINT64_MAX,
     .choices = outcomes},
    FIELD(history_call, error, FIELD_U32),
    FIELD(history_call, zxid, FIELD_U64),
    FIELDS_END};

static const char *const step_kinds[] = {"get",    "exists", "list",         "set", "create",
                                         "remove", "check",  "check-absent", NULL};

/* `names` is a list and handled apart. */
static const struct field step_fields[] = {
    FIELD(history_step, path, FIELD_PATH),
    FIELD(history_step, sequential, FIELD_FLAG),
    FIELD(history_step, ephemeral, FIELD_FLAG),
    FIELD(history_step, make, FIELD_FLAG),
    FIELD_USUALLY(history_step, expected, FIELD_I32, (uint64_t)HISTORY_ANY_VERSION),
    FIELD(history_step, value, FIELD_U64),
    FIELD(history_step, exists, FIELD_FLAG),
    FIELD(history_step, error, FIELD_U32),
    FIELD(history_step, made, FIELD_PATH),
    FIELD(history_step, has_stat, FIELD_FLAG),
    FIELD(history_step, version, FIELD_I32),
    FIELD(history_step, czxid, FIELD_U64),
    FIELD(history_step, mzxid, FIELD_U64),
    FIELD(history_step, owner, FIELD_U64),
    FIELDS_END};

static const char *const session_kinds[] = {"opened",  "contact", "suspended",
                                            "expired", "closed",  NULL};

static const struct field session_fields[] = {
    FIELD(history_session, client, FIELD_U64),
    FIELD(history_session, session, FIELD_U64),
    FIELD(history_session, asked, FIELD_U64),
    FIELD_USUALLY(history_session, time, FIELD_U64, HISTORY_NEVER),
    FIELD(history_session, timeout, FIELD_U64),
    FIELDS_END};

static const char *const event_kinds[] = {"started",  "created",      "value-set",
                                          "removed",  "resync-begin", "resync-end",
                                          "progress", "ended",        NULL};

static const struct field event_fields[] = {
    FIELD(history_event, client, FIELD_U64),     FIELD(history_event, watch, FIELD_U64),
    FIELD(history_event, time, FIELD_U64),       FIELD(history_event, zxid, FIELD_U64),
    FIELD(history_event, path, FIELD_PATH),      FIELD(history_event, recursive, FIELD_FLAG),
    FIELD(history_event, full, FIELD_FLAG),      FIELD(history_event, resync, FIELD_FLAG),
    FIELD(history_event, has_value, FIELD_FLAG), FIELD(history_event, value, FIELD_U64),
    FIELD(history_event, has_stat, FIELD_FLAG),  FIELD(history_event, version, FIELD_I32),
    FIELD(history_event, owner, FIELD_U64),      FIELDS_END};

static const char *const effect_kinds[] = {
    "created", "value-set", "removed", "session-opened", "session-closed", "session-expired", NULL};

static const struct field effect_fields[] = {FIELD(history_effect, zxid, FIELD_U64),
                                             FIELD(history_effect, path, FIELD_PATH),
                                             FIELD(history_effect, value, FIELD_U64),
                                             FIELD(history_effect, version, FIELD_I32),
                                             FIELD(history_effect, owner, FIELD_U64),
                                             FIELD(history_effect, session, FIELD_U64),
                                             FIELDS_END};

_Static_assert(sizeof(enum history_outcome) == sizeof(uint32_t), "a choice is read as an integer");

static uint64_t get_field(const struct field *field, const void *record)
{
    const char *at = (const char *)record + field->offset;
    uint64_t u64;
    uint32_t u32;
    int32_t i32;
    bool flag;

    switch (field->type) {
    case FIELD_U64:
        memcpy(&u64, at, sizeof u64);
        return u64;
    case FIELD_I32:
        memcpy(&i32, at, sizeof i32);
        return (uint64_t)i32;
    case FIELD_FLAG:
        memcpy(&flag, at, sizeof flag);
        return flag;
    case FIELD_U32:
    case FIELD_PATH:
    case FIELD_CHOICE:
        break;
    }
    memcpy(&u32, at, sizeof u32);
    return u32;
}

static void put_field(const struct field *field, void *record, uint64_t value)
{
    char *at = (char *)record + field->offset;
    uint32_t u32 = (uint32_t)value;
    int32_t i32 = (int32_t)value;
    bool flag = value != 0;

    switch (field->type) {
    case FIELD_U64:
        memcpy(at, &value, sizeof value);
        break;
    case FIELD_I32:
        memcpy(at, &i32, sizeof i32);
        break;
    case FIELD_FLAG:
        memcpy(at, &flag, sizeof flag);
        break;
    case FIELD_U32:
    case FIELD_PATH:
    case FIELD_CHOICE:
        memcpy(at, &u32, sizeof u32);
        break;
    }
}

static void set_usual(const struct field *fields, void *record)
{
    for (const struct field *field = fields; field->name != NULL; field++) {
        put_field(field, record, field->usual);
    }
}

/* --- Writing --- */

static void put_text(struct buffer *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put_text(struct buffer *text, const char *format, ...)
{
    char piece[256];
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    CHECK(size >= 0 && (size_t)size < sizeof piece);
    buffer_put(text, bytes_of(piece, (size_t)size));
}

static bool is_plain(uint8_t byte)
{
    return byte > ' ' && byte != 0x7f && byte != '%' && byte != ',' && byte != ';';
}

static void write_path(const struct history *history, history_path path, struct buffer *text)
{
    struct bytes bytes = history_path_text(history, path);

    for (size_t i = 0; i < bytes.size; i++) {
        if (is_plain(bytes.data[i])) {
            buffer_put_u8(text, bytes.data[i]);
        } else {
            put_text(text, "%%%02X", bytes.data[i]);
        }
    }
}

static void write_field(const struct history *history,
                        const struct field *field,
                        const void *record,
                        struct buffer *text)
{
    uint64_t value = get_field(field, record);

    if (value == field->usual) {
        return;
    }
    put_text(text, " %s", field->name);
    switch (field->type) {
    case FIELD_U64:
    case FIELD_U32:
        put_text(text, "=%" PRIu64, value);
        break;
    case FIELD_I32:
        put_text(text, "=%" PRId64, (int64_t)value);
        break;
    case FIELD_PATH:
        put_text(text, "=");
        write_path(history, (history_path)value, text);
        break;
    case FIELD_CHOICE:
        put_text(text, "=%s", field->choices[value]);
        break;
    case FIELD_FLAG:
        break;
    }
}

static void write_fields(const struct history *history,
                         const struct field *fields,
                         const void *record,
                         struct buffer *text)
{
    for (const struct field *field = fields; field->name != NULL; field++) {
        write_field(history, field, record, text);
    }
}

static void
write_step(const struct history *history, const struct history_step *step, struct buffer *text)
{
    put_text(text, " ; %s", step_kinds[step->kind]);
    write_fields(history, step_fields, step, text);
    for (size_t i = 0; i < step->name_count; i++) {
        put_text(text, i == 0 ? " names=" : ",");
        write_path(history, step->names[i], text);
    }
}

void history_write_call(const struct history *history,
                        const struct history_call *call,
                        struct buffer *text)
{
    put_text(text, "call");
    write_fields(history, call_fields, call, text);
    for (size_t i = 0; i < call->step_count; i++) {
        write_step(history, &call->steps[i], text);
    }
}

void history_write_session(const struct history_session *session, struct buffer *text)
{
    put_text(text, "session %s", session_kinds[session->kind]);
    write_fields(NULL, session_fields, session, text);
}

void history_write_event(const struct history *history,
                         const struct history_event *event,
                         struct buffer *text)
{
    put_text(text, "event %s", event_kinds[event->kind]);
    write_fields(history, event_fields, event, text);
}

void history_write_effect(const struct history *history,
                          const struct history_effect *effect,
                          struct buffer *text)
{
    put_text(text, "effect %s", effect_kinds[effect->kind]);
    write_fields(history, effect_fields, effect, text);
}

void history_write(const struct history *history, struct buffer *text)
{
    put_text(text, FIRST_LINE "\n");
    for (size_t i = 0; i < history->call_count; i++) {
        history_write_call(history, &history->calls[i], text);
        put_text(text, "\n");
    }
    for (size_t i = 0; i < history->session_count; i++) {
        history_write_session(&history->sessions[i], text);
        put_text(text, "\n");
    }
    for (size_t i = 0; i < history->event_count; i++) {
        history_write_event(history, &history->events[i], text);
        put_text(text, "\n");
    }
    for (size_t i = 0; i < history->effect_count; i++) {
        history_write_effect(history, &history->effects[i], text);
        put_text(text, "\n");
    }
    if (history->effects_complete) {
        put_text(text, "effects complete\n");
    }
}

/* --- Reading --- */

struct parser {
    struct history *history;
    struct error *error;
    size_t line;
    struct buffer path; /* unescaped */
    struct history_step *steps;
    history_path *names;
    size_t name_count;
    size_t name_capacity;
};

struct words {
    struct bytes items[WORDS_MAX];
    size_t count;
};

static enum status refuse(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum status refuse(struct parser *parser, const char *format, ...)
{
    char what[ERROR_TEXT_BYTES_MAX - 40];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_set(parser->error, STATUS_INVALID, "line %zu: %s", parser->line, what);
}

/* For messages: no more of a word than fits on a line. */
static int shown(struct bytes word)
{
    return word.size > 60 ? 60 : (int)word.size;
}

#define SHOWN(word) shown(word), (const char *)(word).data

static bool is_text(struct bytes word, const char *text)
{
    return bytes_equal(word, bytes_of_text(text));
}

/* Take what stands before `separator` (or the end) from the front of `rest`. */
static struct bytes take_until(struct bytes *rest, char separator)
{
    const uint8_t *found = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    struct bytes taken = *rest;

    if (found == NULL) {
        *rest = BYTES_EMPTY;
        return taken;
    }
    taken.size = (size_t)(found - rest->data);
    *rest = bytes_of(found + 1, rest->size - taken.size - 1);
    return taken;
}

static enum status split(struct parser *parser, struct bytes text, struct words *ret)
{
    ret->count = 0;
    while (text.size > 0) {
        struct bytes word = take_until(&text, ' ');

        if (word.size == 0) {
            continue;
        }
        if (ret->count == WORDS_MAX) {
            return refuse(parser, "more than %d words", WORDS_MAX);
        }
        ret->items[ret->count++] = word;
    }
    return STATUS_OK;
}

static enum status choose(struct parser *parser,
                          struct bytes word,
                          const char *const *choices,
                          const char *what,
                          uint64_t *ret)
{
    char known[200] = "";

    for (size_t i = 0; choices[i] != NULL; i++) {
        if (is_text(word, choices[i])) {
            *ret = i;
            return STATUS_OK;
        }
        (void)snprintf(known + strlen(known), sizeof known - strlen(known), " %s", choices[i]);
    }
    return refuse(parser, "'%.*s' is no %s; there are:%s", SHOWN(word), what, known);
}

static enum status
read_number(struct parser *parser, struct bytes text, const char *name, uint64_t max, uint64_t *ret)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)(text.data[i] - '0');

        if (text.data[i] < '0' || text.data[i] > '9') {
            return refuse(parser, "%s='%.*s' is no number", name, SHOWN(text));
        }
        if (number > (max - digit) / 10 || digit > max) {
            return refuse(parser, "%s=%.*s is above %" PRIu64, name, SHOWN(text), max);
        }
        number = number * 10 + digit;
    }
    if (text.size == 0) {
        return refuse(parser, "%s= has no number", name);
    }
    *ret = number;
    return STATUS_OK;
}

static enum status
read_signed(struct parser *parser, struct bytes text, const char *name, uint64_t *ret)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    struct bytes digits = negative ? bytes_of(text.data + 1, text.size - 1) : text;
    uint64_t number = 0;
    enum status status = read_number(parser, digits, name, (uint64_t)INT32_MAX + negative, &number);

    if (status == STATUS_OK) {
        *ret = negative ? 0 - number : number;
    }
    return status;
}

static int hex_digit(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static enum status
read_path(struct parser *parser, struct bytes text, const char *name, uint64_t *ret)
{
    buffer_clear(&parser->path);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (byte == '%') {
            int high = i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex_digit(text.data[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return refuse(parser, "%s='%.*s': '%%' needs two digits of 0-9A-F", name,
                              SHOWN(text));
            }
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (!is_plain(byte)) {
            return refuse(parser, "%s='%.*s' has a byte that must be written %%%02X", name,
                          SHOWN(text), byte);
        }
        buffer_put_u8(&parser->path, byte);
    }
    if (parser->path.size == 0 || parser->path.data[0] != '/') {
        return refuse(parser, "%s='%.*s' does not start with a slash", name, SHOWN(text));
    }
    if (parser->path.size > PATH_BYTES_MAX) {
        return refuse(parser, "%s= is longer than %d bytes", name, PATH_BYTES_MAX);
    }
    *ret = history_path_of(parser->history, buffer_lend(&parser->path));
    return STATUS_OK;
}

static enum status
read_value(struct parser *parser, const struct field *field, struct bytes text, uint64_t *ret)
{
    switch (field->type) {
    case FIELD_U64:
        return read_number(parser, text, field->name, UINT64_MAX, ret);
    case FIELD_U32:
        return read_number(parser, text, field->name, HISTORY_ERROR_MAX, ret);
    case FIELD_I32:
        return read_signed(parser, text, field->name, ret);
    case FIELD_PATH:
        return read_path(parser, text, field->name, ret);
    case FIELD_CHOICE:
        return choose(parser, text, field->choices, field->name, ret);
    case FIELD_FLAG:
        break;
    }
    return refuse(parser, "%s takes no value", field->name);
}

static enum status read_names(struct parser *parser, struct bytes text, struct history_step *step)
{
    history_path *names;

    parser->name_count = 0;
    while (text.size > 0) {
        uint64_t path = HISTORY_NO_PATH;
        enum status status = read_path(parser, take_until(&text, ','), "names", &path);

        if (status != STATUS_OK) {
            return status;
        }
        if (parser->name_count == parser->name_capacity) {
            parser->name_capacity = 2 * parser->name_capacity + 16;
            parser->names = xrealloc(parser->names, parser->name_capacity * sizeof *parser->names);
        }
        parser->names[parser->name_count++] = (history_path)path;
    }
    names = history_names(parser->history, parser->name_count);
    if (parser->name_count > 0) {
        memcpy(names, parser->names, parser->name_count * sizeof *names);
    }
    step->names = names;
    step->name_count = parser->name_count;
    return STATUS_OK;
}

static enum status read_word(struct parser *parser,
                             const struct field *fields,
                             struct bytes word,
                             uint64_t *seen,
                             void *record)
{
    struct bytes rest = word;
    struct bytes name = take_until(&rest, '=');
    bool has_value = name.size < word.size;
    uint64_t value = 1;

    for (const struct field *field = fields; field->name != NULL; field++) {
        uint64_t bit = UINT64_C(1) << (field - fields);
        enum status status = STATUS_OK;

        if (!is_text(name, field->name)) {
            continue;
        }
        if ((*seen & bit) != 0) {
            return refuse(parser, "%s stands there twice", field->name);
        }
        if (has_value) {
            status = read_value(parser, field, rest, &value);
        } else if (field->type != FIELD_FLAG) {
            status = refuse(parser, "%s needs a value: %s=...", field->name, field->name);
        }
        if (status == STATUS_OK) {
            put_field(field, record, value);
            *seen |= bit;
        }
        return status;
    }
    return refuse(parser, "nothing here has a field '%.*s'", SHOWN(name));
}

/* The words from `first` on into `record`. */
static enum status read_fields(struct parser *parser,
                               const struct field *fields,
                               const struct words *words,
                               size_t first,
                               void *record)
{
    uint64_t seen = 0;

    set_usual(fields, record);
    for (size_t i = first; i < words->count; i++) {
        enum status status = read_word(parser, fields, words->items[i], &seen, record);

        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* The kind of a record, then its fields. */
static enum status read_record(struct parser *parser,
                               const struct words *words,
                               size_t first,
                               const char *const *kinds,
                               const struct field *fields,
                               uint64_t *ret_kind,
                               void *record)
{
    enum status status;

    if (words->count <= first) {
        return refuse(parser, "the line ends before it says what it is about");
    }
    status = choose(parser, words->items[first], kinds, "kind", ret_kind);
    return status != STATUS_OK ? status : read_fields(parser, fields, words, first + 1, record);
}

static enum status read_step(struct parser *parser, struct bytes text, struct history_step *step)
{
    static const char names_are[] = "names=";
    struct words words;
    uint64_t kind = 0;
    struct bytes last;
    enum status status = split(parser, text, &words);

    *step = (struct history_step){.kind = HISTORY_GET};
    if (status != STATUS_OK) {
        return status;
    }
    last = words.count == 0 ? BYTES_EMPTY : words.items[words.count - 1];
    if (last.size >= sizeof names_are - 1 &&
        memcmp(last.data, names_are, sizeof names_are - 1) == 0) {
        words.count--;
        status = read_names(
            parser, bytes_of(last.data + sizeof names_are - 1, last.size - (sizeof names_are - 1)),
            step);
    }
    if (status == STATUS_OK) {
        status = read_record(parser, &words, 0, step_kinds, step_fields, &kind, step);
    }
    step->kind = (enum history_kind)kind;
    if (status == STATUS_OK && step->path == HISTORY_NO_PATH) {
        status = refuse(parser, "an operation needs path=");
    }
    if (status == STATUS_OK && step->kind == HISTORY_CREATE &&
        history_path_parent(parser->history, step->path) == HISTORY_NO_PATH) {
        status = refuse(parser, "nobody creates the root");
    }
    if (status == STATUS_OK && step->name_count > 0 && step->kind != HISTORY_LIST) {
        status = refuse(parser, "only a list has names=");
    }
    return status;
}

static enum status check_call(struct parser *parser, const struct history_call *call)
{
    if ((uint32_t)call->outcome > HISTORY_UNKNOWN) {
        return refuse(parser, "a call needs outcome=");
    }
    if (call->step_count == 0) {
        return refuse(parser, "a call needs an operation: ' ; get path=...'");
    }
    if (call->returned < call->invoked) {
        return refuse(parser, "the call returned before it was invoked");
    }
    if (call->returned == HISTORY_NEVER && call->outcome != HISTORY_UNKNOWN) {
        return refuse(parser, "a call that never returned has outcome=unknown");
    }
    return STATUS_OK;
}

static enum status read_call(struct parser *parser, struct bytes line)
{
    struct bytes head = take_until(&line, ';');
    struct history_call call = {.steps = parser->steps};
    struct words words;
    enum status status = split(parser, head, &words);

    if (status == STATUS_OK) {
        status = read_fields(parser, call_fields, &words, 1, &call);
    }
    while (status == STATUS_OK && line.size > 0) {
        if (call.step_count == STEPS_MAX) {
            return refuse(parser, "more than %d operations in a call", STEPS_MAX);
        }
        status = read_step(parser, take_until(&line, ';'), &call.steps[call.step_count++]);
    }
    if (status == STATUS_OK) {
        status = check_call(parser, &call);
    }
    if (status == STATUS_OK) {
        size_t position = history_call_begin(parser->history, &call);

        if (call.returned == HISTORY_NEVER) {
            parser->history->calls[position].error = call.error;
            parser->history->calls[position].zxid = call.zxid;
        } else {
            history_call_end(parser->history, position, call.returned, call.outcome, call.error,
                             call.zxid);
        }
    }
    return status;
}

static enum status read_session(struct parser *parser, const struct words *words)
{
    struct history_session session = {.client = 0};
    uint64_t kind = 0;
    enum status status =
        read_record(parser, words, 1, session_kinds, session_fields, &kind, &session);

    if (status != STATUS_OK) {
        return status;
    }
    session.kind = (enum history_session_kind)kind;
    if (session.session == 0) {
        return refuse(parser, "a session event needs session=");
    }
    if (session.asked > session.time) {
        return refuse(parser, "asked= is later than time=");
    }
    history_add_session(parser->history, &session);
    return STATUS_OK;
}

static enum status read_event(struct parser *parser, const struct words *words)
{
    struct history_event event = {.client = 0};
    uint64_t kind = 0;
    enum status status = read_record(parser, words, 1, event_kinds, event_fields, &kind, &event);
    bool needs_path;

    if (status != STATUS_OK) {
        return status;
    }
    event.kind = (enum history_event_kind)kind;
    needs_path = event.kind <= HISTORY_EVENT_REMOVED;
    if (needs_path && event.path == HISTORY_NO_PATH) {
        return refuse(parser, "this event needs path=");
    }
    history_add_event(parser->history, &event);
    return STATUS_OK;
}

static enum status read_effect(struct parser *parser, const struct words *words)
{
    struct history_effect effect = {.zxid = 0};
    uint64_t kind = 0;
    enum status status;

    if (words->count == 2 && is_text(words->items[0], "effects") &&
        is_text(words->items[1], "complete")) {
        parser->history->effects_complete = true;
        return STATUS_OK;
    }
    status = read_record(parser, words, 1, effect_kinds, effect_fields, &kind, &effect);
    if (status != STATUS_OK) {
        return status;
    }
    effect.kind = (enum history_effect_kind)kind;
    if (effect.kind <= HISTORY_EFFECT_REMOVED && effect.path == HISTORY_NO_PATH) {
        return refuse(parser, "this effect needs path=");
    }
    if (effect.kind > HISTORY_EFFECT_REMOVED && effect.session == 0) {
        return refuse(parser, "this effect needs session=");
    }
    history_add_effect(parser->history, &effect);
    return STATUS_OK;
}

static enum status read_line(struct parser *parser, struct bytes line)
{
    static const char *const records[] = {"call", "session", "event", "effect", "effects", NULL};
    struct bytes rest = line;
    struct bytes first = take_until(&rest, ' ');
    struct words words;
    uint64_t record = 0;
    enum status status = choose(parser, first, records, "record", &record);

    if (status != STATUS_OK || record == 0) {
        return status != STATUS_OK ? status : read_call(parser, line);
    }
    status = split(parser, line, &words);
    if (status != STATUS_OK) {
        return status;
    }
    return record == 1   ? read_session(parser, &words)
           : record == 2 ? read_event(parser, &words)
                         : read_effect(parser, &words);
}

static enum status read_lines(struct parser *parser, struct bytes text)
{
    struct bytes first = take_until(&text, '\n');
    enum status status = STATUS_OK;

    parser->line = 1;
    if (!is_text(first, FIRST_LINE)) {
        return refuse(parser, "a history starts with '" FIRST_LINE "'");
    }
    while (status == STATUS_OK && text.size > 0) {
        struct bytes line = take_until(&text, '\n');

        parser->line++;
        if (line.size > 0 && line.data[0] != '#') {
            status = read_line(parser, line);
        }
    }
    return status;
}

enum status history_read(struct bytes text, struct history **ret_history, struct error *error)
{
    struct parser parser = {.history = history_record_new(), .error = error};
    enum status status;

    parser.steps = xcalloc(STEPS_MAX, sizeof *parser.steps);
    status = read_lines(&parser, text);
    free(parser.steps);
    free(parser.names);
    buffer_release(&parser.path);
    if (status == STATUS_OK) {
        *ret_history = parser.history;
    } else {
        history_record_free(parser.history);
    }
    return status;
}

/* --- Files --- */

enum status history_save(const struct history *history, const char *file, struct error *error)
{
    struct buffer text = BUFFER_INIT;
    FILE *stream = fopen(file, "we");
    bool written;

    if (stream == NULL) {
        return error_set(error, STATUS_IO, "%s: %s", file, strerror(errno));
    }
    history_write(history, &text);
    written = fwrite(text.data, 1, text.size, stream) == text.size;
    buffer_release(&text);
    if (fclose(stream) != 0 || !written) {
        return error_set(error, STATUS_IO, "%s: %s", file, strerror(errno));
    }
    return STATUS_OK;
}

static enum status
read_stream(FILE *stream, const char *file, struct buffer *text, struct error *error)
{
    size_t got = CHUNK_BYTES;

    while (got == CHUNK_BYTES) {
        if (text->size > FILE_BYTES_MAX) {
            return error_set(error, STATUS_LIMIT, "%s: larger than %d bytes", file, FILE_BYTES_MAX);
        }
        got = fread(buffer_extend(text, CHUNK_BYTES), 1, CHUNK_BYTES, stream);
        text->size -= CHUNK_BYTES - got;
    }
    return ferror(stream) ? error_set(error, STATUS_IO, "%s: cannot be read", file) : STATUS_OK;
}

enum status history_load(const char *file, struct history **ret_history, struct error *error)
{
    struct buffer text = BUFFER_INIT;
    FILE *stream = fopen(file, "re");
    enum status status;

    if (stream == NULL) {
        return error_set(error, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "%s: %s", file,
                         strerror(errno));
    }
    status = read_stream(stream, file, &text, error);
    (void)fclose(stream);
    if (status == STATUS_OK) {
        struct error why = {.status = STATUS_OK};

        status = history_read(buffer_lend(&text), ret_history, &why);
        if (status != STATUS_OK) {
            (void)error_set(error, status, "%s: %.400s", file, why.text);
        }
    }
    buffer_release(&text);
    return status;
}
