#include "cli/options.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

const struct option options_common[] = {
    {"address", 'a', "A[,B,C]",
     "servers to ask, as HOST:PORT; else $CONFER_ADDRESS, else 127.0.0.1:10001"},
    {"user", 'u', "NAME:PASSWORD",
     "who you are, for lists of permissions; else $CONFER_USER, which others cannot see"},
    {"timeout", 't', "TIME", "give up after this time, as 500ms or 5s"},
    {"output", 'o', "FORMAT", "table, json or raw"},
    {"help", 'h', NULL, "show this help"},
    {NULL, 0, NULL, NULL}};

static const struct option option_version = {"version", 0, NULL, "show the version"};

static bool __attribute__((format(printf, 1, 2))) refuse(const char *format, ...)
{
    va_list arguments;

    (void)fputs("confer-cli: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return false;
}

/* --- Did you mean --- */

enum { WORD_BYTES_MAX = 32 };

/* How many letters have to be changed, added, left out or swapped with their neighbour (the
 * restricted Damerau-Levenshtein distance); large for long words. */
static size_t distance(const char *left, const char *right)
{
    size_t rows[3][WORD_BYTES_MAX + 1];
    size_t left_bytes = strlen(left);
    size_t right_bytes = strlen(right);

    if (left_bytes > WORD_BYTES_MAX || right_bytes > WORD_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= right_bytes; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= left_bytes; i++) {
        size_t *row = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= right_bytes; j++) {
            size_t best = before[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);

            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] &&
                rows[(i - 2) % 3][j - 2] + 1 < best) {
                best = rows[(i - 2) % 3][j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return rows[left_bytes % 3][right_bytes];
}

static bool is_near(const char *word, const char *other, size_t *best)
{
    size_t far = distance(word, other);

    if (far < *best && far <= 1 + strlen(other) / 4) {
        *best = far;
        return true;
    }
    return strncmp(word, other, strlen(word)) == 0 && strlen(word) >= 2 && *best == SIZE_MAX;
}

static bool refuse_command(const struct command *const *commands, const char *word)
{
    const char *meant = NULL;
    size_t best = SIZE_MAX;

    for (; *commands != NULL; commands++) {
        if (is_near(word, (*commands)->name, &best)) {
            meant = (*commands)->name;
        }
    }
    if (meant != NULL) {
        return refuse("there is no command '%s'; did you mean '%s'?", word, meant);
    }
    return refuse("there is no command '%s'; 'confer-cli --help' lists them", word);
}

static bool refuse_option(const struct command *command, const char *word, size_t word_bytes)
{
    const char *meant = NULL;
    size_t best = SIZE_MAX;
    char name[WORD_BYTES_MAX + 1];

    (void)snprintf(name, sizeof name, "%.*s", (int)word_bytes, word);
    for (const struct option *option = options_common; option->name != NULL; option++) {
        meant = is_near(name, option->name, &best) ? option->name : meant;
    }
    for (const struct option *option = command == NULL ? NULL : command->options;
         option != NULL && option->name != NULL; option++) {
        meant = is_near(name, option->name, &best) ? option->name : meant;
    }
    if (meant != NULL) {
        return refuse("there is no option --%s; did you mean --%s?", name, meant);
    }
    return refuse("there is no option --%s; see 'confer-cli %s%s--help'", name,
                  command == NULL ? "" : command->name, command == NULL ? "" : " ");
}

/* --- Parsing --- */

static const struct option *find_in(const struct option *option, const char *name, size_t bytes)
{
    for (; option != NULL && option->name != NULL; option++) {
        if (strlen(option->name) == bytes && memcmp(option->name, name, bytes) == 0) {
            return option;
        }
    }
    return NULL;
}

static const struct option *find_letter_in(const struct option *option, char letter)
{
    for (; option != NULL && option->name != NULL; option++) {
        if (option->letter == letter) {
            return option;
        }
    }
    return NULL;
}

static const struct option *
find_option(const struct command *command, const char *name, size_t bytes)
{
    const struct option *option = find_in(options_common, name, bytes);

    if (option == NULL && command != NULL) {
        option = find_in(command->options, name, bytes);
    }
    if (option == NULL && command == NULL && bytes == strlen("version") &&
        memcmp(name, "version", bytes) == 0) {
        option = &option_version;
    }
    return option;
}

static const struct option *find_letter(const struct command *command, char letter)
{
    const struct option *option = find_letter_in(options_common, letter);

    return option == NULL && command != NULL ? find_letter_in(command->options, letter) : option;
}

static bool give(struct options *options, const struct option *option, const char *value)
{
    if (strcmp(option->name, "help") == 0) {
        options->wants_help = true;
        return true;
    }
    if (strcmp(option->name, "version") == 0) {
        options->wants_version = true;
        return true;
    }
    for (size_t i = 0; i < options->given_count; i++) {
        if (strcmp(options->given[i].name, option->name) == 0) {
            return refuse("--%s is given twice", option->name);
        }
    }
    if (options->given_count == OPTIONS_MAX) {
        return refuse("too many options");
    }
    options->given[options->given_count].name = option->name;
    options->given[options->given_count++].value = value;
    return true;
}

/* --name, --name=VALUE or --name VALUE; *next is the argument behind it. */
static bool take_long(struct options *options, char **argv, int *next)
{
    const char *name = argv[*next - 1] + 2;
    size_t bytes = strcspn(name, "=");
    const struct option *option = find_option(options->command, name, bytes);

    if (option == NULL) {
        return refuse_option(options->command, name, bytes);
    }
    if (option->value_name == NULL) {
        return name[bytes] == '=' ? refuse("--%s takes no value", option->name)
                                  : give(options, option, "");
    }
    if (name[bytes] == '=') {
        return give(options, option, name + bytes + 1);
    }
    if (argv[*next] == NULL) {
        return refuse("--%s needs a value: --%s %s", option->name, option->name,
                      option->value_name);
    }
    return give(options, option, argv[(*next)++]);
}

/* -x, -xyz, -x VALUE or -xVALUE. */
static bool take_letters(struct options *options, char **argv, int *next)
{
    for (const char *letter = argv[*next - 1] + 1; *letter != '\0'; letter++) {
        const struct option *option = find_letter(options->command, *letter);

        if (option == NULL) {
            return refuse("there is no option -%c; see 'confer-cli %s%s--help'", *letter,
                          options->command == NULL ? "" : options->command->name,
                          options->command == NULL ? "" : " ");
        }
        if (option->value_name == NULL) {
            if (!give(options, option, "")) {
                return false;
            }
            continue;
        }
        if (letter[1] != '\0') {
            return give(options, option, letter + 1);
        }
        if (argv[*next] == NULL) {
            return refuse("-%c needs a value: -%c %s", *letter, *letter, option->value_name);
        }
        return give(options, option, argv[(*next)++]);
    }
    return true;
}

static const struct command *find_command(const struct command *const *commands, const char *name)
{
    for (; *commands != NULL; commands++) {
        if (strcmp((*commands)->name, name) == 0 ||
            ((*commands)->short_name != NULL && strcmp((*commands)->short_name, name) == 0)) {
            return *commands;
        }
    }
    return NULL;
}

static bool
take_word(const struct command *const *commands, struct options *options, const char *word)
{
    if (options->command == NULL && strcmp(word, "help") == 0) {
        options->wants_help = true;
        return true;
    }
    if (options->command == NULL) {
        options->command = find_command(commands, word);
        return options->command != NULL || refuse_command(commands, word);
    }
    if (options->argument_count == options->command->arguments_max) {
        return refuse("'%s' is one argument too many: confer-cli %s %s", word,
                      options->command->name, options->command->arguments);
    }
    options->arguments[options->argument_count++] = word;
    return true;
}

/* A number may stand where an argument stands, as in `set /a -5`. */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !isdigit((unsigned char)word[1]);
}

static bool
take_all(const struct command *const *commands, int argc, char **argv, struct options *options)
{
    bool options_ended = false;

    for (int next = 1; next < argc;) {
        const char *word = argv[next++];
        bool goes_on;

        if (!options_ended && strcmp(word, "--") == 0) {
            options_ended = true;
            continue;
        }
        if (options_ended || !is_option(word)) {
            goes_on = take_word(commands, options, word);
        } else if (word[1] == '-') {
            goes_on = take_long(options, argv, &next);
        } else {
            goes_on = take_letters(options, argv, &next);
        }
        if (!goes_on) {
            return false;
        }
    }
    return true;
}

bool options_parse(const struct command *const *commands,
                   int argc,
                   char **argv,
                   struct options *ret_options)
{
    struct options options = {.command = NULL};

    if (!take_all(commands, argc, argv, &options)) {
        return false;
    }
    if (!options.wants_help && !options.wants_version) {
        if (options.command == NULL) {
            return refuse("which command? 'confer-cli --help' lists them");
        }
        if (options.argument_count < options.command->arguments_min) {
            return refuse("an argument is missing: confer-cli %s %s", options.command->name,
                          options.command->arguments);
        }
    }
    *ret_options = options;
    return true;
}

const char *options_find(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->given_count; i++) {
        if (strcmp(options->given[i].name, name) == 0) {
            return options->given[i].value;
        }
    }
    return NULL;
}

/* --- Help --- */

static void print_options(const struct option *option)
{
    for (; option != NULL && option->name != NULL; option++) {
        char left[64];
        char letter[8] = "    ";

        if (option->letter != 0) {
            (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
        }
        (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
                       option->value_name == NULL ? "" : " ",
                       option->value_name == NULL ? "" : option->value_name);
        (void)printf("  %-26s %s\n", left, option->help);
    }
}

void options_print_overview(const struct command *const *commands)
{
    (void)puts("confer-cli COMMAND [ARGUMENTS] [OPTIONS]\n"
               "\n"
               "Looks at and changes the tree of a Confer cluster, and the cluster itself.\n"
               "\n"
               "Commands:");
    for (; *commands != NULL; commands++) {
        char left[64];

        (void)snprintf(left, sizeof left, "%s%s%s", (*commands)->name,
                       (*commands)->short_name == NULL ? "" : ", ",
                       (*commands)->short_name == NULL ? "" : (*commands)->short_name);
        (void)printf("  %-18s %s\n", left, (*commands)->summary);
    }
    (void)puts("\nOptions:");
    print_options(options_common);
    print_options((const struct option[]){option_version, {NULL, 0, NULL, NULL}});
    (void)puts(
        "\n"
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such node, 4 in conflict with what "
        "is\nthere (version, exists, not empty, membership), 5 unavailable or timed out.\n"
        "\n"
        "'confer-cli COMMAND --help' has more and examples.");
}

void options_print_help(const struct command *command)
{
    (void)printf("confer-cli %s %s%s[OPTIONS]\n\n%s.\n\n%s\n", command->name, command->arguments,
                 command->arguments[0] == '\0' ? "" : " ", command->summary, command->help);
    if (command->short_name != NULL) {
        (void)printf("Short form: %s\n", command->short_name);
    }
    (void)puts("Options:");
    print_options(command->options);
    print_options(options_common);
}
