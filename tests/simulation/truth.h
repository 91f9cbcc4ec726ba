/* What the commands did: one outcome of each on every server (S20), each write once (S21) and as
 * its client was told (S24), ephemeral nodes and sessions as promised. */
#ifndef TESTS_SIMULATION_TRUTH_H
#define TESTS_SIMULATION_TRUTH_H

#include "tests/simulation/chronicle.h"
#include "tests/simulation/quotas.h"
#include "tests/simulation/recording.h"

struct truth;

struct truth_counts {
    uint64_t effects;
    uint64_t acknowledged;
    uint64_t repeated; /* commands answered from kept results */
    uint64_t sequences;
    uint64_t ephemerals;
    uint64_t expired;
    uint64_t swept;   /* nodes */
    uint64_t orphans; /* of sessions that had too many to go in their end */
    struct quotas_counts quotas;
};

struct truth *truth_new(struct cluster *cluster);
void truth_free(struct truth *truth);
struct chronicle *truth_chronicle(struct truth *truth);
struct recording *truth_recording(struct truth *truth);
struct quotas *truth_quotas(struct truth *truth);
struct truth_counts truth_counts(const struct truth *truth);

/* --- What servers do --- */

/* A server applied the command at `at`, and has this state afterwards; it was the first one if this
 * is true. */
bool truth_on_applied(struct truth *truth,
                      zxid at,
                      struct bytes entry,
                      const struct state_result *result,
                      struct state_digest digest);
/* The same of a configuration. */
void truth_on_config(struct truth *truth,
                     zxid at,
                     const struct state_result *result,
                     struct state_digest digest);
/* A server's state right after `at` was applied, be it a command or not. */
void truth_on_state(struct truth *truth,
                    const struct cluster_server *server,
                    zxid at,
                    struct state_digest digest);

/* --- What clients are told --- */

/* A new serial number for a write; each value that it writes begins with it. */
uint64_t truth_next_serial(struct truth *truth);
/* The write was acknowledged with this result. `session` and `sequence` are 0 if it has none;
 * `marked`: something that it writes holds its serial number. */
struct truth_write {
    uint64_t serial;
    session_id session;
    uint64_t sequence;
    bool marked;
};
void truth_on_acknowledged(struct truth *truth,
                           const struct cluster_server *server,
                           const struct truth_write *write,
                           const struct state_result *result);
/* It was sent once more, and answered: an answer of the state is that of the first time. */
void truth_on_repeated(struct truth *truth,
                       const struct cluster_server *server,
                       const struct truth_write *write,
                       const struct state_result *result);
/* The write was refused for good: by the state with this result, or (NULL) by a server. */
void truth_on_refused(struct truth *truth,
                      const struct cluster_server *server,
                      const struct truth_write *write,
                      const struct state_result *result);

/* --- Sessions --- */

/* The client of the session reached a server that keeps the session and hears a leader. */
void truth_on_contact(struct truth *truth, const struct cluster_server *server, session_id id);
/* The server's process ends. */
void truth_on_stop(struct truth *truth, const struct cluster_server *server);
/* What it has told a leader since then does not arrive. */
void truth_on_lost(struct truth *truth, const struct cluster_server *server, uint64_t since_us);
/* Its client was told that it is closed, or expired. */
void truth_on_ended(struct truth *truth, const struct cluster_server *server, session_id id);
bool truth_session_lives(const struct truth *truth, session_id session);
/* Of those that live or whose nodes are not gone yet. */
size_t truth_session_count(const struct truth *truth);
/* The run is over: have its record judged. */
void truth_judge(const struct truth *truth);
/* The faults, or what they left that lets nothing be committed, are over: from now on a silent
 * session ends soon. */
void truth_quiet(struct truth *truth);

#endif
