// A row's scores in a tile, and the weights that they become.
#pragma once

#include "attention_memory.h"
#include "powers.h"

namespace puna {

constexpr int WEIGHT_BITS = 23, LOW_BITS = 12;
// Scores in powers of two. What is below LEAST is as good as masked; WRONG stands for what is no number.
constexpr float LEAST = -1e6F, NOTHING = LEAST + 256, WRONG = 5e5F;

// Cap and mask scores in place. `most` and `most_brought` keep the largest ones of each lane: alone, and with values' exponents.
template <class I>
void mask_scores(float *scores, const float *exponent, const float *bias, float slope, float cap, float *most, float *most_brought) {
    const auto per_bias = I::broadcast(slope * static_cast<float>(LOG2_E));
    auto largest = I::loadf(most), brought = I::loadf(most_brought);
    for (int i = 0; i < TILE_KEYS; i += I::lanes) {
        auto x = I::loadf(scores + i);
        if (cap != 0) x = I::mul(I::broadcast(cap * static_cast<float>(LOG2_E)), tanh<I>(x));
        x = I::maxf(I::broadcast(LEAST), I::fma(I::loadf(bias + i), per_bias, I::minf(x, I::broadcast(WRONG))));
        I::storef(scores + i, x);
        largest = I::maxf(largest, x);
        brought = I::maxf(brought, I::addf(x, I::loadf(exponent + i)));
    }
    I::storef(most, largest);
    I::storef(most_brought, brought);
}

// y * 2^(whole - top + bits)
template <class I> PUNA_INLINE typename I::Float weight(typename I::Float y, typename I::Float whole, typename I::Float top, int bits) {
    return I::times_power(y, I::fma(I::broadcast(-1), top, I::addf(whole, I::broadcast(static_cast<float>(bits)))));
}

// The weight of one score.
template <class I> int64_t weight_of(float score, float top) {
    const auto x = I::broadcast(score), whole = I::round(x), y = power_of_part<I>(I::fma(I::broadcast(-1), whole, x));
    alignas(64) int32_t weights[I::lanes];
    I::store(weights, I::whole(weight<I>(y, whole, I::broadcast(top), WEIGHT_BITS)));
    return weights[0];
}

// Scores become weights: added to `totals`, and with the values' exponents in pairs of whole parts, the high ones first.
template <class I> void weigh(const float *scores, const float *exponent, float top, float top_brought, int64_t *totals, int32_t *weights) {
    const auto most = I::broadcast(top), most_brought = I::broadcast(top_brought);
    auto total = I::zero();
    for (int i = 0; i < TILE_KEYS; i += ATTENTION_WIDTH<I>) {
        typename I::Int parts[2][2];
        for (int half = 0; half < 2; half++) {
            const int from = i + I::lanes * half;
            const auto x = I::loadf(scores + from), whole = I::round(x), y = power_of_part<I>(I::fma(I::broadcast(-1), whole, x));
            total = I::add(total, I::whole(weight<I>(y, whole, most, WEIGHT_BITS)));
            const auto w = weight<I>(y, I::addf(whole, I::loadf(exponent + from)), most_brought, WEIGHT_BITS - LOW_BITS), high = I::round(w);
            parts[0][half] = I::whole(high);
            parts[1][half] = I::whole(I::mul(I::broadcast(1 << LOW_BITS), I::fma(I::broadcast(-1), high, w)));
        }
        for (int part = 0; part < 2; part++) I::store(weights + TILE_KEYS / 2 * part + i / 2, I::side_by_side(parts[part][0], parts[part][1]));
    }
    I::add_wide(totals, I::zero(), total);
}

} // namespace puna
