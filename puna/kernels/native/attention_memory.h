// The work memory of a piece of attention: one tile's converted cells, and each row's state between tiles.
#pragma once

#include "attention.h"

namespace puna {

// A panel's width in keys, or in elements of values: two vectors.
template <class I> constexpr int ATTENTION_WIDTH = 2 * I::lanes;

// The offsets of all arrays, in bytes. The states of the head blocks follow one another.
template <class I> struct AttentionMemory {
    static constexpr int KEYS = TILE_KEYS, PAIRS = KEYS / 2, WIDTH = ATTENTION_WIDTH<I>;

    int64_t key_size, value_size; // head sizes, padded
    int64_t rows, tiles;          // of a head block
    size_t values, biases, weights, exponents, states, state_bytes, size;
    size_t sums, lane_max, lane_value_max, row_max, row_value_max, weight_sums, scores; // within a state

    explicit AttentionMemory(const AttentionSizes &s)
        : key_size((s.key_size + 15) & ~int64_t{15}), value_size((s.value_size + WIDTH - 1) / WIDTH * WIDTH), rows(s.queries * s.heads),
          tiles(s.tiles) {
        values = bytes(KEYS * key_size, 4);
        biases = values + bytes(PAIRS * value_size, 4);
        weights = biases + bytes(KEYS * s.queries, 4);
        exponents = weights + bytes(KEYS * I::value_rows, 4);
        states = exponents + bytes(KEYS * tiles * s.blocks, 4);
        sums = bytes(key_size * rows, 4);
        lane_max = sums + bytes(value_size * rows, 8);
        lane_value_max = lane_max + bytes(I::lanes * rows, 4);
        row_max = lane_value_max + bytes(I::lanes * rows, 4);
        row_value_max = row_max + bytes(rows, 4);
        weight_sums = row_value_max + bytes(rows, 4);
        scores = weight_sums + bytes(I::lanes * rows, 8);
        state_bytes = scores + bytes(KEYS * tiles * rows, 4);
        size = states + state_bytes * static_cast<size_t>(s.blocks);
    }
    static size_t bytes(int64_t count, size_t item) { return aligned(item * static_cast<size_t>(count)); }
};

// The state of a head block's rows. Scores are in log2 units. A value maximum is the largest score + value exponent, which bounds
// weight * value. Maxima by lane are of this split's tiles, those by row are of all splits.
struct AttentionState {
    float *q;      // scaled queries
    int64_t *sums; // of weight * value, as integers
    float *lane_max, *lane_value_max, *row_max, *row_value_max;
    int64_t *weight_sums; // as integers, by lane
    float *scores;        // by tile
};

} // namespace puna
