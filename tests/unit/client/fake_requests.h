/* How a fake server answers each request that it serves. */
#ifndef TESTS_UNIT_CLIENT_FAKE_REQUESTS_H
#define TESTS_UNIT_CLIENT_FAKE_REQUESTS_H

#include "tests/unit/client/fake_parts.h"

void fake_requests_serve(struct fake_server *server,
                         struct fake_connection *connection,
                         const Client__Request *request,
                         enum fake_fate fate);

#endif
