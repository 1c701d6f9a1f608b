// FLASH_ATTN_EXT: what queries see of the keys, and the values that these bring.
#pragma once

#include <algorithm>

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

inline const uint8_t *address(const Tensor &t, int64_t i1, int64_t i2, int64_t i3) {
    return static_cast<const uint8_t *>(t.data) + static_cast<size_t>(i1) * t.nb[1] + static_cast<size_t>(i2) * t.nb[2] + static_cast<size_t>(i3) * t.nb[3];
}

constexpr int ATTENTION_ROWS = 128; // of a tile: queries times heads
constexpr double LOG2_E = 1.4426950408889634;

// Some queries of some bundles, and some tiles of keys that one thread reads for them. A bundle is some query heads that
// share a head of K and V.
struct AttentionPiece {
    const Tensor &op;
    const TileMask &tile_mask;
    int64_t stream;
    int64_t first_query, queries;
    int64_t first_bundle, bundles;
    int64_t parts, heads_of_bundle; // bundles of a head of K and V, and query heads of a bundle (the last may have fewer)
    int64_t first_tile, end_tile; // this member's
    int64_t most_tiles;           // of them, the most that a member has and some query sees
    float scale;
    float cap;           // 0: none
    const float *slopes; // of each query head
    // The threads that divide the keys: which one this is, how many they are, and their memories, aligned to 64 bytes.
    int64_t member, members;
    uint8_t *memories;
    size_t memory_size;

    // Of a bundle of the piece: its head of K and V, its first query head, and how many query heads it has.
    int64_t kv_head(int64_t bundle) const { return (first_bundle + bundle) / parts; }
    bool first_of_head(int64_t bundle) const { return bundle == 0 || kv_head(bundle) != kv_head(bundle - 1); }
    int64_t first_head(int64_t bundle) const { return kv_head(bundle) * group() + (first_bundle + bundle) % parts * heads_of_bundle; }
    int heads(int64_t bundle) const { return static_cast<int>(std::min((kv_head(bundle) + 1) * group() - first_head(bundle), heads_of_bundle)); }

  private:
    int64_t group() const { return op.src[0]->ne[2] / op.src[1]->ne[2]; }
};

struct AttentionSizes {
    int64_t key_size, value_size, tiles, queries, bundles, heads;
};

// The steps of a piece. Each begins when all members have ended the one before.
struct AttentionKernel {
    // Bytes of a member's memory.
    size_t (*memory)(const AttentionSizes &sizes);
    void (*score)(const AttentionPiece &piece);  // queries meet keys
    void (*add)(const AttentionPiece &piece);    // values are added up by their weights
    void (*finish)(const AttentionPiece &piece); // a member's share of the rows is written
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
