// What a row of logits is like, from a few of them.
#pragma once

#include <cstddef>
#include <vector>

#include "logits.h"

namespace puna {

// What is looked for is probably between these distances from a centre.
struct Bracket {
    float near, far;
};

// So much weight, and such a share of what all of a field weigh.
struct Wanted {
    double weight, share;
};

// Some of a row by chance, and the greatest exactly, because these weigh too much for chance. Kept is only how many there are
// at each distance from the peak.
class Sample {
  public:
    Sample(const LogitsKernel &kernel, int64_t n_vocab);
    // `greatest` are all that are at least `from`.
    void take(const float *row, float peak, const float *greatest, int64_t count, float from);
    // How many of the row are from `low` to `high`.
    double between(float low, float high) const;
    // Where, in distances from the peak, the last of so many of the likeliest is.
    Bracket ranked(double count) const;
    // Where, in distances from a centre and not beyond `end`, those begin that together are not wanted: `rest`.
    Bracket bracket(const Weighing &how, float centre, const Wanted &rest, float end);

  private:
    static constexpr size_t KNOWN = 64, BINS = KNOWN + Bins::count; // of the greatest, then of the others

    void count(const float *x, int64_t n, size_t first, size_t bins, float near, float width, double each);
    float width(size_t bin) const { return bin < KNOWN ? known_width_ : sampled_width_; }

    const LogitsKernel &kernel_;
    const int64_t n_;
    float peak_ = 0, known_width_ = 0, sampled_width_ = 0;
    double known_ = 0; // how many of them there are
    std::vector<float> taken_, bins_, middles_, weights_;
    std::vector<double> counts_; // of the row in each bin, as far as is known
};

} // namespace puna
