// SIMD vectors of logits for one family of processors, and loops over a row of them.
//
// Nothing of the standard library is used: its inline functions would be compiled for that family and shared with other files.
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

#ifdef __AVX512F__
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif
constexpr int PARTIAL_SUMS = 16; // of every sum, whatever the vector width, so that all variants return the same bits
constexpr int SUM_VECTORS = PARTIAL_SUMS / LANES;
constexpr int64_t PREFETCH_DISTANCE = 2048, CACHE_LINE = 16; // in logits
using FloatVec = float __attribute__((vector_size(4 * LANES)));
using IntVec = int32_t __attribute__((vector_size(4 * LANES)));
using UintVec = uint32_t __attribute__((vector_size(4 * LANES)));

PUNA_INLINE void load(FloatVec &to, const float *from) { __builtin_memcpy(&to, from, sizeof to); }
PUNA_INLINE void store(float *to, const FloatVec &from) { __builtin_memcpy(to, &from, sizeof from); }
PUNA_INLINE FloatVec broadcast(float x) { return x - FloatVec{}; } // x + 0 would not fold, because of -0

// Loops work on four vectors side by side, because out-of-order execution alone does not overlap enough.
constexpr int QUAD_VECTORS = 4, QUAD = QUAD_VECTORS * LANES;
using Quad = FloatVec[QUAD_VECTORS];

// f(i) for each vector of a quad.
template <class F> PUNA_INLINE void for_quad(F f) { unroll<QUAD_VECTORS>(f); }

// f(index, quad, count of logits in it) for one quad.
template <class F> PUNA_INLINE void with_quad(const float *x, int64_t index, F f) {
    Quad v;
    for_quad([&](auto i) __attribute__((always_inline)) { load(v[i], x + index + LANES * i); });
    f(index, v, QUAD);
}

// The same for all logits in [from, to). A partial last quad is padded with -inf.
template <class F> PUNA_INLINE void for_quads(const float *x, int64_t from, int64_t to, F f) {
    for (; from + QUAD <= to; from += QUAD) with_quad(x, from, f);
    if (from == to) return;
    float rest[QUAD];
    for (float &one : rest) one = -INFINITE;
    __builtin_memcpy(rest, x + from, sizeof(float) * static_cast<size_t>(to - from));
    with_quad(rest, 0, [&](int64_t, const Quad &v, int64_t) __attribute__((always_inline)) { f(from, v, to - from); });
}

// block(first, for_its_quads) for each MAX_BLOCK, where for_its_quads(f) calls f as above.
template <class F> PUNA_INLINE void for_max_blocks(const float *x, int64_t n, F block) {
    int64_t at = 0;
    for (; at + MAX_BLOCK <= n; at += MAX_BLOCK)
        block(at, [&](auto f) __attribute__((always_inline)) {
            unroll<MAX_BLOCK / QUAD>([&](auto i) __attribute__((always_inline)) { with_quad(x, at + QUAD * i, f); });
        });
    if (at < n) block(at, [&](auto f) __attribute__((always_inline)) { for_quads(x, at, n, f); });
}

// block(from, to) for each SUM_BLOCK.
template <class F> PUNA_INLINE void for_sum_blocks(int64_t n, F block) {
    for (int64_t at = 0; at < n; at += SUM_BLOCK) block(at, at + SUM_BLOCK < n ? at + SUM_BLOCK : n);
}

#ifdef __AVX512F__

using Mask = __mmask16;
PUNA_INLINE __m512 native(const FloatVec &v) { return reinterpret_cast<__m512>(v); }
PUNA_INLINE Mask greater_equal(const FloatVec &a, const FloatVec &b) { return _mm512_cmp_ps_mask(native(a), native(b), _CMP_GE_OQ); }
PUNA_INLINE Mask greater(const FloatVec &a, const FloatVec &b) { return _mm512_cmp_ps_mask(native(a), native(b), _CMP_GT_OQ); }
PUNA_INLINE Mask in_range(const FloatVec &v, float low, float high) {
    return _mm512_mask_cmp_ps_mask(greater_equal(v, broadcast(low)), native(v), native(broadcast(high)), _CMP_LE_OQ);
}
PUNA_INLINE Mask equal(const IntVec &a, int b) { return _mm512_cmpeq_epi32_mask(reinterpret_cast<__m512i>(a), _mm512_set1_epi32(b)); }
PUNA_INLINE Mask is_nan(const FloatVec &v) { return _mm512_cmp_ps_mask(native(v), native(v), _CMP_UNORD_Q); }
PUNA_INLINE unsigned movemask(Mask mask) { return mask; }
PUNA_INLINE Mask mask_and(Mask a, Mask b) { return a & b; }
PUNA_INLINE FloatVec select_or_zero(Mask mask, const FloatVec &v) { return reinterpret_cast<FloatVec>(_mm512_maskz_mov_ps(mask, native(v))); }
PUNA_INLINE FloatVec select(Mask mask, const FloatVec &v, const FloatVec &other) {
    return reinterpret_cast<FloatVec>(_mm512_mask_blend_ps(mask, native(other), native(v)));
}
PUNA_INLINE void masked_add(FloatVec &sum, Mask mask, const FloatVec &v) {
    sum = reinterpret_cast<FloatVec>(_mm512_mask_add_ps(native(sum), mask, native(sum), native(v)));
}
// Returns b where a is NaN.
PUNA_INLINE FloatVec max(const FloatVec &a, const FloatVec &b) { return reinterpret_cast<FloatVec>(_mm512_max_ps(native(a), native(b))); }
// a * b + c, fused where the processor has it
PUNA_INLINE FloatVec multiply_add(const FloatVec &a, const FloatVec &b, const FloatVec &c) {
    return reinterpret_cast<FloatVec>(_mm512_fmadd_ps(native(a), native(b), native(c)));
}
PUNA_INLINE float reduce_max(const FloatVec &v) { return _mm512_reduce_max_ps(native(v)); }

// table[index & 7] for each lane. The table holds its 8 entries twice.
PUNA_INLINE FloatVec lookup(const float *table, const UintVec &index) {
    return reinterpret_cast<FloatVec>(_mm512_permutexvar_ps(reinterpret_cast<__m512i>(index), _mm512_loadu_ps(table)));
}

// Store the masked lanes contiguously and return their count. Writes a whole vector.
PUNA_INLINE int64_t compress_store(float *to, Mask mask, const FloatVec &v) {
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps(mask, native(v)));
    return _mm_popcnt_u32(_cvtmask16_u32(mask)); // 32 bits: a 16-bit result would depend on the register's old upper half
}

#else

using Mask = IntVec;
PUNA_INLINE Mask greater_equal(const FloatVec &a, const FloatVec &b) { return a >= b; }
PUNA_INLINE Mask greater(const FloatVec &a, const FloatVec &b) { return a > b; }
PUNA_INLINE Mask in_range(const FloatVec &v, float low, float high) {
    return greater_equal(v, broadcast(low)) & greater_equal(broadcast(high), v);
}
PUNA_INLINE Mask equal(const IntVec &a, int b) { return a == b; }
PUNA_INLINE Mask is_nan(const FloatVec &v) { return v != v; }
PUNA_INLINE Mask mask_and(const Mask &a, const Mask &b) { return a & b; }
PUNA_INLINE FloatVec select_or_zero(const Mask &mask, const FloatVec &v) { return reinterpret_cast<FloatVec>(reinterpret_cast<IntVec>(v) & mask); }
PUNA_INLINE FloatVec select(const Mask &mask, const FloatVec &v, const FloatVec &other) { return mask ? v : other; }
PUNA_INLINE void masked_add(FloatVec &sum, const Mask &mask, const FloatVec &v) { sum += select_or_zero(mask, v); }
// Returns b where a is NaN.
PUNA_INLINE FloatVec max(const FloatVec &a, const FloatVec &b) {
#ifdef __AVX2__
    return reinterpret_cast<FloatVec>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
    return a > b ? a : b;
#endif
}

// One bit per lane.
PUNA_INLINE unsigned movemask(const Mask &mask) {
#ifdef __AVX2__
    return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(mask)));
#else
    unsigned bits = 0;
    for (int i = 0; i < LANES; i++) bits |= (static_cast<unsigned>(mask[i]) & 1U) << i;
    return bits;
#endif
}

// a * b + c, fused where the processor has it
PUNA_INLINE FloatVec multiply_add(const FloatVec &a, const FloatVec &b, const FloatVec &c) {
#ifdef __FMA__
    return reinterpret_cast<FloatVec>(_mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
    return a * b + c;
#endif
}

PUNA_INLINE float reduce_max(const FloatVec &v) {
    float most = v[0];
    for (int i = 1; i < LANES; i++) most = v[i] > most ? v[i] : most;
    return most;
}

// table[index & 7] for each lane.
PUNA_INLINE FloatVec lookup(const float *table, const UintVec &index) {
#ifdef __AVX2__
    return reinterpret_cast<FloatVec>(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), reinterpret_cast<__m256i>(index)));
#elif defined __aarch64__
    const UintVec bytes = (index & 7) * 0x04040404 + 0x03020100; // byte indices of each float
    const uint8x16x2_t entries = vld1q_u8_x2(reinterpret_cast<const uint8_t *>(table));
    uint8x16_t halves[2];
    __builtin_memcpy(halves, &bytes, sizeof halves);
    for (uint8x16_t &half : halves) half = vqtbl2q_u8(entries, half);
    FloatVec found;
    __builtin_memcpy(&found, halves, sizeof found);
    return found;
#else
    FloatVec found;
    for (int i = 0; i < LANES; i++) found[i] = table[index[i] & 7];
    return found;
#endif
}

#ifdef __AVX2__

// For each 8-bit mask, the set lanes' indices, a byte each: the permutation that compresses them.
struct CompressTable {
    uint64_t lanes[256];

    constexpr CompressTable() : lanes{} {
        for (unsigned mask = 0; mask < 256; mask++) {
            int count = 0;
            for (unsigned lane = 0; lane < 8; lane++)
                if (mask >> lane & 1) lanes[mask] |= static_cast<uint64_t>(lane) << 8 * count++;
        }
    }
};
constexpr CompressTable COMPRESS;

// Store the masked lanes contiguously and return their count. Writes a whole vector.
PUNA_INLINE int64_t compress_store(float *to, const Mask &mask, const FloatVec &v) {
    const unsigned bits = movemask(mask);
    const __m256i lanes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(&COMPRESS.lanes[bits])));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm256_permutevar8x32_epi32(reinterpret_cast<__m256i>(v), lanes));
    return __builtin_popcount(bits);
}

#else

// Store the masked lanes contiguously and return their count.
PUNA_INLINE int64_t compress_store(float *to, const Mask &mask, const FloatVec &v) {
    int64_t count = 0;
    for (unsigned bits = movemask(mask); bits; bits &= bits - 1) to[count++] = v[__builtin_ctz(bits)];
    return count;
}

#endif

#endif

// A sum kept as 16 partial sums until `total`.
struct Accumulator {
    FloatVec partial[SUM_VECTORS]{};

    // The partial sums for the i-th vector of a quad.
    PUNA_INLINE FloatVec &of(int i) { return partial[i % SUM_VECTORS]; }

    float total() const {
        float p[PARTIAL_SUMS];
        __builtin_memcpy(p, partial, sizeof p);
        for (int i = 0; i < PARTIAL_SUMS / 2; i++) p[i] += p[i + PARTIAL_SUMS / 2];
        return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
    }
};

} // namespace
} // namespace puna
