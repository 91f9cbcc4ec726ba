/* Network addresses as people write them: HOST:PORT, [IPV6]:PORT, with an optional http:// in
 * front and slash behind, both ignored. Resolving them is the business of who connects. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/error.h"

#include <stdint.h>

/* A host name has at most 253 bytes (RFC 1035), with brackets, colon, port and NUL. */
#define ADDRESS_TEXT_BYTES_MAX 264

struct address {
    char host[256]; /* without brackets */
    uint16_t port;
};

/* STATUS_INVALID: no host, no port, port 0 or above 65535, too long; the text says which. */
MUST_CHECK enum status
address_parse(const char *text, struct address *ret_address, struct error *error);
/* HOST:PORT, with brackets around a host that contains a colon. */
void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES_MAX]);

#endif
