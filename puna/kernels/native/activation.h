// Quantised activations. A row's slice of 256 k is contiguous, so any rows can form a tile.
#pragma once

#include "panel.h"

namespace puna {

// For types with a scale per 32 k.
struct alignas(64) BlockRow {
    int8_t q[SLICE];
    float d[SLICE_BLOCKS];
    union {
        int32_t start[SLICE_BLOCKS]; // types with an offset: -offset * sum of the block's q
        float sum[SLICE_BLOCKS];     // types with a min: d * sum of the block's q
    };
};

// For superblock types: one scale for 256 k, and the sum of q of each 16 or 32.
struct alignas(64) SuperRow {
    int8_t q[SLICE];
    int16_t sums[SLICE / 16];
    float d;
};

// For centred types (`decode.h`): the sums of each 16 k start with -offset * (sum of the q that are added there).
struct alignas(64) CentredRow {
    int8_t q[SLICE];
    union {
        int32_t starts[SLICE / 16];
        int16_t starts16[SLICE / 16][2];
    };
    float d;
};

struct alignas(64) FloatRow {
    float x[SLICE];
};

// BF16.
struct alignas(64) BfloatRow {
    uint16_t x[SLICE];
};

// 1 / d for values up to `magnitude`. They become -127..127.
inline float inverse_scale(float magnitude) { return magnitude > 1e-30F ? 127.0F / magnitude : 0.0F; }

template <class I, int OFFSET, bool MINS> void quantise_blocks(const float *x, int blocks, uint8_t *out) {
    auto &row = *reinterpret_cast<BlockRow *>(out);
    for (int b = 0; b < blocks; b++, x += BLOCK) {
        const float magnitude = I::max_abs32(x);
        int32_t sums[2];
        I::quantise32(x, inverse_scale(magnitude), row.q + BLOCK * b, sums);
        row.d[b] = magnitude / 127.0F;
        if constexpr (MINS)
            row.sum[b] = row.d[b] * static_cast<float>(sums[0] + sums[1]);
        else
            row.start[b] = -OFFSET * (sums[0] + sums[1]);
    }
}

// The largest magnitude of `blocks` blocks.
template <class I> float max_abs(const float *x, int blocks) {
    float most = 0;
    for (int b = 0; b < blocks; b++) {
        const float here = I::max_abs32(x + BLOCK * b);
        most = here > most ? here : most;
    }
    return most;
}

template <class I, int GROUP> void quantise_super(const float *x, int blocks, uint8_t *out) {
    auto &row = *reinterpret_cast<SuperRow *>(out);
    const float most = max_abs<I>(x, blocks);
    row.d = most / 127.0F;
    for (int b = 0; b < blocks; b++) {
        int32_t sums[2];
        I::quantise32(x + BLOCK * b, inverse_scale(most), row.q + BLOCK * b, sums);
        if constexpr (GROUP == 16) {
            row.sums[2 * b] = static_cast<int16_t>(sums[0]);
            row.sums[2 * b + 1] = static_cast<int16_t>(sums[1]);
        } else {
            row.sums[b] = static_cast<int16_t>(sums[0] + sums[1]);
        }
    }
}

template <class I, class Dot, int OFFSET> void quantise_centred(const float *x, int blocks, uint8_t *out) {
    auto &row = *reinterpret_cast<CentredRow *>(out);
    const float most = max_abs<I>(x, blocks);
    row.d = most / 127.0F;
    for (int b = 0; b < blocks; b++) {
        int32_t sums[2];
        I::quantise32(x + BLOCK * b, inverse_scale(most), row.q + BLOCK * b, sums);
        if constexpr (Dot::sums_int32)
            for (int half = 0; half < 2; half++) row.starts[2 * b + half] = -OFFSET * sums[half];
    }
    if constexpr (!Dot::sums_int32)
        for (int i = 0; i < SLICE / 16; i++)
            for (int pair = 0; pair < 2; pair++) {
                int sum = 0;
                for (const int8_t *q = row.q + 16 * i + 2 * pair, *end = q + 16; q < end; q += 4) sum += q[0] + q[1];
                row.starts16[i][pair] = static_cast<int16_t>(-OFFSET * sum); // at most 32 * 8 * 127
            }
}

} // namespace puna
