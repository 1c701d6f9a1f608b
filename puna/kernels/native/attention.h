// FLASH_ATTN_EXT: what queries see of the keys, and the values that these bring.
#pragma once

#include "operation.h"
#include "tile_mask.h"

namespace puna {

// Numbers of K and V that share a scale, and their bytes; zeros if the type is not read.
struct CellFormat {
    int block, bytes;
};
constexpr CellFormat cell_format(Type type) {
    switch (type) {
    case Type::F32: return {1, 4};
    case Type::F16:
    case Type::BF16: return {1, 2};
    case Type::Q8_0: return {32, 34};
    case Type::Q4_0: return {32, 18};
    default: return {0, 0};
    }
}

constexpr int ATTENTION_ROWS = 128; // of a tile: queries times heads
constexpr double LOG2_E = 1.4426950408889634;

// What one thread computes at one go. A bundle is some query heads that share a head of K and V.
struct AttentionPiece {
    const Tensor &op;
    const TileMask &tile_mask;
    int64_t stream;
    int64_t first_query, queries;
    int64_t first_bundle, bundles;
    int64_t parts, heads; // bundles of a head of K and V, and query heads of a bundle (the last may have fewer)
    float scale;
    float cap;           // 0: none
    const float *slopes; // of each query head
    uint8_t *memory;     // aligned to 64 bytes
};

struct AttentionSizes {
    int64_t key_size, value_size, keys, queries, bundles, heads;
};

struct AttentionKernel {
    // Bytes of a piece's memory.
    size_t (*memory)(const AttentionSizes &sizes);
    void (*attend)(const AttentionPiece &piece);
};

class Attention final : public Operation {
  public:
    explicit Attention(const AttentionKernel &kernel) : kernel_(kernel) {}

    // Whether the op is one that `compute` can do.
    static bool covers(const Tensor &op);

    size_t work_size(int threads, const Tensor &op) const override;
    void compute(Team &team, uint8_t *work, const Tensor &op) const override;

  private:
    const AttentionKernel &kernel_;
};

} // namespace puna
