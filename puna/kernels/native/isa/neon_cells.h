// Eight numbers of a cell, in two vectors of NEON.
#pragma once

#include <arm_neon.h>

#include <algorithm>
#include <cstdint>

namespace puna {

template <int UNITS> struct NeonCells {
    static constexpr int count = 8;
    static constexpr int halves_at_once = 0; // turn_halves: none
    struct Numbers {
        float32x4_t low, high;
    };

    static Numbers zero() { return {vdupq_n_f32(0), vdupq_n_f32(0)}; }
    static void store(float *p, Numbers x) { vst1q_f32(p, x.low), vst1q_f32(p + 4, x.high); }
    static void prefetch(const void *p) { __builtin_prefetch(p); }
    static Numbers floats(const void *p) {
        const auto *x = static_cast<const float *>(p);
        return {vld1q_f32(x), vld1q_f32(x + 4)};
    }
    static Numbers halves(const void *p) {
        const float16x8_t x = vreinterpretq_f16_u16(vld1q_u16(static_cast<const uint16_t *>(p)));
        return {vcvt_f32_f16(vget_low_f16(x)), vcvt_high_f32_f16(x)};
    }
    static Numbers bfloats(const void *p) {
        const uint16x8_t x = vld1q_u16(static_cast<const uint16_t *>(p));
        return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(x), 16)), vreinterpretq_f32_u32(vshll_high_n_u16(x, 16))};
    }
    static Numbers signed_bytes(const void *p) { return whole(vld1_s8(static_cast<const int8_t *>(p))); }
    // Low or high nibbles of eight bytes, less 8.
    static Numbers nibbles(const void *p, bool high) {
        const uint8x8_t both = vld1_u8(static_cast<const uint8_t *>(p));
        const uint8x8_t q = high ? vshr_n_u8(both, 4) : vand_u8(both, vdup_n_u8(15));
        return whole(vsub_s8(vreinterpret_s8_u8(q), vdup_n_s8(8)));
    }
    // Times the float16 at `scale`.
    static Numbers scaled(Numbers x, const void *scale) {
        const float32x4_t d = vcvt_f32_f16(vreinterpret_f16_u16(vld1_dup_u16(static_cast<const uint16_t *>(scale))));
        return {vmulq_f32(d, x.low), vmulq_f32(d, x.high)};
    }

    // The largest magnitude of some float16, as its bits.
    static uint16_t largest_half(const uint16_t *x, int size) {
        uint16_t most = 0;
        for (int i = 0; i < size; i++) most = std::max<uint16_t>(most, x[i] & 0x7fff);
        return most;
    }
    // Magnitudes as their bits, which are in the order of the numbers; what is no number is the largest.
    static int32x4_t no_magnitude() { return vdupq_n_s32(0); }
    static int32x4_t magnitude(int32x4_t most, Numbers x) {
        const int32x4_t low = vreinterpretq_s32_f32(vabsq_f32(x.low)), high = vreinterpretq_s32_f32(vabsq_f32(x.high));
        return vmaxq_s32(most, vmaxq_s32(low, high));
    }
    static int32_t largest(int32x4_t x) { return vmaxvq_s32(x); }
    struct Whole {
        int32x4_t low, high;
    };
    static Whole whole(Numbers x, float scale) { return {vcvtnq_s32_f32(vmulq_n_f32(x.low, scale)), vcvtnq_s32_f32(vmulq_n_f32(x.high, scale))}; }
    // The low 16 bits of each lane of `even`, and above them those of `odd`.
    static void store_pairs(int32_t *p, Whole even, Whole odd) {
        vst1q_s32(p, vsliq_n_s32(even.low, odd.low, 16)), vst1q_s32(p + 4, vsliq_n_s32(even.high, odd.high, 16));
    }

    static void transpose(Numbers (&x)[8]) {
        float32x4_t corners[2][2][4];
        for (int i = 0; i < 8; i++) corners[i / 4][0][i % 4] = x[i].low, corners[i / 4][1][i % 4] = x[i].high;
        for (auto &half : corners)
            for (auto &corner : half) transpose4(corner);
        for (int i = 0; i < 8; i++) x[i] = {corners[0][i / 4][i % 4], corners[1][i / 4][i % 4]};
    }

  private:
    static Numbers whole(int8x8_t x) {
        const int16x8_t wide = vmovl_s8(x);
        return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), vcvtq_f32_s32(vmovl_high_s16(wide))};
    }
    static void transpose4(float32x4_t (&x)[4]) {
        const float32x4_t a = vtrn1q_f32(x[0], x[1]), b = vtrn2q_f32(x[0], x[1]), c = vtrn1q_f32(x[2], x[3]), d = vtrn2q_f32(x[2], x[3]);
        x[0] = low(a, c), x[1] = low(b, d), x[2] = high(a, c), x[3] = high(b, d);
    }
    static float32x4_t low(float32x4_t a, float32x4_t b) { return vreinterpretq_f32_f64(vtrn1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))); }
    static float32x4_t high(float32x4_t a, float32x4_t b) { return vreinterpretq_f32_f64(vtrn2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))); }
};

} // namespace puna
