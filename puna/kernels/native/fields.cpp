#include "fields.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

namespace puna {
namespace {

constexpr size_t MANY = 256;                                            // blocks: logits that their peaks reach are not left to a sample
constexpr size_t PROBES = 64;                                           // of them that tell how far they are apart
constexpr float NARROW = 1e-6F;                                         // what rounding may hide
constexpr int64_t LARGE = 8192;                                        // logits of which a sample is looked at first
constexpr int64_t SAMPLE = 4096;                                        // of so many
constexpr int64_t TOGETHER = 16;                                        // of which so many are neighbours
constexpr int SAMPLE_BINS = 512, FIRST_BIN = Bins::count - SAMPLE_BINS; // in so many bins
constexpr int TAKING = SAMPLE * 8 / 10;                                 // taking some out lasts as long as passing over so many
constexpr float NOTHING = 30;                                           // a vocabulary of e^-30 together is nothing beside 1
constexpr double SURE = 3;                                              // standard deviations

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

// The last number from a centre to an end that is not further away than this.
float outermost(float centre, float away, float end) {
    // Numbers of one sign are in the order of their bits: by halves, because many may be equally far.
    const auto number = [](int64_t place) {
        const auto bits = static_cast<uint32_t>(std::abs(place));
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return place < 0 ? -value : value;
    };
    const auto place = [](float value) {
        const float size = std::abs(value);
        uint32_t bits;
        std::memcpy(&bits, &size, sizeof bits);
        return value < 0 ? -static_cast<int64_t>(bits) : static_cast<int64_t>(bits);
    };
    int64_t inside = place(centre), outside = place(end);
    while (std::abs(outside - inside) > 1) {
        const int64_t middle = inside + (outside - inside) / 2;
        (std::abs(number(middle) - centre) <= away ? inside : outside) = middle;
    }
    return number(inside);
}

} // namespace

Fields::Fields(const LogitsKernel &kernel, int64_t n_vocab)
    : kernel_(kernel), n_(n_vocab), peaks_(static_cast<size_t>((n_vocab + PEAK_BLOCK - 1) / PEAK_BLOCK)),
      sums_(static_cast<size_t>((n_vocab + SUM_BLOCK - 1) / SUM_BLOCK)), products_(sums_.size()), tops_(sums_.size()),
      values_(static_cast<size_t>(n_vocab + SPARE)), inner_(values_.size()), greatest_(values_.size()), sample_(SAMPLE),
      weights_(Bins::all), known_(Bins::all), squares_(Bins::all), members_(values_.size()), weighed_(values_.size()) {}

bool Fields::read(const float *row, float sharpness, bool average) {
    row_ = row;
    greatest_from_ = -INFINITE;
    sampled_ = false;
    averaged_ = average && sharpness >= 0;
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

double Fields::sum(const Field &field, float sharpness) {
    kernel_.sums(field.logits, field.size, field.weighing(sharpness), sums_.data());
    double sum = 0;
    for (int64_t i = 0; SUM_BLOCK * i < field.size; i++) sum += static_cast<double>(sums_[static_cast<size_t>(i)]);
    return sum;
}

float Fields::average(const Field &field, double &whole) {
    double weighted = weighted_;
    whole = whole_;
    if (!averaged_ || field.logits != row_ || field.low > -GREATEST) kernel_.moments(field.logits, field.size, field.weighing(1), whole, weighted);
    return static_cast<float>(static_cast<double>(field.peak) + weighted / whole);
}

int32_t Fields::highest() const {
    const auto block = std::find(peaks_.begin(), peaks_.end(), peak_) - peaks_.begin();
    return static_cast<int32_t>(std::find(row_ + PEAK_BLOCK * block, row_ + n_, peak_) - row_);
}

int32_t Fields::token(const Found &found) const {
    return static_cast<int32_t>(kernel_.place(row_, n_, peaks_.data(), found.logit, found.before));
}

int32_t Fields::reached_by_id(const Field &field, float sharpness, double share, bool summed) {
    const Weighing how = field.weighing(sharpness);
    const double wanted = share * (summed ? whole_ : sum(field, sharpness));
    const Reached block(sums_.data(), sums_.size(), wanted, 0);
    const int64_t first = SUM_BLOCK * static_cast<int64_t>(block.place), size = std::min(SUM_BLOCK, n_ - first);
    float weights[SUM_BLOCK];
    kernel_.weigh(row_ + first, size, how, weights);
    return static_cast<int32_t>(first) + static_cast<int32_t>(Reached(weights, static_cast<size_t>(size), wanted, block.before).place);
}

Found Fields::reached(const Field &field, float centre, float sharpness, double share) {
    const Field some = narrowed(field, std::max(field.low, field.peak - NOTHING / sharpness), field.high, 1);
    const Weighing how = some.weighing(sharpness);
    const float up = std::abs(some.peak - centre), end = std::max({up, centre - some.low, NARROW});
    const Bracket likely = bracket(some, centre, how, {0, 1 - share}, end);
    Border border = find(some, centre, how, {0, share}, likely, likely.far >= end);
    if (!border.there) border = find(some, centre, how, {0, share}, {0, end}, true);
    return border.found;
}

Field Fields::likeliest(int64_t count, int passes) {
    const auto most = static_cast<size_t>(count);
    Bracket bracket{0, INFINITE};
    if (most <= peaks_.size()) {
        const float low = reached_by(most);
        Field field = taken(all(), low, INFINITE);
        if (field.size < count && low > -GREATEST) field = taken(all(), -GREATEST, INFINITE);
        if (field.size <= count) return field;
        return first(field, peak_, {peak_, 0, -GREATEST, INFINITE}, {static_cast<double>(count), 0}, bracket, INFINITE, passes);
    }
    if (count >= n_) return all();
    if (n_ > LARGE) bracket = ranked(static_cast<double>(count) / static_cast<double>(n_));
    return first(all(), peak_, {peak_, 0, -GREATEST, INFINITE}, {static_cast<double>(count), 0}, bracket, INFINITE, passes);
}

Fields::Bracket Fields::ranked(double part) {
    take_sample(all());
    float range = 0;
    for (const float logit : sample_)
        if (logit > -INFINITE) range = std::max(range, peak_ - logit);
    const Bins bins{peak_, 0, range > 0 ? Bins::count / range : 0};
    std::fill(weights_.begin(), weights_.end(), 0.0F);
    kernel_.spread(sample_.data(), SAMPLE, bins, {peak_, 0, -GREATEST, INFINITE}, weights_.data());
    const double rank = part * SAMPLE, doubt = 1 + SURE * std::sqrt(SAMPLE * part * (1 - part));
    const double known = static_cast<double>(greatest_count_) * SAMPLE / static_cast<double>(n_);
    const Reached near(weights_.data(), Bins::count, rank - doubt - known, 0), far(weights_.data(), Bins::count, rank + doubt, 0);
    Bracket found{0, INFINITE};
    if (rank - doubt > known && near.enough) found.near = static_cast<float>(near.place) / bins.scale;
    if (far.enough && bins.scale > 0) found.far = static_cast<float>(far.place + 1) / bins.scale;
    return found;
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
        kernel_.spread(peaks_.data(), static_cast<int64_t>(peaks_.size()), {peak_, 0, scale}, {peak_, 0, -GREATEST, INFINITE}, weights_.data());
        const Reached bin(weights_.data(), Bins::count, static_cast<double>(blocks), 0);
        if (bin.enough) return peak_ - static_cast<float>(bin.place + 1) / scale - NARROW * std::abs(peak_);
    }
    scratch_ = peaks_;
    const auto last = scratch_.begin() + static_cast<long>(blocks) - 1;
    std::nth_element(scratch_.begin(), last, scratch_.end(), std::greater<>());
    return std::max(*last, -GREATEST);
}

Field Fields::first(const Field &field, float centre, const Wanted &wanted, const Wanted &rest, int passes) {
    // All tokens below a logit together have less than what is not wanted: so the last that is wanted is not so far. All
    // have at least the weight of the likeliest, 1.
    double end = static_cast<double>(INFINITE);
    if (const double left = rest.weight + rest.share; left > 0) {
        const double low = static_cast<double>(field.peak) + std::log(left / static_cast<double>(n_)) - 1e-3;
        end = std::max(static_cast<double>(centre) - low, 1e-3 + static_cast<double>(field.peak - centre));
    }
    const Weighing how = field.weighing(1);
    return first(field, centre, how, wanted, bracket(field, centre, how, rest, static_cast<float>(end)), static_cast<float>(end), passes);
}

Field Fields::first(const Field &field, float centre, const Weighing &how, const Wanted &wanted, Bracket bracket, float end, int passes) {
    const bool two_sided = centre < field.peak;
    const auto lowest = [&](float away) { return std::max(field.low, outermost(centre, away, -INFINITE)); };
    const auto highest = [&](float away) { return two_sided ? std::min(field.high, outermost(centre, away, INFINITE)) : field.high; };
    Field among = field;
    Border border{};
    for (; !border.there; bracket = {0, end}) {
        // Where no share of all is wanted, those beyond the bracket need not be passed over.
        if (field.logits == row_ && wanted.share == 0) among = narrowed(field, lowest(bracket.far), highest(bracket.far), passes + 1);
        border = find(among, centre, {how.peak, how.sharpness, among.low, among.high}, wanted, bracket, bracket.far >= end);
    }
    const float logit = border.found.logit, away = std::abs(logit - centre);
    const float low = two_sided ? lowest(away) : logit, high = highest(away) < field.peak ? highest(away) : field.high;
    const auto outside = [&](float one) { return one < low || one > high; };
    surplus_.erase(std::remove_if(surplus_.begin(), surplus_.end(), outside), surplus_.end());
    Field some = surplus_.empty() ? narrowed(among, low, high, passes) : taken(among, low, high);
    for (const float one : surplus_) drop_last(some, one);
    if (high < field.peak) some.peak = kernel_.greatest(some.logits, some.size, high);
    return some;
}

void Fields::drop_last(Field &field, float logit) {
    const auto end = values_.begin() + field.size--;
    const auto last = std::find(std::make_reverse_iterator(end), values_.rend(), logit).base();
    std::copy(last, end, last - 1);
}

Field Fields::taken(const Field &field, float low, float high) {
    const int64_t size = kernel_.gather(field.logits, field.size, field.logits == row_ ? peaks_.data() : nullptr, low, high, values_.data());
    sampled_ = false;
    return {values_.data(), size, field.peak, low, high};
}

Field Fields::narrowed(const Field &field, float low, float high, int passes) {
    Field some = field;
    some.low = low, some.high = high;
    if (field.size <= LARGE) return some;
    take_sample(field);
    int inside = 0;
    for (const float logit : sample_) inside += (logit >= low) & (logit <= high);
    return passes * (SAMPLE - inside) > TAKING ? taken(field, low, high) : some;
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
    const bool two_sided = centre < field.peak;
    // The greatest weigh too much for a sample, and may be on both sides of the border.
    std::fill(known_.begin(), known_.end(), 0.0F);
    kernel_.spread(greatest_.data(), greatest_count_, bins, how, known_.data());
    std::fill(weights_.begin(), weights_.end(), 0.0F);
    kernel_.spread(sample_.data(), SAMPLE, bins, how, weights_.data());
    const double each = static_cast<double>(field.size) / SAMPLE, width = static_cast<double>(end) / SAMPLE_BINS;
    const auto sharp = static_cast<double>(how.sharpness), step = std::exp(width * sharp);
    const double furthest = std::exp(static_cast<double>(centre - field.peak - end) * sharp);
    // Squares of a bin's weights: on one side they are as great as those at its edge.
    double edge_weight = furthest;
    std::fill(squares_.begin(), squares_.end(), 0.0F);
    if (two_sided)
        kernel_.spread(sample_.data(), SAMPLE, bins, {how.peak, 2 * how.sharpness, how.low, how.high}, squares_.data());
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
    if (greatest_from_ == -INFINITE) {
        greatest_from_ = reached_by(std::min(MANY, peaks_.size()));
        greatest_count_ = kernel_.gather(row_, n_, peaks_.data(), greatest_from_, INFINITE, greatest_.data());
        // Of many that are equal a sample tells as much.
        if (greatest_count_ > LARGE) greatest_from_ = INFINITE, greatest_count_ = 0;
    }
    if (sampled_) return;
    sampled_ = true;
    for (int64_t i = 0; i < SAMPLE; i += TOGETHER)
        std::copy_n(field.logits + i * field.size / SAMPLE, TOGETHER, &sample_[static_cast<size_t>(i)]);
    for (float &logit : sample_) logit = logit >= greatest_from_ ? -INFINITE : logit;
}

Fields::Border Fields::find(const Field &field, float centre, const Weighing &how, const Wanted &wanted, const Bracket &bracket, bool last) {
    const Divided divided = kernel_.divide(field.logits, field.size, field.logits == row_ ? peaks_.data() : nullptr, how,
                                           {centre, bracket.near, bracket.far}, wanted.share > 0, inner_.data());
    const float *logits = inner_.data();
    const int64_t size = divided.count;
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
    Border border{{first[at], 0, static_cast<double>(weighed_[static_cast<size_t>(at)]) / divided.all}, true};
    while (at > border.found.before && first[at - border.found.before - 1] == first[at]) border.found.before++;
    surplus_.assign(first + at + 1, std::find_if(first + at + 1, end, [&](float logit) { return away(logit) > away(first[at]); }));
    return border;
}

} // namespace puna
