// The logit kernels of `logits.h`, compiled once for each family of processors.
#pragma once

#include "exponential.h"

namespace puna {
namespace {

PUNA_INLINE FloatVec distance(const FloatVec &v, float centre) {
    return reinterpret_cast<FloatVec>(reinterpret_cast<IntVec>(v - centre) & 0x7fffffff);
}

// Prefetch the block that is read PREFETCH_DISTANCE later.
PUNA_INLINE void prefetch(const float *block) {
    for (int64_t line = 0; line < MAX_BLOCK; line += CACHE_LINE) __builtin_prefetch(block + PREFETCH_DISTANCE + line);
}

// The buffer may have left the cache since the last row.
PUNA_INLINE void prefetch_to_write(const float *next) { __builtin_prefetch(next + MAX_BLOCK * 8, 1); }

float block_max(const float *x, int64_t n, float *block_maxima) {
    Mask nan{};
    FloatVec row_max = broadcast(-INFINITE);
    for_max_blocks(x, n, [&](int64_t first, auto for_its_quads) __attribute__((always_inline)) {
        prefetch(x + first);
        FloatVec most = broadcast(-INFINITE);
        for_its_quads([&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) {
            for_quad([&](auto i) __attribute__((always_inline)) {
                most = max(v[i], most);
                nan |= is_nan(v[i]);
            });
        });
        row_max = max(most, row_max);
        *block_maxima++ = reduce_max(most);
    });
    return movemask(nan) ? __builtin_nanf("") : reduce_max(row_max);
}

float max_up_to(const float *x, int64_t n, float high) {
    Quad most;
    for (FloatVec &one : most) one = broadcast(-INFINITE);
    for_quads(x, 0, n, [&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) {
        for_quad([&](auto i) __attribute__((always_inline)) { most[i] = max(select(greater_equal(broadcast(high), v[i]), v[i], most[i]), most[i]); });
    });
    for (const FloatVec &one : most) most[0] = max(one, most[0]);
    return reduce_max(most[0]);
}

void exponentiate(const float *x, int64_t n, Weighting weighting, float *weights) {
    const Exponential exponential(weighting);
    for_quads(x, 0, n, [&](int64_t at, const Quad &v, int64_t size) __attribute__((always_inline)) {
        Quad w;
        exponential.weights(v, w);
        __builtin_memcpy(weights + at, &w, sizeof(float) * static_cast<size_t>(size));
    });
}

void block_sums(const float *x, int64_t n, Weighting weighting, float *sums) {
    const Exponential exponential(weighting);
    for_sum_blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Accumulator sum;
        for_quads(x, from, to, [&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) {
            Quad w;
            exponential.unmasked(v, w);
            for_quad([&](auto i) __attribute__((always_inline)) { masked_add(sum.of(i), greater_equal(v[i], broadcast(weighting.low)), w[i]); });
        });
        *sums++ = sum.total();
    });
}

template <bool MOMENTS>
PUNA_INLINE float softmax_stats_as(const float *x, int64_t n, float inverse_temperature, float *block_maxima, float *maxima, float *sums,
                                   float *moments) {
    float row_max = -INFINITE;
    for_sum_blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        const float most = block_max(x + from, to - from, block_maxima + from / MAX_BLOCK);
        const Exponential exponential({most, inverse_temperature, -MAX_FLOAT, INFINITE});
        Accumulator sum, moment;
        for_quads(x, from, to, [&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) {
            Quad w;
            exponential.unmasked(v, w);
            for_quad([&](auto i) __attribute__((always_inline)) { sum.of(i) += w[i]; });
            if constexpr (MOMENTS)
                for_quad([&](auto i) __attribute__((always_inline)) { moment.of(i) += w[i] * max(v[i] - most, broadcast(exponential.clamp)); });
        });
        *maxima++ = most;
        *sums++ = sum.total();
        if constexpr (MOMENTS) *moments++ = moment.total() * inverse_temperature;
        if (!(most <= row_max)) row_max = row_max == row_max ? most : row_max; // NaN stays
    });
    return row_max;
}

float softmax_stats(const float *x, int64_t n, float inverse_temperature, float *block_maxima, float *maxima, float *sums, float *moments) {
    return moments ? softmax_stats_as<true>(x, n, inverse_temperature, block_maxima, maxima, sums, moments)
                   : softmax_stats_as<false>(x, n, inverse_temperature, block_maxima, maxima, sums, moments);
}

void moments(const float *x, int64_t n, Weighting weighting, double &sum, double &moment) {
    const Exponential exponential(weighting);
    sum = moment = 0;
    for_sum_blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Accumulator block_sum, block_moment;
        for_quads(x, from, to, [&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) {
            Quad w;
            exponential.unmasked(v, w);
            for_quad([&](auto i) __attribute__((always_inline)) {
                const Mask weighs = greater_equal(v[i], broadcast(weighting.low));
                masked_add(block_sum.of(i), weighs, w[i]);
                masked_add(block_moment.of(i), weighs, w[i] * (v[i] - weighting.peak));
            });
        });
        sum += block_sum.total();
        moment += block_moment.total() * weighting.inverse_temperature;
    });
}

int64_t filter(const float *x, int64_t n, const float *block_maxima, float low, float high, float *found) {
    int64_t count = 0;
    for_max_blocks(x, n, [&](int64_t first, auto for_its_quads) __attribute__((always_inline)) {
        if (block_maxima && block_maxima[first / MAX_BLOCK] < low) return;
        prefetch_to_write(found + count);
        for_its_quads([&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) {
            for_quad([&](auto i) __attribute__((always_inline)) { count += compress_store(found + count, in_range(v[i], low, high), v[i]); });
        });
    });
    return count;
}

// Store the logits of a MAX_BLOCK whose bits are set, and return their count. Fast for few; writes at least 8 floats.
PUNA_INLINE int64_t compress_store_block(float *to, uint64_t bits, const float *block, int64_t size) {
    constexpr int few = 8; // stored without branches, which would often be mispredicted
    const int count = __builtin_popcountll(bits);
    const uint64_t last = uint64_t{1} << (size < MAX_BLOCK ? size - 1 : MAX_BLOCK - 1);
    unroll<few>([&](auto i) __attribute__((always_inline)) {
        to[i] = block[__builtin_ctzll(bits | last)];
        bits &= bits - 1;
    });
    for (int i = few; i < count; i++, bits &= bits - 1) to[i] = block[__builtin_ctzll(bits)];
    return count;
}

struct PartitionMasks {
    Mask band, kept;
};

// add(logits, weights, sum of all, sum from `near` on) adds a vector and returns which lanes are in the band, and which are kept.
// FEW: the band probably has few logits.
template <bool FEW, bool KEEP, class F>
PUNA_INLINE Partition partition_with(const float *x, int64_t n, const float *block_maxima, const Exponential &exponential, float low, float *found,
                                     float *kept, F add) {
    double total = 0, from_near = 0;
    int64_t count = 0, kept_count = 0;
    for_sum_blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Accumulator block_total, block_from_near;
        for_max_blocks(x + from, to - from, [&](int64_t first, auto for_its_quads) __attribute__((always_inline)) {
            if (block_maxima && block_maxima[(from + first) / MAX_BLOCK] < low) return;
            if constexpr (KEEP) prefetch_to_write(kept + kept_count), prefetch(x + from + first);
            uint64_t bits = 0;
            for_its_quads([&](int64_t at, const Quad &v, int64_t) __attribute__((always_inline)) {
                Quad w;
                exponential.unmasked(v, w);
                for_quad([&](auto i) __attribute__((always_inline)) {
                    const PartitionMasks in = add(v[i], w[i], block_total.of(i), block_from_near.of(i));
                    if constexpr (KEEP) kept_count += compress_store(kept + kept_count, in.kept, v[i]);
                    if constexpr (FEW)
                        bits |= static_cast<uint64_t>(movemask(in.band)) << (at - first + LANES * i);
                    else
                        count += compress_store(found + count, in.band, v[i]);
                });
            });
            if constexpr (FEW) count += compress_store_block(found + count, bits, x + from + first, to - from - first);
        });
        total += block_total.total();
        from_near += block_from_near.total();
    });
    return {total - from_near, total, count, kept_count};
}

// With the peak as the centre, distances are one-sided: all logits that weigh are below it.
template <bool FEW, bool KEEP>
PUNA_INLINE Partition partition_below(const float *x, int64_t n, const float *block_maxima, const Weighting &weighting, const Band &band,
                                      float *found, float *kept) {
    const Exponential exponential(weighting);
    const float first = band.centre - band.near, far = band.centre - band.far, last = far > weighting.low ? far : weighting.low;
    const float clamp = weighting.peak + exponential.clamp, low = clamp > weighting.low ? clamp : weighting.low;
    if (weighting.low > -MAX_FLOAT || weighting.high < INFINITE) {
        const auto add = [&](auto &v, auto &w, auto &total, auto &from_near) __attribute__((always_inline)) {
            const Mask weighs = in_range(v, weighting.low, weighting.high), further = mask_and(weighs, greater_equal(broadcast(first), v));
            const Mask reaches = greater_equal(v, broadcast(last));
            masked_add(total, weighs, w);
            masked_add(from_near, further, w);
            return PartitionMasks{mask_and(further, reaches), mask_and(weighs, reaches)};
        };
        return partition_with<FEW, KEEP>(x, n, block_maxima, exponential, low, found, kept, add);
    }
    const auto add = [&](auto &v, auto &w, auto &total, auto &from_near) __attribute__((always_inline)) {
        const Mask further = greater_equal(broadcast(first), v), reaches = greater_equal(v, broadcast(last));
        total += w;
        masked_add(from_near, further, w);
        return PartitionMasks{mask_and(further, reaches), reaches};
    };
    return partition_with<FEW, KEEP>(x, n, block_maxima, exponential, low, found, kept, add);
}

PUNA_INLINE Partition partition_around(const float *x, int64_t n, const Weighting &weighting, const Band &band, float *found) {
    const auto add = [&](auto &v, auto &w, auto &total, auto &from_near) __attribute__((always_inline)) {
        const FloatVec away = distance(v, band.centre);
        const Mask weighs = in_range(v, weighting.low, weighting.high), further = mask_and(weighs, greater_equal(away, broadcast(band.near)));
        masked_add(total, weighs, w);
        masked_add(from_near, further, w);
        return PartitionMasks{mask_and(further, greater_equal(broadcast(band.far), away)), {}};
    };
    return partition_with<false, false>(x, n, nullptr, Exponential(weighting), -INFINITE, found, nullptr, add);
}

Partition partition(const float *x, int64_t n, const float *block_maxima, Weighting weighting, Band band, float *found, float *kept) {
    if (band.centre != weighting.peak) return partition_around(x, n, weighting, band, found);
    if (kept) return partition_below<false, true>(x, n, block_maxima, weighting, band, found, kept);
    return block_maxima ? partition_below<true, false>(x, n, block_maxima, weighting, band, found, nullptr)
                        : partition_below<false, false>(x, n, nullptr, weighting, band, found, nullptr);
}

template <bool KEEP> PUNA_INLINE Partition partition_by_count_as(const float *x, int64_t n, float high, float low, float *found, float *kept) {
    int64_t count = 0, kept_count = 0;
    for_max_blocks(x, n, [&](int64_t, auto for_its_quads) __attribute__((always_inline)) {
        if constexpr (KEEP) prefetch_to_write(kept + kept_count);
        for_its_quads([&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) {
            for_quad([&](auto i) __attribute__((always_inline)) {
                const Mask reaches = greater_equal(v[i], broadcast(low));
                count += compress_store(found + count, mask_and(reaches, greater_equal(broadcast(high), v[i])), v[i]);
                if constexpr (KEEP)
                    kept_count += compress_store(kept + kept_count, reaches, v[i]);
                else
                    kept_count += __builtin_popcount(movemask(reaches));
            });
        });
    });
    return {static_cast<double>(kept_count - count), 0, count, kept_count};
}

Partition partition_by_count(const float *x, int64_t n, float high, float low, float *found, float *kept) {
    return kept ? partition_by_count_as<true>(x, n, high, low, found, kept) : partition_by_count_as<false>(x, n, high, low, found, nullptr);
}

PUNA_INLINE IntVec bin_of(const FloatVec &v, const Bins &bins) {
    const FloatVec bin = (distance(v, bins.centre) - bins.near) * bins.scale;
    // Each lane has its own overflow bin: adding to the same one again and again is slow.
    FloatVec overflow;
    for (int i = 0; i < LANES; i++) overflow[i] = Bins::count + i % Bins::overflow;
    return __builtin_convertvector(bin < overflow ? bin : overflow, IntVec);
}

int64_t filter_bin(const float *x, int64_t n, Bins bins, int bin, float *found) {
    int64_t count = 0;
    for_quads(x, 0, n, [&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) {
        for_quad([&](auto i) __attribute__((always_inline)) {
            const Mask in = mask_and(equal(bin_of(v[i], bins), bin), greater_equal(v[i], broadcast(-MAX_FLOAT)));
            if (movemask(in)) count += compress_store(found + count, in, v[i]);
        });
    });
    return count;
}

int64_t find(const float *x, int64_t n, const float *block_maxima, float value, int64_t before) {
    for (int64_t at = 0; at < n; at += MAX_BLOCK) {
        if (block_maxima[at / MAX_BLOCK] < value) continue;
        int64_t index = -1;
        for_quads(x, at, at + MAX_BLOCK < n ? at + MAX_BLOCK : n, [&](int64_t first, const Quad &v, int64_t) __attribute__((always_inline)) {
            for_quad([&](auto i) __attribute__((always_inline)) {
                for (unsigned bits = movemask(in_range(v[i], value, value)); bits; bits &= bits - 1)
                    if (!before--) index = first + LANES * i + __builtin_ctz(bits);
            });
        });
        if (index >= 0) return index;
    }
    return -1;
}

void histogram(const float *x, int64_t n, Bins bins, Weighting weighting, float *bin_weights) {
    alignas(64) float weights[SUM_BLOCK];
    alignas(64) int32_t indices[SUM_BLOCK];
    const Exponential exponential(weighting);
    for_sum_blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        for_quads(x + from, 0, to - from, [&](int64_t at, const Quad &v, int64_t) __attribute__((always_inline)) {
            Quad w;
            exponential.weights(v, w);
            for_quad([&](auto i) __attribute__((always_inline)) {
                const IntVec bin = bin_of(v[i], bins);
                store(weights + at + LANES * i, w[i]);
                __builtin_memcpy(indices + at + LANES * i, &bin, sizeof bin);
            });
        });
        for (int64_t i = 0; i < to - from; i++) bin_weights[indices[i]] += weights[i];
    });
}

constexpr LogitsKernel LOGITS{block_max, softmax_stats, exponentiate, block_sums, moments,    max_up_to,
                              filter,    partition,     partition_by_count, filter_bin, find, histogram};

} // namespace
} // namespace puna
