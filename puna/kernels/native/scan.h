// The passes over logits themselves, compiled for one family of processors.
#pragma once

#include "exponential.h"

namespace puna {
namespace {

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
    each_block(x, n, [&](int64_t first, auto each) __attribute__((always_inline)) {
        ask(x + first);
        Numbers most = all(NONE);
        each([&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) {
            abreast([&](auto i) __attribute__((always_inline)) {
                most = greater(v[i], most);
                wrong |= not_numbers(v[i]);
            });
        });
        greatest = greater(most, greatest);
        *peaks++ = largest(most);
    });
    return set_lanes(wrong) ? __builtin_nanf("") : largest(greatest);
}

float find_greatest(const float *x, int64_t n, float high) {
    Group greatest;
    for (Numbers &one : greatest) one = all(NONE);
    groups(x, 0, n, [&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) {
        abreast([&](auto i) __attribute__((always_inline)) { greatest[i] = greater(where_or(at_least(all(high), v[i]), v[i], greatest[i]), greatest[i]); });
    });
    for (const Numbers &one : greatest) greatest[0] = greater(one, greatest[0]);
    return largest(greatest[0]);
}

void weigh(const float *x, int64_t n, Weighing how, float *weights) {
    const Exponential exponential(how);
    groups(x, 0, n, [&](int64_t at, const Group &v, int64_t size) __attribute__((always_inline)) {
        Group w;
        exponential.weights(v, w);
        __builtin_memcpy(weights + at, &w, sizeof(float) * static_cast<size_t>(size));
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
        groups(x, from, to, [&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) {
            Group w;
            exponential.powers(v, w);
            abreast([&](auto i) __attribute__((always_inline)) { add(sum.part(i), at_least(v[i], all(how.low)), w[i]); });
        });
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
        groups(x, from, to, [&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) {
            Group w;
            exponential.powers(v, w);
            abreast([&](auto i) __attribute__((always_inline)) { sum.part(i) += w[i]; });
            if constexpr (PRODUCTS)
                abreast([&](auto i) __attribute__((always_inline)) { product.part(i) += w[i] * greater(v[i] - top, all(exponential.deepest)); });
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
        groups(x, from, to, [&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) {
            Group w;
            exponential.powers(v, w);
            abreast([&](auto i) __attribute__((always_inline)) {
                const Mask weighs = at_least(v[i], all(how.low));
                add(sum.part(i), weighs, w[i]);
                add(products.part(i), weighs, w[i] * (v[i] - how.peak));
            });
        });
        whole += sum.total();
        weighted += products.total() * how.sharpness;
    });
}

int64_t gather(const float *x, int64_t n, const float *peaks, float low, float high, float *found) {
    int64_t count = 0;
    each_block(x, n, [&](int64_t first, auto each) __attribute__((always_inline)) {
        if (peaks && peaks[first / PEAK_BLOCK] < low) return;
        __builtin_prefetch(found + count + PEAK_BLOCK * 8, 1); // it may have left the cache since the last row
        each([&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) {
            abreast([&](auto i) __attribute__((always_inline)) { count += keep(between(v[i], low, high), v[i], found + count); });
        });
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

// add(logits, their weights, sums of all and of those that are not nearer) says which lanes are in the ring: RARE if they are few.
template <bool RARE, class F>
PUNA_INLINE Divided divide_as(const float *x, int64_t n, const float *peaks, const Exponential &exponential, float low, float *found, F add) {
    double all = 0, further = 0;
    int64_t count = 0;
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Sums whole, beyond;
        each_block(x + from, to - from, [&](int64_t first, auto each) __attribute__((always_inline)) {
            if (peaks && peaks[(from + first) / PEAK_BLOCK] < low) return;
            uint64_t set = 0;
            each([&](int64_t at, const Group &v, int64_t) __attribute__((always_inline)) {
                Group w;
                exponential.powers(v, w);
                abreast([&](auto i) __attribute__((always_inline)) {
                    const Mask in = add(v[i], w[i], whole.part(i), beyond.part(i));
                    if constexpr (RARE)
                        set |= static_cast<uint64_t>(set_lanes(in)) << (at - first + LANES * i);
                    else
                        count += keep(in, v[i], found + count);
                });
            });
            if constexpr (RARE) count += pick(set, x + from + first, to - from - first, found + count);
        });
        all += whole.total();
        further += beyond.total();
    });
    return {all - further, all, count};
}

template <bool RARE>
PUNA_INLINE Divided divide_below(const float *x, int64_t n, const float *peaks, const Weighing &how, const Ring &ring, float *found) {
    const Exponential exponential(how);
    const float first = ring.centre - ring.near, far = ring.centre - ring.far, last = far > how.low ? far : how.low;
    const float deepest = how.peak + exponential.deepest, low = deepest > how.low ? deepest : how.low;
    if (how.low > LEAST)
        return divide_as<RARE>(x, n, peaks, exponential, low, found, [&](auto &v, auto &w, auto &whole, auto &beyond) __attribute__((always_inline)) {
            const Mask weighs = at_least(v, all(how.low)), further = under(weighs, at_least(all(first), v));
            add(whole, weighs, w);
            add(beyond, further, w);
            return under(further, at_least(v, all(last)));
        });
    return divide_as<RARE>(x, n, peaks, exponential, low, found, [&](auto &v, auto &w, auto &whole, auto &beyond) __attribute__((always_inline)) {
        const Mask further = at_least(all(first), v);
        whole += w;
        add(beyond, further, w);
        return under(further, at_least(v, all(last)));
    });
}

Divided divide(const float *x, int64_t n, const float *peaks, Weighing how, Ring ring, float *found) {
    // With a centre that is the peak of all, they are on one side of it.
    if (ring.centre == how.peak) return peaks ? divide_below<true>(x, n, peaks, how, ring, found) : divide_below<false>(x, n, nullptr, how, ring, found);
    return divide_as<false>(x, n, nullptr, Exponential(how), NONE, found, [&](auto &v, auto &w, auto &whole, auto &beyond) __attribute__((always_inline)) {
        const Numbers away = distance(v, ring.centre);
        const Mask further = at_least(away, all(ring.near));
        whole += w;
        add(beyond, further, w);
        return under(further, at_least(all(ring.far), away));
    });
}

Divided rank(const float *x, int64_t n, float first, float last, float *found) {
    int64_t nearer = 0, count = 0;
    groups(x, 0, n, [&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) {
        abreast([&](auto i) __attribute__((always_inline)) {
            nearer += __builtin_popcount(set_lanes(above(v[i], all(first))));
            count += keep(between(v[i], last, first), v[i], found + count);
        });
    });
    return {static_cast<double>(nearer), 0, count};
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
    groups(x, 0, n, [&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) {
        abreast([&](auto i) __attribute__((always_inline)) {
            const Mask lanes = under(same(bin_of(v[i], bins), bin), at_least(v[i], all(LEAST)));
            if (set_lanes(lanes)) count += keep(lanes, v[i], found + count);
        });
    });
    return count;
}

int64_t find_place(const float *x, int64_t n, const float *peaks, float value, int64_t before) {
    for (int64_t at = 0; at < n; at += PEAK_BLOCK) {
        if (peaks[at / PEAK_BLOCK] < value) continue;
        int64_t place = -1;
        groups(x, at, at + PEAK_BLOCK < n ? at + PEAK_BLOCK : n, [&](int64_t first, const Group &v, int64_t) __attribute__((always_inline)) {
            abreast([&](auto i) __attribute__((always_inline)) {
                for (unsigned lanes = set_lanes(between(v[i], value, value)); lanes; lanes &= lanes - 1)
                    if (!before--) place = first + LANES * i + __builtin_ctz(lanes);
            });
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
        groups(x + from, 0, to - from, [&](int64_t place, const Group &v, int64_t) __attribute__((always_inline)) {
            Group weight;
            exponential.weights(v, weight);
            abreast([&](auto i) __attribute__((always_inline)) {
                const Wholes bin = bin_of(v[i], bins);
                store(w + place + LANES * i, weight[i]);
                __builtin_memcpy(which + place + LANES * i, &bin, sizeof bin);
            });
        });
        for (int64_t i = 0; i < to - from; i++) weights[which[i]] += w[i];
    });
}

constexpr LogitsKernel LOGITS{find_peaks, survey, weigh, sum_weights, find_moments, find_greatest, gather, divide, rank, find_members, find_place, spread};

} // namespace
} // namespace puna
