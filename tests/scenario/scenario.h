/* One run of a scenario: its cluster, where the trace goes, and the words of the command at hand.
 * Whatever is wrong with a command ends the process with the number of its line. */
#ifndef TESTS_SCENARIO_SCENARIO_H
#define TESTS_SCENARIO_SCENARIO_H

#include "tests/scenario/cluster.h"

enum { WORDS_MAX = 64, LINE_MAX_BYTES = 512 };

struct scenario {
    struct raft_options options;
    struct cluster *cluster;
    FILE *out;
    char *words[WORDS_MAX];
    size_t word_count;
    size_t line;
};

/* Each list ends with a name of NULL. */
struct scenario_command {
    const char *name;
    void (*run)(struct scenario *scenario);
};

extern const struct scenario_command scenario_commands_nodes[];
extern const struct scenario_command scenario_commands_network[];
extern const struct scenario_command scenario_commands_disks[];
extern const struct scenario_command scenario_commands_status[];

__attribute__((format(printf, 2, 3))) _Noreturn void
scenario_fail(const struct scenario *scenario, const char *format, ...);

/* The words of the command, which must be there, and be what is asked for. */
const char *scenario_word(const struct scenario *scenario, size_t at);
uint64_t scenario_number(const struct scenario *scenario, size_t at);
uint64_t scenario_number_or(const struct scenario *scenario, size_t at, uint64_t otherwise);
struct cluster_node *scenario_node(const struct scenario *scenario, size_t at);
struct cluster_node *scenario_live_node(const struct scenario *scenario, size_t at);
/* The number after the word `name`; 0 if the word is absent. */
uint64_t scenario_number_after(const struct scenario *scenario, const char *name);
bool scenario_has_word(const struct scenario *scenario, const char *name);
/* NULL: it was. */
void scenario_understand(const struct scenario *scenario, const char *unknown);

/* Flush, and tell a refusal. */
void scenario_show_status(struct scenario *scenario, enum status status);

/* Without a trace until told otherwise. */
void scenario_be_silent(struct scenario *scenario);
void scenario_be_loud(struct scenario *scenario);

#endif
