// Selects parts of a row of logits (top k, a nucleus, the token at a quantile) in linear passes, without sorting the row.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "quantile_sketch.h"

namespace puna {

// The logits of an array that are in [low, high]. The array is a row, or a copy of some of its logits in the order of ids.
struct LogitRange {
    const float *logits;
    int64_t size;
    float peak; // the largest logit in the range
    float low, high;
    bool exact; // the array has no logit outside the range

    Weighting weighting(float inverse_temperature) const { return {peak, inverse_temperature, low, high}; }
    LogitRange within(float new_low, float new_high) const {
        return {logits, size, peak, std::max(low, new_low), std::min(high, new_high), exact && new_low <= low && new_high >= high};
    }
};

struct Candidate {
    float logit;
    int64_t before;     // equal logits with a lower id
    double probability; // among its range
};

// One thread's selector. Logits are ordered by their distance from a centre, then larger first, then lower id first.
// Only the two ranges copied last stay valid; ranges of the row itself always do.
class LogitSelector {
  public:
    LogitSelector(const LogitsKernel &kernel, int64_t n_vocab);
    // Begin with a row. Also sums its weights, unless the inverse temperature is negative, and on request their moment, which
    // `mean` needs. Returns false if a logit is NaN or none is finite.
    bool read(const float *row, float inverse_temperature, bool moment);
    float peak() const { return peak_; }
    // The sum that `read` made.
    double total_weight() const { return total_weight_; }
    double sum_weights(const LogitRange &range, float inverse_temperature);
    // The mean logit at temperature 1. `total` becomes the sum of weights.
    float mean(const LogitRange &range, double &total);

    LogitRange row() const { return {row_, n_, peak_, -MAX_FLOAT, INFINITE, false}; }
    // The k largest. `later_passes`: passes over the result that will follow, besides the draw.
    LogitRange top_k(int64_t k, int later_passes);
    // A copy of the logits in [low, high].
    LogitRange copy(const LogitRange &range, float low, float high);
    // Those in [low, high]: a copy if it makes the later passes cheaper, else a range of the same array.
    LogitRange narrow(const LogitRange &range, float low, float high, int later_passes);
    // Whether probably few logits are at least `low`.
    bool few_above(float low) const;
    // The logits nearest to `centre` whose weights at temperature 1 add up to `target`, at least one. `rest` is the weight beyond.
    LogitRange nearest(const LogitRange &range, float centre, const CumulativeWeight &target, const CumulativeWeight &rest);

    // The token at which the cumulative probability reaches `share`.
    Candidate quantile(const LogitRange &range, float centre, float inverse_temperature, double share);
    // The same in the order of ids, for a range of the row. `summed`: the range is the row, whose weights `read` has summed.
    int32_t quantile_by_id(const LogitRange &range, float inverse_temperature, double share, bool summed);
    int32_t argmax() const;
    int32_t token(const Candidate &candidate) const;

  private:
    LogitRange nearest(const LogitRange &range, float centre, const Weighting &weighting, const CumulativeWeight &target, DistanceRange bounds,
                       float end, int later_passes);
    // Whether copying the logits in [low, high] makes so many later passes cheaper. `cost`: of the copy, in passes over the range.
    bool copy_pays(const LogitRange &range, float low, float high, int later_passes, double cost);
    // Where a copy of the range goes.
    float *other_buffer(const LogitRange &range) { return range.logits == front_.data() ? back_.data() : front_.data(); }
    void erase_last(LogitRange &range, float logit);
    // A logit that at least this many block maxima reach, and few more.
    float reached_by_blocks(size_t blocks);
    // The candidate at which the cumulative weight reaches `target`, if that is within `bounds`. Otherwise the last of the range,
    // if `to_end` says that nothing is beyond the bounds. Candidates that tie with it and come later go to `ties_`. A candidate's
    // probability is valid only if the target is a share.
    // `copied`, unless null, becomes a copy of the range down to the far bound.
    std::optional<Candidate> find_crossing(const LogitRange &range, float centre, const Weighting &weighting, const CumulativeWeight &target,
                                           const DistanceRange &bounds, bool to_end, LogitRange *copied = nullptr);
    // The same among the logits of a band, with `before` as the weight nearer than it.
    std::optional<Candidate> crossing_in_band(const float *logits, int64_t size, const Weighting &weighting, const Band &band, double before,
                                              double target, bool to_end);
    // The band goes to `band_`.
    Partition partition(const LogitRange &range, const Weighting &weighting, const Band &band, float *kept);
    DistanceRange crossing_bounds(const LogitRange &range, float centre, const Weighting &weighting, const CumulativeWeight &rest, float end);
    QuantileSketch &sketch();

    const LogitsKernel &kernel_;
    const int64_t n_;
    const float *row_ = nullptr;
    float peak_ = 0;
    bool has_moment_ = false;
    double total_weight_ = 0, moment_ = 0;                                // sums of weights, and of weight * (x - peak) * inverse temperature
    std::vector<float> block_maxima_, partial_maxima_;                    // of each MAX_BLOCK
    std::vector<float> sum_block_maxima_, block_sums_, block_moments_;    // of each SUM_BLOCK
    std::vector<float> front_, back_;                                     // the two ranges copied last
    std::vector<float> band_, histogram_, bin_logits_, bin_weights_, ties_; // of `find_crossing`
    std::vector<float> top_;                                              // what the sketch knows exactly
    QuantileSketch sketch_;
    bool sketched_ = false; // for this row
};

} // namespace puna
