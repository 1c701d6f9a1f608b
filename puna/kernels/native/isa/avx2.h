// AVX2 with FMA and F16C: a vector is 8 columns. `maddubs` multiplies bytes into 16-bit sums.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "../ggml.h"
#include "../tile.h"
#include "avx2_cells.h"
#include "avx2_dot.h"

namespace puna {

struct Avx2 {
    using Cells = Avx2Cells;
    static constexpr int lanes = 8;
    static constexpr int tile_rows = 4, tile_panels = 1; // of a product's tile
    static constexpr bool decodes_in_registers = false; // few rows decode into registers, not into L1
    static constexpr bool has_mmla = false; // whether a product is of two rows by two columns, 8 k each
    static constexpr int score_rows = 6, value_rows = 2; // of attention's tiles, two vectors wide
    static constexpr int float_accumulators = 12; // plus weights and an activation: 16 registers
    static constexpr bool pays(Type) { return true; }
    using Int = __m256i;
    using Float = __m256;

    static Int load(const void *p) { return _mm256_loadu_si256(static_cast<const Int *>(p)); }
    static void store(void *p, Int x) { _mm256_storeu_si256(static_cast<Int *>(p), x); }
    // Forces x into a register now. Otherwise GCC delays sums to the end, and spills all products until then.
    static void pin_register(Int &x) { asm("" : "+x"(x)); }
    static Int broadcast4(const void *p) { return _mm256_set1_epi32(*static_cast<const int32_t *>(p)); }
    static Int broadcast_byte(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }
    static Int bit_and(Int a, Int b) { return _mm256_and_si256(a, b); }
    static Int bit_or(Int a, Int b) { return _mm256_or_si256(a, b); }
    static Int add(Int a, Int b) { return _mm256_add_epi32(a, b); }
    static Int zero() { return _mm256_setzero_si256(); }
    static Int flip_sign_bits(Int x) { return _mm256_xor_si256(x, broadcast_byte(0x80)); }
    // The low 16 bits of each lane: `even` in the low half, `odd` in the high half.
    static Int interleave16(Int even, Int odd) {
        return _mm256_or_si256(_mm256_slli_epi32(odd, 16), _mm256_and_si256(even, _mm256_set1_epi32(0xffff)));
    }
    // Shift 16-bit lanes right, or left if N < 0.
    template <int N> static Int shift(Int x) {
        if constexpr (N > 0) return _mm256_srli_epi16(x, N);
        if constexpr (N < 0) return _mm256_slli_epi16(x, -N);
        return x;
    }
    static Int lookup(const void *table16, Int index) {
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i *>(table16))), index);
    }
    // sum + the dot product of each lane's two 16-bit integers.
    static Int madd16(Int sum, Int a, Int b) { return add(sum, _mm256_madd_epi16(a, b)); }

    static Float loadf(const float *p) { return _mm256_loadu_ps(p); }
    static void storef(float *p, Float x) { _mm256_storeu_ps(p, x); }
    static Float broadcast(float x) { return _mm256_set1_ps(x); }
    static Float to_float(Int x) { return _mm256_cvtepi32_ps(x); }
    static Float zerof() { return _mm256_setzero_ps(); }
    static Float addf(Float a, Float b) { return _mm256_add_ps(a, b); }
    static Float mul(Float a, Float b) { return _mm256_mul_ps(a, b); }
    static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
    static Float fnma(Float a, Float b, Float c) { return _mm256_fnmadd_ps(a, b, c); }
    // NaN if b is NaN.
    static Float maxf(Float a, Float b) { return _mm256_max_ps(a, b); }
    static Float minf(Float a, Float b) { return _mm256_min_ps(a, b); } // b if a is NaN
    static Int to_int(Float x) { return _mm256_cvtps_epi32(x); }
    // sums[i] += high[i] * 2^12 + low[i].
    static void add_wide(int64_t *sums, Int high, Int low) {
        const auto add4 = [](int64_t *at, __m128i h, __m128i l) {
            const Int both = _mm256_add_epi64(_mm256_slli_epi64(_mm256_cvtepi32_epi64(h), 12), _mm256_cvtepi32_epi64(l));
            store(at, _mm256_add_epi64(load(at), both));
        };
        add4(sums, _mm256_castsi256_si128(high), _mm256_castsi256_si128(low));
        add4(sums + 4, _mm256_extracti128_si256(high, 1), _mm256_extracti128_si256(low, 1));
    }
    static Float div(Float a, Float b) { return _mm256_div_ps(a, b); }
    static Float round(Float x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    // 2^n for integer n in [-127, 127]; -127 gives zero.
    static Float power(Float n) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
    }
    static Float scalef(Float x, Float n) { return mul(x, power(maxf(broadcast(-127), n))); }
    static float reduce_max(Float x) {
        __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        half = _mm_max_ps(half, _mm_movehl_ps(half, half));
        return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
    }
    static Float load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i *>(p))); }
    static Float load_bf16(const void *p) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))), 16));
    }
    // Bytes, widened to 32-bit lanes.
    static Int load_i8(const void *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i *>(p))); }
    static Int load_u8(const void *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i *>(p))); }
    // 2^(e - 128) of bytes e: half of E8M0, MXFP4's scale. The two smallest are subnormal.
    static Float load_e8m0_half(const void *p) {
        const Int e = load_u8(p);
        const Int normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
        const Int small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
        return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, small, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
    }

    // The largest magnitude of 32 floats.
    static float max_abs32(const float *x) {
        const Float sign = _mm256_set1_ps(-0.0F);
        Float most = _mm256_andnot_ps(sign, _mm256_loadu_ps(x));
        for (int i = 8; i < 32; i += 8) most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(x + i)));
        return reduce_max(most);
    }
    // q = 32 floats times `scale`, rounded to bytes. `sums` are those of the two halves.
    static void quantise32(const float *x, float scale, int8_t *q, int32_t sums[2]) {
        const Float s = _mm256_set1_ps(scale);
        Int i[4];
        for (int j = 0; j < 4; j++) i[j] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * j), s));
        sums[0] = sum(_mm256_add_epi32(i[0], i[1]));
        sums[1] = sum(_mm256_add_epi32(i[2], i[3]));
        const Int packed = _mm256_packs_epi16(_mm256_packs_epi32(i[0], i[1]), _mm256_packs_epi32(i[2], i[3]));
        store(q, _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
    }

    // Unsigned weights times signed activations: 4 k per lane and step.
    struct NarrowDot {
        static constexpr bool sums_int32 = false;
        template <int R, int STEPS> static constexpr bool has_tile = R == Avx2::tile_rows && (STEPS == 4 || STEPS == 8);
        template <int STEPS> static PUNA_INLINE void tile(const uint8_t *w, const uint8_t *const (&rows)[4], int64_t at, Int (&sums)[4][2]) {
            avx2_dot<STEPS>(w, rows, at, sums);
        }
        static constexpr int steps = 8;
        // Steps whose sum fits in 16 bits, for weights up to `top` and activations up to 127.
        static constexpr int max_steps(int top) {
            const int most = 32767 / (2 * 127 * top);
            return most >= 8 ? 8 : most >= 4 ? 4 : most >= 2 ? 2 : 1;
        }
        static Int product(Int w, Int a) { return _mm256_maddubs_epi16(w, a); }
        static Int accumulate(Int sum, Int w, Int a) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, a)); }
        static Int add_start(Int sum, Int from) { return _mm256_add_epi16(sum, from); }
        static Int widen(Int sum) { return _mm256_madd_epi16(sum, _mm256_set1_epi16(1)); }
        // A scale per column, in the form for `widen_scaled`.
        static Int pack_scale(Int x) { return interleave16(x, x); }
        static Int widen_scaled(Int sum, Int scale) { return _mm256_madd_epi16(sum, scale); }
    };

    // Signed 8-bit weights: |w| times sign(w) * activation. One product of `maddubs` fits in 16 bits, a sum of two does not.
    struct WideDot {
        static constexpr bool sums_int32 = false;
        template <int R, int STEPS> static constexpr bool has_tile = R == Avx2::tile_rows && STEPS == 8;
        template <int STEPS> static PUNA_INLINE void tile(const uint8_t *w, const uint8_t *const (&rows)[4], int64_t at, Int (&sums)[4][2]) {
            avx2_wide_dot(w, rows, at, sums);
        }
        static constexpr int steps = 8;
        static constexpr int bias = 0; // added to signed weights
        static constexpr int max_steps(int) { return steps; }
        static Int product(Int w, Int a) {
            return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)), _mm256_set1_epi16(1));
        }
        static Int accumulate(Int sum, Int w, Int a) { return _mm256_add_epi32(sum, product(w, a)); }
        static Int widen(Int sum) { return sum; }
    };

  private:
    static int32_t sum(Int x) {
        __m128i half = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
    }
};

} // namespace puna
