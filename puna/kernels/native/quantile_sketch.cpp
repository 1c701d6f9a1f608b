#include "quantile_sketch.h"

#include <algorithm>
#include <cmath>

namespace puna {
namespace {

constexpr int64_t SAMPLE_SIZE = 4096, RUN = 16; // the sample consists of runs of neighbours
constexpr float MAX_DISTANCE = 64;              // logits further below the peak go to the last bin
constexpr double CONFIDENCE = 3;                // standard deviations

} // namespace

QuantileSketch::QuantileSketch(const LogitsKernel &kernel, int64_t n_vocab)
    : kernel_(kernel), n_(n_vocab), sample_(SAMPLE_SIZE + PADDING), histogram_(Bins::all), weights_(BINS), middles_(BINS), counts_(BINS) {}

void QuantileSketch::build(const float *row, float peak, const float *top, int64_t count, float threshold) {
    peak_ = peak, top_count_ = static_cast<double>(count);
    for (int64_t i = 0; i < SAMPLE_SIZE; i += RUN) std::copy_n(row + i * n_ / SAMPLE_SIZE, RUN, &sample_[static_cast<size_t>(i)]);
    const int64_t size = kernel_.filter(sample_.data(), SAMPLE_SIZE, nullptr, -MAX_FLOAT, std::nextafter(threshold, -MAX_FLOAT), sample_.data());
    const float lowest = std::max(peak - MAX_DISTANCE, size ? *std::min_element(sample_.begin(), sample_.begin() + size) : peak);
    const float edge = std::min(threshold, peak);
    top_width_ = (peak - edge) / TOP_BINS, sample_width_ = (edge - lowest) / Bins::count;
    fill(top, count, 0, TOP_BINS, 0, top_width_, 1);
    fill(sample_.data(), size, TOP_BINS, Bins::count, peak - edge, sample_width_, static_cast<double>(n_) / SAMPLE_SIZE);
}

void QuantileSketch::fill(const float *x, int64_t n, size_t first_bin, size_t bins, float near, float width, double count_each) {
    std::fill(histogram_.begin(), histogram_.end(), 0.0F);
    // An inverse temperature of 0 makes every weight 1.
    kernel_.histogram(x, n, {peak_, near, width > 0 ? 1 / width : 0}, {peak_, 0, -MAX_FLOAT, INFINITE}, histogram_.data());
    for (size_t i = 0; i < bins; i++) {
        counts_[first_bin + i] = count_each * static_cast<double>(histogram_[i]);
        middles_[first_bin + i] = peak_ - near - width * (static_cast<float>(i) + 0.5F);
    }
    for (size_t i = bins; i < histogram_.size(); i++) counts_[first_bin + bins - 1] += count_each * static_cast<double>(histogram_[i]);
}

double QuantileSketch::count_between(float low, float high) const {
    double sum = 0;
    for (size_t i = 0; i < BINS; i++) sum += middles_[i] >= low && middles_[i] <= high ? counts_[i] : 0;
    return sum;
}

DistanceRange QuantileSketch::rank_bounds(double k) const {
    // The sampled count is binomial.
    const double count_each = static_cast<double>(n_) / SAMPLE_SIZE, part = k / static_cast<double>(n_);
    const double margin = count_each * (1 + CONFIDENCE * std::sqrt(SAMPLE_SIZE * part * (1 - part)));
    DistanceRange bounds{0, INFINITE};
    double sum = top_count_;
    if (sum + margin >= k) return bounds;
    for (size_t i = TOP_BINS; i < BINS; i++) {
        if (sum + margin < k) bounds.near = peak_ - middles_[i] - width(i) / 2;
        sum += counts_[i];
        if (sum >= k + margin) {
            bounds.far = peak_ - middles_[i] + width(i);
            break;
        }
    }
    return bounds;
}

DistanceRange QuantileSketch::crossing_bounds(const Weighting &weighting, float centre, const CumulativeWeight &rest, float end) {
    kernel_.exponentiate(middles_.data(), BINS, weighting, weights_.data());
    const double count_each = static_cast<double>(n_) / SAMPLE_SIZE;
    double total = 0, total_variance = 0, sum = 0, variance = 0;
    for (size_t i = 0; i < BINS; i++) {
        const double weight = static_cast<double>(weights_[i]);
        total += counts_[i] * weight;
        if (i >= TOP_BINS) total_variance += count_each * counts_[i] * weight * weight;
    }
    // Add up bins from the furthest inwards, because the furthest weigh least.
    DistanceRange bounds{0, end};
    size_t high = 0, low = BINS - 1;
    for (size_t left = BINS; left--;) {
        const float above = std::abs(middles_[high] - centre), below = std::abs(middles_[low] - centre);
        const size_t bin = above > below ? high++ : low--;
        const double weight = static_cast<double>(weights_[bin]), unseen = bin < TOP_BINS ? 0 : count_each * weight; // one logit more
        sum += counts_[bin] * weight;
        if (bin >= TOP_BINS) variance += count_each * counts_[bin] * weight * weight;
        const double missing = rest.weight + rest.share * total - sum;
        if (missing * missing < CONFIDENCE * CONFIDENCE * (variance + unseen * unseen + rest.share * rest.share * total_variance)) continue;
        const float away = std::max(above, below);
        if (missing > 0) {
            bounds.far = std::min(end, away + width(bin) / 2);
        } else {
            bounds.near = std::max(0.0F, away - width(bin) / 2);
            break;
        }
    }
    return bounds;
}

} // namespace puna
