#include "cli/print.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_VALUE_BYTES_MAX = 4096 };

/* The length of the UTF-8 character at `text` (RFC 3629: no surrogates, no overlong forms), 0 if it
 * is none. */
static size_t utf8_bytes(const char *text, size_t bytes)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t point;

    if (length <= 1) {
        return length;
    }
    if (length > bytes || first > 0xf4) {
        return 0;
    }
    point = first & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];

        if ((byte & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (byte & 0x3f);
    }
    return point < lowest[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)
               ? 0
               : length;
}

static bool is_utf8(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        size_t length = utf8_bytes(text + i, bytes - i);

        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

static void put_json_byte(FILE *file, unsigned char byte)
{
    switch (byte) {
    case '"':
        (void)fputs("\\\"", file);
        return;
    case '\\':
        (void)fputs("\\\\", file);
        return;
    case '\n':
        (void)fputs("\\n", file);
        return;
    case '\r':
        (void)fputs("\\r", file);
        return;
    case '\t':
        (void)fputs("\\t", file);
        return;
    default:
        if (byte < 0x20 || byte == 0x7f) {
            (void)fprintf(file, "\\u%04x", byte);
        } else {
            (void)fputc(byte, file);
        }
    }
}

static void put_json(FILE *file, const char *text, size_t bytes)
{
    (void)fputc('"', file);
    for (size_t i = 0; i < bytes;) {
        size_t length = utf8_bytes(text + i, bytes - i);

        if (length == 0) {
            (void)fputs("\\ufffd", file);
            i++;
        } else if (length == 1) {
            put_json_byte(file, (unsigned char)text[i++]);
        } else {
            (void)fwrite(text + i, 1, length, file);
            i += length;
        }
    }
    (void)fputc('"', file);
}

void print_json_text(FILE *file, const char *text)
{
    put_json(file, text, strlen(text));
}

static void put_base64(FILE *file, const char *value, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t group = (uint32_t)(unsigned char)value[i] << 16;

        group |= i + 1 < bytes ? (uint32_t)(unsigned char)value[i + 1] << 8 : 0;
        group |= i + 2 < bytes ? (uint32_t)(unsigned char)value[i + 2] : 0;
        (void)fputc(digits[group >> 18], file);
        (void)fputc(digits[group >> 12 & 63], file);
        (void)fputc(i + 1 < bytes ? digits[group >> 6 & 63] : '=', file);
        (void)fputc(i + 2 < bytes ? digits[group & 63] : '=', file);
    }
}

void print_json_value(FILE *file, const char *value, size_t bytes, bool is_null)
{
    if (is_null) {
        (void)fputs("null", file);
    } else if (is_utf8(value, bytes)) {
        put_json(file, value, bytes);
    } else {
        (void)fputs("{\"base64\": \"", file);
        put_base64(file, value, bytes);
        (void)fputs("\"}", file);
    }
}

void print_json_stat(FILE *file, const struct confer_stat *stat)
{
    (void)fprintf(file,
                  "\"version\": %" PRId32 ", \"czxid\": %" PRIu64 ", \"mzxid\": %" PRIu64
                  ", \"pzxid\": %" PRIu64 ", \"ctime_ms\": %" PRIu64 ", \"mtime_ms\": %" PRIu64
                  ", \"cversion\": %" PRId32 ", \"aversion\": %" PRId32
                  ", \"ephemeral_owner\": %" PRIu64 ", \"value_bytes\": %" PRIu32
                  ", \"child_count\": %" PRIu32,
                  stat->version, stat->czxid, stat->mzxid, stat->pzxid, stat->ctime_ms,
                  stat->mtime_ms, stat->cversion, stat->aversion, stat->ephemeral_owner,
                  stat->value_bytes, stat->child_count);
}

static bool is_printable(const char *value, size_t bytes)
{
    if (bytes > LINE_VALUE_BYTES_MAX || !is_utf8(value, bytes)) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)value[i];

        /* Also the C1 controls, which are 0xc2 0x80 to 0xc2 0x9f. */
        if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && (unsigned char)value[i + 1] < 0xa0)) {
            return false;
        }
    }
    return true;
}

void print_value_line(FILE *file, const char *value, size_t bytes)
{
    if (is_printable(value, bytes)) {
        (void)fwrite(value, 1, bytes, file);
    } else {
        (void)fprintf(file, "<%zu bytes>", bytes);
    }
}

void print_text(FILE *file, const char *text)
{
    size_t bytes = strlen(text);

    for (size_t i = 0; i < bytes;) {
        size_t length = utf8_bytes(text + i, bytes - i);

        if (length == 0 || !is_printable(text + i, length)) {
            (void)fprintf(file, "\\x%02x", (unsigned char)text[i++]);
        } else {
            (void)fwrite(text + i, 1, length, file);
            i += length;
        }
    }
}

void print_time(FILE *file, uint64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    char text[32];

    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        (void)fprintf(file, "%" PRIu64 " ms since 1970", time_ms);
        return;
    }
    (void)fprintf(file, "%s.%03uZ", text, (unsigned)(time_ms % 1000));
}

/* --- Tables --- */

void print_table_init(struct print_table *table, size_t columns)
{
    *table = (struct print_table){.columns = columns};
}

void print_table_add(struct print_table *table, const char *format, ...)
{
    va_list arguments;

    if (table->rows == table->capacity) {
        table->capacity = table->capacity == 0 ? 64 : 2 * table->capacity;
        table->cells = xrealloc(table->cells, table->capacity * PRINT_CELL_BYTES_MAX);
    }
    va_start(arguments, format);
    (void)vsnprintf(table->cells + table->rows * PRINT_CELL_BYTES_MAX, PRINT_CELL_BYTES_MAX, format,
                    arguments);
    va_end(arguments);
    table->rows++;
}

static const char *cell(const struct print_table *table, size_t i)
{
    return table->cells + i * PRINT_CELL_BYTES_MAX;
}

void print_table_finish(struct print_table *table, FILE *file)
{
    size_t widths[PRINT_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->rows; i++) {
        size_t bytes = strlen(cell(table, i));
        size_t *width = &widths[i % table->columns];

        *width = bytes > *width ? bytes : *width;
    }
    for (size_t i = 0; i < table->rows; i++) {
        bool is_last = i % table->columns == table->columns - 1;

        /* No blanks at the end of a line. */
        (void)fprintf(file, "%-*s%s", is_last ? 0 : (int)widths[i % table->columns], cell(table, i),
                      is_last ? "\n" : "  ");
    }
    free(table->cells);
    *table = (struct print_table){.cells = NULL};
}
