// The register tile of a matrix product: R rows by P panels of 16 columns. P is 2 where there are enough registers.
#pragma once

#include <utility>

#include "kernel.h"

#ifndef PUNA_INLINE // Under sanitizers, inlining everything makes compiling slow.
#define PUNA_INLINE inline __attribute__((always_inline))
#endif

namespace puna {

template <class F, int... i> PUNA_INLINE void unroll(F f, std::integer_sequence<int, i...>) {
    (f(std::integral_constant<int, i>{}), ...);
}

// f(0), f(1), ... f(N - 1), with constants.
template <int N, class F> PUNA_INLINE void unroll(F f) { unroll(f, std::make_integer_sequence<int, N>{}); }

template <class I> constexpr int VECTORS = COLUMNS / I::lanes; // per panel
template <class I, int R, int P> using Ints = typename I::Int[R][P * VECTORS<I>];
template <class I, int R, int P> using Floats = typename I::Float[R][P * VECTORS<I>];

// f(row, vector) for each vector of a tile, with constants. A loop would keep the tile in memory.
template <class I, int R, int P, class F> PUNA_INLINE void for_tile(F f) {
    unroll<R>([&](auto r) __attribute__((always_inline)) { unroll<P * VECTORS<I>>([&](auto c) __attribute__((always_inline)) { f(r, c); }); });
}

// A dot product without a handwritten inner loop.
struct CompiledLoop {
    static constexpr bool sums_int32 = false; // whether sums have 32 bits from the first step
    template <int R, int STEPS> static constexpr bool has_tile = false;
};

// Stores a tile (`first`), or adds it to its targets. `columns`: those that exist, from the tile's first on.
template <class I, int R, int P>
PUNA_INLINE void write_tile(const Floats<I, R, P> &out, const Row *rows, int64_t column, int64_t columns, bool first) {
    if (columns >= P * COLUMNS) {
        for_tile<I, R, P>([&](auto r, auto c) __attribute__((always_inline)) {
            float *at = rows[r].target + column + I::lanes * c;
            I::storef(at, first ? out[r][c] : I::addf(I::loadf(at), out[r][c]));
        });
        return;
    }
    float values[R][P * COLUMNS];
    for_tile<I, R, P>([&](auto r, auto c) __attribute__((always_inline)) { I::storef(values[r] + I::lanes * c, out[r][c]); });
    for (int r = 0; r < R; r++) {
        float *target = rows[r].target + column;
        for (int64_t c = 0; c < columns; c++) target[c] = first ? values[r][c] : target[c] + values[r][c];
    }
}

} // namespace puna
