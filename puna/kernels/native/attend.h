// Attention, written once for all processors: some queries of some heads go through all keys twice, a tile of 64 at a time.
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

#include "attention_tile.h"
#include "cells.h"
#include "powers.h"

namespace puna {

template <class I> class Attend {
  public:
    static size_t memory(const AttentionSizes &sizes) { return AttentionMemory<I>(sizes).size; }
    static void attend(const AttentionPiece &piece) { Attend(piece).run(); }

  private:
    using Float = typename I::Float;
    using Int = typename I::Int;
    static constexpr int KEYS = TILE_KEYS, PAIRS = KEYS / 2, WIDTH = ATTENTION_WIDTH<I>;
    static constexpr int WEIGHT_BITS = 23, LOW_BITS = 12, VALUE_BITS = 13;
    // Scores in powers of two. What is below LEAST is as good as masked; WRONG stands for what is no number.
    static constexpr float LEAST = -1e6F, NOTHING = LEAST + 256, WRONG = 5e5F;

    const AttentionPiece &p;
    const Tensor &q, &k, &v;
    const AttentionMemory<I> at;
    float *const keys_;
    int32_t *const values_;
    float *const biases_;
    int32_t *const weights_;
    int seen_[ATTENTION_ROWS]; // the queries that see something of this tile
    int seen_count_ = 0;

    explicit Attend(const AttentionPiece &piece)
        : p(piece), q(*p.op.src[0]), k(*p.op.src[1]), v(*p.op.src[2]), at({k.ne[0], v.ne[0], k.ne[1], p.queries, p.bundles, p.heads}),
          keys_(place<float>(0)), values_(place<int32_t>(at.values)), biases_(place<float>(at.biases)), weights_(place<int32_t>(at.weights)) {}

    template <class T> T *place(size_t offset) const { return reinterpret_cast<T *>(p.memory + offset); }

    AttentionState state(int64_t bundle) const {
        const size_t from = at.states + at.state * static_cast<size_t>(bundle);
        return {place<float>(from), place<int64_t>(from + at.sums), place<float>(from + at.most), place<float>(from + at.most_brought),
                place<int64_t>(from + at.totals), place<float>(from + at.scores)};
    }
    // The exponents of this tile's cells, kept at the first bundle of their head.
    float *exponents(int64_t bundle, int64_t tile) const {
        const int64_t first = kv_head(bundle) * p.parts - p.first_bundle;
        return place<float>(at.exponents) + KEYS * (tile + at.tiles * (first > 0 ? first : 0));
    }

    int64_t kv_head(int64_t bundle) const { return (p.first_bundle + bundle) / p.parts; }
    bool first_of_head(int64_t bundle) const { return bundle == 0 || kv_head(bundle) != kv_head(bundle - 1); }
    int64_t first_head(int64_t bundle) const {
        return kv_head(bundle) * (q.ne[2] / k.ne[2]) + (p.first_bundle + bundle) % p.parts * p.heads;
    }
    int heads(int64_t bundle) const {
        const int64_t left = (kv_head(bundle) + 1) * (q.ne[2] / k.ne[2]) - first_head(bundle);
        return static_cast<int>(left < p.heads ? left : p.heads);
    }

    void run() {
        for (int64_t b = 0; b < p.bundles; b++) start(b);
        for (int64_t tile = 0; tile < at.tiles; tile++) {
            find(tile);
            read_masks(tile);
            for (int64_t b = 0; seen_count_ && b < p.bundles; b++) {
                if (first_of_head(b)) read_keys(b, tile);
                score(b, tile);
            }
        }
        for (int64_t b = 0; b < p.bundles; b++) settle(b);
        for (int64_t tile = 0; tile < at.tiles; tile++) {
            find(tile);
            for (int64_t b = 0; seen_count_ && b < p.bundles; b++) {
                if (first_of_head(b)) read_values(b, tile);
                add(b, tile);
            }
        }
        for (int64_t b = 0; b < p.bundles; b++)
            for (int64_t row = 0; row < p.queries * heads(b); row++) finish(b, row);
    }

    int cells_of(int64_t tile) const {
        const int64_t left = k.ne[1] - KEYS * tile;
        return static_cast<int>(left < KEYS ? left : KEYS);
    }

    static const uint8_t *at3(const Tensor &t, int64_t i1, int64_t i2, int64_t i3) {
        return static_cast<const uint8_t *>(t.data) + static_cast<size_t>(i1) * t.nb[1] + static_cast<size_t>(i2) * t.nb[2] + static_cast<size_t>(i3) * t.nb[3];
    }

    // A sink is a key before all others that brings no value.
    float sink(int64_t bundle, int64_t row) const {
        const Tensor *sinks = p.op.src[4];
        return sinks ? static_cast<const float *>(sinks->data)[first_head(bundle) + row % heads(bundle)] * static_cast<float>(LOG2_E) : LEAST;
    }

    void start(int64_t bundle) {
        const AttentionState s = state(bundle);
        const float factor = p.cap == 0 ? p.scale * static_cast<float>(LOG2_E) : p.scale / p.cap;
        std::memset(s.q, 0, sizeof *s.q * static_cast<size_t>(at.key_size * at.rows));
        std::memset(s.sums, 0, sizeof *s.sums * static_cast<size_t>(at.value_size * at.rows));
        std::memset(s.totals, 0, sizeof *s.totals * static_cast<size_t>(I::lanes * at.rows));
        for (int64_t row = 0; row < p.queries * heads(bundle); row++) {
            const int64_t head = first_head(bundle) + row % heads(bundle);
            const auto *x = reinterpret_cast<const float *>(at3(q, p.first_query + row / heads(bundle), head, p.stream));
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
            if (mask) std::memcpy(row, at3(*mask, p.first_query + seen_[n], 0, p.stream % mask->ne[3]) + 2 * KEYS * tile, 2 * count);
            for (int i = 0; i < KEYS; i += I::lanes) I::storef(biases_ + KEYS * seen_[n] + i, I::halves(row + i));
        }
    }

    // f(the cells of a head from a tile's first on), which know their type.
    template <class F> void with_cells(const Tensor &t, int64_t bundle, int64_t tile, F f) const {
        const uint8_t *from = at3(t, KEYS * tile, kv_head(bundle), p.stream);
        const int size = static_cast<int>(t.ne[0]);
        using C = typename I::Cells;
        switch (t.type) {
        case Type::F32: return f(CellRows<C, Type::F32>{from, t.nb[1], size});
        case Type::F16: return f(CellRows<C, Type::F16>{from, t.nb[1], size});
        case Type::BF16: return f(CellRows<C, Type::BF16>{from, t.nb[1], size});
        case Type::Q8_0: return f(CellRows<C, Type::Q8_0>{from, t.nb[1], size});
        default: return f(CellRows<C, Type::Q4_0>{from, t.nb[1], size});
        }
    }

    // Keys in panels [number][WIDTH keys], and the exponents of their values.
    void read_keys(int64_t bundle, int64_t tile) const {
        const int count = cells_of(tile);
        with_cells(k, bundle, tile, [&](const auto &cells) {
            cells.turn(count, KEYS, [&](int i, int cell) { return keys_ + (cell / WIDTH * at.key_size + i) * WIDTH + cell % WIDTH; });
        });
        float *exponent = exponents(bundle, tile);
        with_cells(v, bundle, tile, [&](const auto &cells) {
            for (int cell = 0; cell < KEYS; cell++) {
                cells.prefetch(KEYS + cell);
                exponent[cell] = cell < count ? cells.exponent(cell, WRONG) : LEAST_EXPONENT;
            }
        });
    }

    // Values in panels [pair of cells][WIDTH numbers of both]. A cell's partner is one vector further.
    void read_values(int64_t bundle, int64_t tile) const {
        float scales[KEYS];
        const float *exponent = exponents(bundle, tile);
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
        const int group = heads(bundle), count = seen_count_ * group;
        for (int i = 0; i < count; i++) f(i, seen_[i / group] * group + i % group);
        return count;
    }

    // The rows of a bundle that see something meet the tile's keys.
    void score(int64_t bundle, int64_t tile) {
        const AttentionState s = state(bundle);
        const float *from[ATTENTION_ROWS];
        float *to[ATTENTION_ROWS], *next[ATTENTION_ROWS];
        const int count = for_rows(bundle, [&](int i, int row) {
            from[i] = s.q + at.key_size * row;
            to[i] = s.scores + KEYS * (at.rows * tile + row);
        });
        for (int panel = 0; panel < KEYS / WIDTH; panel++) {
            for (int i = 0; i < count; i++) next[i] = to[i] + WIDTH * panel;
            in_tiles<I::float_rows>(count, [&](int row, auto rows) { multiply_keys<I, rows()>(keys_ + WIDTH * at.key_size * panel, at.key_size, from + row, next + row); });
        }
        for_rows(bundle, [&](int i, int row) { judge(s, row, to[i], exponents(bundle, tile), biases_ + KEYS * seen_[i / heads(bundle)], p.slopes[first_head(bundle) + i % heads(bundle)]); });
    }

    // Scores become what they are beside the mask; the largest ones are kept.
    void judge(const AttentionState &s, int row, float *scores, const float *exponent, const float *bias, float slope) const {
        const Float per_bias = I::broadcast(slope * static_cast<float>(LOG2_E));
        Float most = I::loadf(s.most + I::lanes * row), brought = I::loadf(s.most_brought + I::lanes * row);
        for (int i = 0; i < KEYS; i += I::lanes) {
            Float x = I::loadf(scores + i);
            if (p.cap != 0) x = I::mul(I::broadcast(p.cap * static_cast<float>(LOG2_E)), tanh<I>(x));
            x = I::maxf(I::broadcast(LEAST), I::fma(I::loadf(bias + i), per_bias, I::minf(x, I::broadcast(WRONG))));
            I::storef(scores + i, x);
            most = I::maxf(most, x);
            brought = I::maxf(brought, I::addf(x, I::loadf(exponent + i)));
        }
        I::storef(s.most + I::lanes * row, most);
        I::storef(s.most_brought + I::lanes * row, brought);
    }

    // All scores are known: the largest ones become whole.
    void settle(int64_t bundle) const {
        const AttentionState s = state(bundle);
        for (int64_t row = 0; row < p.queries * heads(bundle); row++) {
            for (float *most : {s.most + I::lanes * row, s.most_brought + I::lanes * row}) I::storef(most, I::round(I::broadcast(I::largest(I::loadf(most)))));
            const Float score = I::broadcast(sink(bundle, row)), whole = I::round(score), most = I::loadf(s.most + I::lanes * row);
            const Float own = weight(power_of_part<I>(I::fma(I::broadcast(-1), whole, score)), whole, most, WEIGHT_BITS);
            alignas(64) int32_t weights[I::lanes];
            I::store(weights, I::whole(own));
            s.totals[I::lanes * row] += weights[0];
        }
    }

    // y * 2^(whole - most + bits)
    static PUNA_INLINE Float weight(Float y, Float whole, Float most, int bits) {
        return I::times_power(y, I::fma(I::broadcast(-1), most, I::addf(whole, I::broadcast(static_cast<float>(bits)))));
    }

    // The tile's values are added to the rows of a bundle that see something of it.
    void add(int64_t bundle, int64_t tile) {
        const AttentionState s = state(bundle);
        const int32_t *from[ATTENTION_ROWS];
        int64_t *to[ATTENTION_ROWS];
        const int count = for_rows(bundle, [&](int i, int row) {
            from[i] = weights_ + KEYS * i;
            weigh(s, row, s.scores + KEYS * (at.rows * tile + row), exponents(bundle, tile), weights_ + KEYS * i);
        });
        for (int64_t panel = 0; panel < at.value_size; panel += WIDTH) {
            for_rows(bundle, [&](int i, int row) { to[i] = s.sums + at.value_size * row + panel; });
            in_tiles<I::pair_rows>(count, [&](int row, auto rows) { multiply_values<I, rows()>(values_ + PAIRS * panel, from + row, to + row); });
        }
    }

    // Scores become weights: added up, and with the values' exponents in pairs of whole parts, the high ones first.
    void weigh(const AttentionState &s, int row, const float *scores, const float *exponent, int32_t *weights) const {
        const Float most = I::loadf(s.most + I::lanes * row), brought = I::loadf(s.most_brought + I::lanes * row);
        Int total = I::zero();
        for (int i = 0; i < KEYS; i += WIDTH) {
            Int parts[2][2];
            for (int half = 0; half < 2; half++) {
                const int from = i + I::lanes * half;
                const Float x = I::loadf(scores + from), whole = I::round(x), y = power_of_part<I>(I::fma(I::broadcast(-1), whole, x));
                total = I::add(total, I::whole(weight(y, whole, most, WEIGHT_BITS)));
                const Float w = weight(y, I::addf(whole, I::loadf(exponent + from)), brought, WEIGHT_BITS - LOW_BITS), high = I::round(w);
                parts[0][half] = I::whole(high);
                parts[1][half] = I::whole(I::mul(I::broadcast(1 << LOW_BITS), I::fma(I::broadcast(-1), high, w)));
            }
            for (int part = 0; part < 2; part++) I::store(weights + PAIRS * part + i / 2, I::side_by_side(parts[part][0], parts[part][1]));
        }
        I::add_wide(s.totals + I::lanes * row, I::zero(), total);
    }

    void finish(int64_t bundle, int64_t row) const {
        const AttentionState s = state(bundle);
        int64_t total = 0;
        for (int i = 0; i < I::lanes; i++) total += s.totals[I::lanes * row + i];
        const float most = s.most[I::lanes * row], brought = s.most_brought[I::lanes * row];
        double factor = total == 0 ? 0 : std::ldexp(1 / static_cast<double>(total), static_cast<int>(brought - most) - VALUE_BITS);
        if (most > WRONG / 2 || brought > WRONG / 2) factor = NAN;
        auto *out = reinterpret_cast<float *>(const_cast<uint8_t *>(at3(p.op, first_head(bundle) + row % heads(bundle), p.first_query + row / heads(bundle), p.stream)));
        for (int64_t i = 0; i < v.ne[0]; i++) out[i] = static_cast<float>(factor * static_cast<double>(s.sums[at.value_size * row + i]));
    }
};

template <class I> constexpr AttentionKernel ATTENTION{Attend<I>::memory, Attend<I>::attend};

} // namespace puna
