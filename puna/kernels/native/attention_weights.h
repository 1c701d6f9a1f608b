// The softmax of attention: a row's scores in one tile are masked, then become integer weights.
#pragma once

#include "attention_memory.h"
#include "powers.h"

namespace puna {

constexpr int WEIGHT_BITS = 23, LOW_BITS = 12; // of a weight, and of its low part
// Scores in log2 units are at least MASKED_SCORE. INVALID_SCORE marks NaN and infinity. With MIN_ROW_MAX, a masked score weighs 0.
constexpr float MASKED_SCORE = -1e6F, MIN_ROW_MAX = MASKED_SCORE + 256, INVALID_SCORE = 5e5F;

// Applies soft cap and mask in place, and updates the maxima of each lane (`AttentionState`). `bias`: null if the mask adds nothing.
template <class I>
void mask_scores(float *scores, const float *exponent, const float *bias, float slope, float cap, float *score_max, float *value_max) {
    const auto per_bias = I::broadcast(slope * static_cast<float>(LOG2_E));
    auto max = I::loadf(score_max), max_value = I::loadf(value_max);
    for (int i = 0; i < TILE_KEYS; i += I::lanes) {
        auto x = I::loadf(scores + i);
        if (cap != 0) x = I::mul(I::broadcast(cap * static_cast<float>(LOG2_E)), tanh<I>(x));
        x = I::minf(x, I::broadcast(INVALID_SCORE));
        if (bias) x = I::fma(I::loadf(bias + i), per_bias, x);
        x = I::maxf(I::broadcast(MASKED_SCORE), x);
        I::storef(scores + i, x);
        max = I::maxf(max, x);
        max_value = I::maxf(max_value, I::addf(x, I::loadf(exponent + i)));
    }
    I::storef(score_max, max);
    I::storef(value_max, max_value);
}

// 2^score = 2^integer * fraction. As a fixed-point weight: fraction * 2^(integer + shift).
template <class I> PUNA_INLINE typename I::Float weight(typename I::Float fraction, typename I::Float integer, typename I::Float shift) {
    return I::scalef(fraction, I::addf(integer, shift));
}

// The weight of one score.
template <class I> int64_t weight_of(float score, float row_max) {
    const auto x = I::broadcast(score), integer = I::round(x), fraction = exp2_fraction<I>(I::fma(I::broadcast(-1), integer, x));
    alignas(64) int32_t weights[I::lanes];
    I::store(weights, I::to_int(weight<I>(fraction, integer, I::broadcast(WEIGHT_BITS - row_max))));
    return weights[0];
}

// Turns a tile's scores into integer weights, and adds these to `weight_sums`. `weights` also get the values' exponents, and go
// out as 16-bit pairs for `madd16`: all high parts, then all low parts.
template <class I>
void softmax_weights(const float *scores, const float *exponent, float row_max, float row_value_max, int64_t *weight_sums, int32_t *weights) {
    const auto shift = I::broadcast(WEIGHT_BITS - row_max), value_shift = I::broadcast(WEIGHT_BITS - LOW_BITS - row_value_max);
    auto sum = I::zero();
    for (int i = 0; i < TILE_KEYS; i += ATTENTION_WIDTH<I>) {
        typename I::Int parts[2][2];
        for (int half = 0; half < 2; half++) {
            const int from = i + I::lanes * half;
            const auto x = I::loadf(scores + from), integer = I::round(x), fraction = exp2_fraction<I>(I::fma(I::broadcast(-1), integer, x));
            sum = I::add(sum, I::to_int(weight<I>(fraction, integer, shift)));
            const auto w = weight<I>(fraction, I::addf(integer, I::loadf(exponent + from)), value_shift), high = I::round(w);
            parts[0][half] = I::to_int(high);
            parts[1][half] = I::to_int(I::mul(I::broadcast(1 << LOW_BITS), I::fma(I::broadcast(-1), high, w)));
        }
        for (int part = 0; part < 2; part++)
            I::store(weights + TILE_KEYS / 2 * part + i / 2, I::interleave16(parts[part][0], parts[part][1]));
    }
    I::add_wide(weight_sums, I::zero(), sum);
}

} // namespace puna
