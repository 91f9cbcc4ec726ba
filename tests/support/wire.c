#include "tests/support/wire.h"

#include "base/address.h"
#include "proto/frame.h"
#include "tests/support/process.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_DEADLINE_MS = 30000 };

bool wire_connect(struct wire *wire, const char *address)
{
    return wire_connect_within(wire, address, ANSWER_DEADLINE_MS);
}

static bool read_host(const char *text, struct sockaddr_in *ret_host)
{
    *ret_host = (struct sockaddr_in){.sin_family = AF_INET};
    return text == NULL || inet_pton(AF_INET, text, &ret_host->sin_addr) == 1;
}

/* `from`: NULL = any host. */
static bool
connect_from(struct wire *wire, const char *address, const char *from, unsigned deadline_ms)
{
    const struct timeval patience = {.tv_sec = deadline_ms / 1000,
                                     .tv_usec = deadline_ms % 1000 * 1000};
    struct address parsed;
    struct sockaddr_in here;
    struct sockaddr_in to;

    *wire = (struct wire){.socket = -1};
    if (address_parse(address, &parsed, NULL) != STATUS_OK || !read_host(parsed.host, &to) ||
        !read_host(from, &here)) {
        return false;
    }
    to.sin_port = htons(parsed.port);
    wire->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (setsockopt(wire->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
        (from != NULL && bind(wire->socket, (const struct sockaddr *)&here, sizeof here) != 0) ||
        connect(wire->socket, (const struct sockaddr *)&to, sizeof to) != 0) {
        wire_close(wire);
        return false;
    }
    return true;
}

bool wire_connect_within(struct wire *wire, const char *address, unsigned deadline_ms)
{
    return connect_from(wire, address, NULL, deadline_ms);
}

bool wire_connect_from(struct wire *wire, const char *address, const char *from)
{
    return connect_from(wire, address, from, ANSWER_DEADLINE_MS);
}

void wire_close(struct wire *wire)
{
    if (wire->socket >= 0) {
        (void)close(wire->socket);
    }
    wire->socket = -1;
}

bool wire_send(struct wire *wire, struct bytes bytes)
{
    while (bytes.size > 0 && wire->socket >= 0) {
        ssize_t sent = send(wire->socket, bytes.data, bytes.size, MSG_NOSIGNAL);

        if (sent <= 0) {
            wire_close(wire);
            return false;
        }
        bytes.data += sent;
        bytes.size -= (size_t)sent;
    }
    return wire->socket >= 0;
}

void wire_send_some(struct wire *wire, struct bytes bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(wire->socket, bytes.data, bytes.size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent <= 0) {
            return;
        }
        bytes.data += sent;
        bytes.size -= (size_t)sent;
    }
}

bool wire_greet(struct wire *wire)
{
    return wire_send(wire, bytes_of(frame_client_preface, FRAME_PREFACE_BYTES));
}

void wire_put_request(struct buffer *frames, const Client__Request *request)
{
    size_t size = client__request__get_packed_size(request);

    frame_client_put_head(buffer_extend(frames, FRAME_CLIENT_HEAD_BYTES), (uint32_t)size);
    (void)client__request__pack(request, buffer_extend(frames, size));
}

bool wire_request(struct wire *wire, Client__Request *request)
{
    struct buffer frame = BUFFER_INIT;
    bool sent;

    request->id = ++wire->last_id;
    wire_put_request(&frame, request);
    sent = wire_send(wire, buffer_lend(&frame));
    buffer_release(&frame);
    return sent;
}

static unsigned left_ms(uint64_t end)
{
    uint64_t now = process_now_ms();

    return now < end ? (unsigned)(end - now) : 0;
}

/* Wait until there is something to read; false at `end`. */
static bool wait_readable(const struct wire *wire, uint64_t end)
{
    struct pollfd readable = {.fd = wire->socket, .events = POLLIN};

    return poll(&readable, 1, (int)left_ms(end)) > 0;
}

bool wire_receive(struct wire *wire, uint8_t *data, size_t size, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;

    while (size > 0 && wire->socket >= 0) {
        ssize_t got;

        if (!wait_readable(wire, end)) {
            return false;
        }
        got = recv(wire->socket, data, size, 0);
        if (got <= 0) {
            wire_close(wire);
            return false;
        }
        data += got;
        size -= (size_t)got;
    }
    return wire->socket >= 0;
}

Client__Response *wire_response(struct wire *wire, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;
    uint8_t head[FRAME_CLIENT_HEAD_BYTES];
    struct buffer body = BUFFER_INIT;
    Client__Response *response = NULL;
    uint32_t size;

    if (!wire_receive(wire, head, sizeof head, deadline_ms)) {
        return NULL;
    }
    if (frame_client_head(head, &size) == STATUS_OK &&
        wire_receive(wire, buffer_extend(&body, size), size, left_ms(end))) {
        response = client__response__unpack(NULL, body.size, body.data);
    }
    if (response == NULL) {
        wire_close(wire); /* in the middle of a frame, or past nonsense */
    }
    buffer_release(&body);
    return response;
}

Client__Response *wire_call(struct wire *wire, Client__Request *request, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;
    Client__Response *response;

    if (!wire_request(wire, request)) {
        return NULL;
    }
    do {
        response = wire_response(wire, left_ms(end));
        if (response == NULL || response->id == request->id) {
            return response;
        }
        client__response__free_unpacked(response, NULL);
    } while (true);
}

bool wire_wait_closed(struct wire *wire, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;
    uint8_t dropped[4096];

    while (wire->socket >= 0) {
        if (!wait_readable(wire, end)) {
            return false;
        }
        if (recv(wire->socket, dropped, sizeof dropped, 0) <= 0) {
            wire_close(wire);
        }
    }
    return true;
}

ProtobufCBinaryData wire_data(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)(uintptr_t)bytes.data};
}

Client__Request *wire_set_init(struct wire_set *set, const char *path, struct bytes value)
{
    client__request__init(&set->request);
    client__write__init(&set->write);
    record__operation__init(&set->operation);
    record__set__init(&set->set);
    set->set.path = wire_data(bytes_of_text(path));
    set->set.value = wire_data(value);
    set->set.version = -1;
    set->set.create = true;
    set->operation.kind_case = RECORD__OPERATION__KIND_SET;
    set->operation.set = &set->set;
    set->operations[0] = &set->operation;
    set->write.n_operations = 1;
    set->write.operations = set->operations;
    set->request.body_case = CLIENT__REQUEST__BODY_WRITE;
    set->request.write = &set->write;
    return &set->request;
}

Client__Request *wire_get_init(struct wire_get *get, const char *path, Client__ReadLevel level)
{
    client__request__init(&get->request);
    client__get__init(&get->get);
    get->get.path = wire_data(bytes_of_text(path));
    get->get.level = level;
    get->request.body_case = CLIENT__REQUEST__BODY_GET;
    get->request.get = &get->get;
    return &get->request;
}

static Client__Response *
ask_within(const char *address, Client__Request *request, unsigned deadline_ms)
{
    Client__Response *response = NULL;
    struct wire wire;

    if (wire_connect_within(&wire, address, deadline_ms) && wire_greet(&wire)) {
        response = wire_call(&wire, request, deadline_ms);
    }
    wire_close(&wire);
    return response;
}

int wire_set_text(const char *address, const char *path, const char *value)
{
    return wire_set_text_within(address, path, value, ANSWER_DEADLINE_MS);
}

int wire_set_text_within(const char *address,
                         const char *path,
                         const char *value,
                         unsigned deadline_ms)
{
    struct wire_set set;
    Client__Response *response =
        ask_within(address, wire_set_init(&set, path, bytes_of_text(value)), deadline_ms);
    int code;

    if (response == NULL) {
        return -1;
    }
    code = (int)response->code;
    client__response__free_unpacked(response, NULL);
    return code;
}

int wire_get_text(const char *address,
                  const char *path,
                  Client__ReadLevel level,
                  char *ret_value,
                  size_t capacity)
{
    struct wire_get get;
    Client__Response *response =
        ask_within(address, wire_get_init(&get, path, level), ANSWER_DEADLINE_MS);
    int code = -1;

    if (response != NULL) {
        code = (int)response->code;
        if (code == (int)CLIENT__CODE__OK && response->body_case == CLIENT__RESPONSE__BODY_GET) {
            (void)snprintf(ret_value, capacity, "%.*s", (int)response->get->value.len,
                           (const char *)response->get->value.data);
        }
        client__response__free_unpacked(response, NULL);
    }
    return code;
}
