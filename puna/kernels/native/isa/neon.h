// NEON, a vector is 4 columns: as on every 64-bit ARM processor, with SDOT (dot products), or with SMMLA (matrix products).
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "../ggml.h"
#include "neon_cells.h"

namespace puna {

// UNITS makes distinct types for different processors. Otherwise the linker would merge their functions.
template <int UNITS> struct NeonVectors {
    using Cells = NeonCells<UNITS>;
    static constexpr int lanes = 4;
    static constexpr int tile_rows = 4, tile_panels = 1; // of a product's tile
    static constexpr bool decodes_in_registers = false; // few rows decode into registers, not into L1
    static constexpr bool has_mmla = false; // whether a product is of two rows by two columns, 8 k each
    static constexpr int score_rows = 8, value_rows = 2; // of attention's tiles, two vectors wide
    static constexpr int float_accumulators = 24; // plus weights and an activation: 32 registers
    static constexpr bool pays(Type) { return true; }
    using Int = int32x4_t;
    using Float = float32x4_t;

    static Int load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(static_cast<const uint8_t *>(p))); }
    static void store(void *p, Int x) { vst1q_u8(static_cast<uint8_t *>(p), vreinterpretq_u8_s32(x)); }
    // Forces x into a register now.
    static void pin_register(Int &x) { asm("" : "+w"(x)); }
    static Int broadcast4(const void *p) { return vld1q_dup_s32(static_cast<const int32_t *>(p)); }
    static Int broadcast_byte(int x) { return vreinterpretq_s32_u8(vdupq_n_u8(static_cast<uint8_t>(x))); }
    static Int bit_and(Int a, Int b) { return vandq_s32(a, b); }
    static Int bit_or(Int a, Int b) { return vorrq_s32(a, b); }
    static Int add(Int a, Int b) { return vaddq_s32(a, b); }
    static Int zero() { return vdupq_n_s32(0); }
    static Int flip_sign_bits(Int x) { return veorq_s32(x, broadcast_byte(0x80)); }
    // The low 16 bits of each lane: `even` in the low half, `odd` in the high half.
    static Int interleave16(Int even, Int odd) { return vsliq_n_s32(even, odd, 16); }
    // Shift 16-bit lanes right, or left if N < 0.
    template <int N> static Int shift(Int x) {
        if constexpr (N > 0) return vreinterpretq_s32_u16(vshrq_n_u16(vreinterpretq_u16_s32(x), N));
        if constexpr (N < 0) return vreinterpretq_s32_u16(vshlq_n_u16(vreinterpretq_u16_s32(x), -N));
        return x;
    }
    static Int lookup(const void *table16, Int index) {
        return vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(static_cast<const uint8_t *>(table16)), vreinterpretq_u8_s32(index)));
    }
    // sum + the dot product of each lane's two 16-bit integers.
    static Int madd16(Int sum, Int a, Int b) {
        const int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
        return add(sum, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
    }

    static Float loadf(const float *p) { return vld1q_f32(p); }
    static void storef(float *p, Float x) { vst1q_f32(p, x); }
    static Float broadcast(float x) { return vdupq_n_f32(x); }
    static Float to_float(Int x) { return vcvtq_f32_s32(x); }
    static Float zerof() { return vdupq_n_f32(0); }
    static Float addf(Float a, Float b) { return vaddq_f32(a, b); }
    static Float mul(Float a, Float b) { return vmulq_f32(a, b); }
    static Float fma(Float a, Float b, Float c) { return vfmaq_f32(c, a, b); }
    static Float fnma(Float a, Float b, Float c) { return vfmsq_f32(c, a, b); }
    // NaN if either is NaN.
    static Float maxf(Float a, Float b) { return vmaxq_f32(a, b); }
    static Float minf(Float a, Float b) { return vminnmq_f32(a, b); } // b if a is NaN
    static Int to_int(Float x) { return vcvtnq_s32_f32(x); }
    // sums[i] += high[i] * 2^12 + low[i].
    static void add_wide(int64_t *sums, Int high, Int low) {
        const auto add2 = [](int64_t *at, int32x2_t h, int32x2_t l) {
            vst1q_s64(at, vaddq_s64(vld1q_s64(at), vaddq_s64(vshll_n_s32(h, 12), vmovl_s32(l))));
        };
        add2(sums, vget_low_s32(high), vget_low_s32(low));
        add2(sums + 2, vget_high_s32(high), vget_high_s32(low));
    }
    static Float div(Float a, Float b) { return vdivq_f32(a, b); }
    static Float round(Float x) { return vrndnq_f32(x); }
    // 2^n for integer n in [-127, 127]; -127 gives zero.
    static Float power(Float n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23)); }
    static Float scalef(Float x, Float n) { return mul(x, power(maxf(broadcast(-127), n))); }
    static float reduce_max(Float x) { return vmaxvq_f32(x); }
    static Float load_f16(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(static_cast<const uint16_t *>(p)))); }
    static Float load_bf16(const void *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(static_cast<const uint16_t *>(p)), 16)); }
    // Bytes, widened to 32-bit lanes.
    static Int load_i8(const void *p) { return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(four(p))))); }
    static Int load_u8(const void *p) { return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_s32(four(p)))))); }
    // 2^(e - 128) of bytes e: half of E8M0, MXFP4's scale. The two smallest are subnormal.
    static Float load_e8m0_half(const void *p) {
        const Int e = load_u8(p);
        const Int normal = vshlq_n_s32(vsubq_s32(e, vdupq_n_s32(1)), 23);
        const Int small = vshlq_s32(vdupq_n_s32(0x00200000), e);
        return vreinterpretq_f32_s32(vbslq_s32(vcltq_s32(e, vdupq_n_s32(2)), small, normal));
    }

    // The largest magnitude of 32 floats.
    static float max_abs32(const float *x) {
        Float most = vabsq_f32(loadf(x));
        for (int i = lanes; i < 32; i += lanes) most = vmaxq_f32(most, vabsq_f32(loadf(x + i)));
        return reduce_max(most);
    }
    // q = 32 floats times `scale`, rounded to bytes. `sums` are those of the two halves.
    static void quantise32(const float *x, float scale, int8_t *q, int32_t sums[2]) {
        for (int half = 0; half < 2; half++) {
            Int i[4];
            for (int j = 0; j < 4; j++) i[j] = vcvtnq_s32_f32(vmulq_n_f32(loadf(x + 16 * half + 4 * j), scale));
            sums[half] = vaddvq_s32(vaddq_s32(vaddq_s32(i[0], i[1]), vaddq_s32(i[2], i[3])));
            const int16x8_t low = vqmovn_high_s32(vqmovn_s32(i[0]), i[1]), high = vqmovn_high_s32(vqmovn_s32(i[2]), i[3]);
            vst1q_s8(q + 16 * half, vqmovn_high_s16(vqmovn_s16(low), high));
        }
    }

  private:
    static int32x2_t four(const void *p) { return vld1_dup_s32(static_cast<const int32_t *>(p)); }
};

// Without dot products: products of bytes, summed in 16 bits.
struct Neon : NeonVectors<0> {
    // Weights of up to six bits times activations: 4 k per lane and step.
    struct NarrowDot : CompiledLoop {
        static constexpr int steps = 8;
        // Steps whose sum fits in 16 bits, for weights up to `top` and activations up to 127.
        static constexpr int max_steps(int top) {
            const int most = 32767 / (2 * 127 * top);
            return most >= 8 ? 8 : most >= 4 ? 4 : most >= 2 ? 2 : 1;
        }
        static Int product(Int w, Int a) {
            const int8x16_t x = vreinterpretq_s8_s32(w), y = vreinterpretq_s8_s32(a);
            return vreinterpretq_s32_s16(vpaddq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)), vmull_high_s8(x, y)));
        }
        static Int accumulate(Int sum, Int w, Int a) { return add_start(sum, product(w, a)); }
        static Int add_start(Int sum, Int from) { return vreinterpretq_s32_u16(vaddq_u16(vreinterpretq_u16_s32(sum), vreinterpretq_u16_s32(from))); }
        static Int widen(Int sum) { return vpaddlq_s16(vreinterpretq_s16_s32(sum)); }
        // A scale per column, in the form for `widen_scaled`.
        static Int pack_scale(Int x) { return x; }
        static Int widen_scaled(Int sum, Int scale) { return vmulq_s32(widen(sum), scale); }
    };

    // Signed 8-bit weights. A pair of products fits in 16 bits, a sum of two pairs does not.
    struct WideDot : CompiledLoop {
        static constexpr int steps = 8;
        static constexpr int bias = 0; // added to signed weights
        static constexpr int max_steps(int) { return steps; }
        static Int product(Int w, Int a) { return NarrowDot::widen(NarrowDot::product(w, a)); }
        static Int accumulate(Int sum, Int w, Int a) { return vpadalq_s16(sum, vreinterpretq_s16_s32(NarrowDot::product(w, a))); }
        static Int widen(Int sum) { return sum; }
    };
};

#ifdef __ARM_FEATURE_DOTPROD
// SDOT adds four products of bytes to 32 bits.
struct NeonDot : NeonVectors<1> {
    struct NarrowDot : CompiledLoop {
        static constexpr int steps = 8;
        static constexpr int bias = 0;
        static constexpr int max_steps(int) { return steps; }
        static Int product(Int w, Int a) { return accumulate(zero(), w, a); }
        static Int accumulate(Int sum, Int w, Int a) { return vdotq_s32(sum, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(a)); }
        static Int widen(Int sum) { return sum; }
        static Int pack_scale(Int x) { return x; }
        static Int widen_scaled(Int sum, Int scale) { return vmulq_s32(sum, scale); }
    };
    struct WideDot : NarrowDot {};
};
#endif

#ifdef __ARM_FEATURE_MATMUL_INT8
// SMMLA multiplies two rows of 8 bytes by two columns, and adds to four 32-bit sums.
struct NeonMatrix : NeonVectors<2> {
    static constexpr bool has_mmla = true;
    // 16 k of two rows: in each vector, 8 of both.
    static void interleave_rows(const void *a, const void *b, Int (&x)[2]) {
        const Int first = load(a), second = load(b);
        x[0] = zip_low64(first, second), x[1] = zip_high64(first, second);
    }
    static Int mmla(Int sum, Int rows, Int columns) { return vmmlaq_s32(sum, vreinterpretq_s8_s32(rows), vreinterpretq_s8_s32(columns)); }
    static Int zip_low64(Int a, Int b) { return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b))); }
    static Int zip_high64(Int a, Int b) { return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b))); }
    // Stores lanes of both alternately.
    static void store_interleaved(void *p, Int even, Int odd) {
        const int32x4x2_t both{{even, odd}}; // a variable, because the intrinsic is a macro in Clang
        vst2q_s32(static_cast<int32_t *>(p), both);
    }

    struct NarrowDot : CompiledLoop {
        static constexpr int steps = 8;
        static constexpr int bias = 0;
        static constexpr int max_steps(int) { return steps; }
        static Int widen(Int sum) { return sum; }
        static Int pack_scale(Int x) { return x; }
        static Int widen_scaled(Int sum, Int scale) { return vmulq_s32(sum, scale); }
    };
    struct WideDot : NarrowDot {};
};
#endif

} // namespace puna
