// Drawing from one row: penalties, then the sampling method.
#include <algorithm>
#include <cmath>
#include <functional>

#include "drawing.h"

namespace puna {
namespace {

constexpr float NUCLEUS_DISTANCE = 6;      // below the peak: where a nucleus is searched first
constexpr int64_t MIROSTAT_ESTIMATE = 100; // tokens from which Mirostat estimates the distribution

// Applies llama.cpp's penalties to a row's logits, and undoes them when it goes out of scope.
class PenalisedLogits {
  public:
    explicit PenalisedLogits(const DrawRow &row) : row_(row), original_(static_cast<size_t>(row.distinct)) {
        const DrawOptions &options = row.sampler->options;
        for (int64_t i = 0; i < row.distinct; i++) {
            float &logit = row.logits[row.ids[i]];
            original_[static_cast<size_t>(i)] = logit;
            logit = logit > 0 ? logit / options.repeat : logit * options.repeat;
            logit -= row.counts[i] * options.frequency + options.presence;
        }
    }
    ~PenalisedLogits() {
        for (int64_t i = 0; i < row_.distinct; i++) row_.logits[row_.ids[i]] = original_[static_cast<size_t>(i)];
    }
    PenalisedLogits(const PenalisedLogits &) = delete;
    PenalisedLogits &operator=(const PenalisedLogits &) = delete;

  private:
    const DrawRow &row_;
    std::vector<float> original_;
};

float inverse_temperature(const DrawOptions &options) { return std::min(1 / options.temperature, MAX_FLOAT); }

// The least logit that min_p keeps.
float min_p_logit(const DrawOptions &options, float peak) {
    return options.min_p > 0 ? std::min(peak, peak + std::log(options.min_p)) : -MAX_FLOAT;
}

// The inverse temperature at which the method needs the sum of all weights; -1 if it needs none.
float summed_inverse_temperature(const DrawOptions &options) {
    if (options.method == SamplingMethod::GREEDY) return -1;
    if (options.method != SamplingMethod::TRUNCATION) return inverse_temperature(options);
    if (options.top_k) return -1;
    if (options.typical_p < 1) return 1;
    return options.top_p < 1 || options.min_p > 0 ? -1 : inverse_temperature(options);
}

// Mirostat's real-valued top k as llama.cpp converts it to an integer, between 1 and n_vocab.
int64_t to_top_k(float k, int64_t n_vocab) {
    // Beyond int32 the conversion depends on the processor.
#ifdef __aarch64__
    if (k >= 2147483648.0F) return n_vocab;
#endif
    return k >= 1 && k < 2147483648.0F ? std::min<int64_t>(static_cast<int64_t>(k), n_vocab) : 1;
}

} // namespace

void Drawer::draw(DrawRow &row) {
    const PenalisedLogits penalised(row);
    const DrawOptions &options = row.sampler->options;
    const bool drawable = selector_.read(row.logits, summed_inverse_temperature(options), options.typical_p < 1);
    row.token = drawable ? draw_token(*row.sampler) : -1;
}

int32_t Drawer::draw_token(Sampler &sampler) {
    switch (sampler.options.method) {
    case SamplingMethod::TRUNCATION: return draw_truncated(sampler);
    case SamplingMethod::MIROSTAT: return draw_mirostat(sampler);
    case SamplingMethod::MIROSTAT_2: return draw_mirostat_2(sampler);
    default: return selector_.argmax();
    }
}

int32_t Drawer::draw_truncated(Sampler &sampler) {
    const DrawOptions &options = sampler.options;
    const bool typical = options.typical_p < 1, nucleus = options.top_p < 1;
    if (!options.top_k && !typical && !nucleus) {
        const LogitRange range = selector_.row().within(min_p_logit(options, selector_.peak()), INFINITE);
        return selector_.quantile_by_id(range, inverse_temperature(options), sampler.uniform(), options.min_p <= 0);
    }
    // Typical sampling passes twice over the result of top_k, a nucleus once.
    LogitRange range = options.top_k ? selector_.top_k(options.top_k, 2 * typical + nucleus) : selector_.row();
    float centre = range.peak;
    if (typical) range = keep_typical(range, options.typical_p, centre);
    if (nucleus) {
        range = keep_nucleus(range, std::max(static_cast<double>(options.top_p), 0.0));
        centre = range.peak;
    }
    range = range.within(min_p_logit(options, range.peak), range.high);
    return selector_.token(draw_candidate(sampler, range, centre));
}

LogitRange Drawer::keep_typical(const LogitRange &range, float typical_p, float &centre) {
    // The distance of a token's surprise from the entropy is the distance of its logit from the mean logit.
    double total = 0;
    centre = selector_.mean(range, total);
    // llama.cpp keeps tokens until their sum exceeds typical_p.
    const double target = std::nextafter(static_cast<double>(typical_p) * total, static_cast<double>(INFINITE));
    return selector_.nearest(range, centre, {target, 0}, {total - target, 0});
}

LogitRange Drawer::keep_nucleus(const LogitRange &range, double top_p) {
    // In the whole vocabulary, the few logits near the peak often hold the nucleus.
    if (range.size == n_ && range.low == -MAX_FLOAT && selector_.few_above(range.peak - NUCLEUS_DISTANCE)) {
        const double total = selector_.sum_weights(range, 1), target = top_p * total;
        const LogitRange near = selector_.copy(range, range.peak - NUCLEUS_DISTANCE, range.high);
        const double near_total = selector_.sum_weights(near, 1);
        return near_total < target ? selector_.nearest(range, range.peak, {target, 0}, {total - target, 0})
                                   : selector_.nearest(near, range.peak, {target, 0}, {near_total - target, 0});
    }
    return selector_.nearest(range, range.peak, {0, top_p}, {0, 1 - top_p});
}

int32_t Drawer::draw_mirostat(Sampler &sampler) {
    const int64_t k = mirostat_top_k(sampler);
    // With one token left, llama.cpp uses no random number.
    if (k == 1) {
        sampler.update_mu(1);
        return selector_.argmax();
    }
    return draw_and_update_mu(sampler, selector_.top_k(k, 0));
}

int64_t Drawer::mirostat_top_k(const Sampler &sampler) {
    // In single precision and in llama.cpp's order, because k is sensitive to rounding.
    const float temperature = sampler.options.temperature, peak = selector_.peak();
    const auto total = static_cast<float>(selector_.total_weight());
    const LogitRange top = selector_.top_k(MIROSTAT_ESTIMATE, 0);
    std::vector<float> probabilities(top.logits, top.logits + top.size);
    std::sort(probabilities.begin(), probabilities.end(), std::greater<>());
    probabilities.resize(static_cast<size_t>(std::min(MIROSTAT_ESTIMATE, n_)), -INFINITE);
    for (float &p : probabilities) p = std::exp(p / temperature - peak / temperature) / total;
    float products = 0, squares = 0;
    for (size_t i = 0; i + 1 < probabilities.size(); i++) {
        const float t = std::log(static_cast<float>(i + 2) / static_cast<float>(i + 1));
        products += t * std::log(probabilities[i] / probabilities[i + 1]);
        squares += t * t;
    }
    const float s = products / squares, epsilon = s - 1;
    const float all = 1 - std::pow(static_cast<float>(n_), -epsilon);
    return to_top_k(std::pow(epsilon * std::pow(2.0F, sampler.mu()) / all, 1 / s), n_);
}

int32_t Drawer::draw_mirostat_2(Sampler &sampler) {
    // Keeps tokens with -log2(probability) <= mu, and always the most probable one.
    const auto peak = static_cast<double>(selector_.peak()), beta = static_cast<double>(inverse_temperature(sampler.options));
    const double least = peak + (std::log(selector_.total_weight()) - static_cast<double>(sampler.mu()) * std::log(2.0)) / beta;
    const float low = std::max(std::min(selector_.peak(), static_cast<float>(least)), -MAX_FLOAT);
    const bool few = selector_.few_above(low);
    const LogitRange range = few ? selector_.copy(selector_.row(), low, INFINITE) : selector_.row().within(low, INFINITE);
    // With one token left, llama.cpp uses no random number.
    if (range.size == 1) {
        sampler.update_mu(1);
        return selector_.argmax();
    }
    return draw_and_update_mu(sampler, range);
}

int32_t Drawer::draw_and_update_mu(Sampler &sampler, const LogitRange &range) {
    const Candidate drawn = draw_candidate(sampler, range, range.peak);
    sampler.update_mu(static_cast<float>(drawn.probability));
    return selector_.token(drawn);
}

Candidate Drawer::draw_candidate(Sampler &sampler, const LogitRange &range, float centre) {
    return selector_.quantile(range, centre, inverse_temperature(sampler.options), sampler.uniform());
}

} // namespace puna
