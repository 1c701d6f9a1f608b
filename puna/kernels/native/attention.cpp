#include "attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace puna {
namespace {

constexpr int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How an op is cut into pieces. Each piece is one thread's. With few queries and many keys (split KV), all threads share each
// piece and divide its keys, so that each thread reads whole cells in the order of memory.
struct Tiling {
    int64_t blocks_per_kv_head, heads_per_block;
    int64_t queries, blocks;  // of a piece
    int64_t tiles, max_tiles; // of all keys, and at most of a split
    int64_t query_pieces, head_pieces, streams;
    bool split_kv;
    size_t slopes_bytes, mask_bytes, work_stride;

    Tiling(const Tensor &op, const AttentionKernel &kernel, int threads) {
        const Tensor &q = *op.src[0], &k = *op.src[1], &v = *op.src[2];
        const int64_t gqa_ratio = q.ne[2] / k.ne[2], min_blocks = ceiling(gqa_ratio, MAX_ATTENTION_ROWS);
        const bool few = q.ne[1] * gqa_ratio <= MAX_ATTENTION_ROWS;
        streams = q.ne[3];
        tiles = ceiling(k.ne[1], TILE_KEYS);
        split_kv = few && streams == 1 && threads > 1 && tiles >= 2 * threads;
        max_tiles = split_kv ? ceiling(tiles, threads) : tiles;
        blocks_per_kv_head = few && !split_kv ? std::clamp(ceiling(threads, k.ne[2] * streams), min_blocks, gqa_ratio) : min_blocks;
        heads_per_block = ceiling(gqa_ratio, blocks_per_kv_head);
        blocks_per_kv_head = ceiling(gqa_ratio, heads_per_block);
        // Each row keeps a score for every key, so long contexts get fewer rows.
        const int64_t scores = max_tiles * TILE_KEYS, max_rows = std::clamp<int64_t>(MAX_SCORES / scores, 32, MAX_ATTENTION_ROWS);
        const int64_t max_queries = split_kv ? q.ne[1] : std::clamp<int64_t>(max_rows / heads_per_block, 1, q.ne[1]);
        query_pieces = ceiling(q.ne[1], max_queries);
        queries = ceiling(q.ne[1], query_pieces); // pieces of equal size
        const int64_t all_blocks = k.ne[2] * blocks_per_kv_head, share = split_kv ? all_blocks : all_blocks * streams / threads;
        blocks = few ? std::clamp<int64_t>(std::min(share, MAX_SCORES / (scores * queries * heads_per_block)), 1, all_blocks) : 1;
        head_pieces = ceiling(all_blocks, blocks);
        slopes_bytes = aligned(sizeof(float) * static_cast<size_t>(q.ne[2]));
        mask_bytes = aligned(TileMask::size(op));
        work_stride = kernel.work_size({k.ne[0], v.ne[0], max_tiles, queries, blocks, heads_per_block});
    }

    int64_t pieces() const { return query_pieces * head_pieces * streams; }

  private:
    static constexpr int64_t MAX_SCORES = 1 << 21; // of a piece
};

float parameter(const Tensor &op, int index) {
    float value;
    std::memcpy(&value, op.op_params + index, sizeof value);
    return value;
}

// The factor of a head's mask: ALiBi's slope, or 1 without ALiBi.
float slope(float max_bias, int64_t heads, int64_t head) {
    if (max_bias <= 0) return 1;
    int64_t power = 1;
    while (2 * power <= heads) power *= 2;
    const float base = std::pow(2.0F, -(head < power ? max_bias : max_bias / 2) / static_cast<float>(power));
    return std::pow(base, static_cast<float>(head < power ? head + 1 : 2 * (head - power) + 1));
}

bool readable(const Tensor &cells) {
    const CellFormat format = cell_format(cells.type);
    return format.block && cells.ne[0] % format.block == 0 && cells.nb[0] == static_cast<size_t>(format.bytes);
}

} // namespace

bool Attention::covers(const Tensor &op) {
    const Tensor *q = op.src[0], *k = op.src[1], *v = op.src[2], *mask = op.src[3], *sinks = op.src[4];
    if (op.op != Op::FLASH_ATTN_EXT || !q || !k || !v || op.type != Type::F32 || op.nb[0] != sizeof(float)) return false;
    if (q->type != Type::F32 || q->nb[0] != sizeof(float) || !readable(*k) || !readable(*v)) return false;
    if (k->ne[1] != v->ne[1] || k->ne[2] != v->ne[2] || k->ne[3] != v->ne[3]) return false;
    if (k->ne[1] < 1 || q->ne[1] < 1 || q->ne[0] != k->ne[0] || op.ne[0] != v->ne[0] || q->ne[2] % k->ne[2] || q->ne[3] != k->ne[3]) return false;
    if (sinks && (sinks->type != Type::F32 || sinks->nb[0] != sizeof(float) || sinks->ne[0] != q->ne[2])) return false;
    if (!mask) return parameter(op, 1) == 0;
    return mask->type == Type::F16 && mask->nb[0] == 2 && mask->ne[0] >= k->ne[1] && mask->ne[1] >= q->ne[1] && mask->ne[2] == 1;
}

size_t Attention::work_size(int threads, const Tensor &op) const {
    const Tiling t(op, kernel_, threads);
    return t.slopes_bytes + t.mask_bytes + t.work_stride * static_cast<size_t>(threads);
}

void Attention::compute(Team &team, uint8_t *work, const Tensor &op) const {
    const Tiling t(op, kernel_, team.size);
    const Tensor &q = *op.src[0], &k = *op.src[1];
    auto *slopes = reinterpret_cast<float *>(work);
    const TileMask tile_mask(op, work + t.slopes_bytes);
    uint8_t *splits_work = work + t.slopes_bytes + t.mask_bytes;
    tile_mask.scan(team);
    if (team.index == 0) {
        for (int64_t head = 0; head < q.ne[2]; head++) slopes[head] = slope(parameter(op, 1), q.ne[2], head);
        team.restart();
    }
    team.barrier();
    const auto piece_of = [&](int64_t i) {
        // The last queries come first: they see most keys, and no thread should be left with them at the end.
        const int64_t query = (t.query_pieces - 1 - i / (t.head_pieces * t.streams)) * t.queries, block = i % t.head_pieces * t.blocks;
        return AttentionPiece{op, tile_mask, i / t.head_pieces % t.streams, query, std::min(t.queries, q.ne[1] - query), block,
                              std::min(t.blocks, k.ne[2] * t.blocks_per_kv_head - block), t.blocks_per_kv_head, t.heads_per_block, 0, t.tiles,
                              t.max_tiles, parameter(op, 0), parameter(op, 2), slopes, 0, 1,
                              splits_work + t.work_stride * static_cast<size_t>(team.index), t.work_stride};
    };
    if (!t.split_kv)
        return share(team, t.pieces(), [&](int64_t i) {
            const AttentionPiece piece = piece_of(i);
            kernel_.score(piece);
            kernel_.accumulate(piece);
            kernel_.finish(piece);
        });
    for (int64_t i = 0; i < t.pieces(); i++) {
        AttentionPiece piece = piece_of(i);
        piece.split = team.index;
        piece.splits = team.size;
        piece.work = splits_work;
        tile_mask.split_visible(team, &piece.first_tile, &piece.end_tile);
        for (const auto step : {kernel_.score, kernel_.accumulate, kernel_.finish}) {
            step(piece);
            team.barrier();
        }
    }
}

} // namespace puna
