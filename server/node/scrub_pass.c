#include "server/node/scrub_pass.h"

uint64_t scrub_pass_due(const struct scrub_pass *pass, const struct scrub_pace *pace)
{
    return pass->is_running ? pass->slice_us + pace->interval_us : pass->started_us + SCRUB_PASS_US;
}

uint64_t scrub_pass_begin(struct scrub_pass *pass,
                          const struct scrub_pace *pace,
                          uint64_t now_us,
                          uint64_t total_bytes)
{
    uint64_t slices = SCRUB_PASS_US / pace->interval_us;
    uint64_t bytes = total_bytes / slices + 1;

    if (!pass->is_running) {
        pass->is_running = true;
        pass->started_us = now_us;
    }
    if (bytes > pace->bytes_max) {
        return pace->bytes_max;
    }
    return bytes < pace->bytes_min ? pace->bytes_min : bytes;
}

void scrub_pass_end(struct scrub_pass *pass, uint64_t now_us, bool finished)
{
    pass->slice_us = now_us;
    pass->is_running = !finished;
}
