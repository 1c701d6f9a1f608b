// Attention, written once for all processors: some queries of some heads go through their keys twice, a tile of 64 at a time.
// Threads may divide the keys (`members`): each keeps maxima and sums of its own tiles, and reads those of the others.
//
// The first time brings scores, and the largest of each row. The second time a row's weights are taken as whole numbers
// against that largest, values as whole numbers against the largest of their cell, and sums are whole numbers, too. So
// sums are exact, and a row's bits depend on what it sees alone: not on where cells lie or in which order, on tiles, or on
// other rows.
//
// A cell's own exponent joins the score: weight * value = 2^score * 2^exponent * number. Of a weight's bits
// 24 are used, in two parts, of a value's 13 and the sign: 64 products of a part fill 31 bits.
#pragma once

#include <cmath>
#include <type_traits>

#include "attention_tile.h"
#include "attention_weights.h"
#include "cells.h"

namespace puna {

template <class I> class Attend {
  public:
    static size_t memory(const AttentionSizes &sizes) { return AttentionMemory<I>(sizes).size; }
    static void score(const AttentionPiece &piece) { Attend(piece).score(); }
    static void add(const AttentionPiece &piece) { Attend(piece).add(); }
    static void finish(const AttentionPiece &piece) { Attend(piece).finish(); }

  private:
    using Float = typename I::Float;
    using Cells = typename I::Cells;
    static constexpr int VALUE_BITS = 13;
    static constexpr int FEW_ROWS = std::is_same_v<typename Cells::Numbers, Float> ? I::lanes / 2 : 0; // sums that fit beside turned cells
    static constexpr int KEYS = TILE_KEYS, PAIRS = KEYS / 2, WIDTH = ATTENTION_WIDTH<I>;

    const AttentionPiece &p;
    const Tensor &q, &k, &v;
    const AttentionMemory<I> at;
    uint8_t *const memory_;
    float *const keys_;
    int32_t *const values_;
    float *const biases_;
    int32_t *const weights_;
    int seen_[ATTENTION_ROWS]; // the queries that see something of this tile
    int seen_count_ = 0;

    explicit Attend(const AttentionPiece &piece)
        : p(piece), q(*p.op.src[0]), k(*p.op.src[1]), v(*p.op.src[2]), at({k.ne[0], v.ne[0], p.most_tiles, p.queries, p.bundles, p.heads_of_bundle}),
          memory_(p.memories + p.memory_size * static_cast<size_t>(p.member)), keys_(place<float>(0)), values_(place<int32_t>(at.values)),
          biases_(place<float>(at.biases)), weights_(place<int32_t>(at.weights)) {}

    template <class T> T *place(size_t offset) const { return reinterpret_cast<T *>(memory_ + offset); }

    AttentionState state(int64_t bundle) const { return state(bundle, p.member); }
    AttentionState state(int64_t bundle, int64_t member) const {
        uint8_t *from = p.memories + p.memory_size * static_cast<size_t>(member) + at.states + at.state * static_cast<size_t>(bundle);
        const auto floats = [&](size_t offset) { return reinterpret_cast<float *>(from + offset); };
        const auto wholes = [&](size_t offset) { return reinterpret_cast<int64_t *>(from + offset); };
        return {floats(0), wholes(at.sums), floats(at.most), floats(at.most_brought), floats(at.top), floats(at.top_brought), wholes(at.totals), floats(at.scores)};
    }
    // The exponents of the nth tile's cells, kept at the first bundle of their head.
    float *exponents(int64_t bundle, int64_t nth) const {
        const int64_t first = p.kv_head(bundle) * p.parts - p.first_bundle;
        return place<float>(at.exponents) + KEYS * (nth + at.tiles * (first > 0 ? first : 0));
    }

    void score() {
        for (int64_t b = 0; b < p.bundles; b++) start(b);
        for_tiles([&](int64_t tile, int64_t nth) {
            read_masks(tile);
            for (int64_t b = 0; b < p.bundles; b++) {
                if (p.first_of_head(b)) read_exponents(b, tile, nth);
                score(b, tile, nth);
            }
        });
    }

    void add() {
        for (int64_t b = 0; b < p.bundles; b++) settle(b);
        for_tiles([&](int64_t tile, int64_t nth) {
            for (int64_t b = 0; b < p.bundles; b++) {
                if (p.first_of_head(b)) read_values(b, tile, nth);
                add(b, nth);
            }
        });
    }

    void finish() const {
        for (int64_t b = 0; b < p.bundles; b++)
            for (int64_t row = p.member; row < p.queries * p.heads(b); row += p.members) finish(b, row);
    }

    // f(tile, how many came before it) for the piece's tiles with a key that a query sees.
    template <class F> void for_tiles(F f) {
        int64_t nth = 0;
        for (int64_t tile = p.first_tile; tile < p.end_tile; tile++) {
            find(tile);
            if (seen_count_) f(tile, nth++);
        }
    }

    int cells_of(int64_t tile) const {
        const int64_t left = k.ne[1] - KEYS * tile;
        return static_cast<int>(left < KEYS ? left : KEYS);
    }

    // A sink is a key before all others that brings no value.
    float sink(int64_t bundle, int64_t row) const {
        const Tensor *sinks = p.op.src[4];
        return sinks ? static_cast<const float *>(sinks->data)[p.first_head(bundle) + row % p.heads(bundle)] * static_cast<float>(LOG2_E) : LEAST;
    }

    void start(int64_t bundle) {
        const AttentionState s = state(bundle);
        const float factor = p.cap == 0 ? p.scale * static_cast<float>(LOG2_E) : p.scale / p.cap;
        std::memset(s.q, 0, sizeof *s.q * static_cast<size_t>(at.key_size * at.rows));
        std::memset(s.sums, 0, sizeof *s.sums * static_cast<size_t>(at.value_size * at.rows));
        std::memset(s.totals, 0, sizeof *s.totals * static_cast<size_t>(I::lanes * at.rows));
        for (int64_t row = 0; row < p.queries * p.heads(bundle); row++) {
            const int64_t head = p.first_head(bundle) + row % p.heads(bundle);
            const auto *x = reinterpret_cast<const float *>(address(q, p.first_query + row / p.heads(bundle), head, p.stream));
            for (int64_t i = 0; i < q.ne[0]; i++) s.q[at.key_size * row + i] = factor * x[i];
            I::storef(s.most + I::lanes * row, I::maxf(I::broadcast(sink(bundle, row)), I::broadcast(NOTHING)));
            I::storef(s.most_brought + I::lanes * row, I::broadcast(NOTHING));
        }
    }

    // The queries that see something of this tile.
    void find(int64_t tile) {
        const bool *sees = p.tile_mask.tile(p.stream, tile, p.first_query);
        seen_count_ = 0;
        for (int query = 0; query < p.queries; query++)
            if (sees[query]) seen_[seen_count_++] = query;
    }

    // Their masks of this tile, as floats. Keys that do not exist are masked.
    void read_masks(int64_t tile) const {
        const Tensor *mask = p.op.src[3];
        const auto count = static_cast<size_t>(cells_of(tile));
        for (int n = 0; n < seen_count_; n++) {
            alignas(64) uint16_t row[KEYS];
            for (size_t i = 0; i < KEYS; i++) row[i] = i < count ? 0 : 0xfc00;
            if (mask) std::memcpy(row, address(*mask, p.first_query + seen_[n], 0, p.stream % mask->ne[3]) + 2 * KEYS * tile, 2 * count);
            for (int i = 0; i < KEYS; i += I::lanes) I::storef(biases_ + KEYS * seen_[n] + i, I::halves(row + i));
        }
    }

    // f(the cells of a head from a tile's first on), which know their type.
    template <class F> void with_cells(const Tensor &t, int64_t bundle, int64_t tile, F f) const {
        const uint8_t *from = address(t, KEYS * tile, p.kv_head(bundle), p.stream);
        const int size = static_cast<int>(t.ne[0]);
        switch (t.type) {
        case Type::F32: return f(CellRows<Cells, Type::F32>{from, t.nb[1], size});
        case Type::F16: return f(CellRows<Cells, Type::F16>{from, t.nb[1], size});
        case Type::BF16: return f(CellRows<Cells, Type::BF16>{from, t.nb[1], size});
        case Type::Q8_0: return f(CellRows<Cells, Type::Q8_0>{from, t.nb[1], size});
        default: return f(CellRows<Cells, Type::Q4_0>{from, t.nb[1], size});
        }
    }

    // Keys in panels [number][WIDTH keys].
    void read_keys(int64_t bundle, int64_t tile) const {
        const int count = cells_of(tile);
        with_cells(k, bundle, tile, [&](const auto &cells) {
            for (int cell = 0; cell < KEYS; cell += Cells::count) {
                for (int i = 0; i < Cells::count; i++) cells.prefetch(KEYS + cell + i);
                cells.columns(cell, count, [&](int i, auto x) __attribute__((always_inline)) { Cells::store(keys_ + (cell / WIDTH * at.key_size + i) * WIDTH + cell % WIDTH, x); });
            }
        });
    }

    // The exponents of a tile's values.
    void read_exponents(int64_t bundle, int64_t tile, int64_t nth) const {
        const int count = cells_of(tile);
        float *exponent = exponents(bundle, nth);
        with_cells(v, bundle, tile, [&](const auto &cells) {
            for (int cell = 0; cell < KEYS; cell++) {
                cells.prefetch(KEYS + cell);
                exponent[cell] = cell < count ? cells.exponent(cell, WRONG) : LEAST_EXPONENT;
            }
        });
    }

    // Values in panels [pair of cells][WIDTH numbers of both]. A cell's partner is one vector further.
    void read_values(int64_t bundle, int64_t tile, int64_t nth) const {
        float scales[KEYS];
        const float *exponent = exponents(bundle, nth);
        for (int i = 0; i < KEYS; i += I::lanes) I::storef(scales + i, whole_power<I>(I::fma(I::broadcast(-1), I::loadf(exponent + i), I::broadcast(VALUE_BITS))));
        with_cells(v, bundle, tile, [&](const auto &cells) {
            for (int pair = 0; pair < PAIRS; pair++) {
                const int first = pair / I::lanes * WIDTH + pair % I::lanes, second = first + I::lanes;
                cells.prefetch(KEYS + first), cells.prefetch(KEYS + second);
                const auto to = [&](int i) { return values_ + (i / WIDTH * PAIRS + pair) * WIDTH + i % WIDTH; };
                // What does not exist has a weight of zero, so any number will do.
                const int last = cells_of(tile) - 1;
                cells.pair(first < last ? first : last, scales[first], second < last ? second : last, scales[second], to);
            }
        });
    }

    // f(i, row of the bundle) for the rows that see something of this tile. Returns how many they are.
    template <class F> int for_rows(int64_t bundle, F f) const {
        const int group = p.heads(bundle), count = seen_count_ * group;
        for (int i = 0; i < count; i++) f(i, seen_[i / group] * group + i % group);
        return count;
    }

    // The rows of a bundle that see something meet the tile's keys.
    void score(int64_t bundle, int64_t tile, int64_t nth) {
        const AttentionState s = state(bundle);
        const float *from[ATTENTION_ROWS];
        float *to[ATTENTION_ROWS], *next[ATTENTION_ROWS];
        const int count = for_rows(bundle, [&](int i, int row) {
            from[i] = s.q + at.key_size * row;
            to[i] = s.scores + KEYS * (at.rows * nth + row);
        });
        if (count <= FEW_ROWS && p.parts == 1) {
            for (int i = count; i < FEW_ROWS; i++) from[i] = from[count - 1], to[i] = to[count - 1]; // the last row again
            score_cells<FEW_ROWS>(count, bundle, tile, from, to);
        } else {
            if (p.first_of_head(bundle)) read_keys(bundle, tile);
            for (int panel = 0; panel < KEYS / WIDTH; panel++) {
                for (int i = 0; i < count; i++) next[i] = to[i] + WIDTH * panel;
                in_tiles<I::float_rows>(count, [&](int row, auto rows) { multiply_keys<I, rows()>(keys_ + WIDTH * at.key_size * panel, at.key_size, from + row, next + row); });
            }
        }
        for_rows(bundle, [&](int i, int row) {
            const int group = p.heads(bundle);
            mask_scores<I>(to[i], exponents(bundle, nth), biases_ + KEYS * seen_[i / group], p.slopes[p.first_head(bundle) + i % group], p.cap,
                           s.most + I::lanes * row, s.most_brought + I::lanes * row);
        });
    }

    // Few rows meet keys while these are transposed. Sums are in the order of multiply_keys, so bits are the same.
    template <int R> void score_cells(int count, int64_t bundle, int64_t tile, const float *const *q, float *const *out) const {
        if constexpr (R > 1)
            if (count <= R / 2) return score_cells<R / 2>(count, bundle, tile, q, out);
        if constexpr (R > 0) with_cells(k, bundle, tile, [&](const auto &cells) {
            for (int cell = 0; cell < KEYS; cell += Cells::count) {
                for (int i = 0; i < Cells::count; i++) cells.prefetch(KEYS + cell + i);
                Float sums[R];
                for (auto &sum : sums) sum = I::zerof();
                cells.columns(cell, cells_of(tile), [&](int i, auto x) __attribute__((always_inline)) {
                    unroll<R>([&](auto r) __attribute__((always_inline)) { sums[r] = I::fma(I::broadcast(q[r][i]), x, sums[r]); });
                });
                for (int r = 0; r < R; r++) I::storef(out[r] + cell, sums[r]);
            }
        });
    }

    // All members' scores are known: the largest ones become whole.
    void settle(int64_t bundle) const {
        const AttentionState s = state(bundle);
        for (int64_t row = 0; row < p.queries * p.heads(bundle); row++) {
            s.top[row] = whole_of_all(bundle, row, &AttentionState::most);
            s.top_brought[row] = whole_of_all(bundle, row, &AttentionState::most_brought);
        }
    }
    float whole_of_all(int64_t bundle, int64_t row, float *AttentionState::*most) const {
        Float largest = I::broadcast(LEAST);
        for (int64_t member = 0; member < p.members; member++) largest = I::maxf(largest, I::loadf(state(bundle, member).*most + I::lanes * row));
        return std::nearbyint(I::largest(largest));
    }

    // The tile's values are added to the rows of a bundle that see something of it.
    void add(int64_t bundle, int64_t nth) {
        const AttentionState s = state(bundle);
        const int32_t *from[ATTENTION_ROWS];
        int64_t *to[ATTENTION_ROWS];
        const int count = for_rows(bundle, [&](int i, int row) {
            from[i] = weights_ + KEYS * i;
            weigh<I>(s.scores + KEYS * (at.rows * nth + row), exponents(bundle, nth), s.top[row], s.top_brought[row], s.totals + I::lanes * row, weights_ + KEYS * i);
        });
        for (int64_t panel = 0; panel < at.value_size; panel += WIDTH) {
            for_rows(bundle, [&](int i, int row) { to[i] = s.sums + at.value_size * row + panel; });
            in_tiles<I::pair_rows>(count, [&](int row, auto rows) { multiply_values<I, rows()>(values_ + PAIRS * panel, from + row, to + row); });
        }
    }

    void finish(int64_t bundle, int64_t row) const {
        const AttentionState own = state(bundle);
        const float most = own.top[row], brought = own.top_brought[row];
        int64_t total = weight_of<I>(sink(bundle, row), most);
        for (int64_t member = 0; member < p.members; member++)
            for (int i = 0; i < I::lanes; i++) total += state(bundle, member).totals[I::lanes * row + i];
        double factor = total == 0 ? 0 : std::ldexp(1 / static_cast<double>(total), static_cast<int>(brought - most) - VALUE_BITS);
        if (most > WRONG / 2 || brought > WRONG / 2) factor = NAN;
        auto *out = reinterpret_cast<float *>(const_cast<uint8_t *>(address(p.op, p.first_head(bundle) + row % p.heads(bundle), p.first_query + row / p.heads(bundle), p.stream)));
        for (int64_t i = 0; i < v.ne[0]; i++) {
            int64_t sum = 0; // exact, in whatever order
            for (int64_t member = 0; member < p.members; member++) sum += state(bundle, member).sums[at.value_size * row + i];
            out[i] = static_cast<float>(factor * static_cast<double>(sum));
        }
    }
};

template <class I> constexpr AttentionKernel ATTENTION{Attend<I>::memory, Attend<I>::score, Attend<I>::add, Attend<I>::finish};

} // namespace puna
