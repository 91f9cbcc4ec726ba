/* What every command uses: the parsed command line, the handle, and how failures are told. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/options.h"
#include "cli/print.h"

#include <confer.h>

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILED = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_NOT_FOUND = 3,
    EXIT_CODE_CONFLICT = 4,
    EXIT_CODE_UNAVAILABLE = 5
};

enum cli_output { CLI_OUTPUT_TABLE, CLI_OUTPUT_JSON, CLI_OUTPUT_RAW };

struct cli {
    struct options options;
    const char *address;
    const char *user; /* NAME:PASSWORD; NULL = nobody */
    enum cli_output output;
    struct confer_call call; /* with the timeout of the command line */
    struct confer *confer;   /* once cli_open succeeded */
};

/* False: wrong usage, and stderr says why. */
bool cli_init(struct cli *cli, const struct options *options);

static inline const char *cli_argument(const struct cli *cli, size_t i)
{
    return i < cli->options.argument_count ? cli->options.arguments[i] : NULL;
}
static inline const char *cli_option(const struct cli *cli, const char *name)
{
    return options_find(&cli->options, name);
}
/* A number given as an option, or `otherwise`. False: wrong usage. */
bool cli_number(const struct cli *cli,
                const char *name,
                uint64_t max,
                uint64_t otherwise,
                uint64_t *ret_number);
/* --if-version, else CONFER_ANY_VERSION. */
bool cli_version(const struct cli *cli, int32_t *ret_version);
/* The time that membership commands get when none was given. */
void cli_allow_long(struct cli *cli);

/* Reads show every write that was acknowledged before, also one made through another server a
 * moment ago; --local asks for less. */
#define CLI_OPTION_LOCAL                                                                           \
    {                                                                                              \
        "local", 0, NULL, "what the asked server has, perhaps not the newest; needs no leader"     \
    }
void cli_choose_level(struct cli *cli);

/* Open the handle; an exit code. `options` NULL: without session, for reads. */
int cli_open(struct cli *cli, const struct confer_options *options);
/* For writes: with a session, so that a repeated write takes effect once. */
int cli_open_for_writing(struct cli *cli);
/* Close the handle and check that all output was written; the exit code of the program. */
int cli_close(struct cli *cli, int code);

enum exit_code cli_code(enum confer_status status);
/* Tell a failure on stderr, with the way out; the exit code. `path` may be NULL. */
int cli_fail(const struct cli *cli,
             enum confer_status status,
             const char *message,
             const char *path);
/* As above, from a result (may be NULL); frees it. */
int cli_fail_result(const struct cli *cli,
                    enum confer_status status,
                    struct confer_result *result,
                    const char *path);
/* Tell wrong usage on stderr. */
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the servers say of something that succeeded, on stderr; nothing if there is nothing. */
void cli_print_note(const struct cli *cli, const char *note);
/* The members of a cluster, for init and what changes them. */
void cli_print_members(const struct cli *cli, const struct confer_result *result);

/* Wait for SIGINT or SIGTERM, or until the eventfd `wake_fd` is raised; true for a signal. The
 * signals are blocked by cli_block_signals before the handle is opened. */
void cli_block_signals(void);
bool cli_wait_for_signal(int wake_fd);

/* The largest value plus one, so that a longer one is seen to be too long. */
enum { CLI_VALUE_BYTES_MAX = 1024 * 1024 };
/* The value that the command line gives: VALUE, - (stdin) or --file. An exit code. */
int cli_read_value(const struct cli *cli,
                   const char *argument,
                   char **ret_value,
                   size_t *ret_bytes);

#endif
