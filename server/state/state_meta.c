#include "server/state/state_meta.h"

#include "base/checksum.h"

/*     0  u32  format         4  u64  applied         12  u64  time ms
 *    20  u64  next node id  28  u64  record count    36  u64  digest sum
 *    44  u64  node count     52  u64  bytes of all paths and values, since format 2 */
enum { FORMAT = 2, FIRST_FORMAT_BYTES = 52 };

void state_meta_encode(const struct state_meta *meta, uint8_t to[STATE_META_BYTES])
{
    bytes_store_u32(to, FORMAT);
    bytes_store_u64(to + 4, meta->applied);
    bytes_store_u64(to + 12, meta->time_ms);
    bytes_store_u64(to + 20, meta->next_node_id);
    bytes_store_u64(to + 28, meta->records.record_count);
    bytes_store_u64(to + 36, meta->records.sum);
    bytes_store_u64(to + 44, meta->node_count);
    bytes_store_u64(to + 52, meta->data_bytes);
}

enum status state_meta_decode(struct bytes bytes, struct state_meta *ret_meta, struct error *error)
{
    uint32_t format = bytes.size < 4 ? 0 : bytes_load_u32(bytes.data);

    if (format > FORMAT) {
        return error_set(error, STATUS_FORMAT,
                         "the state has format %u, this program knows up to %u: it was written by "
                         "a newer version, run that one",
                         format, (unsigned)FORMAT);
    }
    if (format == 0 || bytes.size != (format == 1 ? FIRST_FORMAT_BYTES : STATE_META_BYTES)) {
        return error_set(error, STATUS_CORRUPT,
                         "the meta record of the state is damaged (%zu bytes, format %u)",
                         bytes.size, format);
    }
    *ret_meta = (struct state_meta){
        .applied = bytes_load_u64(bytes.data + 4),
        .time_ms = bytes_load_u64(bytes.data + 12),
        .next_node_id = bytes_load_u64(bytes.data + 20),
        .records = {.record_count = bytes_load_u64(bytes.data + 28),
                    .sum = bytes_load_u64(bytes.data + 36)},
        .node_count = bytes_load_u64(bytes.data + 44),
        .has_data_bytes = format > 1,
        .data_bytes = format > 1 ? bytes_load_u64(bytes.data + 52) : 0,
    };
    return STATUS_OK;
}

struct state_digest state_meta_digest(const struct state_meta *meta)
{
    struct state_digest digest = meta->records;
    uint8_t counters[16];

    bytes_store_u64(counters, meta->time_ms);
    bytes_store_u64(counters + 8, meta->next_node_id);
    digest.sum += checksum_pair(bytes_of_text("m"), bytes_of(counters, sizeof counters));
    return digest;
}
