#include "drawing.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <system_error>
#include <thread>

#include "export.h"
#include "kernel.h"

namespace puna {

double Sampler::uniform() {
    // std::uniform_real_distribution<double> as in libstdc++. Other standard libraries differ.
    const auto low = static_cast<double>(random_());
    const double number = (low + static_cast<double>(random_()) * 4294967296.0) / 18446744073709551616.0;
    return number < 1 ? number : std::nextafter(1.0, 0.0);
}

void Sampler::update_mu(float probability) { mu_ -= options.eta * (-std::log2(probability) - options.tau); }

namespace {

constexpr int64_t LOGITS_PER_THREAD = 512 << 10; // fewer are drawn from before another thread has started

// The drawers of all threads, for one length of rows.
class Drawing {
  public:
    Drawing(const LogitsKernel &kernel, int64_t n_vocab) : kernel_(kernel), n_(n_vocab) {}

    void draw(DrawRow **rows, int count, int threads) {
        const auto useful = std::clamp<int64_t>(std::min<int64_t>(count * n_ / LOGITS_PER_THREAD, count), 1, threads);
        while (static_cast<int64_t>(drawers_.size()) < useful) drawers_.push_back(std::make_unique<Drawer>(kernel_, n_));
        std::atomic<int> next{0};
        const auto work = [&](Drawer &drawer) {
            for (int row = next++; row < count; row = next++) drawer.draw(*rows[row]);
        };
        std::vector<std::thread> others;
        try {
            for (int64_t i = 1; i < useful; i++) others.emplace_back(work, std::ref(*drawers_[static_cast<size_t>(i)]));
        } catch (const std::system_error &) {
            // No more threads: the ones that started do all rows.
        }
        work(*drawers_[0]);
        for (std::thread &other : others) other.join();
    }

  private:
    const LogitsKernel &kernel_;
    const int64_t n_;
    std::vector<std::unique_ptr<Drawer>> drawers_;
};

const LogitsKernel *kernel() {
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (VARIANTS[i]->runs_here()) return VARIANTS[i]->logits;
    return nullptr;
}

} // namespace
} // namespace puna

// For rows of `n_vocab` logits, one call at a time; null if this processor has no variant.
PUNA_CALL void *puna_drawing_new(int64_t n_vocab) {
    const puna::LogitsKernel *kernel = puna::kernel();
    return kernel ? new puna::Drawing(*kernel, n_vocab) : nullptr;
}
PUNA_CALL void puna_drawing_free(void *drawing) { delete static_cast<puna::Drawing *>(drawing); }
PUNA_CALL void puna_drawing_draw(void *drawing, puna::DrawRow **rows, int count, int threads) {
    static_cast<puna::Drawing *>(drawing)->draw(rows, count, threads);
}

PUNA_CALL void *puna_sampler_new(const puna::DrawOptions *options) { return new puna::Sampler(*options); }
PUNA_CALL void puna_sampler_free(void *sampler) { delete static_cast<puna::Sampler *>(sampler); }
