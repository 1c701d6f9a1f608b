// AVX-512 with VNNI: a vector is 16 columns. `dpbusd` adds four products of bytes to 32 bits.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "../ggml.h"
#include "avx512_cells.h"

namespace puna {

struct Avx512 {
    using Cells = Avx512Cells;
    static constexpr int lanes = 16;
    static constexpr int tile_rows = 4, tile_panels = 2; // of a product's tile
    static constexpr bool decodes_in_registers = true; // few rows decode into registers, not into L1
    static constexpr bool has_mmla = false; // whether a product is of two rows by two columns, 8 k each
    static constexpr int score_rows = 8, value_rows = 4; // of attention's tiles, two vectors wide
    static constexpr int float_accumulators = 16; // the fastest of 12 to 24
    // F16 and BF16 were not measured here, and libllama has its own BF16 products.
    static constexpr bool pays(Type type) { return type != Type::F16 && type != Type::BF16; }
    using Int = __m512i;
    using Float = __m512;

    static Int load(const void *p) { return _mm512_loadu_si512(p); }
    static void store(void *p, Int x) { _mm512_storeu_si512(p, x); }
    // Forces x into a register now. Otherwise GCC delays sums to the end, and spills all products until then.
    static void pin_register(Int &x) { asm("" : "+v"(x)); }
    static Int broadcast4(const void *p) { return _mm512_set1_epi32(*static_cast<const int32_t *>(p)); }
    static Int broadcast_byte(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
    static Int bit_and(Int a, Int b) { return _mm512_and_si512(a, b); }
    static Int bit_or(Int a, Int b) { return _mm512_or_si512(a, b); }
    static Int add(Int a, Int b) { return _mm512_add_epi32(a, b); }
    static Int zero() { return _mm512_setzero_si512(); }
    static Int flip_sign_bits(Int x) { return _mm512_xor_si512(x, broadcast_byte(0x80)); }
    // The low 16 bits of each lane: `even` in the low half, `odd` in the high half.
    static Int interleave16(Int even, Int odd) {
        return _mm512_or_si512(_mm512_slli_epi32(odd, 16), _mm512_and_si512(even, _mm512_set1_epi32(0xffff)));
    }
    // Shift 16-bit lanes right, or left if N < 0.
    template <int N> static Int shift(Int x) {
        if constexpr (N > 0) return _mm512_srli_epi16(x, N);
        if constexpr (N < 0) return _mm512_slli_epi16(x, -N);
        return x;
    }
    static Int lookup(const void *table16, Int index) {
        return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i *>(table16))), index);
    }
    // sum + the dot product of each lane's two 16-bit integers.
    static Int madd16(Int sum, Int a, Int b) { return _mm512_dpwssd_epi32(sum, a, b); }

    static Float loadf(const float *p) { return _mm512_loadu_ps(p); }
    static void storef(float *p, Float x) { _mm512_storeu_ps(p, x); }
    static Float broadcast(float x) { return _mm512_set1_ps(x); }
    static Float to_float(Int x) { return _mm512_cvtepi32_ps(x); }
    static Float zerof() { return _mm512_setzero_ps(); }
    static Float addf(Float a, Float b) { return _mm512_add_ps(a, b); }
    static Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
    static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
    static Float fnma(Float a, Float b, Float c) { return _mm512_fnmadd_ps(a, b, c); }
    // NaN if b is NaN.
    static Float maxf(Float a, Float b) { return _mm512_max_ps(a, b); }
    static Float minf(Float a, Float b) { return _mm512_min_ps(a, b); } // b if a is NaN
    static Int to_int(Float x) { return _mm512_cvtps_epi32(x); }
    // sums[i] += high[i] * 2^12 + low[i].
    static void add_wide(int64_t *sums, Int high, Int low) {
        const auto add8 = [](int64_t *at, __m256i h, __m256i l) {
            const Int both = _mm512_add_epi64(_mm512_slli_epi64(_mm512_cvtepi32_epi64(h), 12), _mm512_cvtepi32_epi64(l));
            store(at, _mm512_add_epi64(load(at), both));
        };
        add8(sums, _mm512_castsi512_si256(high), _mm512_castsi512_si256(low));
        add8(sums + 8, _mm512_extracti64x4_epi64(high, 1), _mm512_extracti64x4_epi64(low, 1));
    }
    static Float div(Float a, Float b) { return _mm512_div_ps(a, b); }
    static Float round(Float x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    // x * 2^n for integer n
    static Float scalef(Float x, Float n) { return _mm512_scalef_ps(x, n); }
    static float reduce_max(Float x) { return _mm512_reduce_max_ps(x); }
    static Float load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i *>(p))); }
    static Float load_bf16(const void *p) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i *>(p))), 16));
    }
    // Bytes, widened to 32-bit lanes.
    static Int load_i8(const void *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))); }
    static Int load_u8(const void *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))); }
    // 2^(e - 128) of bytes e: half of E8M0, MXFP4's scale. The two smallest are subnormal.
    static Float load_e8m0_half(const void *p) {
        const Int e = load_u8(p);
        const Int normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
        const Int small = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
        return _mm512_castsi512_ps(_mm512_mask_blend_epi32(_mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2)), normal, small));
    }

    // The largest magnitude of 32 floats.
    static float max_abs32(const float *x) {
        return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x)), _mm512_abs_ps(_mm512_loadu_ps(x + 16))));
    }
    // q = 32 floats times `scale`, rounded to bytes. `sums` are those of the two halves.
    static void quantise32(const float *x, float scale, int8_t *q, int32_t sums[2]) {
        for (int half = 0; half < 2; half++) {
            const Int i = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * half), _mm512_set1_ps(scale)));
            sums[half] = _mm512_reduce_add_epi32(i);
            _mm_storeu_si128(reinterpret_cast<__m128i *>(q + 16 * half), _mm512_cvtsepi32_epi8(i));
        }
    }

    // Unsigned weights times signed activations: 4 k per lane and step.
    struct NarrowDot : CompiledLoop {
        static constexpr bool sums_int32 = true;
        static constexpr int steps = 8;
        static constexpr int max_steps(int) { return steps; }
        static Int product(Int w, Int a) { return _mm512_dpbusd_epi32(zero(), w, a); }
        static Int accumulate(Int sum, Int w, Int a) { return _mm512_dpbusd_epi32(sum, w, a); }
        static Int widen(Int sum) { return sum; }
        static Int pack_scale(Int x) { return x; }
        static Int widen_scaled(Int sum, Int scale) { return _mm512_mullo_epi32(sum, scale); }
    };

    // 8-bit weights, biased to be unsigned.
    struct WideDot : NarrowDot {
        static constexpr int bias = 128;
    };
};

} // namespace puna
