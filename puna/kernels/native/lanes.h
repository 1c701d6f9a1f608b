// Vectors of logits of one family of processors, and loops over a row of them. Nothing of the standard library is used, because
// its functions would be compiled for that family, and shared with files that are not.
#pragma once

#include <cstdint>

#include "logits.h"
#include "tile.h"

#ifdef __AVX2__
#include <immintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
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
using Bits = uint32_t __attribute__((vector_size(4 * LANES)));
constexpr float NONE = -__builtin_inff();
constexpr float LEAST = -__FLT_MAX__; // of numbers that are not -inf

PUNA_INLINE void load(Numbers &to, const float *from) { __builtin_memcpy(&to, from, sizeof to); }
PUNA_INLINE void store(float *to, const Numbers &from) { __builtin_memcpy(to, &from, sizeof from); }
PUNA_INLINE Numbers all(float x) { return x - Numbers{}; } // a sum would not be folded, because of -0

// So many vectors are worked on side by side, because a processor does not look far enough ahead.
constexpr int ABREAST = 4, GROUP = ABREAST * LANES;
using Group = Numbers[ABREAST];

// f(i) for each vector of a group.
template <class F> PUNA_INLINE void abreast(F f) { unroll<ABREAST>(f); }

// f(place, logits, how many of them there are) for a group; one that is not whole is filled up with -inf.
template <class F> PUNA_INLINE void group(const float *x, int64_t from, F f) {
    Group v;
    abreast([&](auto i) __attribute__((always_inline)) { load(v[i], x + from + LANES * i); });
    f(from, v, GROUP);
}
template <class F> PUNA_INLINE void groups(const float *x, int64_t from, int64_t to, F f) {
    for (; from + GROUP <= to; from += GROUP) group(x, from, f);
    if (from == to) return;
    float rest[GROUP];
    for (float &one : rest) one = NONE;
    __builtin_memcpy(rest, x + from, sizeof(float) * static_cast<size_t>(to - from));
    group(rest, 0, [&](int64_t, const Group &v, int64_t) __attribute__((always_inline)) { f(from, v, to - from); });
}

// block(first, each), where each(f) is as above, for all blocks of PEAK_BLOCK.
template <class F> PUNA_INLINE void each_block(const float *x, int64_t n, F block) {
    int64_t at = 0;
    for (; at + PEAK_BLOCK <= n; at += PEAK_BLOCK)
        block(at, [&](auto f) __attribute__((always_inline)) {
            unroll<PEAK_BLOCK / GROUP>([&](auto i) __attribute__((always_inline)) { group(x, at + GROUP * i, f); });
        });
    if (at < n) block(at, [&](auto f) __attribute__((always_inline)) { groups(x, at, n, f); });
}

#ifdef __AVX512F__

using Mask = __mmask16;
PUNA_INLINE __m512 vector(const Numbers &v) { return reinterpret_cast<__m512>(v); }
PUNA_INLINE Mask at_least(const Numbers &a, const Numbers &b) { return _mm512_cmp_ps_mask(vector(a), vector(b), _CMP_GE_OQ); }
PUNA_INLINE Mask above(const Numbers &a, const Numbers &b) { return _mm512_cmp_ps_mask(vector(a), vector(b), _CMP_GT_OQ); }
PUNA_INLINE Mask between(const Numbers &v, float low, float high) {
    return _mm512_mask_cmp_ps_mask(at_least(v, all(low)), vector(v), vector(all(high)), _CMP_LE_OQ);
}
PUNA_INLINE Mask same(const Wholes &a, int b) { return _mm512_cmpeq_epi32_mask(reinterpret_cast<__m512i>(a), _mm512_set1_epi32(b)); }
PUNA_INLINE Mask not_numbers(const Numbers &v) { return _mm512_cmp_ps_mask(vector(v), vector(v), _CMP_UNORD_Q); }
PUNA_INLINE unsigned set_lanes(Mask mask) { return mask; }
PUNA_INLINE Mask under(Mask a, Mask b) { return a & b; }
PUNA_INLINE Numbers where(Mask mask, const Numbers &v) { return reinterpret_cast<Numbers>(_mm512_maskz_mov_ps(mask, vector(v))); }
PUNA_INLINE Numbers where_or(Mask mask, const Numbers &v, const Numbers &other) {
    return reinterpret_cast<Numbers>(_mm512_mask_blend_ps(mask, vector(other), vector(v)));
}
PUNA_INLINE void add(Numbers &sum, Mask mask, const Numbers &v) {
    sum = reinterpret_cast<Numbers>(_mm512_mask_add_ps(vector(sum), mask, vector(sum), vector(v)));
}
// The second where the first is no number.
PUNA_INLINE Numbers greater(const Numbers &a, const Numbers &b) { return reinterpret_cast<Numbers>(_mm512_max_ps(vector(a), vector(b))); }
PUNA_INLINE Numbers fused(const Numbers &a, const Numbers &b, const Numbers &c) {
    return reinterpret_cast<Numbers>(_mm512_fmadd_ps(vector(a), vector(b), vector(c)));
}
PUNA_INLINE float largest(const Numbers &v) { return _mm512_reduce_max_ps(vector(v)); }

// Of 8 numbers, which are there twice, for each lane that which the low three bits say.
PUNA_INLINE Numbers one_of(const float *eight, const Bits &which) {
    return reinterpret_cast<Numbers>(_mm512_permutexvar_ps(reinterpret_cast<__m512i>(which), _mm512_loadu_ps(eight)));
}

// Write the lanes that are set, and more behind them; how many there are.
PUNA_INLINE int64_t keep(Mask lanes, const Numbers &v, float *to) {
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps(lanes, vector(v)));
    return _mm_popcnt_u32(_cvtmask16_u32(lanes)); // of 32 bits, because writing half a register waits for the other
}

#else

using Mask = Wholes;
PUNA_INLINE Mask at_least(const Numbers &a, const Numbers &b) { return a >= b; }
PUNA_INLINE Mask above(const Numbers &a, const Numbers &b) { return a > b; }
PUNA_INLINE Mask between(const Numbers &v, float low, float high) { return at_least(v, all(low)) & at_least(all(high), v); }
PUNA_INLINE Mask same(const Wholes &a, int b) { return a == b; }
PUNA_INLINE Mask not_numbers(const Numbers &v) { return v != v; }
PUNA_INLINE Mask under(const Mask &a, const Mask &b) { return a & b; }
PUNA_INLINE Numbers where(const Mask &mask, const Numbers &v) { return reinterpret_cast<Numbers>(reinterpret_cast<Wholes>(v) & mask); }
PUNA_INLINE Numbers where_or(const Mask &mask, const Numbers &v, const Numbers &other) { return mask ? v : other; }
PUNA_INLINE void add(Numbers &sum, const Mask &mask, const Numbers &v) { sum += where(mask, v); }
PUNA_INLINE Numbers greater(const Numbers &a, const Numbers &b) {
#ifdef __AVX2__
    return reinterpret_cast<Numbers>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
    return a > b ? a : b;
#endif
}

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

// Of 8 numbers, for each lane that which the low three bits say.
PUNA_INLINE Numbers one_of(const float *eight, const Bits &which) {
#ifdef __AVX2__
    return reinterpret_cast<Numbers>(_mm256_permutevar8x32_ps(_mm256_loadu_ps(eight), reinterpret_cast<__m256i>(which)));
#elif defined __aarch64__
    const Bits bytes = (which & 7) * 0x04040404 + 0x03020100; // of each number
    const uint8x16x2_t table = vld1q_u8_x2(reinterpret_cast<const uint8_t *>(eight));
    uint8x16_t halves[2];
    __builtin_memcpy(halves, &bytes, sizeof halves);
    for (uint8x16_t &half : halves) half = vqtbl2q_u8(table, half);
    Numbers found;
    __builtin_memcpy(&found, halves, sizeof found);
    return found;
#else
    Numbers found;
    for (int i = 0; i < LANES; i++) found[i] = eight[which[i] & 7];
    return found;
#endif
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

    PUNA_INLINE Numbers &part(int vector) { return parts[vector % SUMMANDS]; }

    float total() const {
        float p[PARTS];
        __builtin_memcpy(p, parts, sizeof p);
        for (int i = 0; i < PARTS / 2; i++) p[i] += p[i + PARTS / 2];
        return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
    }
};

} // namespace
} // namespace puna
