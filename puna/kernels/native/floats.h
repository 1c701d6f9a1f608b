// Products with weights of 16 bits: these are made 32-bit floats on their way into the registers, activations stay as
// they are. A row's sums are taken in the order of k, a slice at a time, so they do not depend on the tile.
#pragma once

#include "activation.h"
#include "kernel.h"
#include "tile.h"

namespace puna {

template <class I, Type T> class FloatSweep {
  public:
    static constexpr int64_t row_bytes = sizeof(FloatRow);

    static void multiply(const Product &p) {
        constexpr Layout layout = layout_of(T);
        const size_t panel_bytes = layout.panel(p.blocks);
        // Few rows are bound by memory: panel after panel, the weights are one stream. Otherwise a tile's activations stay
        // in the first cache while they meet some panels.
        const int64_t together = COLUMNS * (p.row_count > FEW ? panels : 1);
        for (int64_t column = 0; column < p.columns; column += together) {
            const uint8_t *slice = p.panels + panel_bytes * (column / COLUMNS);
            const uint8_t *activations = p.activations;
            for (int64_t block = 0; block < p.blocks; block += SLICE_BLOCKS) {
                const int blocks = static_cast<int>(p.blocks - block < SLICE_BLOCKS ? p.blocks - block : SLICE_BLOCKS);
                const int64_t width = p.columns - column < together ? p.columns - column : together;
                const Part part{slice, panel_bytes, BLOCK * blocks, activations, p.first_column + column, width, block == 0};
                int64_t at = 0;
                for (; at + rows <= p.row_count; at += rows) tile<rows>(part, p.rows + at);
                rest<rows - 1>(part, p.rows + at, p.row_count - at);
                slice += layout.slice(blocks);
                activations += p.slice_stride;
            }
        }
    }

  private:
    using Float = typename I::Float;
    static constexpr int rows = I::float_sums / VECTORS<I>;
    static constexpr int AHEAD = 2048; // bytes of weights that are on their way
    static constexpr int64_t FEW = 8, panels = 4;

    struct Part {
        const uint8_t *slice;
        size_t panel_bytes;
        int size; // of k
        const uint8_t *activations;
        int64_t column, width;
        bool first;
    };

    template <int R> static void rest(const Part &part, const Row *rows, int64_t count) {
        if constexpr (R > 0) {
            if (count == R) return tile<R>(part, rows);
            rest<R - 1>(part, rows, count);
        }
    }

    static PUNA_INLINE Float weights(const uint8_t *p) { return T == Type::F16 ? I::halves(p) : I::bfloats(p); }

    template <int R> static void tile(const Part &part, const Row *rows) {
        const float *a[R];
        for (int r = 0; r < R; r++) a[r] = reinterpret_cast<const float *>(part.activations + row_bytes * rows[r].source);
        for (int64_t n = 0; COLUMNS * n < part.width; n++) panel<R>(part, n, a, rows);
    }

    template <int R> static PUNA_INLINE void panel(const Part &part, int64_t n, const float *const (&a)[R], const Row *rows) {
        const uint8_t *slice = part.slice + part.panel_bytes * n;
        Floats<I, R> out;
        for (auto &row : out)
            for (auto &x : row) x = I::zerof();
        for (int k = 0; k < part.size; k += 4) {
            const uint8_t *w = slice + 2 * COLUMNS * k;
            I::prefetch(w + AHEAD);
            I::prefetch(w + AHEAD + 64);
            unroll<4>([&](auto step) {
                Float v[VECTORS<I>];
                for (int c = 0; c < VECTORS<I>; c++) v[c] = weights(w + 2 * COLUMNS * step + 2 * I::lanes * c);
                for (int r = 0; r < R; r++) {
                    const Float x = I::broadcast(a[r][k + step]);
                    for (int c = 0; c < VECTORS<I>; c++) out[r][c] = I::fma(v[c], x, out[r][c]);
                }
            });
        }
        deliver<I, R>(out, rows, part.column + COLUMNS * n, part.width - COLUMNS * n, part.first);
    }
};

} // namespace puna
