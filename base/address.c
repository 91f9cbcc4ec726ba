#include "base/address.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status refuse(struct error *error, const char *text, const char *reason)
{
    return error_set(error, STATUS_INVALID, "address '%.300s': %s; write it as HOST:PORT", text,
                     reason);
}

/* Whether a resolver or a log line may be handed these bytes. */
static bool is_host(const char *host, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)host[i];

        if (byte <= ' ' || byte >= 0x7f || strchr("/,=[]\"\\", byte) != NULL) {
            return false;
        }
    }
    return true;
}

enum status address_parse(const char *text, struct address *ret_address, struct error *error)
{
    struct address address = {.port = 0};
    const char *start = strncmp(text, "http://", 7) == 0 ? text + 7 : text;
    size_t size = strlen(start);
    const char *colon;
    const char *host = start;
    size_t host_bytes;
    char *port_end;
    unsigned long port;

    if (size > 0 && start[size - 1] == '/') {
        size--;
    }
    colon = memrchr(start, ':', size);
    if (colon == NULL) {
        return refuse(error, text, "the port is missing");
    }
    host_bytes = (size_t)(colon - start);
    if (host_bytes >= 2 && host[0] == '[' && host[host_bytes - 1] == ']') {
        host++;
        host_bytes -= 2;
    } else if (memchr(host, ':', host_bytes) != NULL) {
        return refuse(error, text, "an IPv6 address needs brackets");
    }
    if (host_bytes == 0) {
        return refuse(error, text, "the host is missing");
    }
    if (host_bytes >= 254 || !is_host(host, host_bytes)) {
        return refuse(error, text, "this is not a host name");
    }
    if (colon[1] < '0' || colon[1] > '9') {
        return refuse(error, text, "the port is not a number");
    }
    port = strtoul(colon + 1, &port_end, 10);
    if (port_end != start + size) {
        return refuse(error, text, "the port is not a number");
    }
    if (port == 0 || port > UINT16_MAX) {
        return refuse(error, text, "the port must be 1 to 65535");
    }
    memcpy(address.host, host, host_bytes);
    address.port = (uint16_t)port;
    *ret_address = address;
    return STATUS_OK;
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES_MAX])
{
    const char *format = strchr(address->host, ':') != NULL ? "[%s]:%u" : "%s:%u";

    /* Both formats take the same arguments, and the host is shorter than the text. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, ADDRESS_TEXT_BYTES_MAX, format, address->host, (unsigned)address->port);
#pragma GCC diagnostic pop
}
