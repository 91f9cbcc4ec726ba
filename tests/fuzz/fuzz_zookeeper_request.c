/* A ZooKeeper client's frame: as a connect request and as any request. What is read and would be
 * proposed is a command that the state can judge, and to the byte what protobuf-c would pack. */
#include "base/alloc.h"
#include "base/check.h"
#include "proto/record.pb-c.h"
#include "server/front/zookeeper_decode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_packing(struct bytes bytes)
{
    Record__Command *command = record__command__unpack(NULL, bytes.size, bytes.data);
    uint8_t *packed;

    CHECK(command != NULL);
    CHECK_OP(record__command__get_packed_size(command), ==, bytes.size);
    packed = xmalloc(bytes.size);
    (void)record__command__pack(command, packed);
    CHECK(bytes_equal(bytes_of(packed, bytes.size), bytes));
    free(packed);
    record__command__free_unpacked(command, NULL);
}

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
            check_packing(request->write.command);
        }
        request_free(request);
    }
    identities_release(&identities);
    return 0;
}
