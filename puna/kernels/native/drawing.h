// Tokens drawn from logits, many rows in one call: each row is one request's.
#pragma once

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "logits.h"

namespace puna {

enum class SamplingMethod : int32_t {
    GREEDY,
    TRUNCATION, // of what top_k, typical_p, top_p and min_p leave
    MIROSTAT,
    MIROSTAT_2
};

struct DrawOptions {
    SamplingMethod method;
    int32_t top_k;   // 0: all
    float typical_p; // 1: all
    float top_p, min_p, temperature, tau, eta;
    float repeat, frequency, presence;
    uint32_t seed;
};

// One request's draws. Its random numbers are those of llama.cpp for the same seed.
class Sampler {
  public:
    const DrawOptions options;

    explicit Sampler(const DrawOptions &options) : options(options), random_(options.seed), mu_(2 * options.tau) {}
    double uniform();
    float mu() const { return mu_; }
    // A token came that was as probable as this.
    void learn(float chance);

  private:
    std::mt19937 random_;
    float mu_;
};

struct DrawRow {
    Sampler *sampler;
    float *logits;
    const int64_t *ids;  // tokens that penalties lower, each once
    const float *counts; // and how often each came
    int64_t distinct;
    int32_t token; // what is drawn; -1 if a logit is not a number, or none is finite
};

// What one thread needs to draw.
class Drawer {
  public:
    Drawer(const LogitsKernel &kernel, int64_t n_vocab);
    void draw(DrawRow &row);

  private:
    // Logits of which some may be drawn, those that are at least `low`, in the order of their ids: all of a row, or some
    // of them, in `values_`.
    struct Field {
        const float *logits;
        int64_t size;
        float peak, low; // `peak` is the greatest
        bool all;
    };
    // Something is looked for by distance from a centre, and probably between these.
    struct Bracket {
        float near, far;
    };
    struct Found {
        float logit, other;
        double chance; // what part of all it weighs
        int64_t before; // of the same logit
        // Of the same logit behind it, and of the `other` that is as near on the other side.
        int64_t surplus, other_surplus;
        bool there;
    };
    struct Drawn {
        int32_t token;
        double chance; // among those that might have come
    };

    int32_t pick(Sampler &sampler, const float *logits);
    int32_t highest(const float *logits) const;
    int32_t truncated(Sampler &sampler, const float *logits);
    int32_t by_id(Sampler &sampler, const float *logits);
    int32_t mirostat(Sampler &sampler, const float *logits);
    int32_t mirostat_2(Sampler &sampler, const float *logits);
    int64_t mirostat_count(const Sampler &sampler, const float *logits);
    // Draw one. They are ordered by how near they are to the centre, here and below; of two that are as near the likelier
    // comes first, then that of the lower id.
    Drawn draw(Sampler &sampler, const float *logits, const Field &field, float centre);
    int32_t token(const float *logits, float logit, int64_t before) const;

    // What there is to draw from. Of these fields only the latest is there.
    Field all(const float *logits) const { return {logits, n_, peak_, -std::numeric_limits<float>::max(), true}; }
    Field likeliest(const float *logits, int64_t count);
    Field typical(const Field &field, float part, float &centre);
    Field nucleus(const Field &field, float part, float low);
    Field within(const Field &field, const Ring &ring);
    // The first ones that have as much weight as is wanted of the total; none is further than `end`.
    Field first(const Field &field, float centre, const Weighing &how, double total, double wanted);
    Field first(const Field &field, float centre, const Weighing &how, double wanted, Bracket bracket, float end);
    void drop_last(Field &field, float logit, int64_t count);
    bool few(float low) const;
    // A logit that the peaks of so many blocks reach, and few more.
    float reached_by(size_t blocks);

    // Where the first end that have as much weight as is wanted: so much, and such a share of all. With `last`, what is beyond
    // the bracket does not count.
    struct Wanted {
        double weight, share;
    };
    Found find(const Field &field, float centre, const Weighing &how, const Wanted &wanted, const Bracket &bracket, bool last);
    // Where to look for that, by a sample, if so much is not wanted.
    Bracket bracket(const Field &field, float centre, const Weighing &how, const Wanted &rest, float end);
    void take_sample(const float *logits, int64_t size);
    double sum(const float *logits, int64_t n, const Weighing &how);

    const LogitsKernel &kernel_;
    const int64_t n_;
    float peak_ = 0;
    double whole_ = 0; // the sum of all exponentials, where it was surveyed
    std::vector<float> peaks_, sums_, tops_, scratch_; // of blocks
    std::vector<float> values_, inner_, sample_; // of a field, of what is in a bracket, of some of it
    std::vector<float> weights_, known_, squares_; // of bins
    std::vector<float> members_, weighed_;       // of a bin
};

} // namespace puna
