#include "server/node/config_codec.h"

#include <string.h>

void config_codec_pack(const struct raft_config *config, struct buffer *buffer)
{
    Record__Config message = RECORD__CONFIG__INIT;
    Record__Member members[RAFT_MEMBERS_MAX];
    Record__Member *pointers[RAFT_MEMBERS_MAX];
    struct raft_config copy = *config;

    for (uint32_t i = 0; i < copy.member_count; i++) {
        struct raft_member *member = &copy.members[i];

        members[i] = (Record__Member)RECORD__MEMBER__INIT;
        members[i].id = member->id;
        members[i].flags = member->flags;
        members[i].incarnation.data = member->incarnation;
        members[i].incarnation.len = sizeof member->incarnation;
        members[i].address.data = (uint8_t *)member->address;
        members[i].address.len = strlen(member->address);
        pointers[i] = &members[i];
    }
    message.n_members = copy.member_count;
    message.members = pointers;
    message.joint = copy.joint;
    (void)record__config__pack(&message,
                               buffer_extend(buffer, record__config__get_packed_size(&message)));
}

enum status config_codec_from_message(const Record__Config *message, struct raft_config *ret_config)
{
    struct raft_config config;

    if (message->n_members > RAFT_MEMBERS_MAX) {
        return STATUS_INVALID;
    }
    memset(&config, 0, sizeof config);
    config.member_count = (uint32_t)message->n_members;
    config.joint = message->joint;
    for (size_t i = 0; i < message->n_members; i++) {
        const Record__Member *from = message->members[i];
        struct raft_member *to = &config.members[i];

        if (from->incarnation.len != sizeof to->incarnation || from->flags > UINT8_MAX ||
            from->address.len >= sizeof to->address ||
            (from->address.len > 0 &&
             memchr(from->address.data, '\0', from->address.len) != NULL)) {
            return STATUS_INVALID;
        }
        to->id = from->id;
        to->flags = (uint8_t)from->flags;
        memcpy(to->incarnation, from->incarnation.data, sizeof to->incarnation);
        if (from->address.len > 0) {
            memcpy(to->address, from->address.data, from->address.len);
        }
    }
    if (raft_config_validate(&config) != STATUS_OK) {
        return STATUS_INVALID;
    }
    *ret_config = config;
    return STATUS_OK;
}

enum status config_codec_unpack(struct bytes bytes, struct raft_config *ret_config)
{
    Record__Config *message = record__config__unpack(NULL, bytes.size, bytes.data);
    enum status status = STATUS_INVALID;

    if (message != NULL) {
        status = config_codec_from_message(message, ret_config);
        record__config__free_unpacked(message, NULL);
    }
    return status;
}
