// Elements of KV cells, 8 at a time in two vectors of NEON.
#pragma once

#include <arm_neon.h>

#include <algorithm>
#include <cstdint>

namespace puna {

template <int UNITS> struct NeonCells {
    static constexpr int lanes = 8;
    static constexpr int f16_transposed = 0, q8_0_transposed = 0; // no functions for F16 and Q8_0
    struct Vector {
        float32x4_t low, high;
    };

    static Vector zero() { return {vdupq_n_f32(0), vdupq_n_f32(0)}; }
    static void store(float *p, Vector x) { vst1q_f32(p, x.low), vst1q_f32(p + 4, x.high); }
    static Vector load_f32(const void *p) {
        const auto *x = static_cast<const float *>(p);
        return {vld1q_f32(x), vld1q_f32(x + 4)};
    }
    static Vector load_f16(const void *p) {
        const float16x8_t x = vreinterpretq_f16_u16(vld1q_u16(static_cast<const uint16_t *>(p)));
        return {vcvt_f32_f16(vget_low_f16(x)), vcvt_high_f32_f16(x)};
    }
    static Vector load_bf16(const void *p) {
        const uint16x8_t x = vld1q_u16(static_cast<const uint16_t *>(p));
        return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(x), 16)), vreinterpretq_f32_u32(vshll_high_n_u16(x, 16))};
    }
    static Vector load_i8(const void *p) { return widen(vld1_s8(static_cast<const int8_t *>(p))); }
    // The low or high nibbles of 8 bytes, minus 8.
    static Vector load_nibbles(const void *p, bool high) {
        const uint8x8_t both = vld1_u8(static_cast<const uint8_t *>(p));
        const uint8x8_t q = high ? vshr_n_u8(both, 4) : vand_u8(both, vdup_n_u8(15));
        return widen(vsub_s8(vreinterpret_s8_u8(q), vdup_n_s8(8)));
    }
    // x times the F16 at `scale`.
    static Vector scaled(Vector x, const void *scale) {
        const float32x4_t d = vcvt_f32_f16(vreinterpret_f16_u16(vld1_dup_u16(static_cast<const uint16_t *>(scale))));
        return {vmulq_f32(d, x.low), vmulq_f32(d, x.high)};
    }

    // Magnitudes are compared as bits, so NaN is the largest.
    static int32x4_t zero_magnitude() { return vdupq_n_s32(0); }
    static int32x4_t max_magnitude(int32x4_t most, Vector x) {
        const int32x4_t low = vreinterpretq_s32_f32(vabsq_f32(x.low)), high = vreinterpretq_s32_f32(vabsq_f32(x.high));
        return vmaxq_s32(most, vmaxq_s32(low, high));
    }
    static int32_t reduce_max(int32x4_t x) { return vmaxvq_s32(x); }
    struct Rounded {
        int32x4_t low, high;
    };
    static Rounded round_scaled(Vector x, float scale) {
        return {vcvtnq_s32_f32(vmulq_n_f32(x.low, scale)), vcvtnq_s32_f32(vmulq_n_f32(x.high, scale))};
    }
    // The low 16 bits of each lane: `even` in the low half, `odd` in the high half.
    static void store_pairs(int32_t *p, Rounded even, Rounded odd) {
        vst1q_s32(p, vsliq_n_s32(even.low, odd.low, 16)), vst1q_s32(p + 4, vsliq_n_s32(even.high, odd.high, 16));
    }

    static void transpose(Vector (&x)[8]) {
        float32x4_t corners[2][2][4];
        for (int i = 0; i < 8; i++) corners[i / 4][0][i % 4] = x[i].low, corners[i / 4][1][i % 4] = x[i].high;
        for (auto &half : corners)
            for (auto &corner : half) transpose4(corner);
        for (int i = 0; i < 8; i++) x[i] = {corners[0][i / 4][i % 4], corners[1][i / 4][i % 4]};
    }

  private:
    static Vector widen(int8x8_t x) {
        const int16x8_t wide = vmovl_s8(x);
        return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), vcvtq_f32_s32(vmovl_high_s16(wide))};
    }
    static void transpose4(float32x4_t (&x)[4]) {
        const float32x4_t a = vtrn1q_f32(x[0], x[1]), b = vtrn2q_f32(x[0], x[1]), c = vtrn1q_f32(x[2], x[3]), d = vtrn2q_f32(x[2], x[3]);
        x[0] = low(a, c), x[1] = low(b, d), x[2] = high(a, c), x[3] = high(b, d);
    }
    static float32x4_t low(float32x4_t a, float32x4_t b) {
        return vreinterpretq_f32_f64(vtrn1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
    }
    static float32x4_t high(float32x4_t a, float32x4_t b) {
        return vreinterpretq_f32_f64(vtrn2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
    }
};

} // namespace puna
