/* Servers as child processes on loopback, and the command line that talks to them.
 *
 * Ports lie below those that the kernel gives to outgoing connections and are reserved among all
 * tests of the machine until the program ends, so a killed server finds its port free again. When a
 * test case fails, its servers are ended by the next cluster_init or the program's end, and their
 * logs are printed. A cluster is a static object for that reason. For the main thread only. */
#ifndef TESTS_SUPPORT_CLUSTER_H
#define TESTS_SUPPORT_CLUSTER_H

#include "proto/client.pb-c.h"
#include "tests/support/process.h"

enum { CLUSTER_SERVERS_MAX = 9, CLUSTER_DEADLINE_MS = 30000, CLUSTER_LAUNCHER_WORDS = 16 };

/* What starts a server. */
struct cluster_command {
    char id[16];
    const char *words[56]; /* NULL at the end */
};

struct cluster_server {
    unsigned id;
    char address[32]; /* 127.0.0.1:PORT, or what the test puts here before the first start */
    char data[512];
    char log[512]; /* stdout and stderr of all its runs */
    /* A command that starts the rest of its words, as env, with the words that are its own. NULL at
     * the end. */
    const char *launcher[CLUSTER_LAUNCHER_WORDS + 1];
    struct process process;
};

struct cluster {
    struct cluster_server servers[CLUSTER_SERVERS_MAX + 1]; /* by id, from 1 */
    unsigned server_count;
    const char *options[16]; /* for every server, NULL at the end */
};

/* A port of 127.0.0.1 that no test and nobody else uses now. */
unsigned cluster_free_port(void);
/* Where the built program of this name is, as "server/confer-server". */
const char *cluster_program(const char *name);

/* Choose ports and folders for servers 1 to `server_count`; nothing runs yet. */
void cluster_init(struct cluster *cluster, unsigned server_count);
/* Add one more server with the next id. */
unsigned cluster_add(struct cluster *cluster);
/* Kill all servers; the end of a test case that passed. */
void cluster_release(struct cluster *cluster);

/* Start a server and wait until it takes connections. A failed expectation when it does not. */
void cluster_start(struct cluster *cluster, unsigned id);
/* Its launcher, the program with id, address and folder, and `more` (NULL at the end). All is lent.
 */
void cluster_command(const struct cluster *cluster,
                     unsigned id,
                     const char *const more[],
                     struct cluster_command *ret_command);
/* What `confer-server --recover WHAT` says of its folder. As outcome_of, with CLUSTER_DEADLINE_MS.
 */
const struct outcome *cluster_recover(const struct cluster *cluster, unsigned id, const char *what);
/* Start it, whatever becomes of it. */
void cluster_launch(struct cluster *cluster, unsigned id);
void cluster_kill(struct cluster *cluster, unsigned id);
void cluster_signal(struct cluster *cluster, unsigned id, int signal);
/* Start all, make them a cluster with `init`, and wait for a leader. */
void cluster_form(struct cluster *cluster);

/* Run confer-cli against a server: cluster_cli(&cluster, 1, "get", "/a", NULL). Id 0 gives no
 * address. As outcome_of, with CLUSTER_DEADLINE_MS. */
const struct outcome *cluster_cli(struct cluster *cluster, unsigned id, ...)
    __attribute__((sentinel));
/* The same in the background; process_release it. */
void cluster_cli_start(struct cluster *cluster, struct process *process, unsigned id, ...)
    __attribute__((sentinel));

/* What a server says when asked for the status: a StatusReply, released with
 * client__response__free_unpacked; NULL when it does not answer within a second. */
Client__Response *cluster_status(const struct cluster *cluster, unsigned id);

/* Ask it for the status, whatever it says: what came to it before was seen by then. A failed
 * expectation when it does not answer within CLUSTER_DEADLINE_MS. */
void cluster_expect_answer(const struct cluster *cluster, unsigned id);

/* Wait until a server says that `status` knows a leader that runs, and return the leader's id; 0
 * after `deadline_ms`. `not` names a former leader that does not count; 0 = none. */
unsigned cluster_wait_leader(struct cluster *cluster, unsigned not, unsigned deadline_ms);

/* Wait until what the command `status` prints through a server has these words; a failed
 * expectation if it never does. */
void cluster_wait_status(struct cluster *cluster, unsigned through, const char *words);

/* Wait until server `id` has seen a majority hold the state that it holds, at what the leader has
 * applied by now or later; a failed expectation if it never does. */
void cluster_wait_agreed(const struct cluster *cluster, unsigned leader, unsigned id);

/* Has the server's log these words? */
bool cluster_log_has(const struct cluster *cluster, unsigned id, const char *words);
/* Wait until it has; a failed expectation that names them if it never does. */
void cluster_wait_log(const struct cluster *cluster,
                      unsigned id,
                      const char *words,
                      unsigned deadline_ms);

/* A file in the test's folder with what only its owner may read, for --cluster-secret-file. */
const char *cluster_secret_file(const char *secret);

/* The memory that a running server holds now (VmRSS). */
uint64_t cluster_memory_bytes(const struct cluster *cluster, unsigned id);
/* And of it what is no file's (RssAnon). */
uint64_t cluster_anonymous_bytes(const struct cluster *cluster, unsigned id);

#endif
