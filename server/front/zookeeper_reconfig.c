#include "server/front/zookeeper_reconfig.h"

#include "base/address.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t\r\f"

enum {
    /* More is more than any cluster has, and refused as such. */
    SERVERS_MAX = RAFT_MEMBERS_MAX,
    LEAVING_MAX = 1024,
    NUMBER_DIGITS_MAX = 18,
    PORT_DIGITS_MAX = 5
};

/* --- Pieces of text --- */

static bool is_among(uint8_t byte, const char *some)
{
    return byte != 0 && strchr(some, byte) != NULL;
}

static struct bytes trim(struct bytes text)
{
    while (text.size > 0 && is_among(text.data[0], BLANKS)) {
        text = bytes_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && is_among(text.data[text.size - 1], BLANKS)) {
        text.size--;
    }
    return text;
}

/* Take what stands before the first of `separators`, or all, without blanks around. */
static struct bytes take(struct bytes *rest, const char *separators)
{
    size_t size = 0;
    struct bytes piece;

    while (size < rest->size && !is_among(rest->data[size], separators)) {
        size++;
    }
    piece = bytes_of(rest->data, size);
    size += size < rest->size;
    *rest = bytes_of(rest->data + size, rest->size - size);
    return trim(piece);
}

static bool read_number(struct bytes text, size_t digits_max, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (text.size == 0 || text.size > digits_max) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        number = 10 * number + (uint64_t)(text.data[i] - '0');
    }
    *ret_number = number;
    return true;
}

static bool is_text(struct bytes bytes, const char *text)
{
    return bytes.size == strlen(text) &&
           strncasecmp((const char *)bytes.data, text, bytes.size) == 0;
}

/* --- One server --- */

static bool take_port(struct bytes *rest)
{
    uint64_t port;

    return read_number(take(rest, ":"), PORT_DIGITS_MAX, &port) && port > 0 && port <= UINT16_MAX;
}

/* With its brackets. */
static struct bytes take_host(struct bytes *rest)
{
    const uint8_t *end;
    struct bytes host;

    if (rest->size == 0 || rest->data[0] != '[') {
        return take(rest, ":");
    }
    end = memchr(rest->data, ']', rest->size);
    if (end == NULL) {
        return BYTES_EMPTY;
    }
    host = bytes_of(rest->data, (size_t)(end - rest->data) + 1);
    *rest = bytes_of(end + 1, rest->size - host.size);
    return take(rest, ":").size == 0 ? host : BYTES_EMPTY;
}

static bool is_any_host(struct bytes host)
{
    return host.size == 0 || is_text(host, "0.0.0.0") || is_text(host, "[::]");
}

/* [HOST:]PORT; of the one without a host `host` is the host. */
static bool read_client_address(struct bytes text, struct bytes host, char *address)
{
    const uint8_t *colon = memrchr(text.data, ':', text.size);
    struct bytes port = text;
    struct address parsed;
    char whole[ADDRESS_TEXT_BYTES_MAX];
    int size;

    if (colon != NULL) {
        struct bytes named = trim(bytes_of(text.data, (size_t)(colon - text.data)));

        if (named.size == 0) {
            return false;
        }
        host = is_any_host(named) ? host : named;
        port = bytes_of(colon + 1, (size_t)(text.data + text.size - colon - 1));
    }
    size = snprintf(whole, sizeof whole, "%.*s:%.*s", (int)host.size, (const char *)host.data,
                    (int)port.size, (const char *)port.data);
    if (size >= (int)sizeof whole || address_parse(whole, &parsed, NULL) != STATUS_OK) {
        return false;
    }
    address_format(&parsed, address);
    return true;
}

static bool
read_server(struct bytes text, struct arena *arena, struct reconfiguration_server *server)
{
    char address[ADDRESS_TEXT_BYTES_MAX];
    struct bytes left = take(&text, ";");
    struct bytes host = take_host(&left);
    struct bytes role;

    if (host.size == 0 || !take_port(&left) || !take_port(&left) ||
        !read_client_address(trim(text), host, address)) {
        return false;
    }
    role = take(&left, ":");
    if (left.size > 0 ||
        (role.size > 0 && !is_text(role, "participant") && !is_text(role, "observer"))) {
        return false;
    }
    server->votes = !is_text(role, "observer");
    server->address = arena_text(arena, bytes_of_text(address));
    return true;
}

/* --- Lists --- */

/* What is wanted, while its servers are read. */
struct reading {
    struct arena *arena;
    struct reconfiguration_server *servers;
    size_t count;
    bool is_illegal;
};

/* NAME.ID=SERVER */
static void read_entry(struct reading *reading, struct bytes entry)
{
    struct bytes key = take(&entry, "=");
    const uint8_t *dot = memrchr(key.data, '.', key.size);
    struct bytes id =
        dot == NULL ? key : bytes_of(dot + 1, (size_t)(key.data + key.size - dot - 1));
    struct reconfiguration_server *server = &reading->servers[reading->count];

    if (reading->count == SERVERS_MAX || memchr(entry.data, '=', entry.size) != NULL ||
        memchr(entry.data, 0, entry.size) != NULL ||
        !read_number(id, NUMBER_DIGITS_MAX, &server->id) || server->id == 0 ||
        !read_server(entry, reading->arena, server)) {
        reading->is_illegal = true;
        return;
    }
    reading->count++;
}

static struct reading begin(struct arena *arena)
{
    struct reading reading = {.arena = arena};

    reading.servers = arena_calloc(arena, SERVERS_MAX, sizeof *reading.servers);
    return reading;
}

static void finish(const struct reading *reading, struct reconfiguration *wanted)
{
    wanted->servers = reading->servers;
    wanted->server_count = reading->count;
    wanted->is_illegal = reading->is_illegal;
}

void zookeeper_reconfig_read_changes(struct bytes joining,
                                     struct bytes leaving,
                                     struct arena *arena,
                                     struct reconfiguration *wanted)
{
    size_t most = leaving.size / 2 + 1 < LEAVING_MAX ? leaving.size / 2 + 1 : LEAVING_MAX;
    raft_id *ids = arena_calloc(arena, most, sizeof *ids);
    struct reading reading = begin(arena);

    while (joining.size > 0 && !reading.is_illegal) {
        struct bytes entry = take(&joining, ",");

        if (entry.size > 0) {
            read_entry(&reading, entry);
        }
    }
    while (leaving.size > 0 && !reading.is_illegal) {
        struct bytes id = take(&leaving, ",");

        if (id.size > 0) {
            reading.is_illegal = wanted->leaving_count == most ||
                                 !read_number(id, NUMBER_DIGITS_MAX, &ids[wanted->leaving_count++]);
        }
    }
    wanted->leaving = ids;
    finish(&reading, wanted);
}

void zookeeper_reconfig_read_members(struct bytes members,
                                     struct arena *arena,
                                     struct reconfiguration *wanted)
{
    struct reading reading = begin(arena);

    while (members.size > 0 && !reading.is_illegal) {
        struct bytes line = take(&members, ",\n");
        struct bytes rest = line;

        if (line.size == 0 || is_among(line.data[0], "#!") ||
            is_text(take(&rest, "="), "version")) {
            continue;
        }
        if (line.size < 8 || memcmp(line.data, "server.", 7) != 0) {
            reading.is_illegal = true;
        } else {
            read_entry(&reading, line);
        }
    }
    wanted->replaces = true;
    finish(&reading, wanted);
}
