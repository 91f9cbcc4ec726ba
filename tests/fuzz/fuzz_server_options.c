/* Bytes as a server's command line, arguments parted by line ends: a configuration within its
 * limits, or an explanation. */
#include "base/check.h"
#include "server/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARGUMENTS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[] = "confer-server";
    char *text = malloc(size + 1);
    char *argv[ARGUMENTS_MAX + 1] = {name};
    int argc = 1;
    struct config config;
    struct error error;

    CHECK(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    for (char *next = text; next != NULL && argc < ARGUMENTS_MAX; argc++) {
        argv[argc] = next;
        next = strchr(next, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
    }
    if (config_parse(argc, argv, &config, &error) != STATUS_OK) {
        CHECK(error.text[0] != '\0');
    } else if (!config.help && !config.version && config.check[0] == '\0') {
        CHECK(config.id != 0 && config.server[0] != '\0' && config.data[0] != '\0');
        CHECK(config.listen_count >= 1 && config.listen_count <= CONFIG_LISTENERS_MAX);
        CHECK(config.heartbeat_ms < config.election_timeout_ms);
    }
    free(text);
    return 0;
}
