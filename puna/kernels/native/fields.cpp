#include "fields.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>

namespace puna {
namespace {

constexpr size_t MANY = 256;                                            // blocks: logits that their peaks reach are not left to a sample
constexpr size_t PROBES = 64;                                           // of them that tell how far they are apart
constexpr float NARROW = 1e-6F;                                         // what rounding may hide
constexpr int64_t LARGE = 8192;                                        // logits of which a sample is looked at first
constexpr double TAKING = 0.5;                                          // of a pass: how long it lasts to take some out
constexpr float NOTHING = 30;                                           // a vocabulary of e^-30 together is nothing beside 1

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
      values_(static_cast<size_t>(n_vocab + SPARE)), others_(values_.size()), inner_(values_.size()), greatest_(values_.size()),
      sample_(kernel, n_vocab), weights_(Bins::all), members_(values_.size()), weighed_(values_.size()) {}

bool Fields::read(const float *row, float sharpness, bool average) {
    row_ = row;
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
    const float low = std::max(field.low, field.peak - NOTHING / sharpness), up = std::abs(field.peak - centre);
    const float end = std::max({up, centre - low, NARROW});
    Field some = narrowed(field, low, field.high, 1);
    if (centre < field.peak && !some.only) some = taken(field, low, field.high);
    const Weighing how = some.weighing(sharpness);
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
    if (n_ > LARGE) bracket = sampled().ranked(static_cast<double>(count));
    return first(all(), peak_, {peak_, 0, -GREATEST, INFINITE}, {static_cast<double>(count), 0}, bracket, INFINITE, passes);
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
        if (two_sided)
            among = taken(field, lowest(bracket.far), highest(bracket.far));
        else if (field.logits == row_ && wanted.share == 0)
            among = narrowed(field, lowest(bracket.far), highest(bracket.far), passes + 1);
        border = find(among, centre, {how.peak, how.sharpness, among.low, among.high}, wanted, bracket, bracket.far >= end);
    }
    const float logit = border.found.logit, away = std::abs(logit - centre);
    const float low = two_sided ? lowest(away) : logit, high = highest(away) < field.peak ? highest(away) : field.high;
    const auto outside = [&](float one) { return one < low || one > high; };
    surplus_.erase(std::remove_if(surplus_.begin(), surplus_.end(), outside), surplus_.end());
    Field some = surplus_.empty() && !two_sided ? narrowed(among, low, high, passes) : taken(among, low, high);
    for (const float one : surplus_) drop_last(some, one);
    if (high < field.peak) some.peak = kernel_.greatest(some.logits, some.size, high);
    return some;
}

void Fields::drop_last(Field &field, float logit) {
    float *const first = field.logits == values_.data() ? values_.data() : others_.data(), *const end = first + field.size--;
    float *const last = std::find(std::make_reverse_iterator(end), std::make_reverse_iterator(first), logit).base();
    std::copy(last, end, last - 1);
}

Field Fields::taken(const Field &field, float low, float high) {
    float *const found = field.logits == values_.data() ? others_.data() : values_.data();
    const int64_t size = kernel_.gather(field.logits, field.size, field.logits == row_ ? peaks_.data() : nullptr, low, high, found);
    return {found, size, field.peak, low, high, true};
}

Field Fields::narrowed(const Field &field, float low, float high, int passes) {
    const Field some = field.within(low, high);
    if (field.size <= LARGE) return some;
    const double inside = sampled().between(some.low, some.high), size = static_cast<double>(field.size);
    return passes * (size - inside) > TAKING * size ? taken(field, low, high) : some;
}

bool Fields::few(float low) const {
    const auto blocks = static_cast<size_t>(std::count_if(peaks_.begin(), peaks_.end(), [low](float peak) { return peak >= low; }));
    return blocks <= std::max(peaks_.size() / 2, MANY);
}

Bracket Fields::bracket(const Field &field, float centre, const Weighing &how, const Wanted &rest, float end) {
    return field.size > LARGE && end < INFINITE ? sampled().bracket(how, centre, rest, end) : Bracket{0, end};
}

Sample &Fields::sampled() {
    if (!std::exchange(sampled_, true)) {
        float from = reached_by(std::min(MANY, peaks_.size()));
        int64_t count = kernel_.gather(row_, n_, peaks_.data(), from, INFINITE, greatest_.data());
        // Of many that are equal chance tells as much.
        if (count > LARGE) from = INFINITE, count = 0;
        sample_.take(row_, peak_, greatest_.data(), count, from);
    }
    return sample_;
}

Divided Fields::divided(const float *logits, int64_t size, const Weighing &how, const Ring &ring, float *found) {
    return how.sharpness == 0 ? kernel_.rank(logits, size, ring.centre - ring.near, std::max(ring.centre - ring.far, how.low), found)
                              : kernel_.divide(logits, size, logits == row_ ? peaks_.data() : nullptr, how, ring, found);
}

Fields::Border Fields::find(const Field &field, float centre, const Weighing &how, const Wanted &wanted, const Bracket &bracket, bool last) {
    const Weighing loose{how.peak, how.sharpness, field.only ? -GREATEST : how.low, how.high};
    // Rounding must not leave out the last of all.
    const Divided in = divided(field.logits, field.size, loose, {centre, bracket.near, last ? GREATEST : bracket.far}, inner_.data());
    const double weight = wanted.weight + wanted.share * in.all;
    if (in.nearer > 0 && in.nearer >= weight) return {};
    float far = bracket.far;
    if (far == INFINITE) {
        far = 0;
        for (int64_t i = 0; i < in.count; i++) far = std::max(far, std::abs(inner_[static_cast<size_t>(i)] - centre));
    }
    Border border = last_wanted(inner_.data(), in.count, how, {centre, bracket.near, far}, in.nearer, weight, last);
    border.found.chance /= in.all;
    return border;
}

Fields::Border Fields::last_wanted(const float *logits, int64_t size, const Weighing &how, const Ring &ring, double before, double weight, bool last) {
    const auto away = [&](float logit) { return std::abs(logit - ring.centre); };
    const float width = ring.far - ring.near;
    const Bins bins{ring.centre, ring.near, width > 0 ? Bins::count / width : 0};
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
    Border border{{first[at], 0, static_cast<double>(weighed_[static_cast<size_t>(at)])}, true};
    while (at > border.found.before && first[at - border.found.before - 1] == first[at]) border.found.before++;
    surplus_.assign(first + at + 1, std::find_if(first + at + 1, end, [&](float logit) { return away(logit) > away(first[at]); }));
    return border;
}

} // namespace puna
