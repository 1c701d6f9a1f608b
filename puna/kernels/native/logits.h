// Passes over a vocabulary's logits, from which tokens are drawn. Written with vectors that every compiler makes of what the
// processor has. Sums are taken in an order that the numbers alone decide.
#pragma once

#include <cstdint>

namespace puna {

constexpr int64_t PEAK_BLOCK = 64; // logits of which the greatest is noted
constexpr int64_t SUM_BLOCK = 1024; // logits whose weights are summed
constexpr int64_t SPARE = 16;      // numbers that passes may write behind what they found

// exp((x - peak) * sharpness) of all logits from `low`, which is more than -inf, to `high`; 0 of others.
struct Weighing {
    float peak, sharpness, low, high;
};

// Distances from a centre.
struct Ring {
    float centre, near, far;
};

struct Divided {
    double nearer, all; // what is nearer than a ring weighs, and what all weigh
    int64_t count;      // of those in it
};

// Intervals of distances from a centre, of the same width, from `near` on. What is further than all is in one of the last.
struct Bins {
    static constexpr int count = 512, all = count + 8;
    float centre, near, scale;
};

// What says how is given by value, so that it stays in registers.
struct LogitsKernel {
    // The greatest of each block, and of all; what is not a number if one is not.
    float (*peaks)(const float *x, int64_t n, float *peaks);
    // That, and for each block of sums its greatest, and the sum of exp((x - that) * sharpness); and the sum of
    // that times (x - that) * sharpness, where `products` are asked for. Memory is waited for once.
    float (*survey)(const float *x, int64_t n, float sharpness, float *peaks, float *tops, float *sums, float *products);
    void (*weigh)(const float *x, int64_t n, Weighing how, float *weights);
    // The weights' sum in each block.
    void (*sums)(const float *x, int64_t n, Weighing how, float *sums);
    // The weights' sum, and that of weights times (x - peak) * sharpness.
    void (*moments)(const float *x, int64_t n, Weighing how, double &sum, double &weighted);
    // The greatest that is not above `high`.
    float (*greatest)(const float *x, int64_t n, float high);
    // Logits from `low` to `high`, in order. They may be written over what they are read from. With `peaks`, blocks are left
    // out by them.
    int64_t (*gather)(const float *x, int64_t n, const float *peaks, float low, float high, float *found);
    // The logits in a ring, in order, and sums of weights. Around a centre that is not the peak all are passed over, else those
    // that weigh.
    Divided (*divide)(const float *x, int64_t n, const float *peaks, Weighing how, Ring ring, float *found);
    // Those that are at most `first` and at least `last`, in order; and how many are above them.
    Divided (*rank)(const float *x, int64_t n, float first, float last, float *found);
    // The logits in one bin, in order.
    int64_t (*members)(const float *x, int64_t n, Bins bins, int bin, float *found);
    // Where a logit is that is there, and has been there so often before.
    int64_t (*place)(const float *x, int64_t n, const float *peaks, float value, int64_t before);
    // Add each logit's weight to its bin.
    void (*spread)(const float *x, int64_t n, Bins bins, Weighing how, float *weights);
};

} // namespace puna
