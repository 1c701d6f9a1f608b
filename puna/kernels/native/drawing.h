// Draws the next tokens of many requests in one call, from one row of logits each. Python mirrors the structs.
#pragma once

#include <cstdint>
#include <random>

#include "logit_selector.h"

namespace puna {

enum class SamplingMethod : int32_t {
    GREEDY,
    TRUNCATION, // from what top_k, typical_p, top_p and min_p keep
    MIROSTAT,
    MIROSTAT_2
};

struct DrawOptions {
    SamplingMethod method;
    int32_t top_k;   // 0: off
    float typical_p; // 1: off
    float top_p, min_p, temperature, tau, eta;
    float repeat, frequency, presence;
    uint32_t seed;
};

// The sampling state of one request. Its random numbers are those of llama.cpp for the same seed.
class Sampler {
  public:
    const DrawOptions options;

    explicit Sampler(const DrawOptions &options) : options(options), random_(options.seed), mu_(2 * options.tau) {}
    double uniform();
    float mu() const { return mu_; }
    // Mirostat's feedback: a token of this probability was drawn.
    void update_mu(float probability);

  private:
    std::mt19937 random_;
    float mu_;
};

struct DrawRow {
    Sampler *sampler;
    float *logits;
    const int64_t *ids;  // distinct tokens to penalise
    const float *counts; // how often each occurred
    int64_t distinct;
    int32_t token; // the result; -1 if a logit is NaN or none is finite
};

// Draws one row at a time. Each thread has its own, because it holds buffers.
class Drawer {
  public:
    Drawer(const LogitsKernel &kernel, int64_t n_vocab) : n_(n_vocab), selector_(kernel, n_vocab) {}
    void draw(DrawRow &row);

  private:
    int32_t draw_token(Sampler &sampler);
    int32_t draw_truncated(Sampler &sampler);
    int32_t draw_mirostat(Sampler &sampler);
    int32_t draw_mirostat_2(Sampler &sampler);
    int32_t draw_and_update_mu(Sampler &sampler, const LogitRange &range);
    // The candidate at a random quantile of the range, in the order of distances from `centre`.
    Candidate draw_candidate(Sampler &sampler, const LogitRange &range, float centre);
    int64_t mirostat_top_k(const Sampler &sampler);
    // `centre` becomes the mean logit.
    LogitRange keep_typical(const LogitRange &range, float typical_p, float &centre);
    LogitRange keep_nucleus(const LogitRange &range, double top_p);

    const int64_t n_;
    LogitSelector selector_;
};

} // namespace puna
