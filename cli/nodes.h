/* Lists of servers and of ids on the command line. */
#ifndef CLI_NODES_H
#define CLI_NODES_H

#include "cli/cli.h"

enum { NODES_MAX = 31 };

struct nodes {
    struct confer_node_address items[NODES_MAX];
    char addresses[NODES_MAX][300];
    size_t count;
};

/* "1=HOST:PORT,2=HOST:PORT". False: wrong usage, and stderr says why. */
bool nodes_parse(const struct cli *cli, const char *option, const char *text, struct nodes *ret);

struct ids {
    uint64_t items[NODES_MAX];
    size_t count;
};

/* "1,2,3" */
bool ids_parse(const struct cli *cli, const char *option, const char *text, struct ids *ret);

#endif
