#include "bench/bench_histogram.h"

static unsigned bucket_of(uint64_t value)
{
    unsigned power;

    if (value < 32) {
        return (unsigned)value;
    }
    power = 63U - (unsigned)__builtin_clzll(value);
    return (power - 4) * 32 + (unsigned)((value >> (power - 5)) & 31);
}

static uint64_t value_of(unsigned bucket)
{
    if (bucket < 32) {
        return bucket;
    }
    return (UINT64_C(32) + bucket % 32) << (bucket / 32 - 1);
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value)
{
    unsigned bucket = bucket_of(value);

    histogram->counts[bucket < BENCH_HISTOGRAM_BUCKETS ? bucket : BENCH_HISTOGRAM_BUCKETS - 1]++;
    histogram->count++;
    if (value > histogram->maximum) {
        histogram->maximum = value;
    }
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, double fraction)
{
    uint64_t wanted = (uint64_t)(fraction * (double)histogram->count);
    uint64_t seen = 0;

    for (unsigned bucket = 0; bucket < BENCH_HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen > wanted) {
            return value_of(bucket);
        }
    }
    return histogram->maximum;
}
