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

// Sums have 16 parts, however many a vector has.
constexpr int PARTS = 16;
#ifdef __AVX512F__
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif
constexpr int64_t AHEAD = 2048, LINE = 16; // logits: how far ahead memory is asked for, and how many come together
constexpr int SUMMANDS = PARTS / LANES;
using Numbers = float __attribute__((vector_size(4 * LANES)));
using Wholes = int32_t __attribute__((vector_size(4 * LANES)));
constexpr float NONE = -__builtin_inff();
constexpr float LEAST = -__FLT_MAX__; // of numbers that are not -inf

constexpr float LOWEST = -87; // of exponents: what is less counts as much

PUNA_INLINE void load(Numbers &to, const float *from) { __builtin_memcpy(&to, from, sizeof to); }
PUNA_INLINE void store(float *to, const Numbers &from) { __builtin_memcpy(to, &from, sizeof from); }
PUNA_INLINE Numbers all(float x) { return Numbers{} + x; }

// f(place, logits, which of the vectors that have 16 together) for all, in order; the last are filled up with -inf.
template <class F> PUNA_INLINE void each_of_16(const float *x, int64_t from, int64_t to, F f) {
    Numbers v;
    if (from + PARTS <= to) {
        unroll<SUMMANDS>([&](auto part) __attribute__((always_inline)) {
            load(v, x + from + LANES * part);
            f(from + LANES * part, v, part);
        });
        return;
    }
    float rest[PARTS];
    for (float &one : rest) one = NONE;
    __builtin_memcpy(rest, x + from, sizeof(float) * static_cast<size_t>(to - from));
    unroll<SUMMANDS>([&](auto part) __attribute__((always_inline)) {
        load(v, rest + LANES * part);
        if (from + LANES * part < to) f(from + LANES * part, v, part);
    });
}
template <class F> PUNA_INLINE void each(const float *x, int64_t from, int64_t to, F f) {
    for (; from + PARTS <= to; from += PARTS) each_of_16(x, from, from + PARTS, f);
    if (from < to) each_of_16(x, from, to, f);
}

// block(first, each), where each(f) is as above, for all blocks of SIZE.
template <int SIZE, class F> PUNA_INLINE void each_block(const float *x, int64_t n, F block) {
    int64_t at = 0;
    for (; at + SIZE <= n; at += SIZE)
        block(at, [&](auto f) __attribute__((always_inline)) {
            unroll<SIZE / PARTS>([&](auto i) __attribute__((always_inline)) { each_of_16(x, at + PARTS * i, at + PARTS * i + PARTS, f); });
        });
    if (at < n) block(at, [&](auto f) __attribute__((always_inline)) { each(x, at, n, f); });
}

#ifdef __AVX512F__

using Mask = __mmask16;
PUNA_INLINE __m512 vector(const Numbers &v) { return reinterpret_cast<__m512>(v); }
PUNA_INLINE Mask at_least(const Numbers &a, const Numbers &b) { return _mm512_cmp_ps_mask(vector(a), vector(b), _CMP_GE_OQ); }
PUNA_INLINE Mask same(const Wholes &a, int b) { return _mm512_cmpeq_epi32_mask(reinterpret_cast<__m512i>(a), _mm512_set1_epi32(b)); }
PUNA_INLINE Mask not_numbers(const Numbers &v) { return _mm512_cmp_ps_mask(vector(v), vector(v), _CMP_UNORD_Q); }
PUNA_INLINE unsigned set_lanes(Mask mask) { return mask; }
PUNA_INLINE Numbers where(Mask mask, const Numbers &v) { return reinterpret_cast<Numbers>(_mm512_maskz_mov_ps(mask, vector(v))); }
// The second where the first is no number.
PUNA_INLINE Numbers greater(const Numbers &a, const Numbers &b) { return reinterpret_cast<Numbers>(_mm512_max_ps(vector(a), vector(b))); }
PUNA_INLINE Numbers fused(const Numbers &a, const Numbers &b, const Numbers &c) {
    return reinterpret_cast<Numbers>(_mm512_fmadd_ps(vector(a), vector(b), vector(c)));
}
PUNA_INLINE float largest(const Numbers &v) { return _mm512_reduce_max_ps(vector(v)); }

// Write the lanes that are set, and more behind them; how many there are.
PUNA_INLINE int64_t keep(Mask lanes, const Numbers &v, float *to) {
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps(lanes, vector(v)));
    return _mm_popcnt_u32(_cvtmask16_u32(lanes)); // of 32 bits, because writing half a register waits for the other
}

#else

using Mask = Wholes;
PUNA_INLINE Mask at_least(const Numbers &a, const Numbers &b) { return a >= b; }
PUNA_INLINE Mask same(const Wholes &a, int b) { return a == b; }
PUNA_INLINE Mask not_numbers(const Numbers &v) { return v != v; }
PUNA_INLINE Numbers where(const Mask &mask, const Numbers &v) { return reinterpret_cast<Numbers>(reinterpret_cast<Wholes>(v) & mask); }
PUNA_INLINE Numbers greater(const Numbers &a, const Numbers &b) { return a > b ? a : b; }

// A bit for each lane that is set.
PUNA_INLINE unsigned set_lanes(const Mask &mask) {
#ifdef __AVX2__
    return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(mask)));
#else
    unsigned bits = 0;
    for (int i = 0; i < LANES; i++) bits |= (static_cast<unsigned>(mask[i]) & 1U) << i;
    return bits;
#endif
}

// a * b + c
PUNA_INLINE Numbers fused(const Numbers &a, const Numbers &b, const Numbers &c) {
#ifdef __FMA__
    return reinterpret_cast<Numbers>(_mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
    return a * b + c;
#endif
}

PUNA_INLINE float largest(const Numbers &v) {
    float most = v[0];
    for (int i = 1; i < LANES; i++) most = v[i] > most ? v[i] : most;
    return most;
}

#ifdef __AVX2__

// For each set of lanes, which they are.
struct LaneLists {
    uint64_t lanes[256];

    constexpr LaneLists() : lanes{} {
        for (unsigned set = 0; set < 256; set++) {
            int count = 0;
            for (unsigned lane = 0; lane < 8; lane++)
                if (set >> lane & 1) lanes[set] |= static_cast<uint64_t>(lane) << 8 * count++;
        }
    }
};
constexpr LaneLists LANE_LISTS;

// Write the lanes that are set, and more behind them; how many there are.
PUNA_INLINE int64_t keep(const Mask &mask, const Numbers &v, float *to) {
    const unsigned set = set_lanes(mask);
    const __m256i from = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(&LANE_LISTS.lanes[set])));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm256_permutevar8x32_epi32(reinterpret_cast<__m256i>(v), from));
    return __builtin_popcount(set);
}

#else

PUNA_INLINE int64_t keep(const Mask &mask, const Numbers &v, float *to) {
    int64_t count = 0;
    for (unsigned set = set_lanes(mask); set; set &= set - 1) to[count++] = v[__builtin_ctz(set)];
    return count;
}

#endif

#endif

// 16 sums that are added up in the end.
struct Sums {
    Numbers parts[SUMMANDS]{};

    float total() const {
        float p[PARTS];
        __builtin_memcpy(p, parts, sizeof p);
        for (int i = 0; i < PARTS / 2; i++) p[i] += p[i + PARTS / 2];
        return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
    }
};

// e^y for y <= 0, to the last bit or two (the polynomial of Cephes' expf); some 1e-38 where it is less.
PUNA_INLINE void exponential(Numbers &y) {
    constexpr float magic = 12582912.0F; // 1.5 * 2^23: what is added to it is rounded
    y = greater(y, all(LOWEST));
    const Numbers shifted = fused(y, all(1.44269504F), all(magic));
    const Numbers n = shifted - magic;
    const Numbers f = fused(n, all(2.12194440e-4F), fused(n, all(-0.693359375F), y));
    const Numbers square = f * f;
    // Pairs, so that the processor need not wait for one sum after the other.
    const Numbers high = fused(fused(f, all(1.9875691500e-4F), all(1.3981999507e-3F)), square, fused(f, all(8.3334519073e-3F), all(4.1665795894e-2F)));
    const Numbers p = fused(fused(high, square, fused(f, all(1.6666665459e-1F), all(5.0000001201e-1F))), square, f + 1.0F);
#ifdef __AVX512F__
    y = reinterpret_cast<Numbers>(_mm512_scalef_ps(vector(p), vector(n)));
#else
    // The low bits of `shifted` are n.
    const Wholes power = (reinterpret_cast<Wholes>(shifted) << 23) + (127 << 23);
    y = p * reinterpret_cast<Numbers>(power);
#endif
}

PUNA_INLINE Numbers weight(const Numbers &v, const Weighing &how) {
    Numbers y = (v - how.peak) * how.sharpness;
    exponential(y);
    return where(at_least(v, all(how.low)), y);
}

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

void weigh(const float *x, int64_t n, Weighing how, float *weights) {
    each(x, 0, n, [&](int64_t at, const Numbers &v, auto) __attribute__((always_inline)) {
        const Numbers w = weight(v, how);
        __builtin_memcpy(weights + at, &w, sizeof(float) * static_cast<size_t>(n - at < LANES ? n - at : LANES));
    });
}

// f(first, end) for each block.
template <class F> PUNA_INLINE void blocks(int64_t n, F f) {
    for (int64_t at = 0; at < n; at += SUM_BLOCK) f(at, at + SUM_BLOCK < n ? at + SUM_BLOCK : n);
}

void sum_weights(const float *x, int64_t n, Weighing how, float *sums) {
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Sums sum;
        each(x, from, to, [&](int64_t, const Numbers &v, auto part) __attribute__((always_inline)) { sum.parts[part] += weight(v, how); });
        *sums++ = sum.total();
    });
}

template <bool PRODUCTS>
PUNA_INLINE float survey_as(const float *x, int64_t n, float sharpness, float *peaks, float *tops, float *sums, float *products) {
    float greatest = NONE;
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        const float top = find_peaks(x + from, to - from, peaks + from / PEAK_BLOCK);
        const Weighing how{top, sharpness, LEAST};
        Sums sum, product;
        each(x, from, to, [&](int64_t, const Numbers &v, auto part) __attribute__((always_inline)) {
            const Numbers w = weight(v, how);
            sum.parts[part] += w;
            if constexpr (PRODUCTS) product.parts[part] += w * greater((v - top) * sharpness, all(LOWEST));
        });
        *tops++ = top;
        *sums++ = sum.total();
        if constexpr (PRODUCTS) *products++ = product.total();
        if (!(top <= greatest)) greatest = greatest == greatest ? top : greatest;
    });
    return greatest;
}

float survey(const float *x, int64_t n, float sharpness, float *peaks, float *tops, float *sums, float *products) {
    return products ? survey_as<true>(x, n, sharpness, peaks, tops, sums, products)
                    : survey_as<false>(x, n, sharpness, peaks, tops, sums, products);
}

void find_moments(const float *x, int64_t n, Weighing how, double &whole, double &weighted) {
    whole = weighted = 0;
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        Sums sum, products;
        each(x, from, to, [&](int64_t, const Numbers &v, auto part) __attribute__((always_inline)) {
            const Numbers w = weight(v, how);
            sum.parts[part] += w;
            products.parts[part] += w * greater((v - how.peak) * how.sharpness, all(LOWEST));
        });
        whole += sum.total();
        weighted += products.total();
    });
}

// Distances as whole numbers have the same order, and one comparison finds what is between two.
PUNA_INLINE Mask inside(const Numbers &v, const Ring &ring) {
    const Numbers away = distance(v, ring.centre);
#ifdef __AVX512F__
    const __m512i near = reinterpret_cast<__m512i>(all(ring.near)), far = reinterpret_cast<__m512i>(all(ring.far));
    const __m512i beyond = _mm512_sub_epi32(reinterpret_cast<__m512i>(away), near);
    return _mm512_cmple_epu32_mask(beyond, _mm512_sub_epi32(far, near));
#else
    return at_least(away, all(ring.near)) & at_least(all(ring.far), away);
#endif
}

template <class F>
PUNA_INLINE int64_t gather_those(const float *x, int64_t n, const float *peaks, const Ring &ring, float *found, F wanted) {
    int64_t count = 0;
    each_block<PEAK_BLOCK>(x, n, [&](int64_t first, auto each) __attribute__((always_inline)) {
        if (peaks && (peaks[first / PEAK_BLOCK] < ring.low || ring.centre - peaks[first / PEAK_BLOCK] > ring.far)) return;
        ask(x + first);
        each([&](int64_t, const Numbers &v, auto) __attribute__((always_inline)) { count += keep(wanted(v), v, found + count); });
    });
    return count;
}

int64_t gather(const float *x, int64_t n, const float *peaks, Ring ring, float *found) {
    const auto all_from = [&](const Numbers &v) __attribute__((always_inline)) { return at_least(v, all(ring.low)); };
    const auto all_between = [&](const Numbers &v) __attribute__((always_inline)) { return inside(v, ring); };
    const auto both = [&](const Numbers &v) __attribute__((always_inline)) { return static_cast<Mask>(all_from(v) & all_between(v)); };
    if (ring.near <= 0 && ring.far > -LEAST) return gather_those(x, n, peaks, ring, found, all_from);
    if (ring.low <= LEAST && ring.far <= -LEAST) return gather_those(x, n, peaks, ring, found, all_between);
    return gather_those(x, n, peaks, ring, found, both);
}

Divided divide(const float *x, int64_t n, Weighing how, Ring ring, float *found) {
    Divided divided{};
    const auto add = [&](auto those) __attribute__((always_inline)) {
        blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
            Sums nearer, sum;
            each(x, from, to, [&](int64_t, const Numbers &v, auto part) __attribute__((always_inline)) {
                const Numbers w = weight(v, how);
                sum.parts[part] += w;
                nearer.parts[part] += where(static_cast<Mask>(~at_least(distance(v, ring.centre), all(ring.near))), w);
                divided.count += keep(those(v), v, found + divided.count);
            });
            divided.nearer += nearer.total();
            divided.all += sum.total();
        });
    };
    if (ring.low <= LEAST && ring.far <= -LEAST) add([&](const Numbers &v) __attribute__((always_inline)) { return inside(v, ring); });
    else add([&](const Numbers &v) __attribute__((always_inline)) { return static_cast<Mask>(inside(v, ring) & at_least(v, all(ring.low))); });
    return divided;
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
    blocks(n, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        each(x + from, 0, to - from, [&](int64_t place, const Numbers &v, auto) __attribute__((always_inline)) {
            store(w + place, weight(v, how));
            const Wholes bin = bin_of(v, bins);
            __builtin_memcpy(which + place, &bin, sizeof bin);
        });
        for (int64_t i = 0; i < to - from; i++) weights[which[i]] += w[i];
    });
}

constexpr LogitsKernel LOGITS{find_peaks, survey, weigh, sum_weights, find_moments, gather, divide, find_members, find_place, spread};

} // namespace
} // namespace puna
