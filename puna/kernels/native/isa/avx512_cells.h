// Elements of KV cells, 16 at a time with AVX-512.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "../tile.h"

namespace puna {

struct Avx512Cells {
    using Vector = __m512;
    static constexpr int lanes = 16;

    static Vector zero() { return _mm512_setzero_ps(); }
    static void store(float *p, Vector x) { _mm512_storeu_ps(p, x); }
    static Vector load_f32(const void *p) { return _mm512_loadu_ps(p); }
    static Vector load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i *>(p))); }
    static Vector load_bf16(const void *p) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i *>(p))), 16));
    }
    static Vector load_i8(const void *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i *>(p)))); }
    // The low or high nibbles of 16 bytes, minus 8.
    static Vector load_nibbles(const void *p, bool high) {
        const __m128i both = _mm_loadu_si128(static_cast<const __m128i *>(p));
        const __m128i q = _mm_and_si128(high ? _mm_srli_epi16(both, 4) : both, _mm_set1_epi8(15));
        return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(q), _mm512_set1_epi32(8)));
    }
    // x times the F16 at `scale`.
    static Vector scaled(Vector x, const void *scale) {
        uint16_t bits;
        std::memcpy(&bits, scale, sizeof bits);
        return _mm512_mul_ps(_mm512_set1_ps(_cvtsh_ss(bits)), x);
    }

    // The largest of eight 16-bit integers. x86 has a horizontal minimum of them, but no maximum.
    static uint16_t reduce_max(__m128i x) {
        return static_cast<uint16_t>(~_mm_cvtsi128_si32(_mm_minpos_epu16(_mm_xor_si128(x, _mm_set1_epi16(-1)))));
    }
    // The bits of the largest magnitude of a Q8_0 block.
    static int32_t max_magnitude_q8_0(const uint8_t *block) {
        const __m256i all = _mm256_abs_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(block + 2)));
        const __m128i sixteen = _mm_max_epu8(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
        const float most = static_cast<float>(reduce_max(_mm_max_epu16(_mm_srli_epi16(sixteen, 8), _mm_and_si128(sixteen, _mm_set1_epi16(0xff)))));
        return _mm512_cvtsi512_si32(_mm512_castps_si512(scaled(_mm512_set1_ps(most), block))) & 0x7fffffff;
    }
    // Magnitudes are compared as bits, so NaN is the largest.
    static __m512i zero_magnitude() { return _mm512_setzero_si512(); }
    static __m512i max_magnitude(__m512i most, Vector x) {
        return _mm512_max_epi32(most, _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)));
    }
    static int32_t reduce_max(__m512i x) { return _mm512_reduce_max_epi32(x); }
    // x * scale rounded to an integer, in the low 16 bits: adding 1.5 * 2^23 leaves no room for a fraction.
    static __m512i round_scaled(Vector x, float scale) {
        return _mm512_castps_si512(_mm512_fmadd_ps(x, _mm512_set1_ps(scale), _mm512_set1_ps(1.5F * (1 << 23))));
    }
    // The low 16 bits of each lane: `even` in the low half, `odd` in the high half.
    static void store_pairs(int32_t *p, __m512i even, __m512i odd) {
        _mm512_storeu_si512(p, _mm512_mask_blend_epi16(0xaaaaaaaa, even, _mm512_slli_epi32(odd, 16)));
    }

    // Interleaves vectors j and HALF + j of each group of 2 * HALF, within 128-bit quarters: a stage of a transposition.
    template <int HALF, int N, class Low, class High> static PUNA_INLINE void zip(const __m512i (&from)[N], __m512i (&to)[N], Low low, High high) {
        for (int i = 0; i < N; i += 2 * HALF)
            for (int j = 0; j < HALF; j++) {
                to[i + 2 * j] = low(from[i + j], from[i + HALF + j]);
                to[i + 2 * j + 1] = high(from[i + j], from[i + HALF + j]);
            }
    }
    template <int HALF, int N> static PUNA_INLINE void zip16(const __m512i (&from)[N], __m512i (&to)[N]) {
        zip<HALF>(from, to, [](__m512i a, __m512i b) { return _mm512_unpacklo_epi16(a, b); },
                  [](__m512i a, __m512i b) { return _mm512_unpackhi_epi16(a, b); });
    }
    template <int HALF, int N> static PUNA_INLINE void zip32(const __m512i (&from)[N], __m512i (&to)[N]) {
        zip<HALF>(from, to, [](__m512i a, __m512i b) { return _mm512_unpacklo_epi32(a, b); },
                  [](__m512i a, __m512i b) { return _mm512_unpackhi_epi32(a, b); });
    }
    template <int HALF, int N> static PUNA_INLINE void zip64(const __m512i (&from)[N], __m512i (&to)[N]) {
        zip<HALF>(from, to, [](__m512i a, __m512i b) { return _mm512_unpacklo_epi64(a, b); },
                  [](__m512i a, __m512i b) { return _mm512_unpackhi_epi64(a, b); });
    }

    // Of each of 16 cells: the exponent of its largest F16 magnitude (`CellRows::read_exponents`). Each stage of a transposition is
    // followed by maxima.
    static PUNA_INLINE Vector exponents_f16(const uint8_t *cells, size_t stride, int count, int size, float invalid) {
        __m512i x[16], words[16], eight[8], pairs[8], four[4], quads[4], two[2];
        const size_t last = static_cast<size_t>(std::min(count, 16)) - 1;
        unroll<16>([&](auto cell) __attribute__((always_inline)) { x[cell] = _mm512_setzero_si512(); });
        const auto take_maxima = [&](int at, auto load) __attribute__((always_inline)) {
            unroll<16>([&](auto cell) __attribute__((always_inline)) {
                const __m512i bits = load(cells + stride * std::min<size_t>(cell, last) + 2 * at);
                x[cell] = _mm512_max_epu16(x[cell], _mm512_and_si512(bits, _mm512_set1_epi16(0x7fff)));
            });
        };
        int at = 0;
        for (; at + 32 <= size; at += 32) take_maxima(at, [](const uint8_t *p) { return _mm512_loadu_si512(p); });
        if (at < size) take_maxima(at, [&](const uint8_t *p) { return _mm512_maskz_loadu_epi16((__mmask32{1} << (size - at)) - 1, p); });
        zip16<1>(x, words), max_pairs(words, eight);
        zip32<1>(eight, pairs), max_pairs(pairs, four);
        zip64<1>(four, quads), max_pairs(quads, two);
        // Each vector has the maxima of eight cells four times, in its quarters.
        const __m512i halves = _mm512_max_epu16(_mm512_shuffle_i64x2(two[0], two[1], 0x88), _mm512_shuffle_i64x2(two[0], two[1], 0xdd));
        const __m512i all = _mm512_max_epu16(halves, _mm512_shuffle_i64x2(halves, halves, 0xb1));
        const __m512i most = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(_mm512_shuffle_i64x2(all, all, 0x08)));
        const __m512i biased = _mm512_srli_epi32(most, 10);
        const Vector exponents = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_max_epi32(biased, _mm512_set1_epi32(1)), _mm512_set1_epi32(14)));
        return _mm512_mask_blend_ps(_mm512_cmpeq_epi32_mask(biased, _mm512_set1_epi32(31)), exponents, _mm512_set1_ps(invalid));
    }
    template <int N> static PUNA_INLINE void max_pairs(const __m512i (&from)[N], __m512i (&to)[N / 2]) {
        for (int i = 0; i < N / 2; i++) to[i] = _mm512_max_epu16(from[2 * i], from[2 * i + 1]);
    }

    // Transposes 32 F16 elements of 16 cells, `stride` bytes apart: use(i, x), where x has element i of each cell. Cells from `count`
    // on are zero. Transposing before widening halves the shuffles.
    static constexpr int f16_transposed = 32;
    template <class Use> static PUNA_INLINE void transpose_f16(const uint8_t *cells, size_t stride, int count, Use use) {
        __m512i x[16], y[16];
        for (int i = 0; i < 16; i++) x[i] = i < count ? _mm512_loadu_si512(cells + stride * static_cast<size_t>(i)) : _mm512_setzero_si512();
        zip16<1>(x, y);
        zip32<2>(y, x);
        zip64<4>(x, y);
        for (int j = 0; j < 8; j++) {
            x[j] = _mm512_permutex2var_epi64(y[j], _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), y[8 + j]);
            x[8 + j] = _mm512_permutex2var_epi64(y[j], _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), y[8 + j]);
        }
        unroll<4>([&](auto quarter) __attribute__((always_inline)) {
            constexpr int half = quarter % 2;
            unroll<8>([&](auto j) __attribute__((always_inline)) {
                use(8 * quarter + j, _mm512_cvtph_ps(_mm512_extracti64x4_epi64(x[8 * (quarter / 2) + j], half)));
            });
        });
    }

    // The same for a block of 32 Q8_0 elements: bytes are transposed in groups of four, then shifted apart and scaled.
    static constexpr int q8_0_transposed = 32;
    template <class Use> static PUNA_INLINE void transpose_q8_0(const uint8_t *cells, size_t stride, int count, Use use) {
        const auto quants = [&](int cell) {
            return cell < count ? _mm256_loadu_si256(reinterpret_cast<const __m256i *>(cells + stride * static_cast<size_t>(cell) + 2))
                                : _mm256_setzero_si256();
        };
        alignas(32) uint16_t scales[16];
        for (int i = 0; i < 16; i++) {
            scales[i] = 0;
            if (i < count) std::memcpy(&scales[i], cells + stride * static_cast<size_t>(i), sizeof scales[i]);
        }
        const Vector scale = load_f16(scales);
        __m512i x[8], y[8];
        for (int i = 0; i < 8; i++) x[i] = _mm512_inserti64x4(_mm512_castsi256_si512(quants(i)), quants(8 + i), 1);
        zip32<1>(x, y);
        zip64<2>(y, x);
        for (int j = 0; j < 4; j++) {
            y[j] = _mm512_permutex2var_epi64(x[j], _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), x[4 + j]);
            y[4 + j] = _mm512_permutex2var_epi64(x[j], _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), x[4 + j]);
        }
        unroll<32>([&](auto i) __attribute__((always_inline)) {
            constexpr int up = 24 - i % 4 * 8;
            const __m512i element = _mm512_srai_epi32(_mm512_slli_epi32(y[i / 4], up), 24);
            use(i, _mm512_mul_ps(_mm512_cvtepi32_ps(element), scale));
        });
    }

    // Interleaves pairs of rows, then fours, then reorders 128-bit quarters.
    static void transpose(Vector (&x)[16]) {
        Vector pairs[16], fours[16];
        for (int i = 0; i < 16; i += 2) {
            pairs[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
        }
        for (int i = 0; i < 16; i += 4)
            for (int j = 0; j < 2; j++) {
                fours[i + 2 * j] = _mm512_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0x44);
                fours[i + 2 * j + 1] = _mm512_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0xee);
            }
        for (int j = 0; j < 4; j++) {
            const Vector even = _mm512_shuffle_f32x4(fours[j], fours[4 + j], 0x88), odd = _mm512_shuffle_f32x4(fours[j], fours[4 + j], 0xdd);
            const Vector more_even = _mm512_shuffle_f32x4(fours[8 + j], fours[12 + j], 0x88),
                         more_odd = _mm512_shuffle_f32x4(fours[8 + j], fours[12 + j], 0xdd);
            x[j] = _mm512_shuffle_f32x4(even, more_even, 0x88);
            x[4 + j] = _mm512_shuffle_f32x4(odd, more_odd, 0x88);
            x[8 + j] = _mm512_shuffle_f32x4(even, more_even, 0xdd);
            x[12 + j] = _mm512_shuffle_f32x4(odd, more_odd, 0xdd);
        }
    }
};

} // namespace puna
