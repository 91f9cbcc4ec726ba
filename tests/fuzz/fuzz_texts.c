/* Bytes as what people write: addresses, lists of servers, durations, sizes, numbers, levels,
 * paths. Each parser either takes the text or says why not. */
#include "base/check.h"
#include "base/log.h"
#include "base/quantity.h"
#include "client/client_servers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void explain(enum status status, const struct error *error)
{
    CHECK(status == STATUS_OK || error->text[0] != '\0');
}

static void read_address(const char *text)
{
    struct address address;
    struct address again;
    struct error error;
    char written[ADDRESS_TEXT_BYTES_MAX];
    enum status status = address_parse(text, &address, &error);

    explain(status, &error);
    if (status == STATUS_OK) {
        address_format(&address, written);
        CHECK(address_parse(written, &again, &error) == STATUS_OK);
        CHECK(address.port == again.port && address.port != 0);
        CHECK(strcmp(address.host, again.host) == 0);
    }
}

static void read_quantities(const char *text)
{
    uint64_t number = 0;
    struct error error;

    explain(quantity_parse_duration_ms(text, &number, &error), &error);
    explain(quantity_parse_bytes(text, &number, &error), &error);
    enum status status = quantity_parse_count(text, 1000, &number, &error);
    explain(status, &error);
    CHECK(status != STATUS_OK || number <= 1000);
}

static void read_servers(const char *text)
{
    struct client_servers servers;
    struct error error;

    if (client_servers_parse(text, &servers, &error) == CONFER_OK) {
        CHECK(servers.count >= 1 && servers.count <= CLIENT_SERVERS_MAX);
        client_servers_release(&servers);
    } else {
        CHECK(error.text[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    enum log_level level;

    CHECK(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    read_address(text);
    read_quantities(text);
    read_servers(text);
    (void)!log_parse_level(text, &level);
    free(text);
    return 0;
}
