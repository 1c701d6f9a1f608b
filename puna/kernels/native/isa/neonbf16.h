// NEON with BF16: two products of 16-bit floats are added into one of 32 bits at once.
#pragma once

#include "../floats.h"
#include "neon.h"

namespace puna {

// Weights and activations become BF16 in pairs of k: a lane is a column's.
template <Type T> struct NeonBfloats {
    using Row = BfloatRow;
    using Weights = bfloat16x8_t;
    static constexpr int together = 2; // k in a lane
    static constexpr Activations activations = Activations::BFLOAT;

    static void quantise(const float *x, int blocks, uint8_t *row) {
        for (int i = 0; i < BLOCK * blocks; i += 8)
            put(row + 2 * i, vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(vld1q_f32(x + i)), vld1q_f32(x + i + 4)));
    }
    // Four columns of one k, and of the next.
    static PUNA_INLINE Weights stored(const uint8_t *p) {
        const uint16x8_t even = half(p), odd = half(p + 2 * COLUMNS);
        return vreinterpretq_bf16_u16(vzip1q_u16(even, odd));
    }
    static PUNA_INLINE Weights load(const uint8_t *p) { return vreinterpretq_bf16_u8(vld1q_u8(p)); }
    static PUNA_INLINE void put(uint8_t *p, Weights w) { vst1q_u8(p, vreinterpretq_u8_bf16(w)); }
    static PUNA_INLINE float32x4_t add(float32x4_t sum, Weights w, const uint8_t *x) {
        return vbfdotq_f32(sum, w, vreinterpretq_bf16_s32(NeonMatrix::broadcast4(x)));
    }

  private:
    // Four numbers, and zeros above them.
    static PUNA_INLINE uint16x8_t half(const uint8_t *p) {
        if constexpr (T == Type::F16) return vreinterpretq_u16_bf16(vcvtq_low_bf16_f32(NeonMatrix::load_f16(p)));
        const uint16x4_t x = vld1_u16(reinterpret_cast<const uint16_t *>(p));
        return vcombine_u16(x, vdup_n_u16(0));
    }
};

} // namespace puna
