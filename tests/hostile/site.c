#include "tests/hostile/site.h"

#include "base/clock.h"

#include <poll.h>
#include <sys/socket.h>

enum { SETTLE_MS = 10 };

bool site_goes_on(struct site *site)
{
    if (site->end_us == 0) {
        site->end_us = clock_monotonic_us() + site->seconds * 1000 * 1000;
    }
    return clock_monotonic_us() < site->end_us;
}

bool site_push(struct wire *wire, struct bytes bytes, size_t *sent)
{
    while (*sent < bytes.size && wire->socket >= 0) {
        ssize_t count =
            send(wire->socket, bytes.data + *sent, bytes.size - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (count <= 0) {
            return false;
        }
        *sent += (size_t)count;
    }
    return wire->socket >= 0;
}

bool site_drain(struct wire *wire)
{
    static uint8_t dropped[256 * 1024];
    ssize_t came = 1;

    while (wire->socket >= 0 && came > 0) {
        came = recv(wire->socket, dropped, sizeof dropped, MSG_DONTWAIT);
        if (came == 0) {
            wire_close(wire);
        }
    }
    return wire->socket >= 0;
}

void site_rest(void)
{
    (void)poll(NULL, 0, SETTLE_MS);
}

void site_put_noise(struct site *site, struct buffer *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint64_t below = prng_below(&site->prng, 2) == 0 ? 256 : 8;

        buffer_put_u8(bytes, (uint8_t)prng_below(&site->prng, below));
    }
}
