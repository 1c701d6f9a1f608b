// Products with weights that are floats. A unit says what they become in the cache, and the activations with them. A row's sums are
// taken in the order of k, a slice at a time, so they do not depend on the tile.
#pragma once

#include <cstring>

#include "activation.h"
#include "kernel.h"
#include "tile.h"

namespace puna {

constexpr int FLOAT_PANELS = 8; // that lie in the second cache as the unit wants them, beside a block of rows

// The unit of most processors: weights become 32-bit floats, activations stay as they are.
template <class I, Type T> struct SingleFloats {
    using Row = FloatRow;
    using Weights = typename I::Float;
    static constexpr int together = 1; // k in a lane
    static constexpr Activations activations = Activations::FLOAT;

    static void quantise(const float *x, int blocks, uint8_t *row) { std::memcpy(row, x, sizeof(float) * BLOCK * blocks); }
    // The weights of some columns, of one k, as they are stored or as `put` left them.
    static PUNA_INLINE Weights stored(const uint8_t *p) {
        if constexpr (T == Type::F32) return load(p);
        return T == Type::F16 ? I::load_f16(p) : I::load_bf16(p);
    }
    static PUNA_INLINE Weights load(const uint8_t *p) { return I::loadf(reinterpret_cast<const float *>(p)); }
    static PUNA_INLINE void put(uint8_t *p, Weights w) { I::storef(reinterpret_cast<float *>(p), w); }
    static PUNA_INLINE Weights add(Weights sum, Weights w, const uint8_t *x) { return I::fma(w, I::broadcast(*reinterpret_cast<const float *>(x)), sum); }
};

template <class I, Type T, class Unit = SingleFloats<I, T>> class FloatSweep {
  public:
    static constexpr int64_t row_bytes = sizeof(typename Unit::Row);

    static constexpr Kernel kernel() {
        return {T, true, row_bytes, Unit::activations, COLUMNS * FLOAT_PANELS, Unit::quantise, multiply};
    }

  private:
    static void multiply(const Product &p) { p.row_count > FEW ? multiply_many(p) : multiply_few(p); }

    using Float = typename I::Float;
    static constexpr int rows = I::float_accumulators / (I::tile_panels * VECTORS<I>);
    static constexpr int bytes = format_of(T)->bits / 8; // of a weight
    static constexpr int line = Unit::together * bytes * COLUMNS; // bytes of a step, as it is stored
    static constexpr int AHEAD = 2048; // bytes of weights that are on their way
    static constexpr int64_t FEW = 24, BLOCK_ROWS = 8 * rows;
    static constexpr int decoded_bytes = SLICE / Unit::together * 4 * COLUMNS; // of a panel's slice

    // A slice of a panel, and what it meets.
    struct Part {
        int size; // of k
        const uint8_t *activations;
        int64_t column, columns;
        bool first;
    };

    // Few rows are bound by memory: a tile's panels after another's.
    static void multiply_few(const Product &p) {
        const size_t panel_bytes = layout_of(T).panel(p.blocks);
        for_slices(p, I::tile_panels, [&](const Part &part, const uint8_t *slice) { panels<true>(part, slice, panel_bytes, p.rows, p.row_count); });
    }

    // A block of rows stays in the second cache while it meets some panels, one after another in the first.
    static void multiply_many(const Product &p) {
        alignas(64) uint8_t decoded[FLOAT_PANELS][decoded_bytes];
        const size_t panel_bytes = layout_of(T).panel(p.blocks);
        for_slices(p, FLOAT_PANELS, [&](Part part, const uint8_t *slice) {
            const int64_t count = (part.columns + COLUMNS - 1) / COLUMNS;
            for (int64_t n = 0; n < count; n++) decode(slice + panel_bytes * n, part.size / Unit::together, decoded[n]);
            for (int64_t row = 0; row < p.row_count; row += BLOCK_ROWS) {
                const int64_t left = p.row_count - row;
                Part here = part;
                for (int64_t n = 0; n < count; n += I::tile_panels, here.column += COLUMNS * I::tile_panels, here.columns -= COLUMNS * I::tile_panels)
                    panels<false>(here, decoded[n], decoded_bytes, p.rows + row, left < BLOCK_ROWS ? left : BLOCK_ROWS, n == 0 ? left : 0);
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

    // The weights of a step, in its vector number c; panels are `stride` bytes apart.
    template <bool STORED> static PUNA_INLINE typename Unit::Weights weights(const uint8_t *step, size_t stride, int c) {
        const uint8_t *panel = step + stride * static_cast<size_t>(c / VECTORS<I>);
        if constexpr (STORED) return Unit::stored(panel + bytes * I::lanes * (c % VECTORS<I>));
        return Unit::load(panel + 4 * I::lanes * (c % VECTORS<I>));
    }

    static void decode(const uint8_t *slice, int steps, uint8_t *out) {
        for (int step = 0; step < steps; step++, slice += line, out += 4 * COLUMNS) {
            I::prefetch(slice + AHEAD);
            for (int c = 0; c < VECTORS<I>; c++) Unit::put(out + 4 * I::lanes * c, weights<true>(slice, 0, c));
        }
    }

    // The panels of a tile, or the last one, by `count` rows. Of `coming` rows the next tile's are fetched while one is computed.
    template <bool STORED> static void panels(const Part &part, const uint8_t *w, size_t stride, const Row *at, int64_t count, int64_t coming = 0) {
        if (I::tile_panels == 1 || part.columns > COLUMNS) return tiles<I::tile_panels, STORED>(part, w, stride, at, count, coming);
        if constexpr (I::tile_panels > 1) tiles<1, STORED>(part, w, stride, at, count, coming);
    }

    template <int P, bool STORED>
    static void tiles(const Part &part, const uint8_t *w, size_t stride, const Row *at, int64_t count, int64_t coming) {
        for (; count >= rows; at += rows, count -= rows, coming -= rows) {
            for (int64_t r = rows; r < 2 * rows && r < coming; r++)
                for (int64_t i = 0; i < row_bytes; i += 64) I::prefetch(part.activations + row_bytes * at[r].source + i);
            tile<rows, P, STORED>(part, w, stride, at);
        }
        rest<rows - 1, P, STORED>(part, w, stride, at, count);
    }

    template <int R, int P, bool STORED> static void rest(const Part &part, const uint8_t *w, size_t stride, const Row *rows, int64_t count) {
        if constexpr (R > 0) {
            if (count == R) return tile<R, P, STORED>(part, w, stride, rows);
            rest<R - 1, P, STORED>(part, w, stride, rows, count);
        }
    }

    template <int R, int P, bool STORED> static void tile(const Part &part, const uint8_t *w, size_t stride, const Row *rows) {
        constexpr int steps = 4; // unrolled
        constexpr int step_bytes = STORED ? line : 4 * COLUMNS, vectors = P * VECTORS<I>;
        const uint8_t *a[R];
        for (int r = 0; r < R; r++) a[r] = part.activations + row_bytes * rows[r].source;
        for (int r = 0; r < R; r++) I::prefetch(rows[r].target + part.column);
        Floats<I, R, P> out;
        for_tile<I, R, P>([&](auto r, auto c) __attribute__((always_inline)) { out[r][c] = I::zerof(); });
        for (int64_t step = 0; step < part.size / Unit::together; step += steps, w += steps * step_bytes) {
            if constexpr (STORED)
                unroll<P * steps * line / 64>([&](auto i) __attribute__((always_inline)) { I::prefetch(w + stride * (i % P) + AHEAD + 64 * (i / P)); });
            unroll<steps>([&](auto i) __attribute__((always_inline)) {
                typename Unit::Weights v[vectors];
                unroll<vectors>([&](auto c) __attribute__((always_inline)) { v[c] = weights<STORED>(w + step_bytes * i, stride, c); });
                for_tile<I, R, P>([&](auto r, auto c) __attribute__((always_inline)) { out[r][c] = Unit::add(out[r][c], v[c], a[r] + 4 * (step + i)); });
            });
        }
        deliver<I, R, P>(out, rows, part.column, part.columns, part.first);
    }
};

} // namespace puna
