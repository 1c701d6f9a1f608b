// The attention kernel, written once for all processors. It passes over the keys of a piece twice, in tiles of 64:
//   score        computes scores = queries * keys, and each row's maximum;
//   accumulate   turns scores into weights and adds weight * value.
// Threads may split the keys. Each keeps maxima and sums of its own tiles, and combines those of all.
//
// Sums are exact, so a row's bits depend only on what the row attends to: not on other rows, on tiles, or on where cells lie.
// Weights are integers relative to the row's maximum, values are integers relative to their cell's largest, and sums are integers.
// A cell's exponent is added to its score: weight * value = 2^(score + exponent) * integer. A weight has 24 bits, in two parts,
// and a value 13 bits and a sign. So 64 products of a part and a value fit in 31 bits.
#pragma once

#include <cmath>
#include <type_traits>

#include "attention_tile.h"
#include "attention_weights.h"
#include "cells.h"

namespace puna {

template <class I> class Attend {
  public:
    static size_t work_size(const AttentionSizes &sizes) { return AttentionMemory<I>(sizes).size; }
    static void score(const AttentionPiece &piece) { Attend(piece).score(); }
    static void accumulate(const AttentionPiece &piece) { Attend(piece).accumulate(); }
    static void finish(const AttentionPiece &piece) { Attend(piece).finish(); }

  private:
    using Float = typename I::Float;
    using Cells = typename I::Cells;
    static constexpr int VALUE_BITS = 13;
    // Up to so many rows use keys as they are transposed: their sums fit in registers beside a transposed tile.
    static constexpr int FEW_ROWS = std::is_same_v<typename Cells::Vector, Float> ? I::lanes / 2 : 0;
    static constexpr int KEYS = TILE_KEYS, PAIRS = KEYS / 2, WIDTH = ATTENTION_WIDTH<I>;

    const AttentionPiece &p;
    const Tensor &q, &k, &v;
    const AttentionMemory<I> layout;
    uint8_t *const work_;
    float *const keys_;
    int32_t *const values_;
    float *const biases_;
    int32_t *const weights_;
    int visible_[MAX_ATTENTION_ROWS]; // the queries that attend to the current tile
    const Visibility *visibility_ = nullptr; // of all queries
    int visible_count_ = 0;

    explicit Attend(const AttentionPiece &piece)
        : p(piece), q(*p.op.src[0]), k(*p.op.src[1]), v(*p.op.src[2]),
          layout({k.ne[0], v.ne[0], p.max_tiles, p.queries, p.blocks, p.heads_per_block}),
          work_(p.work + p.work_stride * static_cast<size_t>(p.split)), keys_(at<float>(0)), values_(at<int32_t>(layout.values)),
          biases_(at<float>(layout.biases)), weights_(at<int32_t>(layout.weights)) {}

    template <class T> T *at(size_t offset) const { return reinterpret_cast<T *>(work_ + offset); }

    AttentionState state(int64_t block) const { return state(block, p.split); }
    AttentionState state(int64_t block, int64_t split) const {
        uint8_t *from = p.work + p.work_stride * static_cast<size_t>(split) + layout.states + layout.state_bytes * static_cast<size_t>(block);
        const auto floats = [&](size_t offset) { return reinterpret_cast<float *>(from + offset); };
        const auto integers = [&](size_t offset) { return reinterpret_cast<int64_t *>(from + offset); };
        return {floats(0), integers(layout.sums), floats(layout.lane_max), floats(layout.lane_value_max), floats(layout.row_max),
                floats(layout.row_value_max), integers(layout.weight_sums), floats(layout.scores)};
    }
    // The value exponents of the nth visible tile, stored once per KV head: at its first block.
    float *exponents(int64_t block, int64_t nth) const {
        const int64_t first = p.kv_head(block) * p.blocks_per_kv_head - p.first_block;
        return at<float>(layout.exponents) + KEYS * (nth + layout.tiles * (first > 0 ? first : 0));
    }

    void score() {
        for (int64_t b = 0; b < p.blocks; b++) start(b);
        for_visible_tiles([&](int64_t tile, int64_t nth) {
            read_masks(tile);
            for (int64_t b = 0; b < p.blocks; b++) {
                if (p.starts_kv_head(b)) read_exponents(b, tile, nth);
                score(b, tile, nth);
            }
        });
    }

    void accumulate() {
        for (int64_t b = 0; b < p.blocks; b++) combine_maxima(b);
        for_visible_tiles([&](int64_t tile, int64_t nth) {
            for (int64_t b = 0; b < p.blocks; b++) {
                if (p.starts_kv_head(b)) read_values(b, tile, nth);
                accumulate(b, nth);
            }
        });
    }

    void finish() const {
        for (int64_t b = 0; b < p.blocks; b++) {
            const int64_t rows = p.queries * p.heads(b);
            // Results are far apart: all are fetched at once.
            for (int64_t row = p.split; row < rows; row += p.splits)
                for (int64_t i = 0; i < v.ne[0]; i += 16) prefetch(result(b, row) + i);
            for (int64_t row = p.split; row < rows; row += p.splits) finish(b, row);
        }
    }

    float *result(int64_t block, int64_t row) const {
        const uint8_t *to = address(p.op, p.first_head(block) + row % p.heads(block), p.first_query + row / p.heads(block), p.stream);
        return reinterpret_cast<float *>(const_cast<uint8_t *>(to));
    }

    // f(tile, count of visible tiles before it) for the piece's tiles that any query attends to.
    template <class F> void for_visible_tiles(F f) {
        int64_t nth = 0;
        for (int64_t tile = p.first_tile; tile < p.end_tile; tile++) {
            find_visible(tile);
            if (visible_count_) f(tile, nth++);
        }
    }

    int cells_of(int64_t tile) const {
        const int64_t left = k.ne[1] - KEYS * tile;
        return static_cast<int>(left < KEYS ? left : KEYS);
    }

    // The score of an attention sink, a key without a value.
    float sink(int64_t block, int64_t row) const {
        const Tensor *sinks = p.op.src[4];
        return sinks ? static_cast<const float *>(sinks->data)[p.first_head(block) + row % p.heads(block)] * static_cast<float>(LOG2_E)
                     : MASKED_SCORE;
    }

    // Reset the rows' state, and copy their queries with the scale applied.
    void start(int64_t block) {
        const AttentionState s = state(block);
        const float factor = p.cap == 0 ? p.scale * static_cast<float>(LOG2_E) : p.scale / p.cap;
        std::memset(s.q, 0, sizeof *s.q * static_cast<size_t>(layout.key_size * layout.rows));
        std::memset(s.sums, 0, sizeof *s.sums * static_cast<size_t>(layout.value_size * layout.rows));
        std::memset(s.weight_sums, 0, sizeof *s.weight_sums * static_cast<size_t>(I::lanes * layout.rows));
        for (int64_t row = 0; row < p.queries * p.heads(block); row++) {
            const int64_t head = p.first_head(block) + row % p.heads(block);
            const auto *x = reinterpret_cast<const float *>(address(q, p.first_query + row / p.heads(block), head, p.stream));
            for (int64_t i = 0; i < q.ne[0]; i++) s.q[layout.key_size * row + i] = factor * x[i];
            I::storef(s.lane_max + I::lanes * row, I::maxf(I::broadcast(sink(block, row)), I::broadcast(MIN_ROW_MAX)));
            I::storef(s.lane_value_max + I::lanes * row, I::broadcast(MIN_ROW_MAX));
        }
    }

    void find_visible(int64_t tile) {
        visibility_ = p.tile_mask.tile(p.stream, tile, p.first_query);
        visible_count_ = 0;
        for (int query = 0; query < p.queries; query++)
            if (visibility_[query] != Visibility::NONE) visible_[visible_count_++] = query;
    }

    // The tile's mask of each query that attends to some of it, as floats. Keys beyond the last are masked.
    void read_masks(int64_t tile) const {
        const Tensor *mask = p.op.src[3];
        const auto count = static_cast<size_t>(cells_of(tile));
        for (int n = 0; n < visible_count_; n++) {
            if (visibility_[visible_[n]] == Visibility::ALL) continue;
            alignas(64) uint16_t row[KEYS];
            for (size_t i = 0; i < KEYS; i++) row[i] = i < count ? 0 : 0xfc00;
            if (mask) std::memcpy(row, address(*mask, p.first_query + visible_[n], 0, p.stream % mask->ne[3]) + 2 * KEYS * tile, 2 * count);
            for (int i = 0; i < KEYS; i += I::lanes) I::storef(biases_ + KEYS * visible_[n] + i, I::load_f16(row + i));
        }
    }

    // f(a KV head's cells from the tile on), typed.
    template <class F> void with_cells(const Tensor &t, int64_t block, int64_t tile, F f) const {
        const uint8_t *from = address(t, KEYS * tile, p.kv_head(block), p.stream);
        const int size = static_cast<int>(t.ne[0]);
        switch (t.type) {
        case Type::F32: return f(CellRows<Cells, Type::F32>{from, t.nb[1], size});
        case Type::F16: return f(CellRows<Cells, Type::F16>{from, t.nb[1], size});
        case Type::BF16: return f(CellRows<Cells, Type::BF16>{from, t.nb[1], size});
        case Type::Q8_0: return f(CellRows<Cells, Type::Q8_0>{from, t.nb[1], size});
        default: return f(CellRows<Cells, Type::Q4_0>{from, t.nb[1], size});
        }
    }

    // Transposes a tile's keys into panels [element][WIDTH keys].
    void read_keys(int64_t block, int64_t tile) const {
        const int count = cells_of(tile);
        with_cells(k, block, tile, [&](const auto &cells) {
            for (int cell = 0; cell < KEYS; cell += Cells::lanes) {
                for (int i = 0; i < Cells::lanes; i++) cells.prefetch(KEYS + cell + i);
                cells.for_columns(cell, count, [&](int i, auto x) __attribute__((always_inline)) {
                    Cells::store(keys_ + (cell / WIDTH * layout.key_size + i) * WIDTH + cell % WIDTH, x);
                });
            }
        });
    }

    void read_exponents(int64_t block, int64_t tile, int64_t nth) const {
        const int count = cells_of(tile);
        float *exponent = exponents(block, nth);
        with_cells(v, block, tile, [&](const auto &cells) {
            for (int cell = 0; cell < count; cell += 16) {
                for (int i = 0; i < 16; i++) cells.prefetch(KEYS + cell + i);
                cells.read_exponents(cell, count, INVALID_SCORE, exponent + cell);
            }
            for (int cell = count; cell < KEYS; cell++) exponent[cell] = MIN_EXPONENT;
        });
    }

    // Rounds a tile's values to integers, in panels [pair of cells][WIDTH elements of both]. A pair's cells are one vector apart.
    void read_values(int64_t block, int64_t tile, int64_t nth) const {
        float scales[KEYS];
        const float *exponent = exponents(block, nth);
        for (int i = 0; i < KEYS; i += I::lanes)
            I::storef(scales + i, exp2_integer<I>(I::fma(I::broadcast(-1), I::loadf(exponent + i), I::broadcast(VALUE_BITS))));
        with_cells(v, block, tile, [&](const auto &cells) {
            for (int pair = 0; pair < PAIRS; pair++) {
                const int first = pair / I::lanes * WIDTH + pair % I::lanes, second = first + I::lanes;
                cells.prefetch(KEYS + first), cells.prefetch(KEYS + second);
                // Cells beyond the last have a weight of 0: any value will do.
                const int last = cells_of(tile) - 1;
                cells.template store_pair<WIDTH>(first < last ? first : last, scales[first], second < last ? second : last, scales[second],
                                 values_ + WIDTH * pair, PAIRS * WIDTH);
            }
        });
    }

    // f(i, row of the head block, its query, its head in the block) for the rows that attend to the current tile. Returns their count.
    template <class F> int for_rows(int64_t block, F f) const {
        const int heads = p.heads(block);
        int i = 0;
        for (int n = 0; n < visible_count_; n++)
            for (int head = 0; head < heads; head++) f(i++, visible_[n] * heads + head, visible_[n], head);
        return i;
    }

    void score(int64_t block, int64_t tile, int64_t nth) {
        const AttentionState s = state(block);
        const float *exponent = exponents(block, nth), *slopes = p.slopes + p.first_head(block);
        const float *from[MAX_ATTENTION_ROWS];
        float *to[MAX_ATTENTION_ROWS], *next[MAX_ATTENTION_ROWS];
        const int count = for_rows(block, [&](int i, int row, int, int) {
            from[i] = s.q + layout.key_size * row;
            to[i] = s.scores + KEYS * (layout.rows * nth + row);
        });
        if (count <= FEW_ROWS && p.blocks_per_kv_head == 1) {
            for (int i = count; i < FEW_ROWS; i++) from[i] = from[count - 1], to[i] = to[count - 1]; // repeat the last row
            score_few<FEW_ROWS>(count, block, tile, from, to);
        } else {
            if (p.starts_kv_head(block)) read_keys(block, tile);
            for (int panel = 0; panel < KEYS / WIDTH; panel++) {
                for (int i = 0; i < count; i++) next[i] = to[i] + WIDTH * panel;
                for_row_tiles<I::score_rows>(count, [&](int row, auto rows) {
                    dot_keys<I, rows()>(keys_ + WIDTH * layout.key_size * panel, layout.key_size, from + row, next + row);
                });
            }
        }
        for_rows(block, [&](int i, int row, int query, int head) {
            const float *bias = visibility_[query] == Visibility::ALL ? nullptr : biases_ + KEYS * query;
            mask_scores<I>(to[i], exponent, bias, slopes[head], p.cap, s.lane_max + I::lanes * row, s.lane_value_max + I::lanes * row);
        });
    }

    // Multiplies few rows with keys while these are transposed. Adds in the order of `dot_keys`, so bits are the same.
    template <int R> void score_few(int count, int64_t block, int64_t tile, const float *const *q, float *const *out) const {
        if constexpr (R > 1)
            if (count <= R / 2) return score_few<R / 2>(count, block, tile, q, out);
        if constexpr (R > 0) with_cells(k, block, tile, [&](const auto &cells) {
            for (int cell = 0; cell < KEYS; cell += Cells::lanes) {
                for (int i = 0; i < Cells::lanes; i++) cells.prefetch(KEYS + cell + i);
                Float sums[R];
                for (auto &sum : sums) sum = I::zerof();
                cells.for_columns(cell, cells_of(tile), [&](int i, auto x) __attribute__((always_inline)) {
                    unroll<R>([&](auto r) __attribute__((always_inline)) { sums[r] = I::fma(I::broadcast(q[r][i]), x, sums[r]); });
                });
                for (int r = 0; r < R; r++) I::storef(out[r] + cell, sums[r]);
            }
        });
    }

    // Combines the maxima of all splits, and rounds them to integers.
    void combine_maxima(int64_t block) const {
        const AttentionState s = state(block);
        for (int64_t row = 0; row < p.queries * p.heads(block); row++) {
            s.row_max[row] = integer_max(block, row, &AttentionState::lane_max);
            s.row_value_max[row] = integer_max(block, row, &AttentionState::lane_value_max);
        }
    }
    float integer_max(int64_t block, int64_t row, float *AttentionState::*lane_max) const {
        Float max = I::broadcast(MASKED_SCORE);
        for (int64_t split = 0; split < p.splits; split++) max = I::maxf(max, I::loadf(state(block, split).*lane_max + I::lanes * row));
        return std::nearbyint(I::reduce_max(max));
    }

    void accumulate(int64_t block, int64_t nth) {
        const AttentionState s = state(block);
        const float *exponent = exponents(block, nth);
        int rows[MAX_ATTENTION_ROWS];
        const int count = for_rows(block, [&](int i, int row, int, int) { rows[i] = row; });
        for_row_tiles<I::value_rows>(count, [&](int first, auto tile_rows) {
            int64_t *to[tile_rows()];
            for (int i = 0; i < tile_rows; i++) {
                const int row = rows[first + i];
                to[i] = s.sums + layout.value_size * row;
                softmax_weights<I>(s.scores + KEYS * (layout.rows * nth + row), exponent, s.row_max[row], s.row_value_max[row],
                                   s.weight_sums + I::lanes * row, weights_ + KEYS * i);
            }
            for (int64_t panel = 0; panel < layout.value_size; panel += WIDTH)
                accumulate_values<I, tile_rows()>(values_ + PAIRS * panel, weights_, to, panel);
        });
    }

    void finish(int64_t block, int64_t row) const {
        const AttentionState own = state(block);
        const float max = own.row_max[row], value_max = own.row_value_max[row];
        int64_t total = weight_of<I>(sink(block, row), max);
        for (int64_t split = 0; split < p.splits; split++)
            for (int i = 0; i < I::lanes; i++) total += state(block, split).weight_sums[I::lanes * row + i];
        double factor = total == 0 ? 0 : std::ldexp(1 / static_cast<double>(total), static_cast<int>(value_max - max) - VALUE_BITS);
        if (max > INVALID_SCORE / 2 || value_max > INVALID_SCORE / 2) factor = NAN;
        float *out = result(block, row);
        for (int64_t i = 0; i < v.ne[0]; i++) {
            int64_t sum = 0; // of integers, so the order does not matter
            for (int64_t split = 0; split < p.splits; split++) sum += state(block, split).sums[layout.value_size * row + i];
            out[i] = static_cast<float>(factor * static_cast<double>(sum));
        }
    }
};

template <class I> constexpr AttentionKernel ATTENTION{Attend<I>::work_size, Attend<I>::score, Attend<I>::accumulate, Attend<I>::finish};

} // namespace puna
