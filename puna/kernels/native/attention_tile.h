// The register tiles of attention: R rows times a panel of keys or of values.
#pragma once

#include "attention_memory.h"
#include "tile.h"

namespace puna {

// out[r] = the dot products of query r with WIDTH keys.
template <class I, int R> PUNA_INLINE void dot_keys(const float *panel, int64_t depth, const float *const *a, float *const *out) {
    constexpr int WIDTH = ATTENTION_WIDTH<I>;
    typename I::Float sums[R][2];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < 2; c++) sums[r][c] = I::zerof();
    const float *rows[R];
    for (int r = 0; r < R; r++) rows[r] = a[r];
    for (int64_t i = 0; i < depth; i++) {
        const auto x = I::loadf(panel + WIDTH * i), y = I::loadf(panel + WIDTH * i + I::lanes);
        unroll<R>([&](auto r) {
            const auto w = I::broadcast(rows[r][i]);
            sums[r][0] = I::fma(w, x, sums[r][0]);
            sums[r][1] = I::fma(w, y, sums[r][1]);
        });
    }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < 2; c++) I::storef(out[r] + I::lanes * c, sums[r][c]);
}

// out[r] += the weights of row r times WIDTH elements of the tile's values, from `at` on. A row holds its high parts, then its low parts.
template <class I, int R> PUNA_INLINE void accumulate_values(const int32_t *panel, const int32_t *weights, int64_t *const *out, int64_t at) {
    constexpr int WIDTH = ATTENTION_WIDTH<I>, PAIRS = TILE_KEYS / 2;
    typename I::Int high[R][2], low[R][2];
    unroll<R>([&](auto r) __attribute__((always_inline)) {
        unroll<2>([&](auto c) __attribute__((always_inline)) { high[r][c] = low[r][c] = I::zero(); });
    });
    const auto add = [](auto &sum, const auto &a, const auto &b) __attribute__((always_inline)) {
        sum = I::madd16(sum, a, b);
        I::pin_register(sum);
    };
    for (int i = 0; i < PAIRS; i++) {
        const auto x = I::load(panel + WIDTH * i), y = I::load(panel + WIDTH * i + I::lanes);
        unroll<R>([&](auto r) __attribute__((always_inline)) {
            const auto w = I::broadcast4(weights + TILE_KEYS * r + i), rest = I::broadcast4(weights + TILE_KEYS * r + PAIRS + i);
            add(high[r][0], w, x);
            add(high[r][1], w, y);
            add(low[r][0], rest, x);
            add(low[r][1], rest, y);
        });
    }
    unroll<R>([&](auto r) __attribute__((always_inline)) {
        unroll<2>([&](auto c) __attribute__((always_inline)) { I::add_wide(out[r] + at + I::lanes * c, high[r][c], low[r][c]); });
    });
}

// f(first row, count as a constant) for tiles of at most MAX rows.
template <int MAX, class F> void for_row_tiles(int count, F f) {
    int row = 0;
    for (; row + MAX <= count; row += MAX) f(row, std::integral_constant<int, MAX>{});
    if constexpr (MAX > 4)
        for (; row + 4 <= count; row += 4) f(row, std::integral_constant<int, 4>{});
    if constexpr (MAX > 2)
        for (; row + 2 <= count; row += 2) f(row, std::integral_constant<int, 2>{});
    for (; row < count; row++) f(row, std::integral_constant<int, 1>{});
}

} // namespace puna
