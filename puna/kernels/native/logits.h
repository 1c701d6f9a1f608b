// Passes over a vocabulary's logits, from which tokens are drawn. Written with vectors of eight that every compiler
// makes of what the processor has. Sums are taken in an order that the numbers alone decide.
#pragma once

#include <cstdint>

namespace puna {

constexpr int64_t PEAK_BLOCK = 64; // logits of which the greatest is noted
constexpr int64_t SUM_BLOCK = 256; // logits whose weights are summed

// exp((x - peak) * sharpness) of all logits that are at least `low`, which is more than -inf; 0 of others.
struct Weighing {
    float peak, sharpness, low;
};

// Intervals of logits of the same width, from the peak down to `low`. What is below it weighs nothing, and is in one of the last.
struct Bins {
    static constexpr int count = 2048, all = count + 8;
    float peak, scale, low;
};

struct LogitsKernel {
    // The greatest of each block; false if one is not a number.
    bool (*peaks)(const float *x, int64_t n, float *peaks);
    void (*weigh)(const float *x, int64_t n, const Weighing &how, float *weights);
    // The weights' sum in each block.
    void (*sums)(const float *x, int64_t n, const Weighing &how, float *sums);
    // Places of logits that are at least `low`, in order. At most `room`; more than that if there are more.
    int64_t (*gather)(const float *x, int64_t n, const float *peaks, float low, int32_t *places, int64_t room);
    // Places of the logits in one bin, in order.
    int64_t (*members)(const float *x, int64_t n, const Bins &bins, int bin, int32_t *places);
    // Add each logit's weight to its bin, and, where `chances` is given, its exponential. Returns the
    // sum of all exponentials, of those below `low` too; 0 without `chances`.
    double (*spread)(const float *x, int64_t n, const Bins &bins, float sharpness, float *weights, float *chances);
};

} // namespace puna
