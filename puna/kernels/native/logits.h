// The interface of the logit kernels: passes over a row of logits that sampling is built from.
//
// A logit's weight is its unnormalised softmax probability. Sums add in a fixed order, so every variant returns the same bits.
#pragma once

#include <cstdint>

namespace puna {

constexpr float INFINITE = __builtin_inff(), MAX_FLOAT = __FLT_MAX__;
constexpr int64_t MAX_BLOCK = 64;   // logits per block maximum
constexpr int64_t SUM_BLOCK = 1024; // logits per block sum
constexpr int64_t PADDING = 16;     // floats that compress stores may write past their last result

// weight(x) = exp((x - peak) * inverse_temperature) for low <= x <= high, else 0. `low` is finite.
struct Weighting {
    float peak, inverse_temperature, low, high;
};

// Logits whose distance from `centre` is in [near, far].
struct Band {
    float centre, near, far;
};

struct Partition {
    double nearer, total; // weight nearer than the band, and of all logits
    int64_t count;        // logits in the band
    int64_t kept;         // logits down to the band's far end, if they were copied
};

// A histogram over the distance from `centre`: bin = (distance - near) * scale. Greater distances go to the overflow bins.
struct Bins {
    static constexpr int count = 512, overflow = 8, all = count + overflow;
    float centre, near, scale;
};

// Structs go by value, so that they stay in registers. Outputs of filters keep the order of ids.
struct LogitsKernel {
    // The maximum of each MAX_BLOCK, and of the row; NaN if any logit is NaN.
    float (*block_max)(const float *x, int64_t n, float *block_maxima);
    // block_max and softmax sums in one pass over memory. For each SUM_BLOCK: its maximum, the sum of its weights relative to
    // that maximum and, unless `moments` is null, the sum of weight * (x - maximum) * inverse_temperature.
    float (*softmax_stats)(const float *x, int64_t n, float inverse_temperature, float *block_maxima, float *maxima, float *sums, float *moments);
    void (*exponentiate)(const float *x, int64_t n, Weighting weighting, float *weights);
    // The sum of weights in each SUM_BLOCK.
    void (*block_sums)(const float *x, int64_t n, Weighting weighting, float *sums);
    // The sum of weights, and of weight * (x - peak) * inverse_temperature.
    void (*moments)(const float *x, int64_t n, Weighting weighting, double &sum, double &moment);
    // The largest logit that is at most `high`.
    float (*max_up_to)(const float *x, int64_t n, float high);
    // Logits in [low, high]. `found` may be `x`. Block maxima, if given, let it skip blocks.
    int64_t (*filter)(const float *x, int64_t n, const float *block_maxima, float low, float high, float *found);
    // Logits in the band, and sums of weights. If the centre is the peak, `kept` may take a copy of the logits down to the band's
    // far end, nearer ones included.
    Partition (*partition)(const float *x, int64_t n, const float *block_maxima, Weighting weighting, Band band, float *found, float *kept);
    // The same with every weight 1: logits in [low, high], and how many are above `high`.
    Partition (*partition_by_count)(const float *x, int64_t n, float high, float low, float *found, float *kept);
    // The finite logits of one bin.
    int64_t (*filter_bin)(const float *x, int64_t n, Bins bins, int bin, float *found);
    // The index of the logit equal to `value` with `before` equal ones ahead of it; -1 if there is none.
    int64_t (*find)(const float *x, int64_t n, const float *block_maxima, float value, int64_t before);
    // Add each logit's weight to its bin.
    void (*histogram)(const float *x, int64_t n, Bins bins, Weighting weighting, float *bin_weights);
};

} // namespace puna
