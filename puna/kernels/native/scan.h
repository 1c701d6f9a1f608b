// The passes over logits themselves, compiled for one family of processors.
#pragma once

#include "lanes.h"
#include "logits.h"

namespace puna {
namespace {

constexpr float DEEPEST = 87; // e^-87 is among the least numbers that have all their bits

// What makes weights. e^y is 2^n * 2^f with a whole number n, and 2^f a polynomial, to the last bit or two.
struct Exponential {
    float peak, scale, low, high; // what is not from `low` to `high` weighs nothing

    PUNA_INLINE explicit Exponential(const Weighing &how)
        : peak(how.peak), scale(how.sharpness * 1.44269504F), low(how.low), high(how.high) {
        if (scale > -LEAST) scale = -LEAST;
        const float none = how.sharpness > 0 ? how.peak - DEEPEST / how.sharpness : LEAST;
        if (low < none) low = none;
    }

    PUNA_INLINE Mask weighs(const Numbers &v) const { return between(v, low, high); }

    PUNA_INLINE Numbers weight(const Numbers &v) const { return where(weighs(v), power(v)); }

    // The weight of one that weighs.
    PUNA_INLINE Numbers power(const Numbers &v) const {
        constexpr float magic = 12582912.0F; // 1.5 * 2^23: what is added to it is rounded
        const Numbers y = (v - peak) * scale, shifted = y + magic, f = y - (shifted - magic);
        Numbers p = fused(f, all(1.3264729641e-3F), all(9.6715129912e-3F));
        p = fused(p, f, all(5.5507335812e-2F));
        p = fused(p, f, all(2.4022242427e-1F));
        p = fused(p, f, all(6.9314700365e-1F));
        p = fused(p, f, all(1.0F));
        // The low bits of `shifted` are n.
        return reinterpret_cast<Numbers>(reinterpret_cast<Bits>(p) + (reinterpret_cast<Bits>(shifted) << 23));
    }
};

PUNA_INLINE Numbers distance(const Numbers &v, float centre) {
    return reinterpret_cast<Numbers>(reinterpret_cast<Wholes>(v - centre) & 0x7fffffff);
}

// Ask for the memory of a later block.
PUNA_INLINE void ask(const float *block) {
    for (int64_t line = 0; line < PEAK_BLOCK; line += LINE) __builtin_prefetch(block + AHEAD + line);
}

float find_peaks(const float *x, int64_t n, float *peaks) {
    Mask wrong{};
    Numbers greatest = all(NONE);
    each_block<PEAK_BLOCK>(x, n, [&](int64_t first, auto each) __attribute__((always_inline)) {
        ask(x + first);
        Numbers most = all(NONE);
        each([&](int64_t, const Numbers &v, auto) __attribute__((always_inline)) {
            most = greater(v, most);
            wrong |= not_numbers(v);
        });
        greatest = greater(most, greatest);
        *peaks++ = largest(most);
    });
    return set_lanes(wrong) ? __builtin_nanf("") : largest(greatest);
}

float find_greatest(const float *x, int64_t n, float high) {
    Numbers greatest[PEAK_BLOCK / LANES];
    for (Numbers &one : greatest) one = all(NONE);
    each_block<PEAK_BLOCK>(x, n, [&](int64_t first, auto each) __attribute__((always_inline)) {
        each([&](int64_t at, const Numbers &v, auto) __attribute__((always_inline)) {
            Numbers &one = greatest[(at - first) / LANES];
            one = greater(where_or(at_least(all(high), v), v, one), one);
        });
    });
    for (const Numbers &one : greatest) greatest[0] = greater(one, greatest[0]);
    return largest(greatest[0]);
}

void weigh(const float *x, int64_t n, Weighing how, float *weights) {
    const Exponential exponential(how);
    each(x, 0, n, [&](int64_t at, const Numbers &v, auto) __attribute__((always_inline)) {
        const Numbers w = exponential.weight(v);
        __builtin_memcpy(weights + at, &w, sizeof(float) * static_cast<size_t>(n - at < LANES ? n - at : LANES));
    });
}

// f(first, end) for each block.
template <class F> PUNA_INLINE void blocks(int64_t n, F f) {
    for (int64_t at = 0; at < n; at += SUM_BLOCK) f(at, at + SUM_BLOCK < n ? at + SUM_BLOCK : n);
}

void sum_weights(const float *x, int64_t n, Weighing how, float *sums) {
    const Exponential exponential(how);
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Sums sum;
        each(x, from, to, [&](int64_t, const Numbers &v, auto part) __attribute__((always_inline)) { add(sum.parts[part], exponential.weighs(v), exponential.power(v)); });
        *sums++ = sum.total();
    });
}

template <bool PRODUCTS>
PUNA_INLINE float survey_as(const float *x, int64_t n, float sharpness, float *peaks, float *tops, float *sums, float *products) {
    float greatest = NONE;
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        const float top = find_peaks(x + from, to - from, peaks + from / PEAK_BLOCK);
        const Exponential exponential({top, sharpness, LEAST, -NONE});
        Sums sum, product;
        each(x, from, to, [&](int64_t, const Numbers &v, auto part) __attribute__((always_inline)) {
            const Mask weighs = at_least(v, all(exponential.low));
            const Numbers w = exponential.power(v);
            add(sum.parts[part], weighs, w);
            if constexpr (PRODUCTS) add(product.parts[part], weighs, w * (v - top));
        });
        *tops++ = top;
        *sums++ = sum.total();
        if constexpr (PRODUCTS) *products++ = product.total() * sharpness;
        if (!(top <= greatest)) greatest = greatest == greatest ? top : greatest;
    });
    return greatest;
}

float survey(const float *x, int64_t n, float sharpness, float *peaks, float *tops, float *sums, float *products) {
    return products ? survey_as<true>(x, n, sharpness, peaks, tops, sums, products)
                    : survey_as<false>(x, n, sharpness, peaks, tops, sums, products);
}

void find_moments(const float *x, int64_t n, Weighing how, double &whole, double &weighted) {
    const Exponential exponential(how);
    whole = weighted = 0;
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Sums sum, products;
        each(x, from, to, [&](int64_t, const Numbers &v, auto part) __attribute__((always_inline)) {
            const Mask weighs = exponential.weighs(v);
            const Numbers w = exponential.power(v);
            add(sum.parts[part], weighs, w);
            add(products.parts[part], weighs, w * (v - how.peak));
        });
        whole += sum.total();
        weighted += products.total() * how.sharpness;
    });
}

int64_t gather(const float *x, int64_t n, const float *peaks, float low, float high, float *found) {
    int64_t count = 0;
    each_block<PEAK_BLOCK>(x, n, [&](int64_t first, auto each) __attribute__((always_inline)) {
        if (peaks && peaks[first / PEAK_BLOCK] < low) return;
        __builtin_prefetch(found + count + PEAK_BLOCK * 8, 1); // it may have left the cache since the last row
        each([&](int64_t, const Numbers &v, auto) __attribute__((always_inline)) { count += keep(between(v, low, high), v, found + count); });
    });
    return count;
}

// Write those logits of a block that are set, and more behind them; how many there are, probably few.
PUNA_INLINE int64_t pick(uint64_t set, const float *block, int64_t size, float *to) {
    constexpr int few = 8; // are written without a branch, which would often be mistaken
    const int count = __builtin_popcountll(set);
    const uint64_t last = uint64_t{1} << (size < PEAK_BLOCK ? size - 1 : PEAK_BLOCK - 1);
    unroll<few>([&](auto i) __attribute__((always_inline)) {
        to[i] = block[__builtin_ctzll(set | last)];
        set &= set - 1;
    });
    for (int i = few; i < count; i++, set &= set - 1) to[i] = block[__builtin_ctzll(set)];
    return count;
}

// With a centre that is the peak of all, they are on one side of it.
template <bool ALL, bool ONE_SIDED>
PUNA_INLINE Divided divide_as(const float *x, int64_t n, const float *peaks, Weighing how, Ring ring, float *found) {
    const Exponential exponential(how);
    double before = 0, whole = 0;
    int64_t count = 0;
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Sums nearer, sum;
        each_block<PEAK_BLOCK>(x + from, to - from, [&](int64_t first, auto each) __attribute__((always_inline)) {
            if (peaks && peaks[(from + first) / PEAK_BLOCK] < exponential.low) return;
            uint64_t set = 0;
            each([&](int64_t at, const Numbers &v, auto part) __attribute__((always_inline)) {
                const Numbers away = ONE_SIDED ? how.peak - v : distance(v, ring.centre), w = exponential.power(v);
                const Mask weighs = ONE_SIDED ? at_least(v, all(exponential.low)) : exponential.weighs(v);
                const Mask further = weighs & at_least(away, all(ring.near));
                if constexpr (ALL) add(sum.parts[part], weighs, w);
                add(nearer.parts[part], static_cast<Mask>(weighs & ~further), w);
                set |= static_cast<uint64_t>(set_lanes(further & at_least(all(ring.far), away))) << (at - first);
            });
            count += pick(set, x + from + first, to - from - first, found + count);
        });
        before += nearer.total();
        if constexpr (ALL) whole += sum.total();
    });
    return {before, whole, count};
}

Divided divide(const float *x, int64_t n, const float *peaks, Weighing how, Ring ring, bool all, float *found) {
    if (ring.centre == how.peak && how.high > -LEAST)
        return all ? divide_as<true, true>(x, n, peaks, how, ring, found) : divide_as<false, true>(x, n, peaks, how, ring, found);
    return all ? divide_as<true, false>(x, n, peaks, how, ring, found) : divide_as<false, false>(x, n, peaks, how, ring, found);
}

PUNA_INLINE Wholes bin_of(const Numbers &v, const Bins &bins) {
    const Numbers at = (distance(v, bins.centre) - bins.near) * bins.scale;
    // One bin for each of eight lanes, because adding to one again and again is slow.
    Numbers last;
    for (int i = 0; i < LANES; i++) last[i] = Bins::count + (i & 7);
    return __builtin_convertvector(at < last ? at : last, Wholes);
}

int64_t find_members(const float *x, int64_t n, Bins bins, int bin, float *found) {
    int64_t count = 0;
    each(x, 0, n, [&](int64_t, const Numbers &v, auto) __attribute__((always_inline)) {
        const Mask lanes = same(bin_of(v, bins), bin) & at_least(v, all(LEAST));
        if (set_lanes(lanes)) count += keep(lanes, v, found + count);
    });
    return count;
}

int64_t find_place(const float *x, int64_t n, const float *peaks, float value, int64_t before) {
    for (int64_t at = 0; at < n; at += PEAK_BLOCK) {
        if (peaks[at / PEAK_BLOCK] < value) continue;
        int64_t place = -1;
        each(x, at, at + PEAK_BLOCK < n ? at + PEAK_BLOCK : n, [&](int64_t first, const Numbers &v, auto) __attribute__((always_inline)) {
            for (unsigned lanes = set_lanes(at_least(v, all(value)) & at_least(all(value), v)); lanes; lanes &= lanes - 1)
                if (!before--) place = first + __builtin_ctz(lanes);
        });
        if (place >= 0) return place;
    }
    return -1;
}

void spread(const float *x, int64_t n, Bins bins, Weighing how, float *weights) {
    alignas(64) float w[SUM_BLOCK];
    alignas(64) int32_t which[SUM_BLOCK];
    const Exponential exponential(how);
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        each(x + from, 0, to - from, [&](int64_t place, const Numbers &v, auto) __attribute__((always_inline)) {
            store(w + place, exponential.weight(v));
            const Wholes bin = bin_of(v, bins);
            __builtin_memcpy(which + place, &bin, sizeof bin);
        });
        for (int64_t i = 0; i < to - from; i++) weights[which[i]] += w[i];
    });
}

constexpr LogitsKernel LOGITS{find_peaks, survey, weigh, sum_weights, find_moments, find_greatest, gather, divide, find_members, find_place, spread};

} // namespace
} // namespace puna
