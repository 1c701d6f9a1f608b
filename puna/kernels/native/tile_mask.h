// Which queries attend to how much of which tiles of keys. The mask is scanned once, for all heads.
#pragma once

#include "operation.h"

namespace puna {

constexpr int TILE_KEYS = 64;

// How much of a tile a query attends to. ALL: every key, and the mask adds nothing to its score.
enum class Visibility : uint8_t { NONE, SOME, ALL };

class TileMask {
  public:
    // `memory`: `size(op)` bytes, shared by the threads.
    TileMask(const Tensor &op, void *memory);

    static size_t size(const Tensor &op);
    // Scan this thread's share of the mask. The rest is valid once all threads have done so.
    void scan(const Team &team) const;
    // How much each query, from `query` on, attends to of the tile.
    const Visibility *tile(int64_t stream, int64_t tile, int64_t query) const {
        return visible_ + query + queries_ * (tile + tiles_ * (stream % streams_));
    }
    // This thread's share [first, end) of the first stream's tiles. All shares have the same number of visible tiles.
    void split_visible(const Team &team, int64_t *first, int64_t *end) const;

  private:
    Visibility scan(int64_t stream, int64_t query, int64_t tile) const;

    const Tensor *mask_;
    int64_t keys_, tiles_, queries_, streams_;
    Visibility *visible_;
};

} // namespace puna
