// NEON with BF16: `BFDOT` adds two products of BF16 to a 32-bit float.
#pragma once

#include "../floats.h"
#include "neon.h"

namespace puna {

// Weights and activations as BF16, two k of a column in each lane.
template <Type T> struct NeonBfloats {
    using Row = BfloatRow;
    using Weights = bfloat16x8_t;
    static constexpr int k_per_lane = 2;
    static constexpr Activations activations = Activations::BFLOAT;

    static void quantise(const float *x, int blocks, uint8_t *row) {
        for (int i = 0; i < BLOCK * blocks; i += 8)
            store(row + 2 * i, vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(vld1q_f32(x + i)), vld1q_f32(x + i + 4)));
    }
    // Four columns of one k, interleaved with those of the next.
    static PUNA_INLINE Weights load_packed(const uint8_t *p) {
        const uint16x8_t even = half(p), odd = half(p + 2 * COLUMNS);
        return vreinterpretq_bf16_u16(vzip1q_u16(even, odd));
    }
    static PUNA_INLINE Weights load(const uint8_t *p) { return vreinterpretq_bf16_u8(vld1q_u8(p)); }
    static PUNA_INLINE void store(uint8_t *p, Weights w) { vst1q_u8(p, vreinterpretq_u8_bf16(w)); }
    static PUNA_INLINE float32x4_t add(float32x4_t sum, Weights w, const uint8_t *x) {
        return vbfdotq_f32(sum, w, vreinterpretq_bf16_s32(NeonMatrix::broadcast4(x)));
    }

  private:
    // Four BF16, and zeros above them.
    static PUNA_INLINE uint16x8_t half(const uint8_t *p) {
        if constexpr (T == Type::F16) return vreinterpretq_u16_bf16(vcvtq_low_bf16_f32(NeonMatrix::load_f16(p)));
        const uint16x4_t x = vld1_u16(reinterpret_cast<const uint16_t *>(p));
        return vcombine_u16(x, vdup_n_u16(0));
    }
};

} // namespace puna
