// Tokens drawn from logits, many rows in one call: each row is one request's.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "logits.h"

namespace puna {

// libllama's `llama_token_data` and `llama_token_data_array` (llama.h).
struct Candidate {
    int32_t id;
    float logit, p;
};
struct Candidates {
    Candidate *data;
    size_t size;
    int64_t selected;
    bool sorted;
};
using Apply = void (*)(void *chain, Candidates *candidates);

enum class SamplingMethod : int32_t {
    GREEDY,
    CHAIN,   // libllama's samplers choose from the highest logits
    MIN_P,   // of all tokens that min_p leaves, in the order of their ids
    NUCLEUS, // of the likeliest that top_p and min_p leave, likeliest first
    MIROSTAT // the second version, from likeliest to least likely
};

struct DrawOptions {
    SamplingMethod method;
    int32_t top_k; // of CHAIN: how many of the highest it chooses from; 0: it is given all
    float top_p, min_p, temperature, tau, eta;
    float repeat, frequency, presence;
    uint32_t seed;
    void *chain;
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
    Drawer(const LogitsKernel &kernel, int64_t n_vocab, Apply apply);
    void draw(DrawRow &row);

  private:
    // Logits of which some may be drawn, and what they are called; in order where `ids` is null.
    struct Field {
        const float *logits;
        int64_t size;
        const int32_t *ids;
    };
    struct Place {
        int32_t token;
        double chance; // among those that might have come
    };

    int32_t pick(Sampler &sampler, const float *logits);
    int32_t highest(const float *logits) const;
    int32_t chained(const DrawOptions &options, const float *logits);
    int32_t min_p(Sampler &sampler, const float *logits);
    int32_t nucleus(Sampler &sampler, const float *logits);
    int32_t mirostat(Sampler &sampler, const float *logits);
    // The logits that are at least `low`; of no size if they are many.
    Field near(const float *logits, float low);
    // Draw from the likeliest tokens, likeliest first: of those that are at least `low`, as many as have `part` of
    // the sum of all exponentials, which is `whole`; 0 if that is not known.
    Place likeliest(Sampler &sampler, const Field &field, float low, double part, double whole);
    // Put the members of a bin in order, and their weights into `weighed_`.
    size_t order(const Field &field, const Bins &bins, size_t bin);
    void weigh(const Weighing &how, size_t count);
    double sum(const float *logits, int64_t n, const Weighing &how);

    const LogitsKernel &kernel_;
    const int64_t n_;
    const Apply apply_;
    float peak_ = 0;
    std::vector<float> peaks_, sums_, values_, weights_, chances_; // of blocks, blocks, near logits, bins, bins
    std::vector<float> ordered_, weighed_;                         // a bin's members
    std::vector<int32_t> ids_, members_;
    std::vector<Candidate> candidates_;
};

} // namespace puna
