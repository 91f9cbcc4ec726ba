/* Bytes as a cluster's configuration: what is taken is legal, and has one encoding. */
#include "base/check.h"
#include "server/node/config_codec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct raft_config config;
    struct raft_config again;
    struct buffer packed = BUFFER_INIT;
    struct buffer packed_again = BUFFER_INIT;

    if (config_codec_unpack(bytes_of(data, size), &config) != STATUS_OK) {
        return 0;
    }
    CHECK(raft_config_validate(&config) == STATUS_OK);
    config_codec_pack(&config, &packed);
    CHECK(config_codec_unpack(buffer_lend(&packed), &again) == STATUS_OK);
    CHECK(memcmp(&config, &again, sizeof config) == 0);
    config_codec_pack(&again, &packed_again);
    CHECK(packed.size == packed_again.size &&
          memcmp(packed.data, packed_again.data, packed.size) == 0);
    buffer_release(&packed);
    buffer_release(&packed_again);
    return 0;
}
