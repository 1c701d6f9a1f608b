// The layout of packed weights. A panel is 16 columns (outputs), cut along k into slices of 256.
//
// A slice holds its scales, then its quants in bit planes. 32 k are 8 steps of 4 k. A plane has the 4 quants of all 16 columns side
// by side, so one vector of weights is multiplied with one broadcast of 4 activations:
//   four bits  [4][column][4]   low nibbles: steps 0-3, high nibbles: steps 4-7
//   two bits   [2][column][4]   bits 2s and up: step 4 i + s
//   one bit    [column][4]      bit s: step s
//   eight bits [8][column][4]
// Quants of 3, 5 and 6 bits take two planes; the high bits come second.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format.h"

namespace puna {

constexpr int COLUMNS = 16;
constexpr int BLOCK = 32;
constexpr int SLICE = 256;
constexpr int SLICE_BLOCKS = SLICE / BLOCK;

// The layout of a slice. `blocks` are blocks of 32 k: 8, or fewer in the last slice of a row.
struct Layout {
    int scales;   // bytes of scales per 32 k, or per 256 k if `super`
    bool super;
    int quants;   // bytes of quants per 32 k

    constexpr size_t header(int blocks) const { return static_cast<size_t>(super ? scales : scales * blocks); }
    constexpr size_t slice(int blocks) const { return header(blocks) + static_cast<size_t>(quants) * blocks; }
    // Bytes of a panel with `blocks` in total.
    constexpr size_t panel(int64_t blocks) const {
        return slice(SLICE_BLOCKS) * (blocks / SLICE_BLOCKS) + (blocks % SLICE_BLOCKS ? slice(blocks % SLICE_BLOCKS) : 0);
    }
};

// Scales of 32 k: float16 d[16], and m[16] with mins. Of 256 k: float16 d[16], m[16]; int8 scale[n][16]; uint8 min[n][16].
constexpr Layout layout_of(Type type) {
    switch (type) {
    case Type::Q4_0:
    case Type::IQ4_NL: return {32, false, 256};
    case Type::MXFP4: return {16, false, 256};
    case Type::Q4_1: return {64, false, 256};
    case Type::Q5_0: return {32, false, 320};
    case Type::Q5_1: return {64, false, 320};
    case Type::Q8_0: return {32, false, 512};
    case Type::IQ4_XS: return {32 + 8 * 16, true, 256};
    case Type::Q2_K: return {64 + 2 * 16 * 16, true, 128};
    case Type::Q3_K: return {32 + 16 * 16, true, 192};
    case Type::Q4_K: return {64 + 2 * 8 * 16, true, 256};
    case Type::Q5_K: return {64 + 2 * 8 * 16, true, 320};
    case Type::Q6_K: return {32 + 16 * 16, true, 384};
    case Type::F32: return {0, false, 2048}; // floats: [k][column]
    default: return {0, false, 1024};
    }
}

// Pack `columns` (1..16) rows of a file's tensor, `stride` bytes apart, into one panel. Missing columns are zero.
void pack_panel(const Format &format, const uint8_t *rows, size_t stride, int columns, int64_t k, uint8_t *panel);

// Dequantise one of those rows to `k` floats, with the same bits as libllama.
void unpack_column(const Format &format, const uint8_t *panel, int column, int64_t k, float *out);

} // namespace puna
