// Weights of logits: exponentials, a group of vectors at a time.
#pragma once

#include "lanes.h"
#include "logits.h"

namespace puna {
namespace {

constexpr float DEEPEST = 87; // e^-87 is among the least numbers that have all their bits

// 2^(i/8), less what i adds where exponents are.
struct Roots {
    float of[LANES];

    constexpr Roots() : of{} {
        constexpr uint32_t roots[] = {0x3f800000, 0x3f8b95c2, 0x3f9837f0, 0x3fa5fed7, 0x3fb504f3, 0x3fc5672a, 0x3fd744fd, 0x3feac0c7};
        for (uint32_t i = 0; i < LANES; i++) of[i] = __builtin_bit_cast(float, roots[i & 7] - ((i & 7) << 20));
    }
};
constexpr Roots ROOTS;

// What makes weights. e^y is 2^n * 2^(i/8) * 2^f with whole numbers n and i, and 2^f a polynomial, to the last bit or two.
struct Exponential {
    float peak, scale, low, high; // what is not from `low` to `high` weighs nothing
    float deepest;                // what is further below the peak weighs no less

    PUNA_INLINE explicit Exponential(const Weighing &how)
        : peak(how.peak), scale(how.sharpness * 1.44269504F), low(how.low), high(how.high), deepest(-DEEPEST / how.sharpness) {
        if (scale > -LEAST) scale = -LEAST;
        if (!(deepest > LEAST)) deepest = LEAST;
    }

    PUNA_INLINE void weights(const Group &v, Group &w) const {
        powers(v, w);
        abreast([&](auto i) __attribute__((always_inline)) { w[i] = where(between(v[i], low, high), w[i]); });
    }

    // The weights of those that weigh; almost nothing of what is far away.
    PUNA_INLINE void powers(const Group &v, Group &w) const {
        constexpr float magic = 1572864.0F; // 1.5 * 2^20: what is added to it is rounded to eighths
        Group down, shifted, f;
        abreast([&](auto i) __attribute__((always_inline)) { down[i] = greater(v[i] - peak, all(deepest)); });
        abreast([&](auto i) __attribute__((always_inline)) { shifted[i] = fused(down[i], all(scale), all(magic)); });
        abreast([&](auto i) __attribute__((always_inline)) { f[i] = fused(down[i], all(scale), magic - shifted[i]); });
        abreast([&](auto i) __attribute__((always_inline)) { w[i] = fused(f[i], all(5.5496222e-2F), all(2.4025763e-1F)); });
        abreast([&](auto i) __attribute__((always_inline)) { w[i] = fused(w[i], f[i], all(6.9314721e-1F)); });
        abreast([&](auto i) __attribute__((always_inline)) { w[i] = fused(w[i], f[i], all(1.0F)); });
        abreast([&](auto i) __attribute__((always_inline)) {
            // The low bits of `shifted` are i, those above n.
            const Bits bits = reinterpret_cast<Bits>(shifted[i]);
            w[i] *= reinterpret_cast<Numbers>(reinterpret_cast<Bits>(one_of(ROOTS.of, bits)) + (bits << 20));
        });
    }
};

} // namespace
} // namespace puna
