/* What goes to stdout: JSON, tables, values. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <confer.h>

#include <stdio.h>

/* A JSON string; bytes that are not UTF-8 become U+FFFD. */
void print_json_text(FILE *file, const char *text);
/* A value: a JSON string when it is UTF-8, else {"base64": "..."}; null for a null. */
void print_json_value(FILE *file, const char *value, size_t bytes, bool is_null);
/* "czxid": 1, ... without the braces. */
void print_json_stat(FILE *file, const struct confer_stat *stat);

/* A value on one line for a person: as it is when it is short printable UTF-8, else its size. */
void print_value_line(FILE *file, const char *value, size_t bytes);
/* A name or path for a terminal: control characters and broken UTF-8 as \xNN. */
void print_text(FILE *file, const char *text);
/* Milliseconds since 1970 as 2026-01-31T12:00:00.000Z. */
void print_time(FILE *file, uint64_t time_ms);

/* --- Tables with aligned columns --- */

enum { PRINT_COLUMNS_MAX = 12, PRINT_CELL_BYTES_MAX = 300 };

struct print_table {
    size_t columns;
    size_t rows;
    size_t capacity;
    char *cells; /* rows x columns x PRINT_CELL_BYTES_MAX */
};

void print_table_init(struct print_table *table, size_t columns);
/* The next cell, row by row. */
void print_table_add(struct print_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void print_table_finish(struct print_table *table, FILE *file);

#endif
