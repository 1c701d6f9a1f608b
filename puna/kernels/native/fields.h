// Parts of a row of logits, found without putting the row in order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "sample.h"

namespace puna {

constexpr float INFINITE = std::numeric_limits<float>::infinity(), GREATEST = std::numeric_limits<float>::max();

// Logits from `low` to `high`, in the order of their ids: those of a row, or of some that were taken out of it.
struct Field {
    const float *logits;
    int64_t size; // of what they are among
    float peak, low, high; // `peak` is the greatest
    bool only; // whether there are no others

    Weighing weighing(float sharpness) const { return {peak, sharpness, low, high}; }
    // What is left of it from `low` to `high`.
    Field within(float least, float most) const {
        return {logits, size, peak, std::max(low, least), std::min(high, most), only && least <= low && most >= high};
    }
};

// One of a field.
struct Found {
    float logit;
    int64_t before; // how many of the same logit come before it
    double chance;  // what part of all it weighs
};

// What one thread needs to find them. Of its fields but the whole row only the latest two are there. An order is always that of
// distances from a centre; of two that are as near the likelier comes first, then that of the lower id.
class Fields {
  public:
    Fields(const LogitsKernel &kernel, int64_t n_vocab);
    // Begin with a row; false if one is not a number, or none is finite. All its exponentials are summed, if their sharpness
    // is not negative; and averaged over, if that is asked for.
    bool read(const float *row, float sharpness, bool average);
    float peak() const { return peak_; }
    double whole() const { return whole_; }
    double sum(const Field &field, float sharpness);
    // The average logit, and the sum of weights. Of all it is the one that was asked for.
    float average(const Field &field, double &whole);

    Field all() const { return {row_, n_, peak_, -GREATEST, INFINITE, false}; }
    Field likeliest(int64_t count, int passes);
    // Those from `low` to `high`, taken out.
    Field taken(const Field &field, float low, float high);
    // The same, but taken out only if they are so few that it pays in the passes over them that come.
    Field narrowed(const Field &field, float low, float high, int passes);
    // Whether those that are at least `low` are probably few.
    bool few(float low) const;
    // The first that together weigh as much as is wanted, at least one. `rest`: so much is not wanted, or less. `passes` over
    // them come, beside that which draws one.
    Field first(const Field &field, float centre, const Wanted &wanted, const Wanted &rest, int passes);

    // The one up to which there is such a share of all, in order, or in the order of ids among all of the row.
    Found reached(const Field &field, float centre, float sharpness, double share);
    int32_t reached_by_id(const Field &field, float sharpness, double share, bool summed);
    int32_t highest() const;
    int32_t token(const Found &found) const;

  private:
    // The last that is wanted. Those that are as near and come behind it are in `surplus_`.
    struct Border {
        Found found;
        bool there;
    };

    Field first(const Field &field, float centre, const Weighing &how, const Wanted &wanted, Bracket bracket, float end, int passes);
    void drop_last(Field &field, float logit);
    // A logit that the peaks of so many blocks reach, and few more.
    float reached_by(size_t blocks);
    // Where the first end that have what is wanted. With `last`, what is beyond the bracket does not count. Only where a share
    // is wanted the chance of what is found is known.
    Border find(const Field &field, float centre, const Weighing &how, const Wanted &wanted, const Bracket &bracket, bool last);
    // The same among those in a ring, if so much is nearer.
    Border last_wanted(const float *logits, int64_t size, const Weighing &how, const Ring &ring, double before, double weight, bool last);
    // A count is wanted if all weigh the same.
    Divided divided(const float *logits, int64_t size, const Weighing &how, const Ring &ring, float *found);
    // Where to look for that, by a sample, if so much is not wanted.
    Bracket bracket(const Field &field, float centre, const Weighing &how, const Wanted &rest, float end);
    Sample &sampled();

    const LogitsKernel &kernel_;
    const int64_t n_;
    const float *row_ = nullptr;
    float peak_ = 0;
    bool averaged_ = false; // whether the second of these was asked for
    double whole_ = 0, weighted_ = 0; // sums of exponentials, and of their products with x - peak
    std::vector<float> peaks_, sums_, products_, tops_, scratch_; // of blocks
    std::vector<float> values_, others_, inner_; // of the latest two fields, of what is in a bracket
    std::vector<float> greatest_;                // few of the row, all from a logit on
    Sample sample_;
    bool sampled_ = false;       // this row
    std::vector<float> weights_; // of bins
    std::vector<float> surplus_;                   // as near as the last that is wanted, behind it
    std::vector<float> members_, weighed_;         // of a bin
};

} // namespace puna
