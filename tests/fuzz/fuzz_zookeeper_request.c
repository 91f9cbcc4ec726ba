/* A ZooKeeper client's frame: as a connect request and as any request. What is read and would be
 * proposed is a command that the state can judge. */
#include "base/check.h"
#include "server/front/zookeeper_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct identities identities;
    struct jute_connect_request connect;
    struct request *request = NULL;

    (void)!jute_read_connect_request(bytes_of(data, size), &connect);
    identities_init(&identities, bytes_of_text("127.0.0.1"), NULL);
    /* The same frame twice: an auth packet may change what the next one means. */
    for (int round = 0; round < 2; round++) {
        if (zookeeper_decode(bytes_of(data, size), &identities, &request) != STATUS_OK) {
            CHECK_OP(size, <, 8);
            break;
        }
        CHECK(request->details != NULL);
        if (request->kind == REQUEST_WRITE) {
            CHECK(state_command_check(request->write.command) != OP_UNREADABLE);
        }
        request_free(request);
    }
    identities_release(&identities);
    return 0;
}
