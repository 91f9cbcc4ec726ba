/* gRPC: each request is a stream of HTTP/2 with one message in each direction; watches and leases
 * have one stream each, which stays. libnghttp2 does HTTP/2. */
#include "base/alloc.h"
#include "bench/bench_options.h"
#include "bench/etcd.pb-c.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGE_HEAD_BYTES = 5, /* compressed or not, four bytes of length */
    WINDOW_BYTES = 16 * 1024 * 1024,
    STREAMS_MAX = 100000
};

enum call_kind { CALL_PUT, CALL_RANGE, CALL_LIST, CALL_CREATE, CALL_GRANT, CALL_WATCH, CALL_KEEP };

struct call {
    enum call_kind kind;
    int32_t stream;
    uint64_t id;
    struct buffer output; /* not yet taken by nghttp2, from `sent` on */
    size_t sent;
    struct buffer input; /* messages that are not complete */
    bool is_lasting;
    bool failed; /* grpc-status is not 0 */
    struct bench_answer answer;
};

struct codec {
    nghttp2_session *session;
    struct call *watches; /* NULL until the first; the same below */
    struct call *keeps;
    int64_t lease;
    /* Answers that were not taken yet, from `taken` on. */
    struct bench_answer *answers;
    size_t answer_count;
    size_t answer_capacity;
    size_t taken;
};

static void answer(struct codec *codec, struct bench_answer one)
{
    if (codec->taken == codec->answer_count) {
        codec->taken = 0;
        codec->answer_count = 0;
    }
    if (codec->answer_count == codec->answer_capacity) {
        codec->answer_capacity = codec->answer_capacity * 2 + 16;
        codec->answers = xrealloc(codec->answers, codec->answer_capacity * sizeof *codec->answers);
    }
    codec->answers[codec->answer_count++] = one;
}

static void call_free(struct call *call)
{
    buffer_release(&call->output);
    buffer_release(&call->input);
    free(call);
}

/* --- Messages that come --- */

static void on_range(struct call *call, struct bytes message)
{
    Etcd__RangeResponse *response = etcd__range_response__unpack(NULL, message.size, message.data);

    call->answer.is_ok = response != NULL && response->n_pairs > 0;
    etcd__range_response__free_unpacked(response, NULL);
}

static void on_create(struct call *call, struct bytes message)
{
    Etcd__TransactionResponse *response =
        etcd__transaction_response__unpack(NULL, message.size, message.data);

    call->answer.is_ok = response != NULL && response->succeeded;
    call->answer.exists_already = response != NULL && !response->succeeded;
    etcd__transaction_response__free_unpacked(response, NULL);
}

static void on_grant(struct codec *codec, struct call *call, struct bytes message)
{
    Etcd__LeaseGrantResponse *response =
        etcd__lease_grant_response__unpack(NULL, message.size, message.data);

    call->answer.is_ok = response != NULL;
    codec->lease = response == NULL ? 0 : response->lease;
    etcd__lease_grant_response__free_unpacked(response, NULL);
}

static void on_watch(struct codec *codec, struct call *call, struct bytes message)
{
    Etcd__WatchResponse *response = etcd__watch_response__unpack(NULL, message.size, message.data);

    if (response != NULL && !response->canceled) {
        answer(codec, (struct bench_answer){.id = response->created ? call->id : 0,
                                            .is_ok = true,
                                            .events = response->n_events});
    } else {
        bench_die("etcd ended a watch", "");
    }
    etcd__watch_response__free_unpacked(response, NULL);
}

static void on_keep(struct codec *codec, struct call *call, struct bytes message)
{
    Etcd__LeaseKeepAliveResponse *response =
        etcd__lease_keep_alive_response__unpack(NULL, message.size, message.data);

    answer(codec,
           (struct bench_answer){.id = call->id, .is_ok = response != NULL && response->ttl_s > 0});
    etcd__lease_keep_alive_response__free_unpacked(response, NULL);
}

static void on_message(struct codec *codec, struct call *call, struct bytes message)
{
    switch (call->kind) {
    case CALL_RANGE:
    case CALL_LIST:
        on_range(call, message);
        break;
    case CALL_CREATE:
        on_create(call, message);
        break;
    case CALL_GRANT:
        on_grant(codec, call, message);
        break;
    case CALL_WATCH:
        on_watch(codec, call, message);
        break;
    case CALL_KEEP:
        on_keep(codec, call, message);
        break;
    case CALL_PUT:
    default:
        call->answer.is_ok = true;
        break;
    }
}

static int on_data(nghttp2_session *session,
                   uint8_t flags,
                   int32_t stream,
                   const uint8_t *data,
                   size_t size,
                   void *context)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);
    size_t taken = 0;

    (void)flags;
    if (call == NULL) {
        return 0;
    }
    buffer_put(&call->input, bytes_of(data, size));
    while (call->input.size - taken >= MESSAGE_HEAD_BYTES) {
        const uint8_t *head = call->input.data + taken;
        size_t bytes = bytes_load_u32(head + 1);

        if (call->input.size - taken - MESSAGE_HEAD_BYTES < bytes) {
            break;
        }
        on_message(context, call, bytes_of(head + MESSAGE_HEAD_BYTES, bytes));
        taken += MESSAGE_HEAD_BYTES + bytes;
    }
    if (taken > 0) {
        memmove(call->input.data, call->input.data + taken, call->input.size - taken);
        call->input.size -= taken;
    }
    return 0;
}

static int on_header(nghttp2_session *session,
                     const nghttp2_frame *frame,
                     const uint8_t *name,
                     size_t name_bytes,
                     const uint8_t *text,
                     size_t text_bytes,
                     uint8_t flags,
                     void *context)
{
    static const char status[] = "grpc-status";
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

    (void)flags;
    (void)context;
    if (call != NULL && name_bytes == sizeof status - 1 && memcmp(name, status, name_bytes) == 0) {
        call->failed = text_bytes != 1 || text[0] != '0';
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);
    struct codec *codec = context;

    if (call == NULL) {
        return 0;
    }
    if (call->kind == CALL_WATCH) {
        bench_die("etcd ended a watch", "");
    }
    if (call->kind == CALL_KEEP) {
        codec->keeps = NULL; /* a lease outlives its stream: the next sign of life opens another */
    }
    call->answer.id = call->id;
    call->answer.is_ok = call->answer.is_ok && !call->failed && error == NGHTTP2_NO_ERROR;
    answer(codec, call->answer);
    call_free(call);
    return 0;
}

/* --- Calls that go --- */

static ssize_t on_read(nghttp2_session *session,
                       int32_t stream,
                       uint8_t *to,
                       size_t capacity,
                       uint32_t *flags,
                       nghttp2_data_source *source,
                       void *context)
{
    struct call *call = source->ptr;
    size_t left = call->output.size - call->sent;
    size_t size = left < capacity ? left : capacity;

    (void)session;
    (void)stream;
    (void)context;
    if (size == 0 && call->is_lasting) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (size > 0) {
        memcpy(to, call->output.data + call->sent, size);
    }
    call->sent += size;
    if (call->sent == call->output.size) {
        buffer_clear(&call->output);
        call->sent = 0;
        if (!call->is_lasting) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        }
    }
    return (ssize_t)size;
}

static nghttp2_nv header(const char *name, const char *text)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)text,
                        .namelen = strlen(name),
                        .valuelen = strlen(text),
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static void pump(struct bench_connection *connection)
{
    struct codec *codec = connection->codec;
    const uint8_t *data;
    ssize_t size;

    while ((size = nghttp2_session_mem_send(codec->session, &data)) > 0) {
        buffer_put(&connection->output, bytes_of(data, (size_t)size));
    }
    if (size < 0) {
        bench_die("HTTP/2: ", nghttp2_strerror((int)size));
    }
}

static void put_message(struct call *call, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *to = buffer_extend(&call->output, MESSAGE_HEAD_BYTES + size);

    to[0] = 0;
    bytes_store_u32(to + 1, (uint32_t)size);
    (void)protobuf_c_message_pack(message, to + MESSAGE_HEAD_BYTES);
}

static struct call *call_begin(struct bench_connection *connection,
                               enum call_kind kind,
                               const char *path,
                               const ProtobufCMessage *message)
{
    struct codec *codec = connection->codec;
    struct call *call = xcalloc(1, sizeof *call);
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = on_read};
    nghttp2_nv headers[] = {header(":method", "POST"),
                            header(":scheme", "http"),
                            header(":path", path),
                            header(":authority", "confer-bench"),
                            header("content-type", "application/grpc"),
                            header("te", "trailers")};

    call->kind = kind;
    call->is_lasting = kind == CALL_WATCH || kind == CALL_KEEP;
    call->id = ++connection->last_id;
    put_message(call, message);
    call->stream = nghttp2_submit_request(codec->session, NULL, headers,
                                          sizeof headers / sizeof headers[0], &provider, call);
    if (call->stream < 0) {
        bench_die("HTTP/2: ", nghttp2_strerror(call->stream));
    }
    pump(connection);
    return call;
}

/* On the stream that stays, which the first message opens. */
static void put_lasting(struct bench_connection *connection,
                        struct call **call,
                        enum call_kind kind,
                        const char *path,
                        const ProtobufCMessage *message)
{
    struct codec *codec = connection->codec;

    if (*call == NULL) {
        *call = call_begin(connection, kind, path, message);
        return;
    }
    (*call)->id = ++connection->last_id;
    put_message(*call, message);
    (void)nghttp2_session_resume_data(codec->session, (*call)->stream);
    pump(connection);
}

static ProtobufCBinaryData field(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = size};
}

/* The only thing that etcd has of a node is the key; what stands below a path begins with it and a
 * slash, and ends before the character after the slash. */
static void put_list(struct bench_connection *connection, const char *path)
{
    Etcd__RangeRequest range = ETCD__RANGE_REQUEST__INIT;
    struct buffer from = {.size = 0};
    struct buffer end = {.size = 0};

    buffer_put(&from, bytes_of_text(path));
    buffer_put(&end, bytes_of_text(path));
    buffer_put_u8(&from, '/');
    buffer_put_u8(&end, '/' + 1);
    range.key = field(from.data, from.size);
    range.range_end = field(end.data, end.size);
    range.serializable = true;
    range.keys_only = true;
    (void)call_begin(connection, CALL_LIST, "/etcdserverpb.KV/Range", &range.base);
    buffer_release(&from);
    buffer_release(&end);
}

static void
put_create(struct bench_connection *connection, ProtobufCBinaryData key, struct bytes value)
{
    Etcd__PutRequest create = ETCD__PUT_REQUEST__INIT;
    Etcd__Compare compare = ETCD__COMPARE__INIT;
    Etcd__Operation operation = ETCD__OPERATION__INIT;
    Etcd__TransactionRequest transaction = ETCD__TRANSACTION_REQUEST__INIT;
    Etcd__Compare *compares[] = {&compare};
    Etcd__Operation *operations[] = {&operation};

    create.key = key;
    create.value = field(value.data, value.size);
    compare.key = key;
    compare.union_case = ETCD__COMPARE__UNION_VERSION;
    operation.kind_case = ETCD__OPERATION__KIND_PUT;
    operation.put = &create;
    transaction.n_compares = 1;
    transaction.compares = compares;
    transaction.n_success = 1;
    transaction.success = operations;
    (void)call_begin(connection, CALL_CREATE, "/etcdserverpb.KV/Txn", &transaction.base);
}

static void
put(struct bench_connection *connection, enum bench_op op, const char *path, struct bytes value)
{
    ProtobufCBinaryData key = field(path, strlen(path));
    Etcd__PutRequest set = ETCD__PUT_REQUEST__INIT;
    Etcd__RangeRequest range = ETCD__RANGE_REQUEST__INIT;

    switch (op) {
    case BENCH_SET:
        set.key = key;
        set.value = field(value.data, value.size);
        (void)call_begin(connection, CALL_PUT, "/etcdserverpb.KV/Put", &set.base);
        break;
    case BENCH_CREATE:
        put_create(connection, key, value);
        break;
    case BENCH_LIST:
        put_list(connection, path);
        break;
    case BENCH_GET:
    case BENCH_LINEARIZABLE_GET:
        range.key = key;
        range.serializable = op == BENCH_GET;
        (void)call_begin(connection, CALL_RANGE, "/etcdserverpb.KV/Range", &range.base);
        break;
    }
}

static void put_session(struct bench_connection *connection)
{
    Etcd__LeaseGrantRequest grant = ETCD__LEASE_GRANT_REQUEST__INIT;

    grant.ttl_s = (int64_t)bench_options.session_timeout_ms / 1000;
    (void)call_begin(connection, CALL_GRANT, "/etcdserverpb.Lease/LeaseGrant", &grant.base);
}

static void put_ping(struct bench_connection *connection)
{
    struct codec *codec = connection->codec;
    Etcd__LeaseKeepAliveRequest keep = ETCD__LEASE_KEEP_ALIVE_REQUEST__INIT;

    keep.lease = codec->lease;
    put_lasting(connection, &codec->keeps, CALL_KEEP, "/etcdserverpb.Lease/LeaseKeepAlive",
                &keep.base);
}

static void put_watch(struct bench_connection *connection, const char *path)
{
    struct codec *codec = connection->codec;
    Etcd__WatchCreate create = ETCD__WATCH_CREATE__INIT;
    Etcd__WatchRequest request = ETCD__WATCH_REQUEST__INIT;

    create.key = field(path, strlen(path));
    request.kind_case = ETCD__WATCH_REQUEST__KIND_CREATE;
    request.create = &create;
    put_lasting(connection, &codec->watches, CALL_WATCH, "/etcdserverpb.Watch/Watch",
                &request.base);
}

/* --- The connection --- */

static void codec_free(void *memory)
{
    struct codec *codec = memory;

    /* Closing the session tells of no stream: those under way are let go here. */
    for (nghttp2_stream *stream =
             nghttp2_stream_get_first_child(nghttp2_session_get_root_stream(codec->session));
         stream != NULL; stream = nghttp2_stream_get_next_sibling(stream)) {
        struct call *call = nghttp2_session_get_stream_user_data(
            codec->session, nghttp2_stream_get_stream_id(stream));

        if (call != NULL) {
            call_free(call);
        }
    }
    nghttp2_session_del(codec->session);
    free(codec->answers);
    free(codec);
}

static void begin(struct bench_connection *connection)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES}};
    struct codec *codec = xcalloc(1, sizeof *codec);
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;

    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
        bench_die("no memory", "");
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option_set_peer_max_concurrent_streams(option, STREAMS_MAX);
    if (nghttp2_session_client_new2(&codec->session, callbacks, codec, option) != 0) {
        bench_die("no memory", "");
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    (void)nghttp2_submit_settings(codec->session, NGHTTP2_FLAG_NONE, settings,
                                  sizeof settings / sizeof settings[0]);
    (void)nghttp2_session_set_local_window_size(codec->session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
    connection->codec = codec;
    connection->codec_free = codec_free;
    connection->is_begun = true;
    pump(connection);
}

static bool take(struct bench_connection *connection, struct bench_answer *ret_answer)
{
    struct codec *codec = connection->codec;
    size_t left = connection->input.size - connection->taken;

    if (left > 0) {
        ssize_t taken = nghttp2_session_mem_recv(codec->session,
                                                 connection->input.data + connection->taken, left);

        if (taken < 0) {
            bench_die("HTTP/2: ", nghttp2_strerror((int)taken));
        }
        connection->taken += (size_t)taken;
        pump(connection);
    }
    if (codec->taken == codec->answer_count) {
        return false;
    }
    *ret_answer = codec->answers[codec->taken++];
    return true;
}

const struct bench_protocol bench_etcd = {.name = "etcd",
                                          .begin = begin,
                                          .put = put,
                                          .put_session = put_session,
                                          .put_watch = put_watch,
                                          .put_ping = put_ping,
                                          .take = take};
