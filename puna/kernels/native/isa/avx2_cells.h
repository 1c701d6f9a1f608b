// Elements of KV cells, 8 at a time with AVX2.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace puna {

struct Avx2Cells {
    using Vector = __m256;
    static constexpr int lanes = 8;
    static constexpr int f16_transposed = 0, q8_0_transposed = 0; // no functions for F16 and Q8_0

    static Vector zero() { return _mm256_setzero_ps(); }
    static void store(float *p, Vector x) { _mm256_storeu_ps(p, x); }
    static Vector load_f32(const void *p) { return _mm256_loadu_ps(static_cast<const float *>(p)); }
    static Vector load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i *>(p))); }
    static Vector load_bf16(const void *p) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))), 16));
    }
    static Vector load_i8(const void *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i *>(p)))); }
    // The low or high nibbles of 8 bytes, minus 8.
    static Vector load_nibbles(const void *p, bool high) {
        const __m128i both = _mm_loadl_epi64(static_cast<const __m128i *>(p));
        const __m128i q = _mm_and_si128(high ? _mm_srli_epi16(both, 4) : both, _mm_set1_epi8(15));
        return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_cvtepu8_epi32(q), _mm256_set1_epi32(8)));
    }
    // x times the F16 at `scale`.
    static Vector scaled(Vector x, const void *scale) {
        uint16_t bits;
        std::memcpy(&bits, scale, sizeof bits);
        return _mm256_mul_ps(_mm256_set1_ps(_cvtsh_ss(bits)), x);
    }

    // Magnitudes are compared as bits, so NaN is the largest.
    static __m256i zero_magnitude() { return _mm256_setzero_si256(); }
    static __m256i max_magnitude(__m256i most, Vector x) {
        return _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff)));
    }
    static int32_t reduce_max(__m256i x) {
        __m128i half = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
        half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        return _mm_cvtsi128_si32(_mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
    }
    // x * scale rounded to an integer, in the low 16 bits: adding 1.5 * 2^23 leaves no room for a fraction.
    static __m256i round_scaled(Vector x, float scale) {
        return _mm256_castps_si256(_mm256_fmadd_ps(x, _mm256_set1_ps(scale), _mm256_set1_ps(1.5F * (1 << 23))));
    }
    // The low 16 bits of each lane: `even` in the low half, `odd` in the high half.
    static void store_pairs(int32_t *p, __m256i even, __m256i odd) {
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(p),
                            _mm256_or_si256(_mm256_slli_epi32(odd, 16), _mm256_and_si256(even, _mm256_set1_epi32(0xffff))));
    }

    static void transpose(Vector (&x)[8]) {
        Vector pairs[8], fours[8];
        for (int i = 0; i < 8; i += 2) {
            pairs[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
            pairs[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
        }
        for (int i = 0; i < 8; i += 4)
            for (int j = 0; j < 2; j++) {
                fours[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0x44);
                fours[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0xee);
            }
        for (int i = 0; i < 4; i++) {
            x[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
            x[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
        }
    }
};

} // namespace puna
