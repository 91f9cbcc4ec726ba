/* Cluster configurations as bytes: packed record.Config messages, the payload of CONFIG entries.
 * The same configuration always gives the same bytes. */
#ifndef NODE_CONFIG_CODEC_H
#define NODE_CONFIG_CODEC_H

#include "base/bytes.h"
#include "proto/record.pb-c.h"
#include "raft/raft.h"

/* Append the packed configuration to `buffer`. */
void config_codec_pack(const struct raft_config *config, struct buffer *buffer);

/* INVALID: unreadable, or not a legal configuration. */
MUST_CHECK enum status config_codec_unpack(struct bytes bytes, struct raft_config *ret_config);
MUST_CHECK enum status config_codec_from_message(const Record__Config *message,
                                                 struct raft_config *ret_config);

#endif
