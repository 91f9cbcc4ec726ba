/* The outcome of an operation on this machine: disk, memory, network, input.
 *
 * A status may differ between servers. The replicated outcome of a command is
 * another thing (enum op_error in server/state) and never derives from one. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#define STATUS_MAP(X)                                                                              \
    X(OK, "ok")                                                                                    \
    X(INVALID, "invalid input")                                                                    \
    X(NOT_FOUND, "not found")                                                                      \
    X(EXISTS, "already exists")                                                                    \
    X(LIMIT, "a limit was exceeded")                                                               \
    X(BUSY, "busy, try again")                                                                     \
    X(TIMEOUT, "timed out")                                                                        \
    X(UNAVAILABLE, "unavailable")                                                                  \
    X(NOT_LEADER, "not the leader")                                                                \
    X(CONFLICT, "in conflict with the present state")                                              \
    X(CLOSED, "closed")                                                                            \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(NO_SPACE, "no space left")                                                                   \
    X(IO, "input/output error")                                                                    \
    X(CORRUPT, "damaged data")                                                                     \
    X(FORMAT, "unknown data format")                                                               \
    X(MISMATCH, "belongs to something else")                                                       \
    X(LOCKED, "in use by another process")

enum status {
#define X(name, text) STATUS_##name,
    STATUS_MAP(X)
#undef X
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* A short text for a person; "unknown status" for a value outside the enum. */
const char *status_text(enum status status);

#endif
