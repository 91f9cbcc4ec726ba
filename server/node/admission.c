#include "server/node/admission.h"

#include "base/mark.h"

void admission_init(struct admission *admission)
{
    round_robin_init(&admission->waiting);
    admission->turn = NULL;
}

static bool is_little(const struct admission_load *load)
{
    return load->own + load->more <= ADMISSION_LITTLE_BYTES;
}

bool admission_has_room(const struct admission_load *load)
{
    uint64_t most = is_little(load) ? 2 * ADMISSION_ALL_BYTES_MAX : ADMISSION_ALL_BYTES_MAX;

    return load->all == 0 || load->all + load->more <= most;
}

enum admission_answer admission_ask(const struct admission *admission,
                                    struct round_robin_place *place,
                                    const struct admission_load *load)
{
    if (load->own > 0 && load->own + load->more > ADMISSION_OWN_BYTES_MAX) {
        return ADMISSION_AFTER_OWN;
    }
    if (admission_has_room(load) && (is_little(load) || admission->turn == place ||
                                     round_robin_is_empty(&admission->waiting))) {
        return ADMISSION_NOW;
    }
    MARK(write_waits_for_its_turn);
    place->is_heavy = !is_little(load);
    return ADMISSION_IN_TURN;
}
