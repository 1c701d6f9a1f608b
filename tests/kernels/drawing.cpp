// Draws of every variant against the plain way: sort, add up in double precision, look where the random number falls.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
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
    const float peak = *std::max_element(x.begin(), x.end());
    const auto exponential = [&](int32_t i, double t) { return std::exp((static_cast<double>(x[i]) - peak) / t); };
    Plain made;
    std::vector<int32_t> &order = made.order;
    order.resize(x.size());
    std::iota(order.begin(), order.end(), 0);
    if (o.method != SamplingMethod::MIN_P) std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return x[a] > x[b]; });
    double whole = 0, sum = 0;
    for (const int32_t i : order) whole += exponential(i, o.method == SamplingMethod::MIROSTAT ? o.temperature : 1);
    std::vector<int32_t> kept;
    for (const int32_t i : order) {
        const double chance = exponential(i, o.method == SamplingMethod::MIROSTAT ? o.temperature : 1) / whole;
        const bool near = o.min_p <= 0 || x[i] >= std::min(peak, peak + std::log(o.min_p));
        const bool left = o.method == SamplingMethod::MIN_P      ? near
                          : o.method == SamplingMethod::MIROSTAT ? -std::log2(chance) <= mu
                                                                 : near && sum < o.top_p;
        if (left || (kept.empty() && o.method != SamplingMethod::MIN_P)) kept.push_back(i);
        sum += chance;
    }
    order = kept;
    for (const int32_t i : order) made.weights.push_back(exponential(i, o.temperature));
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

int wrong(const LogitsKernel &kernel) {
    std::mt19937 random(1);
    int found = 0;
    for (const size_t n : {1, 7, 64, 257, 1000, 40001})
        for (const SamplingMethod method :
             {SamplingMethod::GREEDY, SamplingMethod::MIN_P, SamplingMethod::NUCLEUS, SamplingMethod::MIROSTAT})
            for (int kind = 0; kind < 4; kind++) {
                DrawOptions o{method, 0, kind % 2 ? 0.9F : 0.5F, kind == 2 ? 0.02F : 0, kind ? 0.8F : 1.5F, 5, 0.1F, 1, 0, 0, 11, nullptr};
                if (method == SamplingMethod::MIROSTAT) o.min_p = 0;
                Sampler sampler(o), numbers(o);
                Drawer drawer(kernel, static_cast<int64_t>(n), nullptr);
                for (int step = 0; step < 4; step++) {
                    std::vector<float> x = logits(random, n, kind);
                    DrawRow row{&sampler, x.data(), nullptr, nullptr, 0, 0};
                    const double mu = sampler.mu();
                    drawer.draw(row);
                    if (method == SamplingMethod::GREEDY) {
                        found += row.token != std::max_element(x.begin(), x.end()) - x.begin();
                        continue;
                    }
                    const Plain should = plain(x, o, mu);
                    const double uniform = method == SamplingMethod::MIROSTAT && should.order.size() == 1 ? 0 : numbers.uniform();
                    found += !fits(should, uniform, row.token);
                }
                std::vector<float> x = logits(random, n, kind);
                x[random() % n] = NAN;
                DrawRow row{&sampler, x.data(), nullptr, nullptr, 0, 0};
                drawer.draw(row);
                found += row.token != -1;
            }
    return found;
}

} // namespace

int main() {
    int failures = 0;
    for (int i = 0; i < VARIANT_COUNT; i++) {
        if (!VARIANTS[i]->runs_here()) continue;
        const int found = wrong(*VARIANTS[i]->logits);
        std::printf("%s: %d wrong\n", VARIANTS[i]->name, found);
        failures += found;
    }
    return failures != 0;
}
