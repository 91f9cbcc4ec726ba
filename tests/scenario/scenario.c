#include "tests/scenario/scenario.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) _Noreturn void
scenario_fail(const struct scenario *scenario, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "line %zu: ", scenario->line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

const char *scenario_word(const struct scenario *scenario, size_t at)
{
    if (at >= scenario->word_count) {
        scenario_fail(scenario, "'%s' needs more words", scenario->words[0]);
    }
    return scenario->words[at];
}

uint64_t scenario_number(const struct scenario *scenario, size_t at)
{
    const char *text = scenario_word(scenario, at);
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        scenario_fail(scenario, "'%s' is no number", text);
    }
    return value;
}

uint64_t scenario_number_or(const struct scenario *scenario, size_t at, uint64_t otherwise)
{
    return at < scenario->word_count ? scenario_number(scenario, at) : otherwise;
}

struct cluster_node *scenario_node(const struct scenario *scenario, size_t at)
{
    struct cluster_node *node = cluster_find(scenario->cluster, scenario_number(scenario, at));
    if (node == NULL) {
        scenario_fail(scenario, "there is no node %s", scenario_word(scenario, at));
    }
    return node;
}

struct cluster_node *scenario_live_node(const struct scenario *scenario, size_t at)
{
    struct cluster_node *node = scenario_node(scenario, at);
    if (!node->alive) {
        scenario_fail(scenario, "node %s is down", scenario_word(scenario, at));
    }
    return node;
}

/* The number after the word `name`; 0 if the word is absent. */
uint64_t scenario_number_after(const struct scenario *scenario, const char *name)
{
    for (size_t i = 1; i < scenario->word_count; i++) {
        if (strcmp(scenario->words[i], name) == 0) {
            return scenario_number(scenario, i + 1);
        }
    }
    return 0;
}

bool scenario_has_word(const struct scenario *scenario, const char *name)
{
    for (size_t i = 1; i < scenario->word_count; i++) {
        if (strcmp(scenario->words[i], name) == 0) {
            return true;
        }
    }
    return false;
}

void scenario_understand(const struct scenario *scenario, const char *unknown)
{
    if (unknown != NULL) {
        scenario_fail(scenario, "'%s' is not understood", unknown);
    }
}

void scenario_show_status(struct scenario *scenario, enum status status)
{
    cluster_flush(scenario->cluster);
    if (status != STATUS_OK && scenario->cluster->trace != NULL) {
        fprintf(scenario->out, "refused: %s\n", status_text(status));
    }
}

void scenario_be_silent(struct scenario *scenario)
{
    scenario->cluster->trace = NULL;
}

void scenario_be_loud(struct scenario *scenario)
{
    scenario->cluster->trace = scenario->out;
    for (size_t i = 0; i < scenario->cluster->node_count; i++) {
        struct cluster_node *node = &scenario->cluster->nodes[i];
        node->shown = raft_status(node->raft);
    }
}
