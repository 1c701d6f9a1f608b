// Products with weights that are floats: these of 16 bits are made 32-bit ones, activations stay as they are. A row's sums are taken in
// the order of k, a slice at a time, so they do not depend on the tile.
#pragma once

#include "activation.h"
#include "kernel.h"
#include "tile.h"

namespace puna {

constexpr int FLOAT_PANELS = 8; // that lie in the second cache as floats, beside a block of rows

template <class I, Type T> class FloatSweep {
  public:
    static constexpr int64_t row_bytes = sizeof(FloatRow);

    static void multiply(const Product &p) { p.row_count > FEW ? multiply_many(p) : multiply_few(p); }

  private:
    using Float = typename I::Float;
    static constexpr int rows = I::float_sums / VECTORS<I>;
    static constexpr int bytes = format_of(T)->bits / 8; // of a weight
    static constexpr int AHEAD = 2048; // bytes of weights that are on their way
    static constexpr int64_t FEW = 24, BLOCK_ROWS = 8 * rows;

    // A slice of a panel, and what it meets.
    struct Part {
        int size; // of k
        const uint8_t *activations;
        int64_t column, columns;
        bool first;
    };

    // Few rows are bound by memory: panel after panel, the weights are one stream.
    static void multiply_few(const Product &p) {
        for_slices(p, 1, [&](const Part &part, const uint8_t *slice) { tiles(part, slice, p.rows, p.row_count); });
    }

    // A block of rows stays in the second cache while it meets some panels, one after another in the first.
    static void multiply_many(const Product &p) {
        alignas(64) float floats[FLOAT_PANELS][SLICE * COLUMNS];
        const size_t panel_bytes = layout_of(T).panel(p.blocks);
        for_slices(p, FLOAT_PANELS, [&](Part part, const uint8_t *slice) {
            const int64_t count = (part.columns + COLUMNS - 1) / COLUMNS;
            for (int64_t n = 0; n < count; n++) widen(slice + panel_bytes * n, COLUMNS * part.size, floats[n]);
            for (int64_t row = 0; row < p.row_count; row += BLOCK_ROWS) {
                const int64_t left = p.row_count - row;
                Part here = part;
                for (int64_t n = 0; n < count; n++, here.column += COLUMNS, here.columns -= COLUMNS)
                    tiles(here, floats[n], p.rows + row, left < BLOCK_ROWS ? left : BLOCK_ROWS, n == 0 ? left : 0);
            }
        });
    }

    // f(part, its first panel's slice) for every slice of every so many panels.
    template <class F> static void for_slices(const Product &p, int64_t together, F f) {
        constexpr Layout layout = layout_of(T);
        for (int64_t column = 0; column < p.columns; column += COLUMNS * together) {
            const uint8_t *slice = p.panels + layout.panel(p.blocks) * (column / COLUMNS);
            const uint8_t *activations = p.activations;
            const int64_t left = p.columns - column, columns = left < COLUMNS * together ? left : COLUMNS * together;
            for (int64_t block = 0; block < p.blocks; block += SLICE_BLOCKS) {
                const int blocks = static_cast<int>(p.blocks - block < SLICE_BLOCKS ? p.blocks - block : SLICE_BLOCKS);
                f(Part{BLOCK * blocks, activations, p.first_column + column, columns, block == 0}, slice);
                slice += layout.slice(blocks);
                activations += p.slice_stride;
            }
        }
    }

    static PUNA_INLINE Float weights(const uint8_t *p) {
        if constexpr (T == Type::F32) return I::loadf(reinterpret_cast<const float *>(p));
        return T == Type::F16 ? I::halves(p) : I::bfloats(p);
    }
    static PUNA_INLINE Float weights(const float *p) { return I::loadf(p); }

    static void widen(const uint8_t *slice, int count, float *out) {
        for (int i = 0; i < count; i += I::lanes) {
            I::prefetch(slice + bytes * i + AHEAD);
            I::storef(out + i, weights(slice + bytes * i));
        }
    }

    // One panel by `count` rows. Of `coming` rows the next tile's are fetched while one is computed.
    template <class W> static void tiles(const Part &part, const W *w, const Row *at, int64_t count, int64_t coming = 0) {
        for (; count >= rows; at += rows, count -= rows, coming -= rows) {
            for (int64_t r = rows; r < 2 * rows && r < coming; r++)
                for (int64_t i = 0; i < row_bytes; i += 64) I::prefetch(part.activations + row_bytes * at[r].source + i);
            tile<rows>(part, w, at);
        }
        rest<rows - 1>(part, w, at, count);
    }

    template <int R, class W> static void rest(const Part &part, const W *w, const Row *rows, int64_t count) {
        if constexpr (R > 0) {
            if (count == R) return tile<R>(part, w, rows);
            rest<R - 1>(part, w, rows, count);
        }
    }

    template <int R, class W> static void tile(const Part &part, const W *w, const Row *rows) {
        constexpr bool stored = sizeof(W) == 1;
        constexpr int scale = stored ? bytes : 1; // of W in a weight
        const float *a[R];
        for (int r = 0; r < R; r++) a[r] = reinterpret_cast<const float *>(part.activations + row_bytes * rows[r].source);
        for (int r = 0; r < R; r++) I::prefetch(rows[r].target + part.column);
        Floats<I, R> out;
        for_tile<I, R>([&](auto r, auto c) __attribute__((always_inline)) { out[r][c] = I::zerof(); });
        for (int k = 0; k < part.size; k += 4, w += 4 * scale * COLUMNS) {
            if constexpr (stored) unroll<bytes>([&](auto line) __attribute__((always_inline)) { I::prefetch(w + AHEAD + 64 * line); });
            unroll<4>([&](auto step) __attribute__((always_inline)) {
                Float v[VECTORS<I>];
                unroll<VECTORS<I>>([&](auto c) __attribute__((always_inline)) { v[c] = weights(w + scale * (COLUMNS * step + I::lanes * c)); });
                for_tile<I, R>([&](auto r, auto c) __attribute__((always_inline)) { out[r][c] = I::fma(v[c], I::broadcast(a[r][k + step]), out[r][c]); });
            });
        }
        deliver<I, R>(out, rows, part.column, part.columns, part.first);
    }
};

} // namespace puna
