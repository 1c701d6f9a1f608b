#include "drawing.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <system_error>
#include <thread>

#include "kernel.h"

namespace puna {
namespace {

constexpr float INFINITE = std::numeric_limits<float>::infinity(), GREATEST = std::numeric_limits<float>::max();
constexpr float NEAR = 6;            // how far below the peak tokens are looked for first
constexpr int64_t FEW = 16384;       // and how many of them are looked at alone
constexpr size_t MANY = 256;         // peaks
constexpr int64_t SMALL = 512 << 10; // logits that are drawn from sooner than another thread begins

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

// The first place up to which there is at least this much; the last if there is less.
template <class T> size_t reached(const T *weights, size_t size, double wanted, double &before) {
    size_t at = 0;
    while (at + 1 < size && before + static_cast<double>(weights[at]) < wanted) before += static_cast<double>(weights[at++]);
    return at;
}

} // namespace

double Sampler::uniform() {
    // std::uniform_real_distribution<double> of libstdc++, spelled out because other libraries have their own.
    const auto low = static_cast<double>(random_());
    const double number = (low + static_cast<double>(random_()) * 4294967296.0) / 18446744073709551616.0;
    return number < 1 ? number : std::nextafter(1.0, 0.0);
}

void Sampler::learn(float chance) { mu_ -= options.eta * (-std::log2(chance) - options.tau); }

Drawer::Drawer(const LogitsKernel &kernel, int64_t n_vocab, Apply apply)
    : kernel_(kernel), n_(n_vocab), apply_(apply), peaks_(static_cast<size_t>((n_vocab + PEAK_BLOCK - 1) / PEAK_BLOCK)),
      sums_(static_cast<size_t>((n_vocab + SUM_BLOCK - 1) / SUM_BLOCK)), values_(FEW), weights_(Bins::all),
      chances_(Bins::all), ids_(FEW), members_(static_cast<size_t>(n_vocab)), candidates_(FEW) {}

void Drawer::draw(DrawRow &row) {
    const Lowered lowered(row);
    row.token = -1;
    if (!kernel_.peaks(row.logits, n_, peaks_.data())) return;
    peak_ = *std::max_element(peaks_.begin(), peaks_.end());
    if (std::isfinite(peak_)) row.token = pick(*row.sampler, row.logits);
}

int32_t Drawer::pick(Sampler &sampler, const float *logits) {
    switch (sampler.options.method) {
    case SamplingMethod::CHAIN: return chained(sampler.options, logits);
    case SamplingMethod::MIN_P: return min_p(sampler, logits);
    case SamplingMethod::NUCLEUS: return nucleus(sampler, logits);
    case SamplingMethod::MIROSTAT: return mirostat(sampler, logits);
    default: return highest(logits);
    }
}

int32_t Drawer::highest(const float *logits) const {
    const auto block = std::find(peaks_.begin(), peaks_.end(), peak_) - peaks_.begin();
    return static_cast<int32_t>(std::find(logits + PEAK_BLOCK * block, logits + n_, peak_) - logits);
}

int32_t Drawer::chained(const DrawOptions &options, const float *logits) {
    int64_t size = FEW + 1;
    const auto most = static_cast<size_t>(options.top_k);
    if (most && most <= peaks_.size()) {
        // Peaks are logits themselves, so at least as many reach the lowest of the highest peaks, and few more do.
        // Some blocks together are soon put in order.
        std::vector<float> &ordered = values_;
        const size_t columns = std::min(peaks_.size(), std::max(8 * most, MANY));
        ordered.assign(peaks_.begin(), peaks_.begin() + static_cast<long>(columns));
        for (size_t from = columns; from < peaks_.size(); from += columns)
            for (size_t i = 0; i < std::min(columns, peaks_.size() - from); i++) ordered[i] = std::max(ordered[i], peaks_[from + i]);
        std::nth_element(ordered.begin(), ordered.begin() + static_cast<long>(most) - 1, ordered.end(), std::greater<>());
        size = kernel_.gather(logits, n_, peaks_.data(), std::max(ordered[most - 1], -GREATEST), ids_.data(), FEW);
        values_.resize(FEW);
    }
    const bool all = size > FEW;
    if (all) size = n_;
    candidates_.resize(std::max(candidates_.size(), static_cast<size_t>(size)));
    for (int64_t i = 0; i < size; i++) {
        const int32_t id = all ? static_cast<int32_t>(i) : ids_[static_cast<size_t>(i)];
        candidates_[static_cast<size_t>(i)] = {id, logits[id], 0};
    }
    Candidates array{candidates_.data(), static_cast<size_t>(size), -1, false};
    apply_(options.chain, &array);
    return array.data[array.selected].id;
}

int32_t Drawer::min_p(Sampler &sampler, const float *logits) {
    const DrawOptions &options = sampler.options;
    const float low = options.min_p > 0 ? std::min(peak_, peak_ + std::log(options.min_p)) : -GREATEST;
    const Weighing how{peak_, sharpness(options), low};
    const double wanted = sampler.uniform() * sum(logits, n_, how);
    double before = 0;
    const auto block = static_cast<int64_t>(reached(sums_.data(), sums_.size(), wanted, before));
    const int64_t first = SUM_BLOCK * block, size = std::min(SUM_BLOCK, n_ - first);
    float weights[SUM_BLOCK];
    kernel_.weigh(logits + first, size, how, weights);
    return static_cast<int32_t>(first) + static_cast<int32_t>(reached(weights, static_cast<size_t>(size), wanted, before));
}

int32_t Drawer::nucleus(Sampler &sampler, const float *logits) {
    const DrawOptions &options = sampler.options;
    const double part = std::max(options.top_p, 0.0F);
    const float least = options.min_p > 0 ? std::min(peak_, peak_ + std::log(options.min_p)) : -GREATEST;
    const float close = std::max(least, peak_ - NEAR);
    if (const Field field = near(logits, close); field.size) {
        const double whole = sum(logits, n_, {peak_, 1, -GREATEST});
        if (close == least || sum(field.logits, field.size, {peak_, 1, -GREATEST}) >= part * whole)
            return likeliest(sampler, field, close, part, whole).token;
    }
    // All tokens below this together have less than what top_p leaves out: the peaks alone tell how much that is at least.
    double known = 0;
    for (const float peak : peaks_) known += std::exp(static_cast<double>(peak - peak_));
    const auto low = static_cast<float>(peak_ + std::log((1 - part) * known / static_cast<double>(n_)) - 1e-3);
    return likeliest(sampler, {logits, n_, nullptr}, std::max(low, least), part, 0).token;
}

int32_t Drawer::mirostat(Sampler &sampler, const float *logits) {
    const Weighing how{peak_, sharpness(sampler.options), -GREATEST};
    // Left are the tokens of which -log2(chance) is at most mu, and the likeliest.
    const double least = (std::log(sum(logits, n_, how)) - sampler.mu() * std::log(2.0)) / how.sharpness;
    const float low = std::max(std::min(peak_, static_cast<float>(peak_ + least)), -GREATEST);
    Field field = near(logits, low);
    if (!field.size) field = {logits, n_, nullptr};
    // Of one, llama.cpp draws none.
    const Place place = field.size == 1 ? Place{field.ids[0], 1} : likeliest(sampler, field, low, INFINITE, 0);
    sampler.learn(static_cast<float>(place.chance));
    return place.token;
}

Drawer::Field Drawer::near(const float *logits, float low) {
    const auto blocks = static_cast<size_t>(std::count_if(peaks_.begin(), peaks_.end(), [low](float peak) { return peak >= low; }));
    if (blocks > std::max(peaks_.size() / 2, MANY)) return {logits, 0, nullptr};
    const int64_t size = kernel_.gather(logits, n_, peaks_.data(), low, ids_.data(), FEW);
    if (size > FEW) return {logits, 0, nullptr};
    for (int64_t i = 0; i < size; i++) values_[static_cast<size_t>(i)] = logits[ids_[static_cast<size_t>(i)]];
    return {values_.data(), size, ids_.data()};
}

Drawer::Place Drawer::likeliest(Sampler &sampler, const Field &field, float low, double part, double whole) {
    const float sharp = sharpness(sampler.options), width = peak_ - low;
    const Bins bins{peak_, width > 0 ? Bins::count / width : 0, low};
    const bool bounded = part < INFINITE;
    std::fill(weights_.begin(), weights_.end(), 0.0F);
    std::fill(chances_.begin(), chances_.end(), 0.0F);
    const double all = kernel_.spread(field.logits, field.size, bins, sharp, weights_.data(), bounded ? chances_.data() : nullptr);
    size_t border = weights_.size() - 1, kept = 0; // the last bin, and how many of its members are left
    if (bounded) {
        double before = 0;
        border = reached(chances_.data(), chances_.size(), part * (whole > 0 ? whole : all), before);
        while (border && chances_[border] == 0) border--;
        const size_t members = order(field, bins, border);
        weigh({peak_, 1, low}, members);
        kept = reached(weighed_.data(), members, part * (whole > 0 ? whole : all), before) + 1;
        weigh({peak_, sharp, low}, kept);
        weights_[border] = 0;
        for (size_t i = 0; i < kept; i++) weights_[border] += weighed_[i];
    }
    double total = 0, before = 0;
    for (size_t i = 0; i <= border; i++) total += static_cast<double>(weights_[i]);
    const double wanted = sampler.uniform() * total;
    size_t bin = reached(weights_.data(), border + 1, wanted, before);
    while (bin && weights_[bin] == 0) bin--;
    size_t members = order(field, bins, bin);
    if (bounded && bin == border) members = kept;
    weigh({peak_, sharp, low}, members);
    const size_t at = reached(weighed_.data(), members, wanted, before);
    const int32_t place = members_[at];
    return {field.ids ? field.ids[place] : place, static_cast<double>(weighed_[at]) / total};
}

size_t Drawer::order(const Field &field, const Bins &bins, size_t bin) {
    const auto count = static_cast<size_t>(kernel_.members(field.logits, field.size, bins, static_cast<int>(bin), members_.data()));
    const auto end = members_.begin() + static_cast<long>(count);
    const auto before = [&](int32_t a, int32_t b) { return field.logits[a] != field.logits[b] ? field.logits[a] > field.logits[b] : a < b; };
    if (!std::is_sorted(members_.begin(), end, before)) std::sort(members_.begin(), end, before);
    ordered_.resize(count);
    for (size_t i = 0; i < count; i++) ordered_[i] = field.logits[members_[i]];
    return count;
}

void Drawer::weigh(const Weighing &how, size_t count) {
    weighed_.resize(std::max(count, weighed_.size()));
    kernel_.weigh(ordered_.data(), static_cast<int64_t>(count), how, weighed_.data());
}

double Drawer::sum(const float *logits, int64_t n, const Weighing &how) {
    kernel_.sums(logits, n, how, sums_.data());
    double sum = 0;
    for (int64_t i = 0; SUM_BLOCK * i < n; i++) sum += static_cast<double>(sums_[static_cast<size_t>(i)]);
    return sum;
}

namespace {

// All threads' drawers, for rows of the same length.
class Drawing {
  public:
    Drawing(const LogitsKernel &kernel, int64_t n_vocab, Apply apply) : kernel_(kernel), n_(n_vocab), apply_(apply) {}

    void draw(DrawRow **rows, int count, int threads) {
        const auto useful = std::clamp<int64_t>(std::min<int64_t>(count * n_ / SMALL, count), 1, threads);
        while (static_cast<int64_t>(drawers_.size()) < useful) drawers_.push_back(std::make_unique<Drawer>(kernel_, n_, apply_));
        std::atomic<int> next{0};
        const auto work = [&](Drawer &drawer) {
            for (int row = next++; row < count; row = next++) drawer.draw(*rows[row]);
        };
        std::vector<std::thread> others;
        try {
            for (int64_t i = 1; i < useful; i++) others.emplace_back(work, std::ref(*drawers_[static_cast<size_t>(i)]));
        } catch (const std::system_error &) {
            // The system gives no more threads: those that there are do it.
        }
        work(*drawers_[0]);
        for (std::thread &other : others) other.join();
    }

  private:
    const LogitsKernel &kernel_;
    const int64_t n_;
    const Apply apply_;
    std::vector<std::unique_ptr<Drawer>> drawers_;
};

const LogitsKernel *kernel() {
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (VARIANTS[i]->runs_here()) return VARIANTS[i]->logits;
    return nullptr;
}

} // namespace
} // namespace puna

#define PUNA_CALL extern "C" __attribute__((visibility("default")))

// What draws from rows of `n_vocab` logits, one call at a time; null if this processor has no variant. `apply` is
// `llama_sampler_apply`.
PUNA_CALL void *puna_drawing_new(int64_t n_vocab, puna::Apply apply) {
    const puna::LogitsKernel *kernel = puna::kernel();
    return kernel ? new puna::Drawing(*kernel, n_vocab, apply) : nullptr;
}
PUNA_CALL void puna_drawing_free(void *drawing) { delete static_cast<puna::Drawing *>(drawing); }
PUNA_CALL void puna_drawing_draw(void *drawing, puna::DrawRow **rows, int count, int threads) {
    static_cast<puna::Drawing *>(drawing)->draw(rows, count, threads);
}

PUNA_CALL void *puna_sampler_new(const puna::DrawOptions *options) { return new puna::Sampler(*options); }
PUNA_CALL void puna_sampler_free(void *sampler) { delete static_cast<puna::Sampler *>(sampler); }
