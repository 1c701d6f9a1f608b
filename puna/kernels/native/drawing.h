// Tokens drawn from logits, many rows in one call: each row is one request's.
#pragma once

#include <cstdint>
#include <random>

#include "fields.h"

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
    Drawer(const LogitsKernel &kernel, int64_t n_vocab) : n_(n_vocab), fields_(kernel, n_vocab) {}
    void draw(DrawRow &row);

  private:
    int32_t pick(Sampler &sampler);
    int32_t truncated(Sampler &sampler);
    int32_t mirostat(Sampler &sampler);
    int32_t mirostat_2(Sampler &sampler);
    // How many tokens Mirostat leaves.
    int64_t mirostat_count(const Sampler &sampler);
    // `passes`: over what is found, later.
    Field typical(const Field &field, float part, float &centre, int passes);
    // The likeliest that have a part of the weight.
    Field likely(const Field &field, double part);
    // Draw one, first those that are near the centre.
    Found drawn(Sampler &sampler, const Field &field, float centre);
    int32_t learned(Sampler &sampler, const Field &field);

    const int64_t n_;
    Fields fields_;
};

} // namespace puna
