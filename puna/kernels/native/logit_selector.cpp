#include "logit_selector.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>

namespace puna {
namespace {

constexpr size_t TOP_BLOCKS = 128;   // logits that this many block maxima reach are not sampled
constexpr size_t PROBES = 64;        // block maxima that tell their range
constexpr float ROUNDING = 1e-6F;    // relative
constexpr int64_t LARGE = 8192;      // logits for which a sketch pays
constexpr double COPY_COST = 0.5, PARTITION_COPY_COST = 0.3; // of a copy, alone and beside a partition, in passes
constexpr float NEGLIGIBLE = 30;     // e^-30 times any vocabulary is nothing beside 1

// Where a running sum of weights crosses a target.
struct Crossing {
    size_t index = 0;  // the first at which the sum reaches the target; else the last with a weight
    double before = 0; // the sum before it
    bool reached = false;
};

Crossing prefix_crossing(const float *weights, size_t size, double target, double sum) {
    Crossing at;
    for (size_t i = 0; i < size && !at.reached; i++) {
        if (weights[i] <= 0) continue;
        at.index = i, at.before = sum;
        sum += static_cast<double>(weights[i]);
        at.reached = sum >= target;
    }
    return at;
}

// The last float between `centre` and `end` whose distance from `centre`, as rounded, is at most `distance`.
float furthest_within(float centre, float distance, float end) {
    // Bisect over bit patterns, which order floats of one sign: many floats may have the same rounded distance.
    const auto from_ordinal = [](int64_t ordinal) {
        const auto bits = static_cast<uint32_t>(std::abs(ordinal));
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return ordinal < 0 ? -value : value;
    };
    const auto to_ordinal = [](float value) {
        const float size = std::abs(value);
        uint32_t bits;
        std::memcpy(&bits, &size, sizeof bits);
        return value < 0 ? -static_cast<int64_t>(bits) : static_cast<int64_t>(bits);
    };
    int64_t inside = to_ordinal(centre), outside = to_ordinal(end);
    while (std::abs(outside - inside) > 1) {
        const int64_t middle = inside + (outside - inside) / 2;
        (std::abs(from_ordinal(middle) - centre) <= distance ? inside : outside) = middle;
    }
    return from_ordinal(inside);
}

} // namespace

LogitSelector::LogitSelector(const LogitsKernel &kernel, int64_t n_vocab)
    : kernel_(kernel), n_(n_vocab), block_maxima_(static_cast<size_t>((n_vocab + MAX_BLOCK - 1) / MAX_BLOCK)),
      sum_block_maxima_(static_cast<size_t>((n_vocab + SUM_BLOCK - 1) / SUM_BLOCK)), block_sums_(sum_block_maxima_.size()),
      block_moments_(sum_block_maxima_.size()), front_(static_cast<size_t>(n_vocab + PADDING)), back_(front_.size()), band_(front_.size()),
      histogram_(Bins::all), bin_logits_(front_.size()), bin_weights_(front_.size()), top_(front_.size()), sketch_(kernel, n_vocab) {}

bool LogitSelector::read(const float *row, float inverse_temperature, bool moment) {
    row_ = row;
    sketched_ = false;
    has_moment_ = moment && inverse_temperature >= 0;
    if (inverse_temperature < 0) {
        peak_ = kernel_.block_max(row, n_, block_maxima_.data());
        return std::isfinite(peak_);
    }
    peak_ = kernel_.softmax_stats(row, n_, inverse_temperature, block_maxima_.data(), sum_block_maxima_.data(), block_sums_.data(),
                                  moment ? block_moments_.data() : nullptr);
    total_weight_ = moment_ = 0;
    for (size_t i = 0; i < block_sums_.size(); i++) {
        // Rescale from the block's maximum to the peak.
        const float exponent = sum_block_maxima_[i] > -INFINITE ? (sum_block_maxima_[i] - peak_) * inverse_temperature : 0,
                    factor = std::exp(exponent);
        block_sums_[i] *= factor;
        total_weight_ += static_cast<double>(block_sums_[i]);
        if (moment) moment_ += static_cast<double>(block_moments_[i] * factor) + static_cast<double>(exponent) * static_cast<double>(block_sums_[i]);
    }
    return std::isfinite(peak_);
}

double LogitSelector::sum_weights(const LogitRange &range, float inverse_temperature) {
    kernel_.block_sums(range.logits, range.size, range.weighting(inverse_temperature), block_sums_.data());
    double sum = 0;
    for (int64_t i = 0; SUM_BLOCK * i < range.size; i++) sum += static_cast<double>(block_sums_[static_cast<size_t>(i)]);
    return sum;
}

float LogitSelector::mean(const LogitRange &range, double &total) {
    double moment = moment_;
    total = total_weight_;
    const bool known = has_moment_ && range.logits == row_ && range.low <= -MAX_FLOAT;
    if (!known) kernel_.moments(range.logits, range.size, range.weighting(1), total, moment);
    return static_cast<float>(static_cast<double>(range.peak) + moment / total);
}

int32_t LogitSelector::argmax() const {
    const auto block = std::find(block_maxima_.begin(), block_maxima_.end(), peak_) - block_maxima_.begin();
    return static_cast<int32_t>(std::find(row_ + MAX_BLOCK * block, row_ + n_, peak_) - row_);
}

int32_t LogitSelector::token(const Candidate &candidate) const {
    return static_cast<int32_t>(kernel_.find(row_, n_, block_maxima_.data(), candidate.logit, candidate.before));
}

int32_t LogitSelector::quantile_by_id(const LogitRange &range, float inverse_temperature, double share, bool summed) {
    const Weighting weighting = range.weighting(inverse_temperature);
    const double target = share * (summed ? total_weight_ : sum_weights(range, inverse_temperature));
    const Crossing block = prefix_crossing(block_sums_.data(), block_sums_.size(), target, 0);
    const int64_t first = SUM_BLOCK * static_cast<int64_t>(block.index), size = std::min(SUM_BLOCK, n_ - first);
    float weights[SUM_BLOCK];
    kernel_.exponentiate(row_ + first, size, weighting, weights);
    return static_cast<int32_t>(first) + static_cast<int32_t>(prefix_crossing(weights, static_cast<size_t>(size), target, block.before).index);
}

Candidate LogitSelector::quantile(const LogitRange &range, float centre, float inverse_temperature, double share) {
    const float low = std::max(range.low, range.peak - NEGLIGIBLE / inverse_temperature);
    const float end = std::max({std::abs(range.peak - centre), centre - low, ROUNDING});
    const LogitRange some = narrow(range, low, range.high, 1);
    const Weighting weighting = some.weighting(inverse_temperature);
    const DistanceRange bounds = crossing_bounds(some, centre, weighting, {0, 1 - share}, end);
    std::optional<Candidate> found = find_crossing(some, centre, weighting, {0, share}, bounds, bounds.far >= end);
    if (!found) found = find_crossing(some, centre, weighting, {0, share}, {0, end}, true);
    return found.value_or(Candidate{});
}

LogitRange LogitSelector::top_k(int64_t k, int later_passes) {
    const Weighting count{peak_, 0, -MAX_FLOAT, INFINITE}; // every weight is 1
    const CumulativeWeight target{static_cast<double>(k), 0};
    if (k <= static_cast<int64_t>(block_maxima_.size())) {
        const float low = reached_by_blocks(static_cast<size_t>(k));
        LogitRange range = copy(row(), low, INFINITE);
        if (range.size < k && low > -MAX_FLOAT) range = copy(row(), -MAX_FLOAT, INFINITE);
        return range.size <= k ? range : nearest(range, peak_, count, target, {0, INFINITE}, INFINITE, later_passes);
    }
    if (k >= n_) return row();
    const DistanceRange bounds = n_ > LARGE ? sketch().rank_bounds(static_cast<double>(k)) : DistanceRange{0, INFINITE};
    return nearest(row(), peak_, count, target, bounds, INFINITE, later_passes);
}

float LogitSelector::reached_by_blocks(size_t blocks) {
    // Maxima are logits, too: at least `blocks` logits reach the result.
    float range = 0;
    for (size_t i = 0; i < PROBES; i++) {
        const float away = peak_ - block_maxima_[i * block_maxima_.size() / PROBES];
        if (away < INFINITE) range = std::max(range, away);
    }
    if (range > 0) {
        const float scale = Bins::count / range;
        std::fill(histogram_.begin(), histogram_.end(), 0.0F);
        kernel_.histogram(block_maxima_.data(), static_cast<int64_t>(block_maxima_.size()), {peak_, 0, scale}, {peak_, 0, -MAX_FLOAT, INFINITE},
                          histogram_.data());
        const Crossing bin = prefix_crossing(histogram_.data(), Bins::count, static_cast<double>(blocks), 0);
        if (bin.reached) return peak_ - static_cast<float>(bin.index + 1) / scale - ROUNDING * std::abs(peak_);
    }
    partial_maxima_ = block_maxima_;
    const auto last = partial_maxima_.begin() + static_cast<long>(blocks) - 1;
    std::nth_element(partial_maxima_.begin(), last, partial_maxima_.end(), std::greater<>());
    return std::max(*last, -MAX_FLOAT);
}

LogitRange LogitSelector::nearest(const LogitRange &range, float centre, const CumulativeWeight &target, const CumulativeWeight &rest) {
    // An upper limit of the crossing's distance: all n logits below peak + log(rest / n) together weigh less than `rest`.
    // A share counts as a weight here, because the total is at least 1, the weight of the peak.
    double end = static_cast<double>(INFINITE);
    if (const double left = rest.weight + rest.share; left > 0) {
        const double low = static_cast<double>(range.peak) + std::log(left / static_cast<double>(n_)) - 1e-3;
        end = std::max(static_cast<double>(centre) - low, 1e-3 + static_cast<double>(range.peak - centre));
    }
    const Weighting weighting = range.weighting(1);
    const DistanceRange bounds = crossing_bounds(range, centre, weighting, rest, static_cast<float>(end));
    return nearest(range, centre, weighting, target, bounds, static_cast<float>(end), 0);
}

LogitRange LogitSelector::nearest(const LogitRange &range, float centre, const Weighting &weighting, const CumulativeWeight &target,
                                  DistanceRange bounds, float end, int later_passes) {
    const bool two_sided = centre < range.peak;
    const auto lowest = [&](float away) { return std::max(range.low, furthest_within(centre, away, -INFINITE)); };
    const auto highest = [&](float away) { return two_sided ? std::min(range.high, furthest_within(centre, away, INFINITE)) : range.high; };
    LogitRange searched = range;
    std::optional<Candidate> last;
    for (; !last; bounds = {0, end}) { // if the estimated bounds were wrong, search everything
        // A one-sided search copies what is within the bounds while it looks for the crossing. A two-sided one copies first, because
        // its target is a weight: it does not need the weight beyond the bounds.
        const float low = lowest(bounds.far), high = highest(bounds.far);
        const LogitRange from = two_sided ? copy(range, low, high) : range;
        const Weighting limited{weighting.peak, weighting.inverse_temperature, from.low, from.high};
        const bool copies = range.logits == row_ && !two_sided && copy_pays(range, low, high, later_passes + 1, PARTITION_COPY_COST);
        searched = from;
        last = find_crossing(from, centre, limited, target, bounds, bounds.far >= end, copies ? &searched : nullptr);
    }
    const float logit = last->logit, away = std::abs(logit - centre);
    const float low = two_sided ? lowest(away) : logit, high = highest(away) < range.peak ? highest(away) : range.high;
    const auto outside = [&](float one) { return one < low || one > high; };
    ties_.erase(std::remove_if(ties_.begin(), ties_.end(), outside), ties_.end());
    LogitRange kept = ties_.empty() ? searched.within(low, high) : copy(searched, low, high);
    for (const float tie : ties_) erase_last(kept, tie);
    if (high < range.peak) kept.peak = kernel_.max_up_to(kept.logits, kept.size, high);
    return kept;
}

void LogitSelector::erase_last(LogitRange &range, float logit) {
    float *const first = range.logits == front_.data() ? front_.data() : back_.data(), *const end = first + range.size--;
    float *const last = std::find(std::make_reverse_iterator(end), std::make_reverse_iterator(first), logit).base();
    std::copy(last, end, last - 1);
}

LogitRange LogitSelector::copy(const LogitRange &range, float low, float high) {
    float *const found = other_buffer(range);
    const int64_t size = kernel_.filter(range.logits, range.size, range.logits == row_ ? block_maxima_.data() : nullptr, low, high, found);
    return {found, size, range.peak, low, high, true};
}

LogitRange LogitSelector::narrow(const LogitRange &range, float low, float high, int later_passes) {
    const LogitRange some = range.within(low, high);
    return copy_pays(range, some.low, some.high, later_passes, COPY_COST) ? copy(range, low, high) : some;
}

bool LogitSelector::copy_pays(const LogitRange &range, float low, float high, int later_passes, double cost) {
    if (range.size <= LARGE) return false;
    const double inside = sketch().count_between(low, high), size = static_cast<double>(range.size);
    return later_passes * (size - inside) > cost * size;
}

bool LogitSelector::few_above(float low) const {
    const auto blocks = static_cast<size_t>(std::count_if(block_maxima_.begin(), block_maxima_.end(), [low](float most) { return most >= low; }));
    return blocks <= std::max(block_maxima_.size() / 2, TOP_BLOCKS);
}

DistanceRange LogitSelector::crossing_bounds(const LogitRange &range, float centre, const Weighting &weighting, const CumulativeWeight &rest,
                                             float end) {
    return range.size > LARGE && end < INFINITE ? sketch().crossing_bounds(weighting, centre, rest, end) : DistanceRange{0, end};
}

QuantileSketch &LogitSelector::sketch() {
    if (!std::exchange(sketched_, true)) {
        float threshold = reached_by_blocks(std::min(TOP_BLOCKS, block_maxima_.size()));
        int64_t count = kernel_.filter(row_, n_, block_maxima_.data(), threshold, INFINITE, top_.data());
        // Many equal logits are no outliers: the sample is enough.
        if (count > LARGE) threshold = INFINITE, count = 0;
        sketch_.build(row_, peak_, top_.data(), count, threshold);
    }
    return sketch_;
}

Partition LogitSelector::partition(const LogitRange &range, const Weighting &weighting, const Band &band, float *kept) {
    if (weighting.inverse_temperature == 0)
        return kernel_.partition_by_count(range.logits, range.size, band.centre - band.near, std::max(band.centre - band.far, weighting.low),
                                          band_.data(), kept);
    return kernel_.partition(range.logits, range.size, range.logits == row_ ? block_maxima_.data() : nullptr, weighting, band, band_.data(), kept);
}

std::optional<Candidate> LogitSelector::find_crossing(const LogitRange &range, float centre, const Weighting &weighting,
                                                      const CumulativeWeight &target, const DistanceRange &bounds, bool to_end, LogitRange *copied) {
    const Weighting unlimited{weighting.peak, weighting.inverse_temperature, range.exact ? -MAX_FLOAT : weighting.low,
                              range.exact ? INFINITE : weighting.high};
    // To the end means to all: rounding must not leave out the last logit.
    const Band band{centre, bounds.near, to_end ? MAX_FLOAT : bounds.far};
    float *const kept = copied ? other_buffer(range) : nullptr;
    const Partition split = partition(range, unlimited, band, kept);
    if (copied) *copied = {kept, split.kept, range.peak, std::max(range.low, centre - band.far), range.high, false};
    const double weight = target.weight + target.share * split.total;
    if (split.nearer > 0 && split.nearer >= weight) return {};
    float far = bounds.far;
    if (far == INFINITE) {
        far = 0;
        for (int64_t i = 0; i < split.count; i++) far = std::max(far, std::abs(band_[static_cast<size_t>(i)] - centre));
    }
    std::optional<Candidate> found = crossing_in_band(band_.data(), split.count, weighting, {centre, bounds.near, far}, split.nearer, weight, to_end);
    if (found) found->probability /= split.total;
    return found;
}

std::optional<Candidate> LogitSelector::crossing_in_band(const float *logits, int64_t size, const Weighting &weighting, const Band &band,
                                                         double before, double target, bool to_end) {
    const auto away = [&](float logit) { return std::abs(logit - band.centre); };
    const float width = band.far - band.near;
    // First find the bin with the crossing, then sort that bin alone.
    const Bins bins{band.centre, band.near, width > 0 ? Bins::count / width : 0};
    std::fill(histogram_.begin(), histogram_.end(), 0.0F);
    kernel_.histogram(logits, size, bins, weighting, histogram_.data());
    const Crossing bin = prefix_crossing(histogram_.data(), histogram_.size(), target, before);
    if (!size || !(bin.reached || to_end)) return {};
    const int64_t count = kernel_.filter_bin(logits, size, bins, static_cast<int>(bin.index), bin_logits_.data());
    const auto first = bin_logits_.begin(), end = first + count;
    const auto in_order = [&](float a, float b) { return away(a) != away(b) ? away(a) < away(b) : a > b; };
    if (!std::is_sorted(first, end, in_order)) std::sort(first, end, in_order);
    kernel_.exponentiate(bin_logits_.data(), count, weighting, bin_weights_.data());
    const auto at = static_cast<int64_t>(prefix_crossing(bin_weights_.data(), static_cast<size_t>(count), target, bin.before).index);
    Candidate found{first[at], 0, static_cast<double>(bin_weights_[static_cast<size_t>(at)])};
    while (at > found.before && first[at - found.before - 1] == first[at]) found.before++;
    ties_.assign(first + at + 1, std::find_if(first + at + 1, end, [&](float logit) { return away(logit) > away(first[at]); }));
    return found;
}

} // namespace puna
