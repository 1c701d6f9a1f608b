// Parts of a row of logits, found without putting the row in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "logits.h"

namespace puna {

constexpr float INFINITE = std::numeric_limits<float>::infinity(), GREATEST = std::numeric_limits<float>::max();

// Logits, those that are at least `low`, in the order of their ids: all of a row, or some of them.
struct Field {
    const float *logits;
    int64_t size;
    float peak, low; // `peak` is the greatest
    float far;       // none is further from what they were ordered by
    bool all;
};

// One of a field.
struct Found {
    float logit;
    int64_t before; // how many of the same logit come before it
    double chance;  // what part of all it weighs
};

// What one thread needs to find them. Of its fields but the whole row only the latest is there. An order is always that of
// distances from a centre; of two that are as near the likelier comes first, then that of the lower id.
class Fields {
  public:
    Fields(const LogitsKernel &kernel, int64_t n_vocab);
    // Begin with a row; false if one is not a number, or none is finite. All its exponentials are summed, if their sharpness
    // is not negative; and averaged over, if that is asked for.
    bool read(const float *row, float sharpness, bool average);
    float peak() const { return peak_; }
    double whole() const { return whole_; }
    double sum(const Field &field, const Weighing &how);
    // The average logit, and the sum of weights. Of all it is the one that was asked for.
    float average(const Field &field, const Weighing &how, double &whole);

    Field all() const { return {row_, n_, peak_, -GREATEST, INFINITE, true}; }
    Field likeliest(int64_t count);
    Field within(const Field &field, const Ring &ring);
    // The first that together weigh as much as is wanted of the total, at least one.
    Field first(const Field &field, float centre, const Weighing &how, double total, double wanted);
    // The greatest of a few.
    float greatest(const Field &field);
    // Whether those that are at least `low` are probably few.
    bool few(float low) const;

    // The one up to which there is such a share of all, in order, or in the order of ids among all of the row.
    Found reached(const Field &field, float centre, const Weighing &how, double share);
    int32_t reached_by_id(const Weighing &how, double share, bool summed);
    int32_t highest() const;
    int32_t token(const Found &found) const;

  private:
    // What is looked for is probably between these distances.
    struct Bracket {
        float near, far;
    };
    // So much, and such a share of all.
    struct Wanted {
        double weight, share;
    };
    // One, and how many are as near and come behind it: of the same logit, and of the other one that is as near.
    struct Border {
        Found found;
        float other;
        int64_t surplus, other_surplus;
        bool there;
    };

    Field first(const Field &field, float centre, const Weighing &how, double wanted, Bracket bracket, float end);
    void drop_last(Field &field, float logit, int64_t count);
    // A logit that the peaks of so many blocks reach, and few more.
    float reached_by(size_t blocks);
    // Where the first end that have what is wanted. With `last`, what is beyond the bracket does not count.
    Border find(const Field &field, float centre, const Weighing &how, const Wanted &wanted, const Bracket &bracket, bool last);
    // Where to look for that, by a sample, if so much is not wanted.
    Bracket bracket(const Field &field, float centre, const Weighing &how, const Wanted &rest, float end);
    void take_sample(const Field &field);

    const LogitsKernel &kernel_;
    const int64_t n_;
    const float *row_ = nullptr;
    float peak_ = 0;
    double whole_ = 0, weighted_ = 0; // sums of exponentials, and of their products with x - peak
    std::vector<float> peaks_, sums_, products_, tops_, scratch_; // of blocks
    std::vector<float> values_, inner_, sample_;       // of a field, of what is in a bracket, of some of it
    std::vector<float> weights_, known_, squares_;     // of bins
    std::vector<float> members_, weighed_;             // of a bin
};

} // namespace puna
