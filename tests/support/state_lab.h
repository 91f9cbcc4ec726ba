/* A state on a bench: commands are made from C values, encoded, applied one after the other as a
 * log would, and checkpoints and restarts happen on demand. */
#ifndef TESTS_SUPPORT_STATE_LAB_H
#define TESTS_SUPPORT_STATE_LAB_H

#include "proto/record.pb-c.h"
#include "server/state/state.h"
#include "tests/support/memory_source.h"

struct state_lab {
    struct memory_source *source;
    struct state *state;
    struct state_generation *sealed;
    struct state_options options;
    struct arena arena; /* of the last result */
    uint64_t time_ms;   /* the stamp of the next command */
    zxid next;
    struct state_result result; /* of the last command */
    /* Who asks in the commands below; 0 = nobody. */
    session_id session;
    uint64_t generation;
    uint64_t sequence; /* counts up with each command unless it is 0 */
    uint64_t confirmed;
    uint32_t end_count_max; /* of a close and an expiry */
    bool is_unbounded;      /* transactions are, as of servers that knew no bound */
};

void state_lab_init(struct state_lab *lab, uint64_t cache_bytes_max);
void state_lab_release(struct state_lab *lab);

/* Encode as an entry of the log: stamp and command. */
struct bytes
state_lab_encode(const Record__Command *command, uint64_t stamp_ms, struct arena *arena);
/* Apply as the next command; the result and its error. */
enum op_error state_lab_apply(struct state_lab *lab, struct bytes entry);
enum op_error state_lab_command(struct state_lab *lab, Record__Command *command);

/* One operation each, asked for by lab->session. A `value` of NULL is null. */
enum op_error state_lab_create(struct state_lab *lab,
                               const char *path,
                               const char *value,
                               Record__CreateMode mode);
enum op_error state_lab_create_ttl(struct state_lab *lab, const char *path, uint64_t ttl_ms);
enum op_error
state_lab_set(struct state_lab *lab, const char *path, const char *value, int32_t version);
enum op_error state_lab_remove(struct state_lab *lab, const char *path, int32_t version);
enum op_error state_lab_operation(struct state_lab *lab, Record__Operation *operation);
enum op_error
state_lab_transaction(struct state_lab *lab, Record__Operation **operations, size_t count);

/* Operations to be put together; they live as long as the lab's text arena. */
Record__Operation *state_lab_make_create(struct arena *arena, const char *path, const char *value);
Record__Operation *
state_lab_make_set(struct arena *arena, const char *path, const char *value, int32_t version);
Record__Operation *state_lab_make_remove(struct arena *arena, const char *path, int32_t version);
Record__Operation *state_lab_make_check(struct arena *arena, const char *path, int32_t version);
Record__Operation *state_lab_make_check_absent(struct arena *arena, const char *path);

/* Sessions: the password is 16 times `letter`. Opening makes the new session the one that asks. */
session_id state_lab_open(struct state_lab *lab, char letter, uint32_t timeout_ms);
enum op_error state_lab_attach(struct state_lab *lab, session_id id, char letter);
enum op_error state_lab_close(struct state_lab *lab);
enum op_error state_lab_expire(struct state_lab *lab, session_id id, uint64_t generation);

enum op_error state_lab_sweep(struct state_lab *lab, uint32_t count_max);

bool state_lab_stat_equal(const struct state_stat *left, const struct state_stat *right);

/* Reading. False: no such node. */
bool state_lab_stat(struct state_lab *lab, const char *path, struct state_stat *ret_stat);
/* The value as text in the arena of the last result; "(null)" and "(none)". */
const char *state_lab_value(struct state_lab *lab, const char *path);
/* The names of all children with a comma after each. */
const char *state_lab_children(struct state_lab *lab, const char *path);

void state_lab_seal(struct state_lab *lab);
/* Write what was sealed to the source, and end the generation. */
void state_lab_end(struct state_lab *lab);
/* Go on from what the source holds; returns the zxid applied there. What came later is lost. */
zxid state_lab_restart(struct state_lab *lab);

#endif
