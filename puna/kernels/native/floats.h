// The matrix product of F16, BF16 and F32 weights. A `Dot` says what weights and activations become before they are multiplied.
// Sums add in the order of k, so they do not depend on the tile.
#pragma once

#include <cstring>

#include "activation.h"
#include "kernel.h"
#include "prefetch.h"
#include "tile.h"

namespace puna {

constexpr int FLOAT_PANELS = 8; // decoded panels in L2, beside a block of rows

// Weights become 32-bit floats, activations stay as they are.
template <class I, Type T> struct SingleFloats {
    using Row = FloatRow;
    using Weights = typename I::Float;
    static constexpr int k_per_lane = 1;
    static constexpr Activations activations = Activations::FLOAT;

    static void quantise(const float *x, int blocks, uint8_t *row) { std::memcpy(row, x, sizeof(float) * BLOCK * blocks); }
    // A vector of columns of one k: from a panel, or as `store` decoded it.
    static PUNA_INLINE Weights load_packed(const uint8_t *p) {
        if constexpr (T == Type::F32) return load(p);
        return T == Type::F16 ? I::load_f16(p) : I::load_bf16(p);
    }
    static PUNA_INLINE Weights load(const uint8_t *p) { return I::loadf(reinterpret_cast<const float *>(p)); }
    static PUNA_INLINE void store(uint8_t *p, Weights w) { I::storef(reinterpret_cast<float *>(p), w); }
    static PUNA_INLINE Weights add(Weights sum, Weights w, const uint8_t *x) {
        return I::fma(w, I::broadcast(*reinterpret_cast<const float *>(x)), sum);
    }
};

template <class I, Type T, class Dot = SingleFloats<I, T>> class FloatGemm {
  public:
    static constexpr int64_t row_bytes = sizeof(typename Dot::Row);

    static constexpr Kernel kernel() {
        return {T, true, row_bytes, Dot::activations, COLUMNS * FLOAT_PANELS, Dot::quantise, multiply};
    }

  private:
    static void multiply(const Product &p) { p.row_count > FEW ? multiply_many(p) : multiply_few(p); }

    using Float = typename I::Float;
    static constexpr int rows = I::float_accumulators / (I::tile_panels * VECTORS<I>);
    static constexpr int bytes = format_of(T)->bits / 8; // per weight
    static constexpr int packed_step = Dot::k_per_lane * bytes * COLUMNS; // bytes of a step in a panel
    static constexpr int PREFETCH_BYTES = 2048; // ahead of the weights
    static constexpr int64_t FEW = 24, BLOCK_ROWS = 8 * rows;
    static constexpr int decoded_bytes = SLICE / Dot::k_per_lane * 4 * COLUMNS; // of a slice of a panel

    // A slice of some panels, and the activations that it is multiplied with.
    struct PanelSlice {
        int size; // of k
        const uint8_t *activations;
        int64_t column, columns;
        bool first;
    };

    // Few rows are bound by memory, so they read weights once, straight from the panels.
    static void multiply_few(const Product &p) {
        const size_t panel_bytes = layout_of(T).panel(p.blocks);
        for_slices(p, I::tile_panels,
                   [&](const PanelSlice &part, const uint8_t *slice) { panels<true>(part, slice, panel_bytes, p.rows, p.row_count); });
    }

    // A block of rows stays in L2 while decoded panels pass through L1, one after another.
    static void multiply_many(const Product &p) {
        alignas(64) uint8_t decoded[FLOAT_PANELS][decoded_bytes];
        const size_t panel_bytes = layout_of(T).panel(p.blocks);
        for_slices(p, FLOAT_PANELS, [&](PanelSlice part, const uint8_t *slice) {
            const int64_t count = (part.columns + COLUMNS - 1) / COLUMNS;
            for (int64_t n = 0; n < count; n++) decode(slice + panel_bytes * n, part.size / Dot::k_per_lane, decoded[n]);
            for (int64_t row = 0; row < p.row_count; row += BLOCK_ROWS) {
                const int64_t left = p.row_count - row;
                PanelSlice here = part;
                for (int64_t n = 0; n < count; n += I::tile_panels, here.column += COLUMNS * I::tile_panels, here.columns -= COLUMNS * I::tile_panels)
                    panels<false>(here, decoded[n], decoded_bytes, p.rows + row, left < BLOCK_ROWS ? left : BLOCK_ROWS, n == 0 ? left : 0);
            }
        });
    }

    // f(part, its bytes in the first panel) for each slice of each `together` panels.
    template <class F> static void for_slices(const Product &p, int64_t together, F f) {
        constexpr Layout layout = layout_of(T);
        for (int64_t column = 0; column < p.columns; column += COLUMNS * together) {
            const uint8_t *slice = p.panels + layout.panel(p.blocks) * (column / COLUMNS);
            const uint8_t *activations = p.activations;
            const int64_t left = p.columns - column, columns = left < COLUMNS * together ? left : COLUMNS * together;
            for (int64_t block = 0; block < p.blocks; block += SLICE_BLOCKS) {
                const int blocks = static_cast<int>(p.blocks - block < SLICE_BLOCKS ? p.blocks - block : SLICE_BLOCKS);
                f(PanelSlice{BLOCK * blocks, activations, p.first_column + column, columns, block == 0}, slice);
                slice += layout.slice(blocks);
                activations += p.slice_stride;
            }
        }
    }

    // Vector c of a step's weights. Panels are `stride` bytes apart.
    template <bool PACKED> static PUNA_INLINE typename Dot::Weights weights(const uint8_t *step, size_t stride, int c) {
        const uint8_t *panel = step + stride * static_cast<size_t>(c / VECTORS<I>);
        if constexpr (PACKED) return Dot::load_packed(panel + bytes * I::lanes * (c % VECTORS<I>));
        return Dot::load(panel + 4 * I::lanes * (c % VECTORS<I>));
    }

    static void decode(const uint8_t *slice, int steps, uint8_t *out) {
        for (int step = 0; step < steps; step++, slice += packed_step, out += 4 * COLUMNS) {
            prefetch(slice + PREFETCH_BYTES);
            for (int c = 0; c < VECTORS<I>; c++) Dot::store(out + 4 * I::lanes * c, weights<true>(slice, 0, c));
        }
    }

    // A tile's panels, or a single last one, times `count` rows. Prefetches rows while `upcoming` says that they are not cached yet.
    template <bool PACKED>
    static void panels(const PanelSlice &part, const uint8_t *w, size_t stride, const Row *at, int64_t count, int64_t upcoming = 0) {
        if (I::tile_panels == 1 || part.columns > COLUMNS) return tiles<I::tile_panels, PACKED>(part, w, stride, at, count, upcoming);
        if constexpr (I::tile_panels > 1) tiles<1, PACKED>(part, w, stride, at, count, upcoming);
    }

    template <int P, bool PACKED>
    static void tiles(const PanelSlice &part, const uint8_t *w, size_t stride, const Row *at, int64_t count, int64_t upcoming) {
        for (; count >= rows; at += rows, count -= rows, upcoming -= rows) {
            for (int64_t r = rows; r < 2 * rows && r < upcoming; r++)
                for (int64_t i = 0; i < row_bytes; i += 64) prefetch(part.activations + row_bytes * at[r].source + i);
            tile<rows, P, PACKED>(part, w, stride, at);
        }
        rest<rows - 1, P, PACKED>(part, w, stride, at, count);
    }

    template <int R, int P, bool PACKED> static void rest(const PanelSlice &part, const uint8_t *w, size_t stride, const Row *rows, int64_t count) {
        if constexpr (R > 0) {
            if (count == R) return tile<R, P, PACKED>(part, w, stride, rows);
            rest<R - 1, P, PACKED>(part, w, stride, rows, count);
        }
    }

    template <int R, int P, bool PACKED> static void tile(const PanelSlice &part, const uint8_t *w, size_t stride, const Row *rows) {
        constexpr int steps = 4; // unrolled
        constexpr int step_bytes = PACKED ? packed_step : 4 * COLUMNS, vectors = P * VECTORS<I>;
        const uint8_t *a[R];
        for (int r = 0; r < R; r++) a[r] = part.activations + row_bytes * rows[r].source;
        for (int r = 0; r < R; r++) prefetch(rows[r].target + part.column);
        Floats<I, R, P> out;
        for_tile<I, R, P>([&](auto r, auto c) __attribute__((always_inline)) { out[r][c] = I::zerof(); });
        for (int64_t step = 0; step < part.size / Dot::k_per_lane; step += steps, w += steps * step_bytes) {
            unroll<steps>([&](auto i) __attribute__((always_inline)) {
                typename Dot::Weights v[vectors];
                unroll<vectors>([&](auto c) __attribute__((always_inline)) { v[c] = weights<PACKED>(w + step_bytes * i, stride, c); });
                for_tile<I, R, P>([&](auto r, auto c) __attribute__((always_inline)) {
                    out[r][c] = Dot::add(out[r][c], v[c], a[r] + 4 * (step + i));
                });
            });
        }
        write_tile<I, R, P>(out, rows, part.column, part.columns, part.first);
    }
};

} // namespace puna
