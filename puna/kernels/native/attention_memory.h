// The memory of a piece of attention: what a tile's cells became, and what is kept of each row between tiles.
#pragma once

#include "attention.h"

namespace puna {

// Keys, or numbers of a value, that meet a row at one go: two vectors.
template <class I> constexpr int ATTENTION_WIDTH = 2 * I::lanes;

// Where each array begins, in bytes. `states` are one after another, a bundle each.
template <class I> struct AttentionMemory {
    static constexpr int KEYS = TILE_KEYS, PAIRS = KEYS / 2, WIDTH = ATTENTION_WIDTH<I>;

    int64_t key_size, value_size; // padded
    int64_t rows, tiles;          // of a bundle
    size_t values, biases, weights, exponents, states, state, size;
    size_t sums, most, most_brought, top, top_brought, totals, scores; // of a state

    explicit AttentionMemory(const AttentionSizes &s)
        : key_size((s.key_size + 15) & ~int64_t{15}), value_size((s.value_size + WIDTH - 1) / WIDTH * WIDTH), rows(s.queries * s.heads),
          tiles(s.tiles) {
        values = room(KEYS * key_size, 4);
        biases = values + room(PAIRS * value_size, 4);
        weights = biases + room(KEYS * s.queries, 4);
        exponents = weights + room(KEYS * rows, 4);
        states = exponents + room(KEYS * tiles * s.bundles, 4);
        sums = room(key_size * rows, 4);
        most = sums + room(value_size * rows, 8);
        most_brought = most + room(I::lanes * rows, 4);
        top = most_brought + room(I::lanes * rows, 4);
        top_brought = top + room(rows, 4);
        totals = top_brought + room(rows, 4);
        scores = totals + room(I::lanes * rows, 8);
        state = scores + room(KEYS * tiles * rows, 4);
        size = states + state * static_cast<size_t>(s.bundles);
    }
    static size_t room(int64_t count, size_t item) { return aligned(item * static_cast<size_t>(count)); }
};

// Of a bundle's rows: queries, whole sums of values, the largest score and the largest that a value is multiplied
// with (`most`: of this member's tiles, `top`: of all), whole sums of weights, and scores by tiles. `most` and `totals` have a
// number for each lane.
struct AttentionState {
    float *q;
    int64_t *sums;
    float *most, *most_brought, *top, *top_brought;
    int64_t *totals;
    float *scores;
};

} // namespace puna
