/* Raft messages as bytes: raft_message of raft/raft.h to and from peer.PeerMessage. */
#ifndef NODE_PEER_CODEC_H
#define NODE_PEER_CODEC_H

#include "base/arena.h"
#include "base/bytes.h"
#include "proto/peer.pb-c.h"
#include "raft/raft.h"

/* Append the packed PeerMessage to `buffer`. For an APPEND, `entries` and `payloads` have
 * entry_count elements. */
void peer_codec_pack_raft(const struct raft_message *message,
                          const struct raft_entry *entries,
                          const struct bytes *payloads,
                          struct buffer *buffer);

/* The PeerMessage in `bytes`, in the arena; its bytes are lent from there. What a newer version
 * added is passed over. NULL: it is none, or has more messages in it than any. */
MUST_CHECK Peer__PeerMessage *peer_codec_read(struct bytes bytes, struct arena *arena);

/* Make the raft_message that came from `from` for `to`, with entries and configurations in the
 * arena, and the payloads of an APPEND's entries, lent from `wire`. The result is validated.
 * INVALID: drop it. */
MUST_CHECK enum status peer_codec_read_raft(const Peer__RaftMessage *wire,
                                            raft_id from,
                                            raft_id to,
                                            uint32_t entry_bytes_max,
                                            struct arena *arena,
                                            struct raft_message *ret_message,
                                            const struct bytes **ret_payloads);

/* Append any PeerMessage, packed, to `buffer`. */
void peer_codec_pack(const Peer__PeerMessage *message, struct buffer *buffer);

#endif
