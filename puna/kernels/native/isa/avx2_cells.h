// Eight numbers of a cell, for every x86-64 with AVX2.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace puna {

struct Avx2Cells {
    using Eight = __m256;

    static Eight zero() { return _mm256_setzero_ps(); }
    static void store(float *p, Eight x) { _mm256_storeu_ps(p, x); }
    static void prefetch(const void *p) { _mm_prefetch(static_cast<const char *>(p), _MM_HINT_T0); }
    static Eight floats(const void *p) { return _mm256_loadu_ps(static_cast<const float *>(p)); }
    static Eight halves(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i *>(p))); }
    static Eight bfloats(const void *p) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p))), 16));
    }
    static Eight signed_bytes(const void *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i *>(p)))); }
    // Low or high nibbles of eight bytes, less 8.
    static Eight nibbles(const void *p, bool high) {
        const __m128i both = _mm_loadl_epi64(static_cast<const __m128i *>(p));
        const __m128i q = _mm_and_si128(high ? _mm_srli_epi16(both, 4) : both, _mm_set1_epi8(15));
        return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_cvtepu8_epi32(q), _mm256_set1_epi32(8)));
    }
    // Times the float16 at `scale`.
    static Eight scaled(Eight x, const void *scale) {
        uint16_t bits;
        std::memcpy(&bits, scale, sizeof bits);
        return _mm256_mul_ps(_mm256_set1_ps(_cvtsh_ss(bits)), x);
    }

    static void transpose(Eight (&x)[8]) {
        Eight pairs[8], fours[8];
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
