#include "bench/bench_protocol.h"

#include <string.h>

const struct bench_protocol *bench_protocol_find(const char *name)
{
    static const struct bench_protocol *const all[] = {&bench_native, &bench_zookeeper,
#ifdef BENCH_ETCD
                                                       &bench_etcd
#endif
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}
