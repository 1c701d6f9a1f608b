// Attention, written once for all processors: some queries of some heads go through all keys, a tile of 64 at a time.
//
// Every row's sums are taken key by key. A row's largest score is kept as a whole power of two, so that to bring earlier
// sums to a later one is exact; a masked key adds exactly nothing. So the bits of a row depend on what it sees, in the
// order of the cells, and not on the tiles, on other rows, or on where the cells begin. A masked cell that holds no
// numbers (another sequence's, gone wrong) spoils that sum all the same: such rows are computed again without it.
#pragma once

#include "attention.h"
#include "cells.h"
#include "decode.h"

namespace puna {

template <class I> class Attend {
  public:
    static size_t memory(int64_t key_size, int64_t value_size, int64_t queries, int64_t bundles, int64_t heads) {
        return Memory(key_size, value_size, queries, bundles, heads).size;
    }

    static void attend(const AttentionPiece &piece) { Attend(piece).run(); }

  private:
    using Float = typename I::Float;
    static constexpr int KEYS = 64, WIDTH = 2 * I::lanes;
    // Scores in powers of two. What is below LEAST is as good as masked.
    static constexpr float LEAST = -1e6F, NOTHING = LEAST + 256;

    struct Memory {
        int64_t key_size, value_size; // padded
        int64_t rows;                 // of a bundle
        size_t values, scores, biases, states, state, size;

        Memory(int64_t k, int64_t v, int64_t queries, int64_t bundles, int64_t heads)
            : key_size((k + 7) & ~int64_t{7}), value_size((v + WIDTH - 1) / WIDTH * WIDTH), rows(queries * heads) {
            values = floats(KEYS * key_size);
            scores = values + floats(KEYS * value_size);
            biases = scores + floats(KEYS * rows);
            states = biases + floats(KEYS * queries);
            state = floats(key_size * rows) + floats(value_size * rows) + 2 * floats(rows);
            size = states + state * static_cast<size_t>(bundles);
        }
        static size_t floats(int64_t count) { return (sizeof(float) * static_cast<size_t>(count) + 63) & ~size_t{63}; }
    };

    // What a bundle's rows have come to: sums of values and of weights, both to be multiplied with 2^most.
    struct State {
        float *q, *sums, *most, *weights;
    };

    const AttentionPiece &p;
    const Tensor &q, &k, &v;
    const Memory at;
    float *const keys_, *const values_, *const scores_, *const biases_;
    int seen_[ATTENTION_ROWS]; // the queries that see something of this tile
    int seen_count_ = 0;

    explicit Attend(const AttentionPiece &piece)
        : p(piece), q(*p.op.src[0]), k(*p.op.src[1]), v(*p.op.src[2]), at(k.ne[0], v.ne[0], p.queries, p.bundles, p.heads), keys_(place(0)),
          values_(place(at.values)), scores_(place(at.scores)), biases_(place(at.biases)) {}

    float *place(size_t offset) const { return reinterpret_cast<float *>(p.memory + offset); }

    State state(int64_t bundle) const {
        const size_t from = at.states + at.state * static_cast<size_t>(bundle), sums = from + Memory::floats(at.key_size * at.rows);
        const size_t most = sums + Memory::floats(at.value_size * at.rows);
        return {place(from), place(sums), place(most), place(most + Memory::floats(at.rows))};
    }

    int64_t kv_head(int64_t bundle) const { return (p.first_bundle + bundle) / p.parts; }
    int64_t first_head(int64_t bundle) const {
        return kv_head(bundle) * (q.ne[2] / k.ne[2]) + (p.first_bundle + bundle) % p.parts * p.heads;
    }
    int heads(int64_t bundle) const {
        const int64_t left = (kv_head(bundle) + 1) * (q.ne[2] / k.ne[2]) - first_head(bundle);
        return static_cast<int>(left < p.heads ? left : p.heads);
    }

    void run() {
        for (int64_t b = 0; b < p.bundles; b++) start(b);
        for (int64_t key = 0; key < k.ne[1]; key += KEYS) {
            const int count = static_cast<int>(k.ne[1] - key < KEYS ? k.ne[1] - key : KEYS);
            look(key, count, 0, p.queries);
            if (!seen_count_) continue;
            for (int64_t b = 0; b < p.bundles; b++) {
                if (b == 0 || kv_head(b) != kv_head(b - 1)) read_cells(kv_head(b), key, count);
                meet(b);
            }
        }
        for (int64_t b = 0; b < p.bundles; b++) {
            int wrong[ATTENTION_ROWS], count = 0;
            for (int query = 0; query < p.queries; query++)
                if (!finish(b, query)) wrong[count++] = query;
            for (int i = 0; i < count; i++) again(b, wrong[i]);
        }
    }

    // One query of a bundle, without what it does not see.
    void again(int64_t bundle, int query) {
        start(bundle);
        for (int64_t key = 0; key < k.ne[1]; key += KEYS) {
            const int count = static_cast<int>(k.ne[1] - key < KEYS ? k.ne[1] - key : KEYS);
            look(key, count, query, query + 1);
            if (!seen_count_) continue;
            read_cells(kv_head(bundle), key, count);
            for (int cell = 0; cell < KEYS; cell++) {
                if (biases_[KEYS * query + cell] > LEAST) continue;
                for (int64_t i = 0; i < at.key_size; i++) keys_[(cell / WIDTH * at.key_size + i) * WIDTH + cell % WIDTH] = 0;
                for (int64_t i = 0; i < at.value_size; i++) values_[(i / WIDTH * KEYS + cell) * WIDTH + i % WIDTH] = 0;
            }
            meet(bundle);
        }
        finish(bundle, query);
    }

    static const uint8_t *at3(const Tensor &t, int64_t i1, int64_t i2, int64_t i3) {
        return static_cast<const uint8_t *>(t.data) + static_cast<size_t>(i1) * t.nb[1] + static_cast<size_t>(i2) * t.nb[2] + static_cast<size_t>(i3) * t.nb[3];
    }

    // A sink is a key before all others that brings no value.
    void start(int64_t bundle) {
        const State s = state(bundle);
        const float factor = p.cap == 0 ? p.scale * static_cast<float>(LOG2_E) : p.scale / p.cap;
        std::memset(s.q, 0, sizeof(float) * static_cast<size_t>(at.key_size * at.rows));
        std::memset(s.sums, 0, sizeof(float) * static_cast<size_t>(at.value_size * at.rows));
        for (int64_t row = 0; row < p.queries * heads(bundle); row++) {
            const int64_t head = first_head(bundle) + row % heads(bundle);
            const auto *x = reinterpret_cast<const float *>(at3(q, p.first_query + row / heads(bundle), head, p.stream));
            for (int64_t i = 0; i < q.ne[0]; i++) s.q[at.key_size * row + i] = factor * x[i];
            s.most[row] = NOTHING;
            s.weights[row] = 0;
            if (!p.op.src[4]) continue;
            alignas(64) float sink[I::lanes];
            const float score = static_cast<const float *>(p.op.src[4]->data)[head] * static_cast<float>(LOG2_E);
            const Float whole = I::round(I::broadcast(score));
            I::storef(sink, whole);
            if (!(sink[0] > NOTHING)) continue;
            s.most[row] = sink[0];
            I::storef(sink, power(I::broadcast(score), I::broadcast(sink[0])));
            s.weights[row] = sink[0];
        }
    }

    // Which queries of some see something of this tile, and the masks of these as floats. Keys that do not exist are masked.
    void look(int64_t key, int count, int64_t first, int64_t end) {
        const Tensor *mask = p.op.src[3];
        seen_count_ = 0;
        for (int64_t query = first; query < end; query++) {
            float *bias = biases_ + KEYS * query;
            alignas(64) uint16_t row[KEYS];
            for (int i = 0; i < KEYS; i++) row[i] = i < count ? 0 : 0xfc00;
            if (mask) std::memcpy(row, at3(*mask, p.first_query + query, 0, p.stream % mask->ne[3]) + 2 * key, 2 * static_cast<size_t>(count));
            Float most = I::broadcast(LEAST);
            for (int i = 0; i < KEYS; i += I::lanes) {
                const Float x = I::halves(row + i);
                I::storef(bias + i, x);
                most = I::maxf(most, x);
            }
            if (I::largest(most) > LEAST) seen_[seen_count_++] = static_cast<int>(query);
        }
    }

    template <class F> static void with_type(Type type, F f) {
        switch (type) {
        case Type::F32: return f(std::integral_constant<Type, Type::F32>{});
        case Type::F16: return f(std::integral_constant<Type, Type::F16>{});
        case Type::BF16: return f(std::integral_constant<Type, Type::BF16>{});
        case Type::Q8_0: return f(std::integral_constant<Type, Type::Q8_0>{});
        default: return f(std::integral_constant<Type, Type::Q4_0>{});
        }
    }

    // Keys in panels [number][WIDTH keys], values in panels [key][WIDTH numbers].
    void read_cells(int64_t head, int64_t key, int count) {
        with_type(k.type, [&](auto type) {
            fill_tile<typename I::Cells, type(), true>(at3(k, key, head, p.stream), k.nb[1], count, KEYS, static_cast<int>(k.ne[0]),
                                    [&](int i, int cell) { return keys_ + (cell / WIDTH * at.key_size + i) * WIDTH + cell % WIDTH; });
        });
        with_type(v.type, [&](auto type) {
            fill_tile<typename I::Cells, type(), false>(at3(v, key, head, p.stream), v.nb[1], count, KEYS, static_cast<int>(v.ne[0]),
                                     [&](int i, int cell) { return values_ + (i / WIDTH * KEYS + cell) * WIDTH + i % WIDTH; });
        });
    }

    // A tile of rows by WIDTH: out = a * panel, or added to what is there.
    template <int R, bool ADD> static PUNA_INLINE void multiply(const float *panel, int64_t depth, const float *const *a, float *const *out) {
        Float sums[R][2];
        for (int r = 0; r < R; r++)
            for (int c = 0; c < 2; c++) sums[r][c] = ADD ? I::loadf(out[r] + I::lanes * c) : I::zerof();
        const float *rows[R];
        for (int r = 0; r < R; r++) rows[r] = a[r];
        for (int64_t i = 0; i < depth; i++) {
            const Float x = I::loadf(panel + WIDTH * i), y = I::loadf(panel + WIDTH * i + I::lanes);
            unroll<R>([&](auto r) {
                const Float w = I::broadcast(rows[r][i]);
                sums[r][0] = I::fma(w, x, sums[r][0]);
                sums[r][1] = I::fma(w, y, sums[r][1]);
            });
        }
        for (int r = 0; r < R; r++)
            for (int c = 0; c < 2; c++) I::storef(out[r] + I::lanes * c, sums[r][c]);
    }

    template <bool ADD> static void multiply_rows(const float *panel, int64_t depth, const float *const *a, float *const *out, int count) {
        int row = 0;
        for (; row + I::float_rows <= count; row += I::float_rows) multiply<I::float_rows, ADD>(panel, depth, a + row, out + row);
        for (; row + 4 <= count; row += 4) multiply<4, ADD>(panel, depth, a + row, out + row);
        for (; row + 2 <= count; row += 2) multiply<2, ADD>(panel, depth, a + row, out + row);
        for (; row < count; row++) multiply<1, ADD>(panel, depth, a + row, out + row);
    }

    // The rows of a bundle that see something meet the tile.
    void meet(int64_t bundle) {
        const State s = state(bundle);
        const int group = heads(bundle), count = seen_count_ * group;
        int rows[ATTENTION_ROWS];
        const float *from[ATTENTION_ROWS];
        float *to[ATTENTION_ROWS];
        for (int i = 0; i < count; i++) rows[i] = seen_[i / group] * group + i % group;

        for (int i = 0; i < count; i++) from[i] = s.q + at.key_size * rows[i];
        for (int panel = 0; panel < KEYS / WIDTH; panel++) {
            for (int i = 0; i < count; i++) to[i] = scores_ + KEYS * i + WIDTH * panel;
            multiply_rows<false>(keys_ + WIDTH * at.key_size * panel, at.key_size, from, to, count);
        }
        for (int i = 0; i < count; i++) weigh(s, rows[i], scores_ + KEYS * i, biases_ + KEYS * seen_[i / group], p.slopes[first_head(bundle) + i % group]);
        add_weights(s, rows, count);

        for (int i = 0; i < count; i++) from[i] = scores_ + KEYS * i;
        for (int64_t panel = 0; panel < at.value_size; panel += WIDTH) {
            for (int i = 0; i < count; i++) to[i] = s.sums + at.value_size * rows[i] + panel;
            multiply_rows<true>(values_ + KEYS * panel, KEYS, from, to, count);
        }
    }

    // Scores become weights: 2^(score - most).
    void weigh(const State &s, int row, float *scores, const float *bias, float slope) const {
        const Float per_bias = I::broadcast(slope * static_cast<float>(LOG2_E));
        Float most = I::broadcast(LEAST);
        for (int i = 0; i < KEYS; i += I::lanes) {
            Float x = I::loadf(scores + i);
            if (p.cap != 0) x = I::mul(I::broadcast(p.cap * static_cast<float>(LOG2_E)), tanh(x));
            x = I::maxf(I::broadcast(LEAST), I::fma(I::loadf(bias + i), per_bias, x));
            I::storef(scores + i, x);
            most = I::maxf(most, x);
        }
        alignas(64) float whole[I::lanes];
        I::storef(whole, I::round(I::broadcast(I::largest(most))));
        if (whole[0] > s.most[row]) raise(s, row, whole[0]);
        for (int i = 0; i < KEYS; i += I::lanes) I::storef(scores + i, power(I::loadf(scores + i), I::broadcast(s.most[row])));
    }

    // Bring a row's sums to a larger `most`.
    void raise(const State &s, int row, float most) const {
        const Float factor = I::power(I::maxf(I::broadcast(-127), I::broadcast(s.most[row] - most)));
        float *sums = s.sums + at.value_size * row;
        for (int64_t i = 0; i < at.value_size; i += I::lanes) I::storef(sums + i, I::mul(factor, I::loadf(sums + i)));
        alignas(64) float here[I::lanes];
        I::storef(here, factor);
        s.weights[row] *= here[0];
        s.most[row] = most;
    }

    // Sums of weights, key by key; rows side by side, because each waits for itself.
    void add_weights(const State &s, const int *rows, int count) const {
        constexpr int together = 8;
        for (int i = 0; i < count; i += together) {
            float sums[together];
            const int here = count - i < together ? count - i : together;
            for (int r = 0; r < here; r++) sums[r] = s.weights[rows[i + r]];
            const float *weights = scores_ + KEYS * i;
            if (here == together)
                for (int key = 0; key < KEYS; key++)
                    for (int r = 0; r < together; r++) sums[r] += weights[KEYS * r + key];
            else
                for (int key = 0; key < KEYS; key++)
                    for (int r = 0; r < here; r++) sums[r] += weights[KEYS * r + key];
            for (int r = 0; r < here; r++) s.weights[rows[i + r]] = sums[r];
        }
    }

    // 2^(x - n) for whole n, by 2^(x - round(x)) (Taylor's first seven terms) and an exact power.
    static PUNA_INLINE Float power(Float x, Float n) {
        const Float minus = I::broadcast(-1), whole = I::round(x), part = I::fma(minus, whole, x);
        Float y = I::broadcast(1.5403530e-4F);
        for (const float c : {1.3333558e-3F, 9.6181291e-3F, 5.5504109e-2F, 2.4022651e-1F, 6.9314718e-1F, 1.0F}) y = I::fma(y, part, I::broadcast(c));
        return I::mul(y, I::power(I::maxf(I::broadcast(-127), I::fma(minus, n, whole))));
    }

    // 1 - 2 / (1 + e^2x); beyond 10 it is 1.
    static PUNA_INLINE Float tanh(Float x) {
        const Float minus = I::broadcast(-1), one = I::broadcast(1);
        x = I::maxf(I::broadcast(-10), x);
        x = I::mul(minus, I::maxf(I::broadcast(-10), I::mul(minus, x)));
        const Float e = power(I::mul(x, I::broadcast(2 * static_cast<float>(LOG2_E))), I::zerof());
        return I::fma(I::broadcast(-2), I::div(one, I::addf(one, e)), one);
    }

    // Writes what a query's rows have come to; whether these are numbers.
    bool finish(int64_t bundle, int64_t query) const {
        const State s = state(bundle);
        float nothing = 0;
        for (int64_t i = 0; i < heads(bundle); i++) {
            const int64_t row = query * heads(bundle) + i;
            auto *out = reinterpret_cast<float *>(const_cast<uint8_t *>(at3(p.op, first_head(bundle) + i, p.first_query + query, p.stream)));
            const float inverse = s.weights[row] == 0 ? 0 : 1 / s.weights[row];
            const float *sums = s.sums + at.value_size * row;
            for (int64_t j = 0; j < v.ne[0]; j++) {
                out[j] = inverse * sums[j];
                nothing += 0 * out[j];
            }
        }
        return nothing == 0;
    }
};

template <class I> constexpr AttentionKernel ATTENTION{Attend<I>::memory, Attend<I>::attend};

} // namespace puna
