/* IP addresses and networks as text: 10.1.2.3, 10.0.0.0/8, fe80::/10. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "base/bytes.h"

struct network {
    uint8_t address[16]; /* the first 4 for IPv4 */
    uint8_t bits;        /* that count; 32 or 128 for a single address */
    bool is_ipv4;
};

/* False: it is none. */
bool network_parse(struct bytes text, struct network *ret_network);
/* `host` is a single address. Different families never match. */
bool network_contains(const struct network *network, const struct network *host);

#endif
