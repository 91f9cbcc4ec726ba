/* Bytes of client.Request to struct request. No I/O, no state.
 *
 * A hostile frame costs a small multiple of its size at most. The envelope and a Get are read field
 * by field; the operations of a write are copied as they are, once, into the command that the log
 * will hold (who applies them reads them, see state_command_check); and what protobuf-c unpacks,
 * which can grow thirtyfold, is limited to NATIVE_BODY_BYTES_MAX. */
#ifndef FRONT_NATIVE_DECODE_H
#define FRONT_NATIVE_DECODE_H

#include "server/front/identity.h"

enum {
    /* Of a request that is not a write. Two paths fit, and the addresses of all members. */
    NATIVE_BODY_BYTES_MAX = 64 * 1024
};

/* request.notes */
enum {
    NATIVE_NOTE_ACL = 1,       /* Get.with_acl */
    NATIVE_NOTE_STAT_ONLY = 2, /* Get.stat_only */
    NATIVE_NOTE_STATS = 4,     /* List.with_stats */
    NATIVE_NOTE_VALUES = 8,    /* List.with_values, ReadTree.with_values */
    NATIVE_NOTE_IDENTITY = 16  /* Authenticate: the connection's identities grew */
};

/* What to answer when there is no request to submit. */
struct native_refusal {
    uint64_t id;
    Client__Code code;
    const char *message; /* static */
};

/* Authenticate adds to `identities`, and is a request only so that it is answered in its turn.
 *
 * OK: *ret_request is the caller's; it holds copies and keeps nothing of `frame`.
 * UNAVAILABLE: it is to be answered with *ret_refusal: an unknown request, one above a limit, or
 * credentials that prove nothing.
 * INVALID: unreadable, or without an id; close the connection. */
MUST_CHECK enum status native_decode(struct bytes frame,
                                     struct identities *identities,
                                     struct request **ret_request,
                                     struct native_refusal *ret_refusal);

#endif
