// FLASH_ATTN_EXT: which ops are covered, and the pieces that a kernel computes.
#pragma once

#include <algorithm>

#include "operation.h"
#include "tile_mask.h"

namespace puna {

// The elements of K or V that share a scale, and their bytes. Zeros: the type is not supported.
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

inline const uint8_t *address(const Tensor &t, int64_t i1, int64_t i2, int64_t i3) {
    return static_cast<const uint8_t *>(t.data) + static_cast<size_t>(i1) * t.nb[1] + static_cast<size_t>(i2) * t.nb[2] +
           static_cast<size_t>(i3) * t.nb[3];
}

constexpr int MAX_ATTENTION_ROWS = 128; // of a piece: queries times heads of a head block
constexpr double LOG2_E = 1.4426950408889634;

// What one thread computes at a time: some queries of some head blocks, over some tiles of keys. A head block is up to
// `heads_per_block` query heads that share a KV head.
struct AttentionPiece {
    const Tensor &op;
    const TileMask &tile_mask;
    int64_t stream;
    int64_t first_query, queries;
    int64_t first_block, blocks;
    int64_t blocks_per_kv_head, heads_per_block; // the last block of a KV head may have fewer heads
    int64_t first_tile, end_tile;
    int64_t max_tiles; // at most so many of them are visible, in any split
    float scale;
    float cap;           // soft cap; 0: none
    const float *slopes; // ALiBi's, of each query head
    // Split KV: this thread's index, the number of threads that divide the keys, and their work memory, `work_stride` apart.
    int64_t split, splits;
    uint8_t *work;
    size_t work_stride;

    // Of a head block of the piece: its KV head, whether it is the piece's first of that head, its first query head, its query heads.
    int64_t kv_head(int64_t block) const { return (first_block + block) / blocks_per_kv_head; }
    bool starts_kv_head(int64_t block) const { return block == 0 || kv_head(block) != kv_head(block - 1); }
    int64_t first_head(int64_t block) const { return kv_head(block) * gqa_ratio() + (first_block + block) % blocks_per_kv_head * heads_per_block; }
    int heads(int64_t block) const { return static_cast<int>(std::min((kv_head(block) + 1) * gqa_ratio() - first_head(block), heads_per_block)); }

  private:
    int64_t gqa_ratio() const { return op.src[0]->ne[2] / op.src[1]->ne[2]; }
};

struct AttentionSizes {
    int64_t key_size, value_size, tiles, queries, blocks, heads;
};

// The steps of a piece. Each begins when all splits have finished the one before.
struct AttentionKernel {
    // Bytes of a split's work memory.
    size_t (*work_size)(const AttentionSizes &sizes);
    void (*score)(const AttentionPiece &piece);      // queries times keys
    void (*accumulate)(const AttentionPiece &piece); // weights times values
    void (*finish)(const AttentionPiece &piece);     // normalise and write this split's share of the rows
};

class Attention final : public Operation {
  public:
    explicit Attention(const AttentionKernel &kernel) : kernel_(kernel) {}

    // Whether `compute` supports the op.
    static bool covers(const Tensor &op);

    size_t work_size(int threads, const Tensor &op) const override;
    void compute(Team &team, uint8_t *work, const Tensor &op) const override;

  private:
    const AttentionKernel &kernel_;
};

} // namespace puna
