/* Command lines: the table of commands drives parsing, help and suggestions. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { OPTIONS_MAX = 16, ARGUMENTS_MAX = 8 };

struct option {
    const char *name;       /* without the dashes */
    char letter;            /* 0 = none */
    const char *value_name; /* NULL: a flag */
    const char *help;
};

struct cli;

struct command {
    const char *name;
    const char *short_name; /* NULL = none */
    const char *arguments;  /* as "PATH [VALUE]" */
    size_t arguments_min;
    size_t arguments_max;
    const char *summary;          /* one line */
    const char *help;             /* what one should know, and examples */
    const struct option *options; /* ends with a NULL name */
    int (*run)(struct cli *cli);
};

/* A command line taken apart. Texts are lent from argv. */
struct options {
    const struct command *command; /* NULL: none was named */
    const char *arguments[ARGUMENTS_MAX];
    size_t argument_count;
    bool wants_help;
    bool wants_version;
    struct {
        const char *name;
        const char *value; /* "" of a flag */
    } given[OPTIONS_MAX];
    size_t given_count;
};

/* The options of every command. */
extern const struct option options_common[];

/* False: wrong usage, and stderr says why. */
bool options_parse(const struct command *const *commands,
                   int argc,
                   char **argv,
                   struct options *ret_options);
/* The value of an option, "" of a flag, NULL when it was not given. */
const char *options_find(const struct options *options, const char *name);

void options_print_overview(const struct command *const *commands);
void options_print_help(const struct command *command);

#endif
