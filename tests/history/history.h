/* A record of what concurrent clients did and what they were told, for the checkers of this folder.
 *
 * Append only. Times are numbers of the caller, all in one unit (virtual or monotonic); two equal
 * times count as concurrent. Paths are kept once and named by number. A value is the number that
 * its writer gave it: unique among all writes, or 0 for an empty one; so a value names its write.
 *
 * Not for several threads at once: a recorder of real clients holds a lock. No function here has
 * the name of one of the server's, so that a simulation can link both. */
#ifndef TESTS_HISTORY_HISTORY_H
#define TESTS_HISTORY_HISTORY_H

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_NEVER       UINT64_MAX /* a time that did not come */
#define HISTORY_ANY_VERSION (-1)
#define HISTORY_NO_PATH     0

typedef uint32_t history_path; /* of history_path_of */

/* --- Calls --- */

enum history_kind {
    HISTORY_GET,
    HISTORY_EXISTS,
    HISTORY_LIST, /* all names at once, not a page of them */
    HISTORY_SET,
    HISTORY_CREATE,
    HISTORY_REMOVE,
    HISTORY_CHECK,
    HISTORY_CHECK_ABSENT
};

enum history_outcome {
    HISTORY_OK,
    HISTORY_REFUSED,     /* by the state: it was decided against the tree, with the error given */
    HISTORY_NOT_APPLIED, /* surely without effect, for a reason that says nothing of the tree */
    HISTORY_UNKNOWN      /* it may take effect at any time after its start, at most once */
};

/* Why. The numbers of enum op_error, enum confer_status and Client__Code, which agree. */
enum {
    HISTORY_ERROR_NONE = 0,
    HISTORY_ERROR_NO_NODE = 1,
    HISTORY_ERROR_NODE_EXISTS = 2,
    HISTORY_ERROR_NOT_EMPTY = 3,
    HISTORY_ERROR_BAD_VERSION = 4,
    HISTORY_ERROR_NO_CHILDREN_FOR_EPHEMERALS = 5,
    HISTORY_ERROR_SESSION_EXPIRED = 9,
    HISTORY_ERROR_SESSION_MOVED = 10,
    HISTORY_ERROR_NOT_EXECUTED = 11,
    HISTORY_ERROR_MAX = 999
};

/* One operation; a transaction has several. First what was asked, then what was answered. Zero in
 * an answer's number means that the recorder does not know it, except for `value` and `version`. */
struct history_step {
    enum history_kind kind;
    history_path path; /* create with `sequential`: without the number */
    bool sequential;   /* create */
    bool ephemeral;    /* create */
    bool make;         /* set: make the node, and its ancestors; create: its ancestors */
    int32_t expected;  /* set, remove, check: the version, or HISTORY_ANY_VERSION */
    uint64_t value;    /* set, create: written; get: seen */

    bool exists;       /* get, exists, list: the node is there; else nothing below counts */
    uint32_t error;    /* of this step of a refused transaction */
    history_path made; /* create: the path made */
    bool has_stat;     /* the four below are known: of the node seen, or as written */
    int32_t version;   /* of the value */
    uint64_t czxid;    /* 0 = not known; the same below */
    uint64_t mzxid;
    uint64_t owner;            /* ephemeral: its session; 0 = not ephemeral */
    const history_path *names; /* list: the children, as whole paths, in the order given */
    size_t name_count;
};

struct history_call {
    uint64_t client;   /* who called */
    uint64_t session;  /* in which session; 0 = without */
    bool linearizable; /* of a read; without it the read is of what one server holds */
    uint64_t invoked;
    uint64_t returned; /* HISTORY_NEVER: no answer, the outcome is unknown */
    enum history_outcome outcome;
    uint32_t error; /* REFUSED, NOT_APPLIED; UNKNOWN: why, if anything was told */
    uint64_t zxid;  /* of the write, a refused one too, or of the state shown; 0 = not known */
    struct history_step *steps;
    size_t step_count;
};

/* --- Sessions --- */

enum history_session_kind {
    HISTORY_SESSION_OPENED,
    HISTORY_SESSION_CONTACT,   /* the client was told that the session lives */
    HISTORY_SESSION_SUSPENDED, /* the client does not know whether it lives */
    HISTORY_SESSION_EXPIRED,   /* the client was told that the cluster ended it */
    HISTORY_SESSION_CLOSED     /* the client ended it; `time` HISTORY_NEVER: without an answer */
};

struct history_session {
    enum history_session_kind kind;
    uint64_t client;
    uint64_t session;
    uint64_t asked; /* when the request left; suspended, expired: the same as `time` */
    uint64_t time;  /* when it was answered, or told */
    /* Opened, contact: the cluster lets it live for so long from then; 0 = it lives, and nobody
     * says for how long. */
    uint64_t timeout;
};

/* --- Watches --- */

enum history_event_kind {
    HISTORY_EVENT_STARTED, /* changes after `zxid` will come; `path` and `recursive` tell of which
                            */
    HISTORY_EVENT_CREATED,
    HISTORY_EVENT_VALUE_SET,
    HISTORY_EVENT_REMOVED,
    HISTORY_EVENT_RESYNC_BEGIN, /* what follows is a picture at `zxid`, or what differs from it */
    HISTORY_EVENT_RESYNC_END,
    HISTORY_EVENT_PROGRESS, /* all changes up to `zxid` were given */
    HISTORY_EVENT_ENDED
};

struct history_event {
    enum history_event_kind kind;
    uint64_t client;
    uint64_t watch; /* a number that no other watch of the history has */
    uint64_t time;
    uint64_t zxid;
    history_path path;
    bool recursive; /* STARTED */
    bool full;      /* RESYNC_BEGIN: all that exists follows as CREATED */
    bool resync;    /* the event is part of a resync */
    bool has_value; /* `value` is known */
    uint64_t value;
    bool has_stat; /* `version` and `owner` are known: after the change, for REMOVED before it */
    int32_t version;
    uint64_t owner;
};

/* --- What really happened, where somebody knows --- */

enum history_effect_kind {
    HISTORY_EFFECT_CREATED,
    HISTORY_EFFECT_VALUE_SET,
    HISTORY_EFFECT_REMOVED,
    HISTORY_EFFECT_SESSION_OPENED,
    HISTORY_EFFECT_SESSION_CLOSED,
    HISTORY_EFFECT_SESSION_EXPIRED
};

/* A change as applied, in the order in which they happened. */
struct history_effect {
    enum history_effect_kind kind;
    uint64_t zxid;
    history_path path;
    uint64_t value;   /* created, value set */
    int32_t version;  /* the same */
    uint64_t owner;   /* of the node, removed ones too; 0 = not ephemeral */
    uint64_t session; /* whose command it was; session kinds: which session */
};

/* --- The record --- */

struct history {
    struct history_call *calls; /* in the order of history_call_begin */
    size_t call_count;
    struct history_session *sessions;
    size_t session_count;
    struct history_event *events; /* those of one watch in the order in which they came */
    size_t event_count;
    struct history_effect *effects;
    size_t effect_count;
    /* Every change from the empty tree on is among the effects; else the effects tell nothing of
     * what is not among them. */
    bool effects_complete;
    /* What follows is for history.c alone. */
    size_t call_capacity;
    size_t session_capacity;
    size_t event_capacity;
    size_t effect_capacity;
    struct history_name **names;
    size_t name_count;
    size_t name_capacity;
    struct map name_map;
    struct arena arena;
};

struct history *history_record_new(void);
void history_record_free(struct history *history); /* NULL is fine */

/* The number of a path, which stands for the same text for ever. Paths start with a slash. */
history_path history_path_of(struct history *history, struct bytes path);
/* The same for a path that the history knows already; HISTORY_NO_PATH if it does not. */
history_path history_path_find(const struct history *history, struct bytes path);
/* The text, NUL-terminated, valid as long as the history. HISTORY_NO_PATH gives "". */
struct bytes history_path_text(const struct history *history, history_path path);
/* The path above; HISTORY_NO_PATH for the root. */
history_path history_path_parent(const struct history *history, history_path path);
/* One more than the highest number of a path. */
size_t history_path_end(const struct history *history);

/* A call starts: everything is copied, outcome UNKNOWN and returned NEVER are set. Returns its
 * position in `calls`. */
size_t history_call_begin(struct history *history, const struct history_call *call);
/* The steps of a call, to fill in what was answered; lent until the next history_call_begin. */
struct history_step *history_steps(struct history *history, size_t call);
/* Room for the names of a listing, to be filled by the caller; valid as long as the history. */
history_path *history_names(struct history *history, size_t count);
/* The call ends. An UNKNOWN one may end too: `returned` is then when the client was told so. */
void history_call_end(struct history *history,
                      size_t call,
                      uint64_t returned,
                      enum history_outcome outcome,
                      uint32_t error,
                      uint64_t zxid);

void history_add_session(struct history *history, const struct history_session *session);
void history_add_event(struct history *history, const struct history_event *event);
void history_add_effect(struct history *history, const struct history_effect *effect);

/* How an outcome of this code is to be recorded for a write that was sent: codes of the state that
 * were decided against the tree are REFUSED, those that leave it open UNKNOWN, the rest
 * NOT_APPLIED. */
enum history_outcome history_outcome_of(uint32_t code);

#endif
