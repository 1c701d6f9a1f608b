// Estimates how a row's logits are distributed, from a histogram of a sample, so that exact passes know where to look.
#pragma once

#include <cstddef>
#include <vector>

#include "logits.h"

namespace puna {

// Distances from a centre that probably contain what is searched.
struct DistanceRange {
    float near, far;
};

// A cumulative weight: `weight` + `share` * the total.
struct CumulativeWeight {
    double weight, share;
};

// The sketch knows the largest logits exactly, because they weigh too much to be sampled. It keeps only counts for each distance
// from the peak. Its ranges hold with a confidence of three standard deviations.
class QuantileSketch {
  public:
    QuantileSketch(const LogitsKernel &kernel, int64_t n_vocab);
    // `top` holds the row's `count` logits that are at least `threshold`.
    void build(const float *row, float peak, const float *top, int64_t count, float threshold);
    // About how many logits are in [low, high].
    double count_between(float low, float high) const;
    // The distance of the k-th largest logit from the peak.
    DistanceRange rank_bounds(double k) const;
    // The distance from `centre` beyond which, up to `end`, the weights add up to `rest`.
    DistanceRange crossing_bounds(const Weighting &weighting, float centre, const CumulativeWeight &rest, float end);

  private:
    static constexpr size_t TOP_BINS = 64, BINS = TOP_BINS + Bins::count; // bins of the largest logits, then of the sample

    void fill(const float *x, int64_t n, size_t first_bin, size_t bins, float near, float width, double count_each);
    float width(size_t bin) const { return bin < TOP_BINS ? top_width_ : sample_width_; }

    const LogitsKernel &kernel_;
    const int64_t n_;
    float peak_ = 0, top_width_ = 0, sample_width_ = 0;
    double top_count_ = 0;
    std::vector<float> sample_, histogram_, weights_;
    std::vector<float> middles_;  // the logit in the middle of each bin
    std::vector<double> counts_; // estimated logits of the row in each bin
};

} // namespace puna
