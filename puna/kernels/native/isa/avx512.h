// AVX-512 with VNNI: vectors of all 16 columns, four products of bytes added into 32 bits at once.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "../ggml.h"
#include "avx512_cells.h"

namespace puna {

struct Avx512 {
    using Cells = Avx512Cells;
    static constexpr int lanes = 16;
    static constexpr int tile_rows = 4, tile_panels = 2; // of a product\'s tile
    static constexpr bool decodes_in_registers = true; // few rows meet numbers that were not decoded before
    static constexpr bool has_mmla = false; // whether products are of two rows by two columns, 8 k each
    static constexpr int score_rows = 8, value_rows = 4; // of attention\'s tiles, two vectors wide
    static constexpr int float_accumulators = 16; // of 12 to 24 the fastest
    // Not measured: libllama may have a better product of BF16 where the processor has one. F32 is only small routers.
    static constexpr bool pays(Type type) { return type != Type::F16 && type != Type::BF16; }
    using Int = __m512i;
    using Float = __m512;

    static Int load(const void *p) { return _mm512_loadu_si512(p); }
    static void store(void *p, Int x) { _mm512_storeu_si512(p, x); }
    // The compiler has x in a register here. Left alone, GCC puts sums off to the end and keeps all products until then.
    static void pin_register(Int &x) { asm("" : "+v"(x)); }
    static void prefetch(const void *p) { _mm_prefetch(static_cast<const char *>(p), _MM_HINT_T1); }
    static Int broadcast4(const void *p) { return _mm512_set1_epi32(*static_cast<const int32_t *>(p)); }
    static Int broadcast_byte(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
    static Int bit_and(Int a, Int b) { return _mm512_and_si512(a, b); }
    static Int bit_or(Int a, Int b) { return _mm512_or_si512(a, b); }
    static Int add(Int a, Int b) { return _mm512_add_epi32(a, b); }
    static Int zero() { return _mm512_setzero_si512(); }
    static Int flip_sign_bits(Int x) { return _mm512_xor_si512(x, broadcast_byte(0x80)); }
    // The low 16 bits of each lane of `even`, and above them those of `odd`.
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
    // Products of pairs of 16 bits, added.
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
    // What is no number stays so, if it is the second.
    static Float maxf(Float a, Float b) { return _mm512_max_ps(a, b); }
    static Float minf(Float a, Float b) { return _mm512_min_ps(a, b); } // the second if the first is no number
    static Int to_int(Float x) { return _mm512_cvtps_epi32(x); }
    // Add high * 2^12 + low, lane by lane.
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
    // x * 2^n of whole n
    static Float scalef(Float x, Float n) { return _mm512_scalef_ps(x, n); }
    static float reduce_max(Float x) { return _mm512_reduce_max_ps(x); }
    static Float load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i *>(p))); }
    // Floats of 16 bits with the exponent of 32.
    static Float load_bf16(const void *p) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i *>(p))), 16));
    }
    // Signed and unsigned bytes, a lane each.
    static Int load_i8(const void *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))); }
    static Int load_u8(const void *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))); }
    // 2^(e - 128) of bytes e; the two smallest are subnormal.
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
    // 32 floats times `scale`, rounded to the nearest whole number, as bytes. Returns the sums of the two halves.
    static void quantise32(const float *x, float scale, int8_t *q, int32_t sums[2]) {
        for (int half = 0; half < 2; half++) {
            const Int i = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * half), _mm512_set1_ps(scale)));
            sums[half] = _mm512_reduce_add_epi32(i);
            _mm_storeu_si128(reinterpret_cast<__m128i *>(q + 16 * half), _mm512_cvtsepi32_epi8(i));
        }
    }

    // Unsigned bytes of weights times signed bytes of activations: 4 k a lane and step.
    struct Narrow : CompiledTiles {
        static constexpr bool whole = true;
        static constexpr int steps = 8;
        static constexpr int depth(int) { return steps; }
        static Int product(Int w, Int a) { return _mm512_dpbusd_epi32(zero(), w, a); }
        static Int accumulate(Int sum, Int w, Int a) { return _mm512_dpbusd_epi32(sum, w, a); }
        static Int widen(Int sum) { return sum; }
        static Int scale(Int x) { return x; }
        static Int scaled(Int sum, Int scale) { return _mm512_mullo_epi32(sum, scale); }
    };

    // Weights of 8 bits, lifted above zero.
    struct Wide : Narrow {
        static constexpr int lift = 128;
    };
};

} // namespace puna
