// A tile of a product in registers: some rows by the 16 columns of a panel.
#pragma once

#include <utility>

#include "kernel.h"

#define PUNA_INLINE inline __attribute__((always_inline))

namespace puna {

template <class F, int... i> PUNA_INLINE void unroll(F f, std::integer_sequence<int, i...>) {
    (f(std::integral_constant<int, i>{}), ...);
}

// f(0), f(1), ... f(N - 1), each with a constant.
template <int N, class F> PUNA_INLINE void unroll(F f) { unroll(f, std::make_integer_sequence<int, N>{}); }

template <class I> constexpr int VECTORS = COLUMNS / I::lanes;
template <class I, int R> using Ints = typename I::Int[R][VECTORS<I>];
template <class I, int R> using Floats = typename I::Float[R][VECTORS<I>];

// Add a tile to its targets, or let it be their beginning. `columns`: how many of the 16 there are.
template <class I, int R>
PUNA_INLINE void deliver(const Floats<I, R> &out, const Row *rows, int64_t column, int64_t columns, bool first) {
    for (int r = 0; r < R; r++) {
        float *target = rows[r].target + column;
        if (columns >= COLUMNS) {
            for (int c = 0; c < VECTORS<I>; c++) {
                float *at = target + I::lanes * c;
                I::storef(at, first ? out[r][c] : I::addf(I::loadf(at), out[r][c]));
            }
        } else {
            float values[COLUMNS];
            for (int c = 0; c < VECTORS<I>; c++) I::storef(values + I::lanes * c, out[r][c]);
            for (int64_t c = 0; c < columns; c++) target[c] = first ? values[c] : target[c] + values[c];
        }
    }
}

} // namespace puna
