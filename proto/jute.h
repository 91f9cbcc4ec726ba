/* Jute, the encoding of ZooKeeper's client protocol: big endian integers, strings and buffers with
 * a length in front, nothing else; and the records that several operations share.
 * Pure: bytes in, bytes out. Source: ZooKeeper's zookeeper.jute, and its servers 3.8 and 3.9. */
#ifndef PROTO_JUTE_H
#define PROTO_JUTE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    JUTE_FRAME_HEAD_BYTES = 4,
    JUTE_FRAME_BYTES_MAX = 0xFFFFF, /* ZooKeeper's jute.maxbuffer, of what follows the head */
    JUTE_PASSWORD_BYTES = 16,
    JUTE_REPLY_HEADER_BYTES = 16,
    JUTE_STAT_BYTES = 68
};

/* Types of requests. */
enum jute_type {
    JUTE_TYPE_CREATE = 1,
    JUTE_TYPE_DELETE = 2,
    JUTE_TYPE_EXISTS = 3,
    JUTE_TYPE_GET_DATA = 4,
    JUTE_TYPE_SET_DATA = 5,
    JUTE_TYPE_GET_ACL = 6,
    JUTE_TYPE_SET_ACL = 7,
    JUTE_TYPE_GET_CHILDREN = 8,
    JUTE_TYPE_SYNC = 9,
    JUTE_TYPE_PING = 11,
    JUTE_TYPE_GET_CHILDREN_2 = 12,
    JUTE_TYPE_CHECK = 13,
    JUTE_TYPE_MULTI = 14,
    JUTE_TYPE_CREATE_2 = 15,
    JUTE_TYPE_RECONFIG = 16,
    JUTE_TYPE_CHECK_WATCHES = 17,
    JUTE_TYPE_REMOVE_WATCHES = 18,
    JUTE_TYPE_CREATE_CONTAINER = 19,
    JUTE_TYPE_CREATE_TTL = 21,
    JUTE_TYPE_MULTI_READ = 22,
    JUTE_TYPE_AUTH = 100,
    JUTE_TYPE_SET_WATCHES = 101,
    JUTE_TYPE_SASL = 102,
    JUTE_TYPE_GET_EPHEMERALS = 103,
    JUTE_TYPE_GET_ALL_CHILDREN_NUMBER = 104,
    JUTE_TYPE_SET_WATCHES_2 = 105,
    JUTE_TYPE_ADD_WATCH = 106,
    JUTE_TYPE_WHO_AM_I = 107,
    JUTE_TYPE_CLOSE_SESSION = -11,
    JUTE_TYPE_ERROR = -1 /* in the results of a multi, and its end */
};

enum jute_error {
    JUTE_ERROR_OK = 0,
    JUTE_ERROR_SYSTEM = -1,
    JUTE_ERROR_RUNTIME_INCONSISTENCY = -2,
    JUTE_ERROR_MARSHALLING = -5,
    JUTE_ERROR_UNIMPLEMENTED = -6,
    JUTE_ERROR_BAD_ARGUMENTS = -8,
    JUTE_ERROR_NEW_CONFIG_NO_QUORUM = -13,
    JUTE_ERROR_RECONFIG_IN_PROGRESS = -14,
    JUTE_ERROR_NO_NODE = -101,
    JUTE_ERROR_NO_AUTH = -102,
    JUTE_ERROR_BAD_VERSION = -103,
    JUTE_ERROR_NO_CHILDREN_FOR_EPHEMERALS = -108,
    JUTE_ERROR_NODE_EXISTS = -110,
    JUTE_ERROR_NOT_EMPTY = -111,
    JUTE_ERROR_SESSION_EXPIRED = -112,
    JUTE_ERROR_INVALID_ACL = -114,
    JUTE_ERROR_AUTH_FAILED = -115,
    JUTE_ERROR_SESSION_MOVED = -118,
    JUTE_ERROR_NOT_READ_ONLY = -119,
    JUTE_ERROR_NO_WATCHER = -121,
    JUTE_ERROR_RECONFIG_DISABLED = -123,
    JUTE_ERROR_QUOTA_EXCEEDED = -125
};

/* Numbers of requests with a meaning of their own. */
enum {
    JUTE_XID_NOTIFICATION = -1,
    JUTE_XID_PING = -2,
    JUTE_XID_AUTH = -4,
    JUTE_XID_SET_WATCHES = -8
};

enum jute_event {
    JUTE_EVENT_CREATED = 1,
    JUTE_EVENT_DELETED = 2,
    JUTE_EVENT_DATA_CHANGED = 3,
    JUTE_EVENT_CHILDREN_CHANGED = 4
};

enum { JUTE_STATE_SYNC_CONNECTED = 3 };

/* --- Reading ---
 * Each fails the reader (base/bytes.h) when too few bytes are left or a length is impossible. A
 * value keeps its old contents then, so a decoder may check once at its end. */

int32_t jute_read_int(struct reader *reader);
int64_t jute_read_long(struct reader *reader);
bool jute_read_bool(struct reader *reader);
/* Lent. `ret_is_null` may be NULL: then null is an error, as for every path. */
struct bytes jute_read_buffer(struct reader *reader, bool *ret_is_null);
/* The number of elements, each of at least `element_bytes_min` bytes; 0 for null. `ret_is_null` as
 * above. */
uint32_t jute_read_count(struct reader *reader, size_t element_bytes_min, bool *ret_is_null);

struct jute_connect_request {
    int64_t last_zxid_seen;
    int32_t timeout_ms;
    int64_t session;
    struct bytes password;
    bool read_only;
    bool has_read_only; /* false: a client that does not know the field, here and in the answer */
};
/* INVALID: too short. */
MUST_CHECK enum status jute_read_connect_request(struct bytes frame,
                                                 struct jute_connect_request *ret_request);

struct jute_acl_entry {
    int32_t permissions;
    struct bytes scheme;
    bool scheme_is_null;
    struct bytes id;
};
struct jute_acl_entry jute_read_acl_entry(struct reader *reader);
enum { JUTE_ACL_ENTRY_BYTES_MIN = 12 };

/* In front of each operation of a multi and of each of its results. */
struct jute_multi_header {
    int32_t type;
    bool done;
    int32_t error;
};
struct jute_multi_header jute_read_multi_header(struct reader *reader);

/* --- Writing --- */

void jute_put_int(struct buffer *buffer, int32_t value);
void jute_put_long(struct buffer *buffer, int64_t value);
void jute_put_bool(struct buffer *buffer, bool value);
void jute_put_buffer(struct buffer *buffer, struct bytes value, bool is_null);
void jute_put_acl_entry(struct buffer *buffer, const struct jute_acl_entry *entry);
void jute_put_multi_header(struct buffer *buffer, struct jute_multi_header header);

struct jute_stat {
    int64_t czxid;
    int64_t mzxid;
    int64_t ctime_ms;
    int64_t mtime_ms;
    int32_t version;
    int32_t cversion;
    int32_t aversion;
    int64_t ephemeral_owner;
    int32_t data_bytes;
    int32_t child_count;
    int64_t pzxid;
};
void jute_put_stat(struct buffer *buffer, const struct jute_stat *stat);

struct jute_connect_response {
    int32_t timeout_ms;
    int64_t session;
    uint8_t password[JUTE_PASSWORD_BYTES];
    bool read_only;
    bool has_read_only;
};
void jute_put_connect_response(struct buffer *buffer, const struct jute_connect_response *response);
void jute_put_reply_header(struct buffer *buffer, int32_t xid, int64_t zxid, int32_t error);

/* A frame: begin before its contents are put, end behind them. */
size_t jute_begin_frame(struct buffer *buffer);
void jute_end_frame(struct buffer *buffer, size_t begin);
/* The same when so many of its bytes are not in the buffer. */
void jute_end_frame_around(struct buffer *buffer, size_t begin, size_t apart_bytes);

#endif
