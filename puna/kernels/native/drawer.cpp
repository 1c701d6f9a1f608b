#include <algorithm>
#include <cmath>
#include <limits>

#include "drawing.h"

namespace puna {
namespace {

constexpr float INFINITE = std::numeric_limits<float>::infinity(), GREATEST = std::numeric_limits<float>::max();
constexpr float NEAR = 6;          // how far below the peak tokens are looked for first
constexpr size_t MANY = 256;       // peaks
constexpr size_t PROBES = 64;      // of them that tell how far they are apart
constexpr float NARROW = 1e-6F;    // what rounding may hide
constexpr int64_t LARGE = 8192;    // logits of which a sample is looked at first
constexpr int64_t SAMPLE = 4096;   // of so many
constexpr int64_t TOGETHER = 16;   // of which so many are neighbours
constexpr int SAMPLE_BINS = 512, FIRST_BIN = Bins::count - SAMPLE_BINS; // in so many bins
constexpr double SURE = 3;         // standard deviations
constexpr float NOTHING = 88;      // e^-88 is nothing beside 1
constexpr int64_t ESTIMATE = 100;  // tokens from which Mirostat estimates

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
    if (options.top_k || options.typical_p < 1) return -1;
    return options.top_p < 1 ? 1 : options.min_p > 0 ? -1 : sharpness(options);
}

// How many tokens llama.cpp keeps for a number of them that need not be one.
int64_t whole(float count, int64_t all) {
    // Its cast depends on the processor.
#ifdef __aarch64__
    if (count >= 2147483648.0F) return all;
#endif
    return count >= 1 && count < 2147483648.0F ? std::min<int64_t>(static_cast<int64_t>(count), all) : 1;
}

// The first place up to which there is at least this much, or the last that has anything.
struct Reached {
    size_t place = 0;
    double before = 0; // how much there is before it
    bool enough = false;

    Reached(const float *weights, size_t size, double wanted, double sum) {
        for (size_t i = 0; i < size && !enough; i++) {
            if (weights[i] <= 0) continue;
            place = i, before = sum;
            sum += static_cast<double>(weights[i]);
            enough = sum >= wanted;
        }
    }
};

} // namespace

Drawer::Drawer(const LogitsKernel &kernel, int64_t n_vocab)
    : kernel_(kernel), n_(n_vocab), peaks_(static_cast<size_t>((n_vocab + PEAK_BLOCK - 1) / PEAK_BLOCK)),
      sums_(static_cast<size_t>((n_vocab + SUM_BLOCK - 1) / SUM_BLOCK)), tops_(sums_.size()), values_(static_cast<size_t>(n_vocab + SPARE)),
      inner_(values_.size()), sample_(SAMPLE), weights_(Bins::all), known_(Bins::all), squares_(Bins::all), members_(values_.size()), weighed_(values_.size()) {}

void Drawer::draw(DrawRow &row) {
    const Lowered lowered(row);
    row.token = -1;
    const float sharp = surveyed(row.sampler->options);
    peak_ = sharp >= 0 ? kernel_.survey(row.logits, n_, sharp, peaks_.data(), tops_.data(), sums_.data())
                      : kernel_.peaks(row.logits, n_, peaks_.data());
    if (!std::isfinite(peak_)) return;
    if (sharp >= 0) {
        whole_ = 0;
        for (size_t i = 0; i < sums_.size(); i++) {
            sums_[i] *= std::exp((tops_[i] - peak_) * sharp);
            whole_ += static_cast<double>(sums_[i]);
        }
    }
    row.token = pick(*row.sampler, row.logits);
}

int32_t Drawer::pick(Sampler &sampler, const float *logits) {
    switch (sampler.options.method) {
    case SamplingMethod::TRUNCATION: return truncated(sampler, logits);
    case SamplingMethod::MIROSTAT: return mirostat(sampler, logits);
    case SamplingMethod::MIROSTAT_2: return mirostat_2(sampler, logits);
    default: return highest(logits);
    }
}

int32_t Drawer::highest(const float *logits) const {
    const auto block = std::find(peaks_.begin(), peaks_.end(), peak_) - peaks_.begin();
    return static_cast<int32_t>(std::find(logits + PEAK_BLOCK * block, logits + n_, peak_) - logits);
}

int32_t Drawer::truncated(Sampler &sampler, const float *logits) {
    const DrawOptions &options = sampler.options;
    if (!options.top_k && options.typical_p >= 1 && options.top_p >= 1) return by_id(sampler, logits);
    Field field = options.top_k ? likeliest(logits, options.top_k) : all(logits);
    float centre = peak_;
    if (options.typical_p < 1) field = typical(field, options.typical_p, centre);
    if (options.top_p < 1) {
        field = nucleus(field, std::max(options.top_p, 0.0F), least(options, field.peak));
        centre = field.peak;
    }
    field.low = std::max(field.low, least(options, field.peak));
    return draw(sampler, logits, field, centre).token;
}

int32_t Drawer::by_id(Sampler &sampler, const float *logits) {
    const DrawOptions &options = sampler.options;
    const Weighing how{peak_, sharpness(options), least(options, peak_)};
    const double wanted = sampler.uniform() * (options.min_p > 0 ? sum(logits, n_, how) : whole_);
    const Reached block(sums_.data(), sums_.size(), wanted, 0);
    const int64_t first = SUM_BLOCK * static_cast<int64_t>(block.place), size = std::min(SUM_BLOCK, n_ - first);
    float weights[SUM_BLOCK];
    kernel_.weigh(logits + first, size, how, weights);
    return static_cast<int32_t>(first) + static_cast<int32_t>(Reached(weights, static_cast<size_t>(size), wanted, block.before).place);
}

int32_t Drawer::mirostat(Sampler &sampler, const float *logits) {
    const int64_t count = mirostat_count(sampler, logits);
    // Of one, llama.cpp draws none.
    const Drawn drawn = count == 1 ? Drawn{highest(logits), 1} : draw(sampler, logits, likeliest(logits, count), peak_);
    sampler.learn(static_cast<float>(drawn.chance));
    return drawn.token;
}

int64_t Drawer::mirostat_count(const Sampler &sampler, const float *logits) {
    // In single precision, in llama.cpp's steps: the count is sensitive.
    const float temperature = sampler.options.temperature;
    const auto whole_sum = static_cast<float>(whole_);
    const Field field = likeliest(logits, ESTIMATE);
    std::vector<float> chances(field.logits, field.logits + field.size);
    std::sort(chances.begin(), chances.end(), std::greater<>());
    chances.resize(static_cast<size_t>(std::min(ESTIMATE, n_)), -INFINITE);
    for (float &chance : chances) chance = std::exp(chance / temperature - peak_ / temperature) / whole_sum;
    float products = 0, squares = 0;
    for (size_t i = 0; i + 1 < chances.size(); i++) {
        const float t = std::log(static_cast<float>(i + 2) / static_cast<float>(i + 1));
        products += t * std::log(chances[i] / chances[i + 1]);
        squares += t * t;
    }
    const float s = products / squares, epsilon = s - 1;
    const float all_of_them = 1 - std::pow(static_cast<float>(n_), -epsilon);
    return whole(std::pow(epsilon * std::pow(2.0F, sampler.mu()) / all_of_them, 1 / s), n_);
}

int32_t Drawer::mirostat_2(Sampler &sampler, const float *logits) {
    // Left are the tokens of which -log2(chance) is at most mu, and the likeliest.
    const double below = (std::log(whole_) - static_cast<double>(sampler.mu()) * std::log(2.0)) / static_cast<double>(sharpness(sampler.options));
    const float low = std::max(std::min(peak_, static_cast<float>(static_cast<double>(peak_) + below)), -GREATEST);
    const Field field = within(all(logits), {peak_, 0, INFINITE, low});
    // Of one, llama.cpp draws none.
    const Drawn drawn = field.size == 1 ? Drawn{token(logits, field.logits[0], 0), 1} : draw(sampler, logits, field, peak_);
    sampler.learn(static_cast<float>(drawn.chance));
    return drawn.token;
}

Drawer::Field Drawer::likeliest(const float *logits, int64_t count) {
    const auto most = static_cast<size_t>(count);
    float low = -GREATEST;
    Bracket bracket{0, INFINITE};
    if (most <= peaks_.size()) {
        low = reached_by(most);
    } else if (n_ > LARGE && count < n_) {
        take_sample(logits, n_);
        const double part = static_cast<double>(count) / static_cast<double>(n_);
        const double rank = part * SAMPLE, doubt = 1 + SURE * std::sqrt(SAMPLE * part * (1 - part));
        const auto ranked = [&](double at) {
            const auto place = sample_.begin() + static_cast<long>(at);
            std::nth_element(sample_.begin(), place, sample_.end(), std::greater<>());
            return *place;
        };
        if (rank + doubt < SAMPLE) low = std::max(ranked(rank + doubt), -GREATEST);
        if (rank > doubt) bracket.near = std::max(0.0F, std::min(peak_ - ranked(rank - doubt), GREATEST));
    }
    Field field = within(all(logits), {peak_, 0, INFINITE, low});
    if (field.size < count && low > -GREATEST) field = within(all(logits), {peak_, 0, INFINITE, -GREATEST});
    if (field.size <= count) return field;
    return first(field, peak_, {peak_, 0, -GREATEST}, static_cast<double>(count), bracket, INFINITE);
}

float Drawer::reached_by(size_t blocks) {
    // Peaks are logits themselves, so at least as many logits reach it, and few more do.
    float range = 0;
    for (size_t i = 0; i < PROBES; i++) {
        const float away = peak_ - peaks_[i * peaks_.size() / PROBES];
        if (away < INFINITE) range = std::max(range, away);
    }
    if (range > 0) {
        const float scale = Bins::count / range;
        std::fill(weights_.begin(), weights_.end(), 0.0F);
        kernel_.spread(peaks_.data(), static_cast<int64_t>(peaks_.size()), {peak_, 0, scale}, {peak_, 0, -GREATEST}, weights_.data());
        const Reached bin(weights_.data(), Bins::count, static_cast<double>(blocks), 0);
        if (bin.enough) return peak_ - static_cast<float>(bin.place + 1) / scale - NARROW * std::abs(peak_);
    }
    scratch_ = peaks_;
    const auto last = scratch_.begin() + static_cast<long>(blocks) - 1;
    std::nth_element(scratch_.begin(), last, scratch_.end(), std::greater<>());
    return std::max(*last, -GREATEST);
}

Drawer::Field Drawer::typical(const Field &field, float part, float &centre) {
    // Typical is what is as surprising as the average: that orders tokens by how near their logit is to the average logit.
    const Weighing how{field.peak, 1, field.low};
    double whole = 0, weighted = 0;
    kernel_.moments(field.logits, field.size, how, whole, weighted);
    centre = static_cast<float>(static_cast<double>(field.peak) + weighted / whole);
    // llama.cpp wants more than that part.
    Field kept = first(field, centre, how, whole, std::nextafter(static_cast<double>(part) * whole, std::numeric_limits<double>::infinity()));
    scratch_.resize(peaks_.size());
    kept.peak = kernel_.peaks(kept.logits, kept.size, scratch_.data());
    return kept;
}

Drawer::Field Drawer::nucleus(const Field &field, float part, float low) {
    const Weighing how{field.peak, 1, field.low};
    const double whole = field.all ? whole_ : sum(field.logits, field.size, how), wanted = static_cast<double>(part) * whole;
    const float close = std::max(low, peak_ - NEAR);
    if (field.all && few(close)) {
        const Field near = within(field, {peak_, 0, INFINITE, close});
        const double known = sum(near.logits, near.size, how);
        if (close == low || known >= wanted) return first(near, peak_, how, known, wanted);
    }
    return first(field, field.peak, how, whole, wanted);
}

Drawer::Field Drawer::first(const Field &field, float centre, const Weighing &how, double total, double wanted) {
    // All tokens below a logit together have less than what is not wanted: so the last that is wanted is not so far.
    const double rest = total - wanted;
    double end = static_cast<double>(INFINITE);
    if (rest > 0) {
        const double low = static_cast<double>(how.peak) + std::log(rest / static_cast<double>(n_)) - 1e-3;
        end = std::max(static_cast<double>(centre) - low, 1e-3 + static_cast<double>(how.peak - centre));
    }
    return first(field, centre, how, wanted, bracket(field, centre, how, {rest, 0}, static_cast<float>(end)), static_cast<float>(end));
}

Drawer::Field Drawer::first(const Field &field, float centre, const Weighing &how, double wanted, Bracket bracket, float end) {
    Field some = field;
    Found found{};
    for (; !found.there; bracket = {0, end}) {
        if (field.all) some = within(field, {centre, 0, bracket.far, field.low});
        found = find(some, centre, how, {wanted, 0}, bracket, bracket.far >= end);
    }
    if (centre >= field.peak) some.low = found.logit;
    else some = within(some, {centre, 0, std::abs(found.logit - centre), some.low});
    drop_last(some, found.logit, found.surplus);
    drop_last(some, found.other, found.other_surplus);
    return some;
}

void Drawer::drop_last(Field &field, float logit, int64_t count) {
    const auto begin = values_.begin();
    for (int64_t end = field.size; count; count--, field.size--) {
        while (begin[--end] != logit) {}
        std::copy(begin + end + 1, begin + field.size, begin + end);
    }
}

Drawer::Field Drawer::within(const Field &field, const Ring &ring) {
    const int64_t size = kernel_.gather(field.logits, field.size, field.all ? peaks_.data() : nullptr, ring, values_.data());
    return {values_.data(), size, field.peak, ring.low, false};
}

bool Drawer::few(float low) const {
    const auto blocks = static_cast<size_t>(std::count_if(peaks_.begin(), peaks_.end(), [low](float peak) { return peak >= low; }));
    return blocks <= std::max(peaks_.size() / 2, MANY);
}

Drawer::Drawn Drawer::draw(Sampler &sampler, const float *logits, const Field &field, float centre) {
    const Weighing how{field.peak, sharpness(sampler.options), field.low};
    const Wanted wanted{0, sampler.uniform()};
    const float end = std::max(std::abs(field.peak - centre) + NOTHING / how.sharpness, 1e-6F);
    const Bracket likely = bracket(field, centre, how, {0, 1 - wanted.share}, end);
    Found found = find(field, centre, how, wanted, likely, likely.far >= end);
    if (!found.there) found = find(field, centre, how, wanted, {0, end}, true);
    return {token(logits, found.logit, found.before), found.chance};
}

int32_t Drawer::token(const float *logits, float logit, int64_t before) const {
    return static_cast<int32_t>(kernel_.place(logits, n_, peaks_.data(), logit, before));
}

Drawer::Bracket Drawer::bracket(const Field &field, float centre, const Weighing &how, const Wanted &rest, float end) {
    Bracket found{0, end};
    if (field.size <= LARGE || !(end < INFINITE)) return found;
    // The last bins up to the end; what is beyond is in those behind them.
    const Bins bins{centre, -FIRST_BIN * (end / SAMPLE_BINS), SAMPLE_BINS / end};
    take_sample(field.logits, field.size);
    std::fill(known_.begin(), known_.end(), 0.0F);
    const bool two_sided = centre < field.peak;
    if (two_sided && field.all) {
        // The greatest may be on both sides of the border. They weigh too much for a sample, and are few.
        const Field greatest = within(field, {field.peak, 0, INFINITE, reached_by(std::min(MANY, peaks_.size()))});
        kernel_.spread(greatest.logits, greatest.size, bins, how, known_.data());
        for (float &logit : sample_) logit = logit >= greatest.low ? -GREATEST : logit;
    }
    std::fill(weights_.begin(), weights_.end(), 0.0F);
    kernel_.spread(sample_.data(), SAMPLE, bins, how, weights_.data());
    const double each = static_cast<double>(field.size) / SAMPLE, width = static_cast<double>(end) / SAMPLE_BINS, sharp = static_cast<double>(how.sharpness);
    // Squares of a bin's weights: on one side they are as great as those at its edge.
    const double step = std::exp(width * sharp);
    double edge_weight = std::exp(static_cast<double>(centre - field.peak - end) * sharp);
    std::fill(squares_.begin(), squares_.end(), 0.0F);
    if (two_sided) kernel_.spread(sample_.data(), SAMPLE, bins, {how.peak, 2 * how.sharpness, how.low}, squares_.data());
    else
        for (int bin = Bins::all; bin-- > FIRST_BIN;) {
            if (bin < Bins::count) edge_weight = std::min(1.0, edge_weight * step);
            squares_[static_cast<size_t>(bin)] = weights_[static_cast<size_t>(bin)] * static_cast<float>(edge_weight);
        }
    double all = 0, all_squares = 0, sum = 0, squares = 0;
    for (size_t bin = FIRST_BIN; bin < weights_.size(); bin++) {
        all += each * static_cast<double>(weights_[bin]) + static_cast<double>(known_[bin]);
        all_squares += each * each * static_cast<double>(squares_[bin]);
    }
    // From far away, because weights are smallest there.
    double another = each * std::exp(static_cast<double>(centre - field.peak - end) * sharp); // one more than were seen
    for (int at = Bins::all; at-- > FIRST_BIN;) {
        const auto bin = static_cast<size_t>(at);
        sum += each * static_cast<double>(weights_[bin]) + static_cast<double>(known_[bin]);
        squares += each * each * static_cast<double>(squares_[bin]);
        if (at >= Bins::count) continue;
        another *= step;
        const double off = rest.weight + rest.share * all - sum;
        const double doubt = SURE * SURE * (squares + another * another + rest.share * rest.share * all_squares);
        const auto edge = static_cast<float>(width * (at - FIRST_BIN));
        if (off > 0 && off * off >= doubt) found.far = edge;
        if (off < 0 && off * off >= doubt) {
            found.near = edge;
            break;
        }
    }
    return found;
}

void Drawer::take_sample(const float *logits, int64_t size) {
    for (int64_t i = 0; i < SAMPLE; i += TOGETHER) std::copy_n(logits + i * size / SAMPLE, TOGETHER, &sample_[static_cast<size_t>(i)]);
}

Drawer::Found Drawer::find(const Field &field, float centre, const Weighing &how, const Wanted &wanted, const Bracket &bracket, bool last) {
    const float *logits = field.logits;
    int64_t size = field.size;
    Divided divided{};
    if (bracket.near > 0 || (wanted.share > 0 && size > LARGE)) {
        divided = kernel_.divide(logits, size, how, {centre, bracket.near, bracket.far, how.low}, inner_.data());
        logits = inner_.data();
        size = divided.count;
    } else if (wanted.share > 0) divided.all = sum(logits, size, how);
    const double before = divided.nearer, weight = wanted.weight + wanted.share * divided.all;
    if (before > 0 && before >= weight) return {};
    const auto away = [&](float logit) { return std::abs(logit - centre); };
    float far = bracket.far;
    if (far == INFINITE) {
        far = 0;
        for (int64_t i = 0; i < size; i++) far = std::max(far, away(logits[i]));
    }
    const float width = far - bracket.near;
    const Bins bins{centre, bracket.near, width > 0 ? Bins::count / width : 0};
    std::fill(weights_.begin(), weights_.end(), 0.0F);
    kernel_.spread(logits, size, bins, how, weights_.data());
    const Reached bin(weights_.data(), weights_.size(), weight, before);
    if (!size || !(bin.enough || last)) return {};
    const int64_t count = kernel_.members(logits, size, bins, static_cast<int>(bin.place), members_.data());
    const auto first = members_.begin(), end = first + count;
    const auto in_order = [&](float a, float b) { return away(a) != away(b) ? away(a) < away(b) : a > b; };
    if (!std::is_sorted(first, end, in_order)) std::sort(first, end, in_order);
    kernel_.weigh(members_.data(), count, how, weighed_.data());
    const auto at = static_cast<int64_t>(Reached(weighed_.data(), static_cast<size_t>(count), weight, bin.before).place);
    Found found{first[at], first[at], static_cast<double>(weighed_[static_cast<size_t>(at)]) / divided.all, 0, 0, 0, true};
    while (at > found.before && first[at - found.before - 1] == found.logit) found.before++;
    for (int64_t i = at + 1; i < count && away(first[i]) == away(found.logit); i++) {
        if (first[i] == found.logit) found.surplus++;
        else found.other = first[i], found.other_surplus++;
    }
    return found;
}

double Drawer::sum(const float *logits, int64_t n, const Weighing &how) {
    kernel_.sums(logits, n, how, sums_.data());
    double sum = 0;
    for (int64_t i = 0; SUM_BLOCK * i < n; i++) sum += static_cast<double>(sums_[static_cast<size_t>(i)]);
    return sum;
}

} // namespace puna
