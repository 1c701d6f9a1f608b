// Cells of K and V as floats, eight at a time, for every x86-64 with AVX2.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "../attention.h"

namespace puna {

inline float cell_scale(const uint8_t *p) {
    uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return _cvtsh_ss(bits);
}

// Numbers at..at+7 of a row; `at` is a multiple of 8.
template <Type T> inline __m256 eight(const uint8_t *row, int at) {
    constexpr CellFormat format = cell_format(T);
    const uint8_t *block = row + at / format.block * format.bytes;
    if constexpr (T == Type::F32) {
        return _mm256_loadu_ps(reinterpret_cast<const float *>(block));
    } else if constexpr (T == Type::F16) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(block)));
    } else if constexpr (T == Type::BF16) {
        const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(block)));
        return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
    } else if constexpr (T == Type::Q8_0) {
        const __m128i q = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(block + 2 + at % 32));
        return _mm256_mul_ps(_mm256_set1_ps(cell_scale(block)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)));
    } else {
        // The first 16 are the low nibbles.
        const __m128i both = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(block + 2 + at % 16));
        const __m128i q = _mm_and_si128(at % 32 < 16 ? both : _mm_srli_epi16(both, 4), _mm_set1_epi8(15));
        const __m256i centred = _mm256_sub_epi32(_mm256_cvtepu8_epi32(q), _mm256_set1_epi32(8));
        return _mm256_mul_ps(_mm256_set1_ps(cell_scale(block)), _mm256_cvtepi32_ps(centred));
    }
}

// The last numbers of a row whose size is no multiple of 8, and zeros. Only for types without blocks.
template <Type T> inline __m256 last_of_eight(const uint8_t *row, int at, int count) {
    constexpr size_t bytes = cell_format(T).bytes;
    uint8_t copy[8 * bytes] = {};
    std::memcpy(copy, row + bytes * static_cast<size_t>(at), bytes * static_cast<size_t>(count));
    return eight<T>(copy, 0);
}

inline void transpose(__m256 (&x)[8]) {
    __m256 pairs[8], fours[8];
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

// Fills a tile of `keys` (a multiple of 8) cells from `count` of them, `stride` bytes apart, `size` numbers each; what is
// beyond is zero. `place(at, key)` is where the eight numbers from `at` of cell `key` go. TURNED: where number `at` of the
// eight cells from `key` goes.
template <Type T, bool TURNED, class Place>
inline void fill_tile(const uint8_t *cells, size_t stride, int64_t count, int keys, int size, Place place) {
    constexpr CellFormat format = cell_format(T);
    const auto read = [&](int key, int at) {
        if (key >= count) return _mm256_setzero_ps();
        const uint8_t *row = cells + stride * static_cast<size_t>(key);
        if constexpr (format.block == 1)
            if (at + 8 > size) return last_of_eight<T>(row, at, size - at);
        return eight<T>(row, at);
    };
    for (int key = 0; key < keys; key += 8) {
        for (int i = 0; i < 8; i++) { // the same of the next tile
            const auto next = reinterpret_cast<uintptr_t>(cells) + stride * static_cast<size_t>(keys + key + i);
            for (int byte = 0; byte < size / format.block * format.bytes; byte += 64) _mm_prefetch(reinterpret_cast<const char *>(next) + byte, _MM_HINT_T0);
        }
        for (int at = 0; at < size; at += 8) {
            __m256 x[8];
            for (int i = 0; i < 8; i++) x[i] = read(key + i, at);
            if constexpr (TURNED) transpose(x);
            for (int i = 0; i < 8; i++) _mm256_storeu_ps(TURNED ? place(at + i, key) : place(at, key + i), x[i]);
        }
    }
}

} // namespace puna
