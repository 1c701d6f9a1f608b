// The passes over logits themselves, compiled for one family of processors. Nothing of the standard library is used, because its
// functions would be compiled for that family, and shared with files that are not.
#pragma once

#include "logits.h"
#include "tile.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace puna {
namespace {

constexpr int LANES = 8;
using Numbers = float __attribute__((vector_size(4 * LANES)));
using Wholes = int32_t __attribute__((vector_size(4 * LANES)));
constexpr float NONE = -__builtin_inff();
constexpr float LEAST = -__FLT_MAX__; // of numbers that are not -inf

PUNA_INLINE void load(Numbers &to, const float *from) { __builtin_memcpy(&to, from, sizeof to); }
PUNA_INLINE void store(float *to, const Numbers &from) { __builtin_memcpy(to, &from, sizeof from); }

// f(place, 8 logits) for all, in order; the last are filled up with -inf.
template <class F> PUNA_INLINE void each(const float *x, int64_t from, int64_t to, F f) {
    Numbers v;
    for (; from + LANES <= to; from += LANES) {
        load(v, x + from);
        f(from, v);
    }
    if (from < to) {
        v = Numbers{} + NONE;
        __builtin_memcpy(&v, x + from, sizeof(float) * static_cast<size_t>(to - from));
        f(from, v);
    }
}

PUNA_INLINE float largest(const Numbers &v) {
    float most = v[0];
    for (int i = 1; i < LANES; i++) most = v[i] > most ? v[i] : most;
    return most;
}

PUNA_INLINE float total(const Numbers &v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }

// A bit for each lane that is set.
PUNA_INLINE unsigned set_lanes(const Wholes &mask) {
#ifdef __AVX2__
    return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(mask)));
#else
    unsigned bits = 0;
    for (int i = 0; i < LANES; i++) bits |= (static_cast<unsigned>(mask[i]) & 1U) << i;
    return bits;
#endif
}

// Write the places of the lanes that are set.
PUNA_INLINE int64_t note(unsigned lanes, int64_t first, int32_t *places, int64_t count) {
    for (; lanes; lanes &= lanes - 1) places[count++] = static_cast<int32_t>(first) + __builtin_ctz(lanes);
    return count;
}

// a * b + c
PUNA_INLINE Numbers fused(const Numbers &a, const Numbers &b, const Numbers &c) {
#ifdef __FMA__
    return reinterpret_cast<Numbers>(_mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
    return a * b + c;
#endif
}
PUNA_INLINE Numbers all(float x) { return Numbers{} + x; }

// e^y for y <= 0, to the last bit or two (the polynomial of Cephes' expf); some 1e-38 where it is less.
PUNA_INLINE void exponential(Numbers &y) {
    constexpr float least = -87.0F, magic = 12582912.0F; // 1.5 * 2^23: what is added to it is rounded
    y = y > least ? y : all(least);
    const Numbers shifted = fused(y, all(1.44269504F), all(magic));
    const Numbers n = shifted - magic;
    const Numbers f = fused(n, all(2.12194440e-4F), fused(n, all(-0.693359375F), y));
    const Numbers square = f * f;
    // Pairs, so that the processor need not wait for one sum after the other.
    const Numbers high = fused(fused(f, all(1.9875691500e-4F), all(1.3981999507e-3F)), square, fused(f, all(8.3334519073e-3F), all(4.1665795894e-2F)));
    const Numbers p = fused(fused(high, square, fused(f, all(1.6666665459e-1F), all(5.0000001201e-1F))), square, f + 1.0F);
    // The low bits of `shifted` are n.
    const Wholes power = (reinterpret_cast<Wholes>(shifted) << 23) + (127 << 23);
    y = p * reinterpret_cast<Numbers>(power);
}

PUNA_INLINE Numbers weight(const Numbers &v, const Weighing &how) {
    Numbers y = (v - how.peak) * how.sharpness;
    exponential(y);
    return v >= how.low ? y : Numbers{};
}

bool find_peaks(const float *x, int64_t n, float *peaks) {
    Wholes wrong{};
    for (int64_t at = 0; at < n; at += PEAK_BLOCK) {
        Numbers most = Numbers{} + NONE;
        each(x, at, at + PEAK_BLOCK < n ? at + PEAK_BLOCK : n, [&](int64_t, const Numbers &v) {
            most = v > most ? v : most;
            wrong |= v != v;
        });
        *peaks++ = largest(most);
    }
    return !set_lanes(wrong);
}

void weigh(const float *x, int64_t n, const Weighing &how, float *weights) {
    each(x, 0, n, [&](int64_t at, const Numbers &v) {
        const Numbers w = weight(v, how);
        __builtin_memcpy(weights + at, &w, sizeof(float) * static_cast<size_t>(n - at < LANES ? n - at : LANES));
    });
}

void sum_weights(const float *x, int64_t n, const Weighing &how, float *sums) {
    for (int64_t at = 0; at < n; at += SUM_BLOCK) {
        Numbers sum{};
        each(x, at, at + SUM_BLOCK < n ? at + SUM_BLOCK : n, [&](int64_t, const Numbers &v) { sum += weight(v, how); });
        *sums++ = total(sum);
    }
}

int64_t gather(const float *x, int64_t n, const float *peaks, float low, int32_t *places, int64_t room) {
    int64_t count = 0;
    for (int64_t at = 0; at < n; at += PEAK_BLOCK) {
        if (peaks[at / PEAK_BLOCK] < low) continue;
        if (count + PEAK_BLOCK > room) return room + 1;
        each(x, at, at + PEAK_BLOCK < n ? at + PEAK_BLOCK : n,
             [&](int64_t first, const Numbers &v) { count = note(set_lanes(v >= low), first, places, count); });
    }
    return count;
}

PUNA_INLINE Wholes bin_of(const Numbers &v, const Bins &bins) {
    const Numbers at = (bins.peak - v) * bins.scale;
    // One bin for each lane, because adding to one again and again is slow.
    constexpr float end = Bins::count;
    constexpr Numbers last{end, end + 1, end + 2, end + 3, end + 4, end + 5, end + 6, end + 7};
    return __builtin_convertvector(at < last ? at : last, Wholes);
}

int64_t find_members(const float *x, int64_t n, const Bins &bins, int bin, int32_t *places) {
    int64_t count = 0;
    each(x, 0, n, [&](int64_t first, const Numbers &v) {
        const Wholes inside = (bin_of(v, bins) == bin) & (v >= bins.low);
        count = note(set_lanes(inside), first, places, count);
    });
    return count;
}

template <bool CHANCES, bool SAME>
PUNA_INLINE double spread_as(const float *x, int64_t n, const Bins &bins, float sharpness, float *weights, float *chances) {
    const Weighing plain{bins.peak, 1, LEAST}, sharp{bins.peak, sharpness, bins.low};
    alignas(32) float w[SUM_BLOCK], p[SUM_BLOCK];
    alignas(32) int32_t which[SUM_BLOCK];
    double whole = 0;
    for (int64_t at = 0; at < n; at += SUM_BLOCK) {
        const int64_t size = n - at < SUM_BLOCK ? n - at : SUM_BLOCK;
        Numbers sum{};
        each(x + at, 0, size, [&](int64_t place, const Numbers &v) {
            if constexpr (CHANCES) {
                const Numbers all = weight(v, plain);
                sum += all;
                store(p + place, v >= bins.low ? all : Numbers{});
            }
            if constexpr (!SAME) store(w + place, weight(v, sharp));
            const Wholes bin = bin_of(v, bins);
            __builtin_memcpy(which + place, &bin, sizeof bin);
        });
        whole += total(sum);
        for (int64_t i = 0; i < size; i++) {
            if constexpr (CHANCES) chances[which[i]] += p[i];
            if constexpr (!SAME) weights[which[i]] += w[i];
        }
    }
    if constexpr (SAME)
        for (int i = 0; i < Bins::all; i++) weights[i] += chances[i];
    return whole;
}

double spread(const float *x, int64_t n, const Bins &bins, float sharpness, float *weights, float *chances) {
    if (!chances) return spread_as<false, false>(x, n, bins, sharpness, weights, chances);
    if (sharpness == 1) return spread_as<true, true>(x, n, bins, sharpness, weights, chances);
    return spread_as<true, false>(x, n, bins, sharpness, weights, chances);
}

constexpr LogitsKernel LOGITS{find_peaks, weigh, sum_weights, gather, find_members, spread};

} // namespace
} // namespace puna
