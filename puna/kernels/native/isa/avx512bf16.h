// AVX-512 with BF16: `dpbf16ps` adds two products of BF16 to a 32-bit float.
#pragma once

#include "../floats.h"
#include "avx512.h"

namespace puna {

// Weights and activations as BF16, two k of a column in each lane.
template <Type T> struct PairedBfloats {
    using Row = BfloatRow;
    using Weights = __m512i;
    static constexpr int k_per_lane = 2;
    static constexpr Activations activations = Activations::BFLOAT;

    static void quantise(const float *x, int blocks, uint8_t *row) {
        for (int b = 0; b < blocks; b++, x += BLOCK) store(row + 2 * BLOCK * b, rounded(_mm512_loadu_ps(x), _mm512_loadu_ps(x + 16)));
    }
    // All columns of one k, followed by those of the next.
    static PUNA_INLINE Weights load_packed(const uint8_t *p) {
        if constexpr (T == Type::BF16) return interleaved(_mm512_loadu_si512(p));
        return interleaved(rounded(Avx512::load_f16(p), Avx512::load_f16(p + 2 * COLUMNS)));
    }
    static PUNA_INLINE Weights load(const uint8_t *p) { return _mm512_loadu_si512(p); }
    static PUNA_INLINE void store(uint8_t *p, Weights w) { _mm512_storeu_si512(p, w); }
    static PUNA_INLINE __m512 add(__m512 sum, Weights w, const uint8_t *x) {
        return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)Avx512::broadcast4(x));
    }

  private:
    static PUNA_INLINE __m512i rounded(__m512 low, __m512 high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }
    static PUNA_INLINE __m512i interleaved(__m512i x) {
        const __m512i order =
            _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        return _mm512_permutexvar_epi16(order, x);
    }
};

} // namespace puna
