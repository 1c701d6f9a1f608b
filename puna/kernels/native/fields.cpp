#include "fields.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace puna {
namespace {

constexpr size_t MANY = 256;                                            // peaks
constexpr size_t PROBES = 64;                                           // of them that tell how far they are apart
constexpr float NARROW = 1e-6F;                                         // what rounding may hide
constexpr int64_t LARGE = 8192;                                        // logits of which a sample is looked at first
constexpr int64_t SAMPLE = 4096;                                        // of so many
constexpr int64_t TOGETHER = 16;                                        // of which so many are neighbours
constexpr int SAMPLE_BINS = 512, FIRST_BIN = Bins::count - SAMPLE_BINS; // in so many bins
constexpr double SURE = 3;                                              // standard deviations
constexpr float NOTHING = 88;                                           // e^-88 is nothing beside 1

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

Fields::Fields(const LogitsKernel &kernel, int64_t n_vocab)
    : kernel_(kernel), n_(n_vocab), peaks_(static_cast<size_t>((n_vocab + PEAK_BLOCK - 1) / PEAK_BLOCK)),
      sums_(static_cast<size_t>((n_vocab + SUM_BLOCK - 1) / SUM_BLOCK)), products_(sums_.size()), tops_(sums_.size()), values_(static_cast<size_t>(n_vocab + SPARE)),
      inner_(values_.size()), sample_(SAMPLE), weights_(Bins::all), known_(Bins::all), squares_(Bins::all), members_(values_.size()),
      weighed_(values_.size()) {}

bool Fields::read(const float *row, float sharpness, bool average) {
    row_ = row;
    if (sharpness < 0) {
        peak_ = kernel_.peaks(row, n_, peaks_.data());
        return std::isfinite(peak_);
    }
    peak_ = kernel_.survey(row, n_, sharpness, peaks_.data(), tops_.data(), sums_.data(), average ? products_.data() : nullptr);
    whole_ = weighted_ = 0;
    for (size_t i = 0; i < sums_.size(); i++) {
        const float down = tops_[i] > -INFINITE ? (tops_[i] - peak_) * sharpness : 0, factor = std::exp(down);
        sums_[i] *= factor;
        whole_ += static_cast<double>(sums_[i]);
        if (average) weighted_ += static_cast<double>(products_[i] * factor) + static_cast<double>(down) * static_cast<double>(sums_[i]);
    }
    return std::isfinite(peak_);
}

float Fields::average(const Field &field, const Weighing &how, double &whole) {
    double weighted = weighted_;
    whole = whole_;
    if (!field.all) kernel_.moments(field.logits, field.size, how, whole, weighted);
    return static_cast<float>(static_cast<double>(field.peak) + weighted / whole);
}

double Fields::sum(const Field &field, const Weighing &how) {
    kernel_.sums(field.logits, field.size, how, sums_.data());
    double sum = 0;
    for (int64_t i = 0; SUM_BLOCK * i < field.size; i++) sum += static_cast<double>(sums_[static_cast<size_t>(i)]);
    return sum;
}

int32_t Fields::highest() const {
    const auto block = std::find(peaks_.begin(), peaks_.end(), peak_) - peaks_.begin();
    return static_cast<int32_t>(std::find(row_ + PEAK_BLOCK * block, row_ + n_, peak_) - row_);
}

int32_t Fields::token(const Found &found) const {
    return static_cast<int32_t>(kernel_.place(row_, n_, peaks_.data(), found.logit, found.before));
}

int32_t Fields::reached_by_id(const Weighing &how, double share, bool summed) {
    const double wanted = share * (summed ? whole_ : sum(all(), how));
    const Reached block(sums_.data(), sums_.size(), wanted, 0);
    const int64_t first = SUM_BLOCK * static_cast<int64_t>(block.place), size = std::min(SUM_BLOCK, n_ - first);
    float weights[SUM_BLOCK];
    kernel_.weigh(row_ + first, size, how, weights);
    return static_cast<int32_t>(first) + static_cast<int32_t>(Reached(weights, static_cast<size_t>(size), wanted, block.before).place);
}

Found Fields::reached(const Field &field, float centre, const Weighing &how, double share) {
    const float up = std::abs(field.peak - centre), known = std::min(field.far, std::max(up, centre - field.low));
    const float end = std::max(std::min(up + NOTHING / how.sharpness, known), NARROW);
    const Bracket likely = bracket(field, centre, how, {0, 1 - share}, end);
    Border border = find(field, centre, how, {0, share}, likely, likely.far >= end);
    if (!border.there) border = find(field, centre, how, {0, share}, {0, end}, true);
    return border.found;
}

float Fields::greatest(const Field &field) {
    scratch_.resize(peaks_.size());
    return kernel_.peaks(field.logits, field.size, scratch_.data());
}

Field Fields::likeliest(int64_t count) {
    const auto most = static_cast<size_t>(count);
    float low = -GREATEST;
    Bracket bracket{0, INFINITE};
    if (most <= peaks_.size()) {
        low = reached_by(most);
    } else if (n_ > LARGE && count < n_) {
        take_sample(all());
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
    Field field = within(all(), {peak_, 0, INFINITE, low});
    if (field.size < count && low > -GREATEST) field = within(all(), {peak_, 0, INFINITE, -GREATEST});
    if (field.size <= count) return field;
    return first(field, peak_, {peak_, 0, -GREATEST}, static_cast<double>(count), bracket, INFINITE);
}

float Fields::reached_by(size_t blocks) {
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

Field Fields::first(const Field &field, float centre, const Weighing &how, double total, double wanted) {
    // All tokens below a logit together have less than what is not wanted: so the last that is wanted is not so far.
    const double rest = total - wanted;
    double end = static_cast<double>(INFINITE);
    if (rest > 0) {
        const double low = static_cast<double>(how.peak) + std::log(rest / static_cast<double>(n_)) - 1e-3;
        end = std::max(static_cast<double>(centre) - low, 1e-3 + static_cast<double>(how.peak - centre));
    }
    return first(field, centre, how, wanted, bracket(field, centre, how, {rest, 0}, static_cast<float>(end)), static_cast<float>(end));
}

Field Fields::first(const Field &field, float centre, const Weighing &how, double wanted, Bracket bracket, float end) {
    Field some = field;
    Border border{};
    for (; !border.there; bracket = {0, end}) {
        if (field.all) some = within(field, {centre, 0, bracket.far, field.low});
        border = find(some, centre, how, {wanted, 0}, bracket, bracket.far >= end);
    }
    const float logit = border.found.logit;
    if (centre >= field.peak) {
        some.low = logit;
        some.far = INFINITE;
    } else {
        some = within(some, {centre, 0, std::abs(logit - centre), some.low});
        some.far = std::abs(logit - centre);
    }
    drop_last(some, logit, border.surplus);
    drop_last(some, border.other, border.other_surplus);
    return some;
}

void Fields::drop_last(Field &field, float logit, int64_t count) {
    const auto begin = values_.begin();
    for (int64_t end = field.size; count; count--, field.size--) {
        while (begin[--end] != logit) {}
        std::copy(begin + end + 1, begin + field.size, begin + end);
    }
}

Field Fields::within(const Field &field, const Ring &ring) {
    const int64_t size = kernel_.gather(field.logits, field.size, field.all ? peaks_.data() : nullptr, ring, values_.data());
    return {values_.data(), size, field.peak, ring.low, INFINITE, false};
}

bool Fields::few(float low) const {
    const auto blocks = static_cast<size_t>(std::count_if(peaks_.begin(), peaks_.end(), [low](float peak) { return peak >= low; }));
    return blocks <= std::max(peaks_.size() / 2, MANY);
}

Fields::Bracket Fields::bracket(const Field &field, float centre, const Weighing &how, const Wanted &rest, float end) {
    Bracket found{0, end};
    if (field.size <= LARGE || !(end < INFINITE)) return found;
    // The last bins up to the end; what is beyond is in those behind them.
    const Bins bins{centre, -FIRST_BIN * (end / SAMPLE_BINS), SAMPLE_BINS / end};
    take_sample(field);
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
    const double each = static_cast<double>(field.size) / SAMPLE, width = static_cast<double>(end) / SAMPLE_BINS;
    const auto sharp = static_cast<double>(how.sharpness), step = std::exp(width * sharp);
    const double furthest = std::exp(static_cast<double>(centre - field.peak - end) * sharp);
    // Squares of a bin's weights: on one side they are as great as those at its edge.
    double edge_weight = furthest;
    std::fill(squares_.begin(), squares_.end(), 0.0F);
    if (two_sided)
        kernel_.spread(sample_.data(), SAMPLE, bins, {how.peak, 2 * how.sharpness, how.low}, squares_.data());
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
    double another = each * furthest; // one more than were seen
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

void Fields::take_sample(const Field &field) {
    for (int64_t i = 0; i < SAMPLE; i += TOGETHER)
        std::copy_n(field.logits + i * field.size / SAMPLE, TOGETHER, &sample_[static_cast<size_t>(i)]);
}

Fields::Border Fields::find(const Field &field, float centre, const Weighing &how, const Wanted &wanted, const Bracket &bracket, bool last) {
    Divided divided{};
    const float *logits = field.logits;
    int64_t size = field.size;
    if (bracket.near > 0 || (wanted.share > 0 && size > LARGE)) {
        divided = kernel_.divide(logits, size, how, {centre, bracket.near, bracket.far, how.low}, inner_.data());
        logits = inner_.data(), size = divided.count;
    } else if (wanted.share > 0) {
        divided.all = sum(field, how);
    }
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
    Border border{{first[at], 0, static_cast<double>(weighed_[static_cast<size_t>(at)]) / divided.all}, first[at], 0, 0, true};
    while (at > border.found.before && first[at - border.found.before - 1] == first[at]) border.found.before++;
    for (int64_t i = at + 1; i < count && away(first[i]) == away(first[at]); i++) {
        if (first[i] == first[at]) border.surplus++;
        else border.other = first[i], border.other_surplus++;
    }
    return border;
}

} // namespace puna
