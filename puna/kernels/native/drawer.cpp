#include <algorithm>
#include <cmath>
#include <functional>

#include "drawing.h"

namespace puna {
namespace {

constexpr float NEAR = 6;         // how far below the peak tokens are looked for first
constexpr int64_t ESTIMATE = 100; // tokens from which Mirostat estimates

// The penalties of llama.cpp on the tokens that came lately, for as long as one is drawn.
class Lowered {
  public:
    explicit Lowered(const DrawRow &row) : row_(row), before_(static_cast<size_t>(row.distinct)) {
        const DrawOptions &options = row.sampler->options;
        for (int64_t i = 0; i < row.distinct; i++) {
            float &logit = row.logits[row.ids[i]];
            before_[static_cast<size_t>(i)] = logit;
            logit = logit > 0 ? logit / options.repeat : logit * options.repeat;
            logit -= row.counts[i] * options.frequency + options.presence;
        }
    }
    ~Lowered() {
        for (int64_t i = 0; i < row_.distinct; i++) row_.logits[row_.ids[i]] = before_[static_cast<size_t>(i)];
    }
    Lowered(const Lowered &) = delete;
    Lowered &operator=(const Lowered &) = delete;

  private:
    const DrawRow &row_;
    std::vector<float> before_;
};

float sharpness(const DrawOptions &options) { return std::min(1 / options.temperature, GREATEST); }

float least(const DrawOptions &options, float peak) {
    return options.min_p > 0 ? std::min(peak, peak + std::log(options.min_p)) : -GREATEST;
}

// How sharp the exponentials are whose sum over all logits is needed; -1 if it is not.
float surveyed(const DrawOptions &options) {
    if (options.method == SamplingMethod::GREEDY) return -1;
    if (options.method != SamplingMethod::TRUNCATION) return sharpness(options);
    if (options.top_k) return -1;
    return options.typical_p < 1 ? 1 : options.top_p < 1 || options.min_p > 0 ? -1 : sharpness(options);
}

// How many tokens llama.cpp keeps for a number of them that need not be one.
int64_t as_count(float count, int64_t all) {
    // Its cast depends on the processor.
#ifdef __aarch64__
    if (count >= 2147483648.0F) return all;
#endif
    return count >= 1 && count < 2147483648.0F ? std::min<int64_t>(static_cast<int64_t>(count), all) : 1;
}

} // namespace

void Drawer::draw(DrawRow &row) {
    const Lowered lowered(row);
    const DrawOptions &options = row.sampler->options;
    row.token = fields_.read(row.logits, surveyed(options), options.typical_p < 1) ? pick(*row.sampler) : -1;
}

int32_t Drawer::pick(Sampler &sampler) {
    switch (sampler.options.method) {
    case SamplingMethod::TRUNCATION: return truncated(sampler);
    case SamplingMethod::MIROSTAT: return mirostat(sampler);
    case SamplingMethod::MIROSTAT_2: return mirostat_2(sampler);
    default: return fields_.highest();
    }
}

int32_t Drawer::truncated(Sampler &sampler) {
    const DrawOptions &options = sampler.options;
    if (!options.top_k && options.typical_p >= 1 && options.top_p >= 1) {
        const Field field = fields_.all().within(least(options, fields_.peak()), INFINITE);
        return fields_.reached_by_id(field, sharpness(options), sampler.uniform(), options.min_p <= 0);
    }
    const bool typical_ones = options.typical_p < 1, nucleus = options.top_p < 1;
    Field field = options.top_k ? fields_.likeliest(options.top_k, 2 * typical_ones + nucleus) : fields_.all();
    float centre = field.peak;
    if (typical_ones) field = typical(field, options.typical_p, centre, nucleus);
    if (nucleus) {
        field = likely(field, std::max(static_cast<double>(options.top_p), 0.0));
        centre = field.peak;
    }
    field = field.within(least(options, field.peak), field.high);
    return fields_.token(drawn(sampler, field, centre));
}

Field Drawer::typical(const Field &field, float part, float &centre, int passes) {
    // Typical is what is as surprising as the average: that orders tokens by how near their logit is to the average logit.
    double whole = 0;
    centre = fields_.average(field, whole);
    // llama.cpp wants more than that part.
    const double wanted = std::nextafter(static_cast<double>(part) * whole, static_cast<double>(INFINITE));
    return fields_.first(field, centre, {wanted, 0}, {whole - wanted, 0}, passes);
}

Field Drawer::likely(const Field &field, double part) {
    // Of the whole vocabulary often a few that are near the peak have enough.
    if (field.size == n_ && field.low == -GREATEST && fields_.few(field.peak - NEAR)) {
        const double whole = fields_.sum(field, 1), wanted = part * whole;
        const Field near = fields_.taken(field, field.peak - NEAR, field.high);
        const double known = fields_.sum(near, 1);
        return known < wanted ? fields_.first(field, field.peak, {wanted, 0}, {whole - wanted, 0}, 0)
                              : fields_.first(near, field.peak, {wanted, 0}, {known - wanted, 0}, 0);
    }
    return fields_.first(field, field.peak, {0, part}, {0, 1 - part}, 0);
}

int32_t Drawer::mirostat(Sampler &sampler) {
    const int64_t count = mirostat_count(sampler);
    // Of one, llama.cpp draws none.
    if (count == 1) {
        sampler.learn(1);
        return fields_.highest();
    }
    return learned(sampler, fields_.likeliest(count, 0));
}

int64_t Drawer::mirostat_count(const Sampler &sampler) {
    // In single precision, in llama.cpp's steps: the count is sensitive.
    const float temperature = sampler.options.temperature, peak = fields_.peak();
    const auto whole = static_cast<float>(fields_.whole());
    const Field field = fields_.likeliest(ESTIMATE, 0);
    std::vector<float> chances(field.logits, field.logits + field.size);
    std::sort(chances.begin(), chances.end(), std::greater<>());
    chances.resize(static_cast<size_t>(std::min(ESTIMATE, n_)), -INFINITE);
    for (float &chance : chances) chance = std::exp(chance / temperature - peak / temperature) / whole;
    float products = 0, squares = 0;
    for (size_t i = 0; i + 1 < chances.size(); i++) {
        const float t = std::log(static_cast<float>(i + 2) / static_cast<float>(i + 1));
        products += t * std::log(chances[i] / chances[i + 1]);
        squares += t * t;
    }
    const float s = products / squares, epsilon = s - 1;
    const float all = 1 - std::pow(static_cast<float>(n_), -epsilon);
    return as_count(std::pow(epsilon * std::pow(2.0F, sampler.mu()) / all, 1 / s), n_);
}

int32_t Drawer::mirostat_2(Sampler &sampler) {
    // Left are the tokens of which -log2(chance) is at most mu, and the likeliest.
    const auto peak = static_cast<double>(fields_.peak()), sharp = static_cast<double>(sharpness(sampler.options));
    const double least = peak + (std::log(fields_.whole()) - static_cast<double>(sampler.mu()) * std::log(2.0)) / sharp;
    const float low = std::max(std::min(fields_.peak(), static_cast<float>(least)), -GREATEST);
    const Field field = fields_.taken(fields_.all(), low, INFINITE);
    // Of one, llama.cpp draws none.
    if (field.size == 1) {
        sampler.learn(1);
        return fields_.highest();
    }
    return learned(sampler, field);
}

int32_t Drawer::learned(Sampler &sampler, const Field &field) {
    const Found found = drawn(sampler, field, field.peak);
    sampler.learn(static_cast<float>(found.chance));
    return fields_.token(found);
}

Found Drawer::drawn(Sampler &sampler, const Field &field, float centre) {
    return fields_.reached(field, centre, sharpness(sampler.options), sampler.uniform());
}

} // namespace puna
