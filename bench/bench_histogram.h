/* Latencies in logarithmic buckets, 32 to each power of two: an error below 3.2 %. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { BENCH_HISTOGRAM_BUCKETS = 32 * 40 };

struct bench_histogram {
    uint64_t counts[BENCH_HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t maximum;
};

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value);
/* The value below which `fraction` of all lie; 0 when there are none. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, double fraction);

#endif
