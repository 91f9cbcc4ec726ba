#include "server/state/config_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_PATH "/zookeeper/config"

enum {
    FLAG_LEARNER = 4,   /* record.Member */
    LINE_BYTES_MAX = 96 /* beside the addresses */
};

static void put_member(struct buffer *text, const Record__Member *member)
{
    int host_and_port = (int)member->address.len;
    const char *address = (const char *)member->address.data;
    const char *colon = host_and_port == 0 ? NULL : memrchr(address, ':', member->address.len);
    const char *port = colon == NULL ? "" : colon;
    int port_bytes = colon == NULL ? 0 : host_and_port - (int)(colon - address);
    size_t bytes_max = 3 * member->address.len + LINE_BYTES_MAX;
    char *line = (char *)buffer_extend(text, bytes_max);
    int size = snprintf(line, bytes_max, "server.%" PRIu64 "=%.*s%.*s:%s;%.*s\n", member->id,
                        host_and_port, address, port_bytes, port,
                        (member->flags & FLAG_LEARNER) != 0 ? "observer" : "participant",
                        host_and_port, address);

    text->size -= bytes_max - (size_t)size;
}

static void put_version(struct buffer *text, zxid at)
{
    char line[LINE_BYTES_MAX];
    int size = snprintf(line, sizeof line, "version=%" PRIx64, at);

    buffer_put(text, bytes_of(line, (size_t)size));
}

enum status config_node_set(struct tree_write *write, const Record__Config *config)
{
    struct buffer text = BUFFER_INIT;
    struct bytes path = bytes_of_text(CONFIG_PATH);
    struct record *record = NULL;
    struct record *updated = NULL;
    struct znode znode;
    enum status status = tree_find(write->tree, path, &record);

    if (status != STATUS_OK || record == NULL) {
        return status == STATUS_OK ? STATUS_CORRUPT : status;
    }
    znode = znode_load(record);
    if (config->joint || (config->n_members <= 1 && znode.value.size == 0)) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < config->n_members; i++) {
        put_member(&text, config->members[i]);
    }
    put_version(&text, write->zxid);
    znode.value = buffer_lend(&text);
    znode.version = -1;
    znode.mzxid = write->zxid;
    znode.mtime_ms = write->time_ms;
    status = tree_update(write->tree, path, record, &znode, &updated);
    tree_note_node(write, STATE_VALUE_SET, path, record, updated);
    buffer_release(&text);
    return status;
}
