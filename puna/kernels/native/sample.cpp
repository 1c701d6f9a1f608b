#include "sample.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace puna {
namespace {

constexpr int64_t SIZE = 4096, TOGETHER = 16; // so many, of which so many are neighbours
constexpr float DEEP = 64;                    // what is further below the peak is in the last bin
constexpr double SURE = 3;                    // standard deviations
constexpr float INFINITE = std::numeric_limits<float>::infinity(), LEAST = -std::numeric_limits<float>::max();

} // namespace

Sample::Sample(const LogitsKernel &kernel, int64_t n_vocab)
    : kernel_(kernel), n_(n_vocab), taken_(SIZE + SPARE), bins_(Bins::all), middles_(BINS), weights_(BINS), counts_(BINS) {}

void Sample::take(const float *row, float peak, const float *greatest, int64_t count, float from) {
    peak_ = peak, known_ = static_cast<double>(count);
    for (int64_t i = 0; i < SIZE; i += TOGETHER) std::copy_n(row + i * n_ / SIZE, TOGETHER, &taken_[static_cast<size_t>(i)]);
    const int64_t size = kernel_.gather(taken_.data(), SIZE, nullptr, LEAST, std::nextafter(from, LEAST), taken_.data());
    const float lowest = std::max(peak - DEEP, size ? *std::min_element(taken_.begin(), taken_.begin() + size) : peak);
    const float edge = std::min(from, peak);
    known_width_ = (peak - edge) / KNOWN, sampled_width_ = (edge - lowest) / Bins::count;
    this->count(greatest, count, 0, KNOWN, 0, known_width_, 1);
    this->count(taken_.data(), size, KNOWN, Bins::count, peak - edge, sampled_width_, static_cast<double>(n_) / SIZE);
}

void Sample::count(const float *x, int64_t n, size_t first, size_t bins, float near, float width, double each) {
    std::fill(bins_.begin(), bins_.end(), 0.0F);
    kernel_.spread(x, n, {peak_, near, width > 0 ? 1 / width : 0}, {peak_, 0, LEAST, INFINITE}, bins_.data());
    for (size_t i = 0; i < bins; i++) {
        counts_[first + i] = each * static_cast<double>(bins_[i]);
        middles_[first + i] = peak_ - near - width * (static_cast<float>(i) + 0.5F);
    }
    for (size_t i = bins; i < bins_.size(); i++) counts_[first + bins - 1] += each * static_cast<double>(bins_[i]);
}

double Sample::between(float low, float high) const {
    double sum = 0;
    for (size_t i = 0; i < BINS; i++) sum += middles_[i] >= low && middles_[i] <= high ? counts_[i] : 0;
    return sum;
}

Bracket Sample::ranked(double count) const {
    const double each = static_cast<double>(n_) / SIZE, part = count / static_cast<double>(n_);
    const double doubt = each * (1 + SURE * std::sqrt(SIZE * part * (1 - part)));
    Bracket found{0, INFINITE};
    double sum = known_;
    if (sum + doubt >= count) return found;
    for (size_t i = KNOWN; i < BINS; i++) {
        if (sum + doubt < count) found.near = peak_ - middles_[i] - width(i) / 2;
        sum += counts_[i];
        if (sum >= count + doubt) {
            found.far = peak_ - middles_[i] + width(i);
            break;
        }
    }
    return found;
}

Bracket Sample::bracket(const Weighing &how, float centre, const Wanted &rest, float end) {
    kernel_.weigh(middles_.data(), BINS, how, weights_.data());
    const double each = static_cast<double>(n_) / SIZE;
    double all = 0, all_squares = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < BINS; i++) {
        const double weight = static_cast<double>(weights_[i]);
        all += counts_[i] * weight;
        if (i >= KNOWN) all_squares += each * counts_[i] * weight * weight;
    }
    // From far away, because weights are smallest there.
    Bracket found{0, end};
    size_t high = 0, low = BINS - 1;
    for (size_t left = BINS; left--;) {
        const float above = std::abs(middles_[high] - centre), below = std::abs(middles_[low] - centre);
        const size_t bin = above > below ? high++ : low--;
        const double weight = static_cast<double>(weights_[bin]), another = bin < KNOWN ? 0 : each * weight; // one more than were seen
        sum += counts_[bin] * weight;
        if (bin >= KNOWN) squares += each * counts_[bin] * weight * weight;
        const double off = rest.weight + rest.share * all - sum;
        if (off * off < SURE * SURE * (squares + another * another + rest.share * rest.share * all_squares)) continue;
        const float away = std::max(above, below);
        if (off > 0) {
            found.far = std::min(end, away + width(bin) / 2);
        } else {
            found.near = std::max(0.0F, away - width(bin) / 2);
            break;
        }
    }
    return found;
}

} // namespace puna
