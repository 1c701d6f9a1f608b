#include "tile_mask.h"

#include <algorithm>

namespace puna {
namespace {

constexpr uint16_t MASKED = 0xfc00; // -inf in F16

int64_t tiles_of(const Tensor &op) { return (op.src[1]->ne[1] + TILE_KEYS - 1) / TILE_KEYS; }
int64_t streams_of(const Tensor &op) { return op.src[3] ? op.src[3]->ne[3] : 1; }

} // namespace

TileMask::TileMask(const Tensor &op, void *memory)
    : mask_(op.src[3]), keys_(op.src[1]->ne[1]), tiles_(tiles_of(op)), queries_(op.src[0]->ne[1]), streams_(streams_of(op)),
      visible_(static_cast<Visibility *>(memory)) {}

size_t TileMask::size(const Tensor &op) { return static_cast<size_t>(tiles_of(op) * op.src[0]->ne[1] * streams_of(op)); }

void TileMask::scan(const Team &team) const {
    split(team, queries_ * streams_, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++)
            for (int64_t tile = 0; tile < tiles_; tile++)
                visible_[i % queries_ + queries_ * (tile + tiles_ * (i / queries_))] = scan(i / queries_, i % queries_, tile);
    });
}

void TileMask::split_visible(const Team &team, int64_t *first, int64_t *end) const {
    const auto visible = [&](int64_t at) {
        const Visibility *queries = tile(0, at, 0);
        return std::any_of(queries, queries + queries_, [](Visibility v) { return v != Visibility::NONE; });
    };
    int64_t count = 0;
    for (int64_t at = 0; at < tiles_; at++) count += visible(at);
    split(team, count, [&](int64_t from, int64_t to) {
        *first = *end = 0;
        for (int64_t at = 0, rank = 0; rank < to; at++) {
            if (!visible(at)) continue;
            if (rank++ < from) *first = at + 1;
            *end = at + 1;
        }
    });
}

Visibility TileMask::scan(int64_t stream, int64_t query, int64_t tile) const {
    const bool whole = TILE_KEYS * (tile + 1) <= keys_; // keys beyond the last are masked
    if (!mask_) return whole ? Visibility::ALL : Visibility::SOME;
    const auto *row = reinterpret_cast<const uint16_t *>(static_cast<const uint8_t *>(mask_->data) + mask_->nb[1] * static_cast<size_t>(query) +
                                                         mask_->nb[3] * static_cast<size_t>(stream)) + TILE_KEYS * tile;
    unsigned unmasked = 0, biased = 0; // bits that differ from a masked key's, and from those of a key without a bias
    const auto look = [&](int i) { unmasked |= row[i] ^ MASKED, biased |= row[i]; };
    if (whole)
        for (int i = 0; i < TILE_KEYS; i++) look(i);
    else
        for (int i = 0; i < keys_ - TILE_KEYS * tile; i++) look(i);
    if (!unmasked) return Visibility::NONE;
    return biased || !whole ? Visibility::SOME : Visibility::ALL;
}

} // namespace puna
