#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct confer_member *progress_find(const struct confer_cluster *cluster, uint64_t id)
{
    for (size_t i = 0; i < cluster->member_count; i++) {
        if (cluster->members[i].id == id) {
            return &cluster->members[i];
        }
    }
    return NULL;
}

uint64_t progress_newest(const struct confer_cluster *cluster)
{
    uint64_t last = 0;

    for (size_t i = 0; i < cluster->member_count; i++) {
        last = cluster->members[i].last > last ? cluster->members[i].last : last;
    }
    return last;
}

/* What the leader knows to be durable there may be newer than the member's own last word. */
uint64_t progress_lag(const struct confer_cluster *cluster, const struct confer_member *member)
{
    uint64_t last = progress_newest(cluster);
    uint64_t has = member->match > member->applied ? member->match : member->applied;

    return last > has ? last - has : 0;
}

static const char *trend_words(const char *trend)
{
    if (strcmp(trend, "nearer") == 0) {
        return ", gets nearer";
    }
    if (strcmp(trend, "still") == 0) {
        return ", does not get on";
    }
    return strcmp(trend, "farther") == 0 ? ", falls further behind" : "";
}

static int describe_amount(const struct confer_cluster *cluster,
                           const struct confer_member *member,
                           char text[PROGRESS_TEXT_BYTES])
{
    const double mebibyte = 1024.0 * 1024.0;
    uint64_t lag = progress_lag(cluster, member);

    if (member->dump_bytes > 0) {
        return snprintf(text, PROGRESS_TEXT_BYTES, "dump: %.1f of %.1f MiB",
                        (double)member->dump_bytes_done / mebibyte,
                        (double)member->dump_bytes / mebibyte);
    }
    if (strcmp(member->progress, "dump") == 0) {
        return snprintf(text, PROGRESS_TEXT_BYTES, "needs a dump");
    }
    if (member->progress[0] == '\0') {
        return snprintf(text, PROGRESS_TEXT_BYTES, "how far it is, only a leader knows");
    }
    return snprintf(text, PROGRESS_TEXT_BYTES, "%" PRIu64 " entr%s behind", lag,
                    lag == 1 ? "y" : "ies");
}

void progress_describe(const struct confer_cluster *cluster,
                       const struct confer_member *member,
                       char text[PROGRESS_TEXT_BYTES])
{
    int size = describe_amount(cluster, member, text);

    size +=
        snprintf(text + size, PROGRESS_TEXT_BYTES - (size_t)size, "%s", trend_words(member->trend));
    if (member->catch_up_rounds > 1) {
        size += snprintf(text + size, PROGRESS_TEXT_BYTES - (size_t)size, ", round %" PRIu32,
                         member->catch_up_rounds + 1);
    }
    if (member->trouble[0] != '\0') {
        (void)snprintf(text + size, PROGRESS_TEXT_BYTES - (size_t)size, "; %s", member->trouble);
    }
}

void progress_list(const uint64_t *ids, size_t count, char text[PROGRESS_TEXT_BYTES])
{
    size_t size = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count && size < PROGRESS_TEXT_BYTES; i++) {
        size += (size_t)snprintf(text + size, PROGRESS_TEXT_BYTES - size, "%s%" PRIu64,
                                 i > 0 ? "," : "", ids[i]);
    }
}
