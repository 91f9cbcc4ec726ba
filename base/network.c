#include "base/network.h"

#include <arpa/inet.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 64 };

static bool parse_bits(const char *text, unsigned most, uint8_t *ret_bits)
{
    unsigned bits = 0;

    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        bits = bits * 10 + (unsigned)(*text - '0');
        if (bits > most) {
            return false;
        }
    }
    *ret_bits = (uint8_t)bits;
    return true;
}

bool network_parse(struct bytes text, struct network *ret_network)
{
    struct network network = {.bits = 32};
    char copy[TEXT_BYTES_MAX];
    char *slash;

    if (text.size == 0 || text.size >= sizeof copy || memchr(text.data, '\0', text.size) != NULL) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    slash = strchr(copy, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    network.is_ipv4 = inet_pton(AF_INET, copy, network.address) == 1;
    if (!network.is_ipv4) {
        network.bits = 128;
        if (inet_pton(AF_INET6, copy, network.address) != 1) {
            return false;
        }
    }
    if (slash != NULL && !parse_bits(slash + 1, network.bits, &network.bits)) {
        return false;
    }
    *ret_network = network;
    return true;
}

bool network_contains(const struct network *network, const struct network *host)
{
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (network->is_ipv4 != host->is_ipv4 || memcmp(network->address, host->address, whole) != 0) {
        return false;
    }
    return rest == 0 || ((network->address[whole] ^ host->address[whole]) >> (8 - rest)) == 0;
}
