/* Runs a scenario: a text file of commands, each followed by the trace it is expected to produce.
 *
 *     runner FILE            compare, byte for byte; print the first difference
 *     runner --rewrite FILE  write what happened into the file; read the change critically
 *     runner --marks OUT FILE  compare, and write into OUT which marks (base/mark.h) were passed
 *
 * Lines beginning with "> " are commands, with "#" comments; both and blank lines are kept. All
 * other lines are the trace. Commands, N a node's number:
 *
 *     option NAME VALUE             of all cores, before nodes
 *     nodes COUNT                   add nodes that wait without a cluster
 *     bootstrap N... voters ID... | config FAULT    give these nodes the first configuration
 *     cluster COUNT                 nodes, bootstrap all, and make it durable
 *     elect N                       campaign N and stabilize, untold
 *     campaign N                    move the time to N's election deadline and tick N
 *     tick N                        now
 *     advance MS                    tick at deadlines; nothing is delivered or written meanwhile
 *     run MS                        the same, but stabilize after each tick; heartbeats are untold
 *     stabilize                     deliver and write until nothing moves
 *     propose N [COUNT [BYTES]]     read N        transfer N TARGET      campaign-now N
 *     deliver|drop|duplicate|hold|release [from N] [to N] [type NAME] [first | nth COUNT]
 *     misdeliver TO AT              the first message for TO arrives at AT
 *     persist N [COUNT]             finish N's oldest pending writes (all)
 *     persist-again N               report what is durable once more
 *     hold-writes N | free-writes N stabilize leaves or takes them
 *     crash N | restart N | wipe N
 *     restart N with ...            from a damaged record, see forge_boot; is refused
 *     damage N INDEX term T|type NUMBER|config FAULT|no-config    an entry on N's disk
 *     reincarnate N                 only the incarnation changes; N restarts
 *     cut A B | join A B            both directions; cut-one A B only from A to B
 *     isolate N | heal              from and to everybody
 *     peer-down N PEER
 *     add-learner N LEARNER [promote] [elsewhere|endless] [expect INDEX]
 *     remove-learner N LEARNER
 *     change-voters N ID... [keep] [force] [expect INDEX]
 *     cancel-change N [expect INDEX]
 *     checkpoint N [INDEX] | trim N INDEX|checkpoint
 *     install N INDEX TERM SENDER_TERM CONFIG_INDEX CONFIG_FAULT    is refused
 *     dump FROM TO | dump-sent N PEER INDEX | dump-failed N PEER | installing N on|off
 *     lose-tail N COUNT             the last COUNT entries vanish from N's disk
 *     entries N TERM...             fabricate a log on N's disk (before anything else; N restarts)
 *     hard-state N TERM VOTE        fabricate that too
 *     inject FROM TO TYPE TERM [NUMBER...]   a message out of nowhere, into the network
 *     timeless                      before nodes: time stands still, see timeless.h
 *     expire N TIMER                then: let a timer run out: election, campaign, heartbeat, ...
 *     hold-flush N | free-flush N   N takes inputs without a flush, or with one again
 *     flush                         everybody who had an input and is not held
 *     judge TYPE TERM ...           whether such a message is legal, see forge_message
 *     judge-config FAULT            the same of a configuration
 *     quietly COMMAND...            without a trace
 *     repeat COUNT COMMAND...
 *     status | peers N | log N | network | converged */
#include "base/mark.h"
#include "tests/scenario/scenario.h"

#include <stdlib.h>
#include <string.h>

/* NULL if there is none. */
static const struct scenario_command *find_command(const struct scenario *scenario)
{
    const struct scenario_command *const lists[] = {
        scenario_commands_nodes, scenario_commands_network, scenario_commands_disks,
        scenario_commands_status};
    for (size_t i = 0; scenario->word_count > 0 && i < sizeof lists / sizeof lists[0]; i++) {
        for (const struct scenario_command *at = lists[i]; at->name != NULL; at++) {
            if (strcmp(at->name, scenario->words[0]) == 0) {
                return at;
            }
        }
    }
    return NULL;
}

static void run_command(struct scenario *scenario, const char *line)
{
    if (strncmp(line, "repeat ", 7) == 0) {
        char *rest;
        uint64_t count = strtoull(line + 7, &rest, 10);
        for (uint64_t i = 0; i < count; i++) {
            run_command(scenario, rest + 1);
        }
        return;
    }
    if (strncmp(line, "quietly ", 8) == 0) {
        scenario_be_silent(scenario);
        run_command(scenario, line + 8);
        scenario_be_loud(scenario);
        return;
    }
    char copy[LINE_MAX_BYTES];
    snprintf(copy, sizeof copy, "%s", line);
    scenario->word_count = 0;
    char *rest = NULL;
    for (char *at = strtok_r(copy, " ", &rest); at != NULL; at = strtok_r(NULL, " ", &rest)) {
        if (scenario->word_count < WORDS_MAX) {
            scenario->words[scenario->word_count++] = at;
        }
    }
    const struct scenario_command *command = find_command(scenario);
    if (command == NULL) {
        scenario_fail(scenario, "unknown command '%s'", line);
    }
    command->run(scenario);
}

/* --- The file --- */

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        fputc(c, memory);
    }
    fclose(memory);
    fclose(file);
    return text;
}

static char *replay(const char *text)
{
    char *result = NULL;
    size_t size = 0;
    struct scenario scenario = {.options = raft_options_default(1)};
    scenario.options.log_entries_max = 512;
    scenario.options.message_entries_max = 64;
    scenario.options.reads_max = 16;
    scenario.out = open_memstream(&result, &size);
    scenario.cluster = cluster_new(&scenario.options, 1, scenario.out);
    char line[LINE_MAX_BYTES];
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        text += length + (text[length] == '\n' ? 1 : 0);
        scenario.line++;
        if (line[0] == '#' || line[0] == '\0') {
            fprintf(scenario.out, "%s\n", line);
        } else if (strncmp(line, "> ", 2) == 0) {
            fprintf(scenario.out, "%s\n", line);
            run_command(&scenario, line + 2);
        }
    }
    cluster_free(scenario.cluster);
    fclose(scenario.out);
    return result;
}

/* Print the first line that differs, with its number. */
static void show_difference(const char *path, const char *expected, const char *actual)
{
    size_t line = 1;
    size_t at = 0;
    size_t start = 0;
    while (expected[at] != '\0' && expected[at] == actual[at]) {
        if (expected[at] == '\n') {
            line++;
            start = at + 1;
        }
        at++;
    }
    fprintf(stderr, "%s:%zu: the trace differs\nexpected: %.*s\nhappened: %.*s\n", path, line,
            (int)strcspn(expected + start, "\n"), expected + start,
            (int)strcspn(actual + start, "\n"), actual + start);
}

static void write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    bool rewrite = argc == 3 && strcmp(argv[1], "--rewrite") == 0;
    bool with_marks = argc == 4 && strcmp(argv[1], "--marks") == 0;
    if (argc != 2 && !rewrite && !with_marks) {
        fputs("usage: runner [--rewrite | --marks OUT] FILE\n", stderr);
        return 2;
    }
    const char *path = argv[argc - 1];
    char *expected = read_whole(path);
    char *actual = replay(expected);
    bool same = strcmp(expected, actual) == 0;
    if (!same && rewrite) {
        write_whole(path, actual);
    } else if (!same) {
        show_difference(path, expected, actual);
    }
    free(expected);
    free(actual);
    if (with_marks && !mark_write(argv[2])) {
        perror(argv[2]);
        return 2;
    }
    return same || rewrite ? 0 : 1;
}
