// Draws of every variant against the plain way: sort, add up in double precision, look where the random number falls.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "drawing.h"
#include "kernel.h"

using namespace puna;

namespace {

constexpr float INFINITE = INFINITY;

// The places in the order in which they are drawn from, and each one's weight.
struct Plain {
    std::vector<int32_t> order;
    std::vector<double> weights;
};

Plain plain(const std::vector<float> &x, const DrawOptions &o, double mu) {
    const bool mirostat = o.method == SamplingMethod::MIROSTAT_2;
    std::vector<int32_t> left;
    for (size_t i = 0; i < x.size(); i++)
        if (x[i] > -INFINITE) left.push_back(static_cast<int32_t>(i));
    const auto exponential = [&](int32_t i, double peak, double t) { return std::exp((static_cast<double>(x[i]) - peak) / t); };
    const auto peak = [&] { return static_cast<double>(x[*std::max_element(left.begin(), left.end(), [&](int32_t a, int32_t b) { return x[a] < x[b]; })]); };
    const auto whole = [&](double t) { return std::accumulate(left.begin(), left.end(), 0.0, [&, p = peak()](double sum, int32_t i) { return sum + exponential(i, p, t); }); };
    const auto sort = [&](auto key) { std::stable_sort(left.begin(), left.end(), [&](int32_t a, int32_t b) { return key(a) < key(b); }); };
    const auto likely = [&](int32_t i) { return -x[i]; };
    // Keep the first that have this much, and the one that makes it so.
    const auto keep = [&](double part, bool more) {
        const double p = peak(), wanted = part * whole(1);
        double sum = 0;
        size_t count = 0;
        while (count < left.size() && (more ? sum <= wanted : sum < wanted || !count)) sum += exponential(left[count++], p, 1);
        left.resize(count);
    };
    if (mirostat) {
        sort(likely);
        const double p = peak(), all = whole(o.temperature);
        size_t count = 1;
        while (count < left.size() && -std::log2(exponential(left[count], p, o.temperature) / all) <= mu) count++;
        left.resize(count);
    } else {
        if (o.top_k) {
            sort(likely);
            left.resize(std::min<size_t>(left.size(), o.top_k));
        }
        if (o.typical_p < 1) {
            const double p = peak(), all = whole(1);
            double mean = 0;
            for (const int32_t i : left) mean += exponential(i, p, 1) / all * x[i];
            sort(likely);
            sort([&](int32_t i) { return std::abs(x[i] - static_cast<float>(mean)); });
            keep(o.typical_p, true);
        }
        if (o.top_p < 1) {
            sort(likely);
            keep(o.top_p, false);
        }
        if (o.min_p > 0) {
            const double p = peak(), low = std::min(p, p + std::log(o.min_p));
            left.erase(std::remove_if(left.begin(), left.end(), [&](int32_t i) { return x[i] < low; }), left.end());
        }
    }
    Plain made{left, {}};
    for (const int32_t i : left) made.weights.push_back(exponential(i, peak(), o.temperature));
    return made;
}

// Whether `token` is where a random number falls, or so near that sums in single precision may tell it from its neighbour.
bool fits(const Plain &plain, double uniform, int32_t token) {
    const double total = std::accumulate(plain.weights.begin(), plain.weights.end(), 0.0);
    double before = 0;
    for (size_t i = 0; i < plain.order.size(); before += plain.weights[i++])
        if (plain.order[i] == token) return before <= (uniform + 3e-5) * total && before + plain.weights[i] >= (uniform - 3e-5) * total;
    return false;
}

std::vector<float> logits(std::mt19937 &random, size_t n, int kind) {
    std::normal_distribution<float> normal(0, kind == 3 ? 0.1F : 2);
    std::vector<float> x(n);
    for (float &v : x) v = kind == 1 ? std::round(normal(random)) : normal(random);
    if (kind == 2)
        for (float &v : x) v = random() % 50 ? -INFINITE : v;
    x[random() % n] = 3;
    return x;
}

std::vector<DrawOptions> ways() {
    const DrawOptions greedy{SamplingMethod::GREEDY, 0, 1, 1, 0, 1, 5, 0.1F, 1, 0, 0, 11};
    std::vector<DrawOptions> made{greedy};
    for (const SamplingMethod method : {SamplingMethod::MIROSTAT, SamplingMethod::MIROSTAT_2})
        for (const float temperature : {0.8F, 1.5F, 1e-6F}) {
            made.push_back(greedy);
            made.back().method = method, made.back().temperature = temperature;
        }
    for (const int32_t top_k : {0, 1, 40, 700, 30000})
        for (const float typical_p : {1.0F, 0.4F})
            for (const float top_p : {1.0F, 0.5F, 0.95F})
                for (const float min_p : {0.0F, 0.02F, 1.5F})
                    for (const float temperature : {0.8F, 1.5F, 1e-6F, 1e6F}) {
                        if (min_p > 0 && temperature > 1) continue;
                        made.push_back({SamplingMethod::TRUNCATION, top_k, typical_p, top_p, min_p, temperature, 5, 0.1F, 1, 0, 0, 11});
                    }
    return made;
}

// One variant's draws.
struct Draws {
    const Variant *variant;
    std::vector<int32_t> tokens{};
    int wrong = 0;
};

// One variant's state while it draws from rows of one length.
struct Drawing {
    Draws &draws;
    Drawer drawer;
    std::optional<Sampler> sampler{};

    int32_t draw(std::vector<float> x) {
        DrawRow row{&*sampler, x.data(), nullptr, nullptr, 0, 0};
        drawer.draw(row);
        return row.token;
    }
};

// Draw from each row with the same options, by every variant. The plain way is slow, so it is computed once for all variants.
void draw(std::vector<Drawing> &all, const DrawOptions &o, const std::vector<std::vector<float>> &rows, const std::vector<float> &broken) {
    // What Mirostat 1 leaves depends on rounding: it is compared with llama.cpp itself.
    const bool compared = o.method == SamplingMethod::TRUNCATION || o.method == SamplingMethod::MIROSTAT_2;
    Sampler numbers(o);
    for (const std::vector<float> &x : rows) {
        const Plain should = compared ? plain(x, o, all[0].sampler->mu()) : Plain{};
        const bool one = o.method == SamplingMethod::MIROSTAT_2 && should.order.size() == 1;
        const double uniform = one ? 0 : numbers.uniform();
        for (Drawing &drawing : all) {
            const int32_t token = drawing.draw(x);
            drawing.draws.tokens.push_back(token);
            if (compared) drawing.draws.wrong += !fits(should, uniform, token);
            if (o.method == SamplingMethod::GREEDY) drawing.draws.wrong += token != std::max_element(x.begin(), x.end()) - x.begin();
        }
    }
    for (Drawing &drawing : all) drawing.draws.wrong += drawing.draw(broken) != -1;
}

void draw_all(std::vector<Draws> &variants) {
    std::mt19937 random(1);
    for (const size_t n : {1, 7, 64, 257, 1000, 20001})
        for (int kind = 0; kind < 4; kind++) {
            std::vector<std::vector<float>> rows;
            for (int step = 0; step < 2; step++) rows.push_back(logits(random, n, kind));
            std::vector<float> broken = rows[0];
            broken[random() % n] = NAN;
            std::vector<Drawing> all;
            for (Draws &draws : variants) all.push_back({draws, Drawer(*draws.variant->logits, static_cast<int64_t>(n))});
            int way = 0;
            for (const DrawOptions &o : ways()) {
                if (n > 1000 && ++way % 17) continue; // sorting takes long
                for (Drawing &drawing : all) drawing.sampler.emplace(o);
                draw(all, o, rows, broken);
            }
        }
}

} // namespace

int main() {
    std::vector<Draws> variants;
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (VARIANTS[i]->runs_here()) variants.push_back({VARIANTS[i]});
    draw_all(variants);
    int failures = 0;
    for (const Draws &one : variants) {
        const bool same = one.tokens == variants[0].tokens;
        std::printf("%s: %d wrong, %s\n", one.variant->name, one.wrong, same ? "the same tokens" : "other tokens");
        failures += one.wrong + !same;
    }
    return failures != 0;
}
