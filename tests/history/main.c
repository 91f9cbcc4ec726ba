/* judge FILE: judge a history that was kept as text. */
#include "tests/history/history_text.h"
#include "tests/history/judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: judge FILE [--drift PERMILLE]\n"
    "Judges a history of calls, sessions and watches (tests/history/README.md).\n"
    "--drift: by how much servers' clocks may run faster than the clients', in thousandths.\n"
    "Ends 0 if nothing is wrong, 1 with a report if something is, 2 if FILE cannot be judged.\n";

static int judge_file(const char *file, const struct judge_rules *rules)
{
    struct history *history = NULL;
    struct buffer report = BUFFER_INIT;
    struct error error;
    bool right;

    if (history_load(file, &history, &error) != STATUS_OK) {
        (void)fprintf(stderr, "judge: %s\n", error.text);
        return 2;
    }
    right = judge_history(history, rules, &report);
    (void)printf("%.*s%zu calls, %zu events: %s\n", (int)report.size,
                 report.size == 0 ? "" : (const char *)report.data, history->call_count,
                 history->event_count, right ? "nothing is wrong" : "WRONG");
    buffer_release(&report);
    history_record_free(history);
    return right ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct judge_rules rules = {.drift_permille = 0};

    if (argc == 4 && strcmp(argv[2], "--drift") == 0 && argv[3][0] != '\0' &&
        strspn(argv[3], "0123456789") == strlen(argv[3]) && strlen(argv[3]) <= 3) {
        rules.drift_permille = (uint32_t)strtoul(argv[3], NULL, 10);
    } else if (argc != 2 || argv[1][0] == '-') {
        (void)fputs(usage, argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    return judge_file(argv[1], &rules);
}
