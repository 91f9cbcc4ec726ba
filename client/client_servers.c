#include "client/client_servers.h"

#include "client/client_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t count_parts(const char *text)
{
    size_t count = 1;

    for (; *text != '\0'; text++) {
        count += *text == ',' ? 1 : 0;
    }
    return count;
}

static enum status
parse_one(const char *start, size_t size, struct client_server *server, struct error *error)
{
    char text[ADDRESS_TEXT_BYTES_MAX + 16];
    enum status status;

    while (size > 0 && *start == ' ') {
        start++;
        size--;
    }
    while (size > 0 && start[size - 1] == ' ') {
        size--;
    }
    if (size >= sizeof text) {
        return error_set(error, STATUS_INVALID, "the address '%.60s...' is too long", start);
    }
    memcpy(text, start, size);
    text[size] = '\0';
    status = address_parse(text, &server->address, error);
    if (status == STATUS_OK) {
        address_format(&server->address, server->text);
    }
    return status;
}

enum confer_status
client_servers_parse(const char *text, struct client_servers *ret_servers, struct error *error)
{
    struct client_servers servers = {.count = 0};
    size_t parts = count_parts(text);

    if (parts > CLIENT_SERVERS_MAX) {
        (void)error_set(error, STATUS_INVALID, "%zu servers are too many; name at most %d", parts,
                        CLIENT_SERVERS_MAX);
        return CONFER_INVALID_ARGUMENT;
    }
    servers.items = client_alloc(parts * sizeof *servers.items);
    if (servers.items == NULL) {
        (void)error_set(error, STATUS_NO_MEMORY, "out of memory");
        return CONFER_NO_MEMORY;
    }
    for (size_t i = 0; i < parts; i++) {
        size_t size = strcspn(text, ",");

        if (parse_one(text, size, &servers.items[servers.count++], error) != STATUS_OK) {
            client_servers_release(&servers);
            return CONFER_INVALID_ARGUMENT;
        }
        text += size + (text[size] == ',' ? 1 : 0);
    }
    *ret_servers = servers;
    return CONFER_OK;
}

void client_servers_release(struct client_servers *servers)
{
    free(servers->items);
    *servers = (struct client_servers){.count = 0};
}

void client_servers_shuffle(struct client_servers *servers, struct prng *prng)
{
    for (size_t i = servers->count; i > 1; i--) {
        size_t other = (size_t)prng_below(prng, i);
        struct client_server moved = servers->items[i - 1];

        servers->items[i - 1] = servers->items[other];
        servers->items[other] = moved;
    }
}

struct client_server *client_servers_current(struct client_servers *servers)
{
    return &servers->items[servers->current];
}

void client_servers_next(struct client_servers *servers)
{
    servers->current = (servers->current + 1) % servers->count;
}

void client_servers_note(struct client_servers *servers, const char *problem)
{
    struct client_server *server = client_servers_current(servers);

    (void)snprintf(server->problem, sizeof server->problem, "%s", problem);
}

bool client_servers_all_outside(const struct client_servers *servers)
{
    for (size_t i = 0; i < servers->count; i++) {
        if (!servers->items[i].is_outside) {
            return false;
        }
    }
    return true;
}

void client_servers_explain(const struct client_servers *servers, char *text, size_t bytes)
{
    size_t used;

    if (servers->count == 1) {
        (void)snprintf(text, bytes, "cannot reach %s: %s", servers->items[0].text,
                       servers->items[0].problem[0] != '\0' ? servers->items[0].problem
                                                            : "no answer yet");
        return;
    }
    used = (size_t)snprintf(text, bytes, "cannot reach any of %zu servers: ", servers->count);
    for (size_t i = 0; i < servers->count && used < bytes; i++) {
        const struct client_server *server = &servers->items[i];

        used += (size_t)snprintf(text + used, bytes - used, "%s%s: %s", i == 0 ? "" : "; ",
                                 server->text,
                                 server->problem[0] != '\0' ? server->problem : "not tried yet");
    }
}
