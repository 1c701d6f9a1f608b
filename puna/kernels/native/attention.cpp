#include "attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace puna {
namespace {

constexpr int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The op in pieces of queries and heads. Each piece is one thread's, or, with few queries and many keys, all threads': they
// divide its keys, so that each reads whole cells in the order of memory.
struct Cut {
    int64_t parts, heads;
    int64_t queries, bundles; // of a piece
    int64_t tiles, most_tiles; // of all keys, and at most of a member
    int64_t along, across, streams;
    bool by_keys;
    size_t slopes_size, mask_size, memory_size;

    Cut(const Tensor &op, const AttentionKernel &kernel, int threads) {
        const Tensor &q = *op.src[0], &k = *op.src[1], &v = *op.src[2];
        const int64_t group = q.ne[2] / k.ne[2], least = ceiling(group, ATTENTION_ROWS);
        const bool few = q.ne[1] * group <= ATTENTION_ROWS;
        streams = q.ne[3];
        tiles = ceiling(k.ne[1], TILE_KEYS);
        by_keys = few && streams == 1 && threads > 1 && tiles >= 2 * threads;
        most_tiles = by_keys ? ceiling(tiles, threads) : tiles;
        parts = few && !by_keys ? std::clamp(ceiling(threads, k.ne[2] * streams), least, group) : least;
        heads = ceiling(group, parts);
        parts = ceiling(group, heads);
        // Behind long texts there are fewer rows, because each has a score for every key.
        const int64_t scores = most_tiles * TILE_KEYS, most_rows = std::clamp<int64_t>(most_scores / scores, 32, ATTENTION_ROWS);
        queries = by_keys ? q.ne[1] : std::clamp<int64_t>(most_rows / heads, 1, q.ne[1]);
        along = ceiling(q.ne[1], queries);
        const int64_t all = k.ne[2] * parts, together = by_keys ? all : all * streams / threads;
        bundles = few ? std::clamp<int64_t>(std::min(together, most_scores / (scores * queries * heads)), 1, all) : 1;
        across = ceiling(all, bundles);
        slopes_size = aligned(sizeof(float) * static_cast<size_t>(q.ne[2]));
        mask_size = aligned(TileMask::size(op));
        memory_size = kernel.memory({k.ne[0], v.ne[0], most_tiles, queries, bundles, heads});
    }

    int64_t pieces() const { return along * across * streams; }

  private:
    static constexpr int64_t most_scores = 1 << 20;
};

float parameter(const Tensor &op, int index) {
    float value;
    std::memcpy(&value, op.op_params + index, sizeof value);
    return value;
}

// What a head's mask is multiplied with: 1, or ALiBi's slope.
float slope(float most, int64_t heads, int64_t head) {
    if (most <= 0) return 1;
    int64_t power = 1;
    while (2 * power <= heads) power *= 2;
    const float base = std::pow(2.0F, -(head < power ? most : most / 2) / static_cast<float>(power));
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
    const Cut cut(op, kernel_, threads);
    return cut.slopes_size + cut.mask_size + cut.memory_size * static_cast<size_t>(threads);
}

void Attention::compute(Team &team, uint8_t *work, const Tensor &op) const {
    const Cut cut(op, kernel_, team.size);
    const Tensor &q = *op.src[0], &k = *op.src[1];
    auto *slopes = reinterpret_cast<float *>(work);
    const TileMask tile_mask(op, work + cut.slopes_size);
    uint8_t *memories = work + cut.slopes_size + cut.mask_size;
    tile_mask.read(team);
    if (team.index == 0) {
        for (int64_t head = 0; head < q.ne[2]; head++) slopes[head] = slope(parameter(op, 1), q.ne[2], head);
        team.restart();
    }
    team.barrier();
    const auto piece_of = [&](int64_t i) {
        // The last queries see most and come first, so that no thread is left with them.
        const int64_t query = (cut.along - 1 - i / (cut.across * cut.streams)) * cut.queries, bundle = i % cut.across * cut.bundles;
        return AttentionPiece{op, tile_mask, i / cut.across % cut.streams, query, std::min(cut.queries, q.ne[1] - query), bundle,
                              std::min(cut.bundles, k.ne[2] * cut.parts - bundle), cut.parts, cut.heads, 0, cut.tiles, cut.most_tiles,
                              parameter(op, 0), parameter(op, 2), slopes, 0, 1, memories + cut.memory_size * static_cast<size_t>(team.index), cut.memory_size};
    };
    if (!cut.by_keys)
        return share(team, cut.pieces(), [&](int64_t i) {
            const AttentionPiece piece = piece_of(i);
            kernel_.score(piece);
            kernel_.add(piece);
            kernel_.finish(piece);
        });
    for (int64_t i = 0; i < cut.pieces(); i++) {
        AttentionPiece piece = piece_of(i);
        piece.member = team.index;
        piece.members = team.size;
        piece.memories = memories;
        tile_mask.split_seen(team, &piece.first_tile, &piece.end_tile);
        for (const auto step : {kernel_.score, kernel_.add, kernel_.finish}) {
            step(piece);
            team.barrier();
        }
    }
}

} // namespace puna
