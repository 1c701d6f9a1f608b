// Vectorised exp: the weights of logits, a quad of vectors at a time.
#pragma once

#include "lanes.h"
#include "logits.h"

namespace puna {
namespace {

constexpr float MAX_EXPONENT = 87; // e^-87 is about the least normal float

// 2^(i/8) as bits, minus what i adds to the exponent field when `Exponential` shifts n and i there.
struct Exp2Table {
    float entries[LANES];

    constexpr Exp2Table() : entries{} {
        constexpr uint32_t powers[] = {0x3f800000, 0x3f8b95c2, 0x3f9837f0, 0x3fa5fed7, 0x3fb504f3, 0x3fc5672a, 0x3fd744fd, 0x3feac0c7};
        for (uint32_t i = 0; i < LANES; i++) entries[i] = __builtin_bit_cast(float, powers[i & 7] - ((i & 7) << 20));
    }
};
constexpr Exp2Table EXP2;

// Computes weights. e^y = 2^n * 2^(i/8) * 2^f: n goes to the exponent field, 2^(i/8) comes from a table and 2^f from a cubic
// polynomial. The error is one or two ulp.
struct Exponential {
    float peak, scale, low, high;
    float clamp; // x - peak is raised to this, where the weight is e^-87

    PUNA_INLINE explicit Exponential(const Weighting &w)
        : peak(w.peak), scale(w.inverse_temperature * 1.44269504F), low(w.low), high(w.high), clamp(-MAX_EXPONENT / w.inverse_temperature) {
        if (scale > MAX_FLOAT) scale = MAX_FLOAT;
        if (!(clamp > -MAX_FLOAT)) clamp = -MAX_FLOAT;
    }

    PUNA_INLINE void weights(const Quad &v, Quad &w) const {
        unmasked(v, w);
        for_quad([&](auto i) __attribute__((always_inline)) { w[i] = select_or_zero(in_range(v[i], low, high), w[i]); });
    }

    // Weights of logits up to the peak, whatever `low` and `high` are. -inf weighs e^-87.
    PUNA_INLINE void unmasked(const Quad &v, Quad &w) const {
        constexpr float magic = 1572864.0F; // 1.5 * 2^20: adding it rounds to eighths
        Quad distance, shifted, f;
        for_quad([&](auto i) __attribute__((always_inline)) { distance[i] = max(v[i] - peak, broadcast(clamp)); });
        for_quad([&](auto i) __attribute__((always_inline)) { shifted[i] = multiply_add(distance[i], broadcast(scale), broadcast(magic)); });
        for_quad([&](auto i) __attribute__((always_inline)) { f[i] = multiply_add(distance[i], broadcast(scale), magic - shifted[i]); });
        for_quad([&](auto i) __attribute__((always_inline)) { w[i] = multiply_add(f[i], broadcast(5.5496222e-2F), broadcast(2.4025763e-1F)); });
        for_quad([&](auto i) __attribute__((always_inline)) { w[i] = multiply_add(w[i], f[i], broadcast(6.9314721e-1F)); });
        for_quad([&](auto i) __attribute__((always_inline)) { w[i] = multiply_add(w[i], f[i], broadcast(1.0F)); });
        for_quad([&](auto i) __attribute__((always_inline)) {
            // The low 3 bits of `shifted` are i, those above are n.
            const UintVec bits = reinterpret_cast<UintVec>(shifted[i]);
            w[i] *= reinterpret_cast<FloatVec>(reinterpret_cast<UintVec>(lookup(EXP2.entries, bits)) + (bits << 20));
        });
    }
};

} // namespace
} // namespace puna
