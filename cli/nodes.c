#include "cli/nodes.h"

#include "base/address.h"
#include "base/quantity.h"

#include <string.h>

static bool take_id(const char *text, size_t bytes, uint64_t *ret_id)
{
    char copy[32];

    if (bytes == 0 || bytes >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return quantity_parse_count(copy, UINT64_MAX, ret_id, NULL) == STATUS_OK && *ret_id != 0;
}

static bool take_node(const char *text, size_t bytes, struct nodes *nodes)
{
    size_t i = nodes->count;
    size_t id_bytes = strcspn(text, "=");
    size_t address_bytes;
    struct address address;

    if (id_bytes >= bytes || !take_id(text, id_bytes, &nodes->items[i].id)) {
        return false;
    }
    address_bytes = bytes - id_bytes - 1;
    if (address_bytes >= sizeof nodes->addresses[i]) {
        return false;
    }
    memcpy(nodes->addresses[i], text + id_bytes + 1, address_bytes);
    nodes->addresses[i][address_bytes] = '\0';
    nodes->items[i].address = nodes->addresses[i];
    nodes->count++;
    return address_parse(nodes->addresses[i], &address, NULL) == STATUS_OK;
}

typedef bool (*take_piece)(
    const struct cli *cli, const char *option, const char *text, size_t bytes, void *list);

/* Each piece between commas goes to `take`, which tells what is wrong with it. */
static bool
take_list(const struct cli *cli, const char *option, const char *text, take_piece take, void *list)
{
    for (size_t count = 0; count < NODES_MAX; count++) {
        size_t bytes = strcspn(text, ",");

        if (!take(cli, option, text, bytes, list)) {
            return false;
        }
        if (text[bytes] == '\0') {
            return true;
        }
        text += bytes + 1;
    }
    (void)cli_usage(cli, "a cluster has at most %d servers", NODES_MAX);
    return false;
}

static bool
add_node(const struct cli *cli, const char *option, const char *text, size_t bytes, void *list)
{
    struct nodes *nodes = list;

    if (!take_node(text, bytes, nodes)) {
        (void)cli_usage(cli, "--%s '%.*s': write it as ID=HOST:PORT, ids from 1", option,
                        (int)bytes, text);
        return false;
    }
    for (size_t i = 0; i + 1 < nodes->count; i++) {
        if (nodes->items[i].id == nodes->items[nodes->count - 1].id) {
            (void)cli_usage(cli, "--%s names an id twice: '%.*s'", option, (int)bytes, text);
            return false;
        }
    }
    return true;
}

bool nodes_parse(const struct cli *cli, const char *option, const char *text, struct nodes *ret)
{
    *ret = (struct nodes){.count = 0};
    if (text == NULL) {
        (void)cli_usage(cli, "--%s is missing: --%s 1=HOST:PORT", option, option);
        return false;
    }
    return take_list(cli, option, text, add_node, ret);
}

static bool
add_id(const struct cli *cli, const char *option, const char *text, size_t bytes, void *list)
{
    struct ids *ids = list;

    if (!take_id(text, bytes, &ids->items[ids->count])) {
        (void)cli_usage(cli, "--%s '%.*s': ids are numbers from 1, as 1,2,3", option, (int)bytes,
                        text);
        return false;
    }
    ids->count++;
    return true;
}

bool ids_parse(const struct cli *cli, const char *option, const char *text, struct ids *ret)
{
    *ret = (struct ids){.count = 0};
    if (text == NULL) {
        (void)cli_usage(cli, "--%s is missing: --%s 1,2,3", option, option);
        return false;
    }
    return take_list(cli, option, text, add_id, ret);
}
