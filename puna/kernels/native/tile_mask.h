// Which queries see something of which tiles of keys: read from the mask once, for all heads.
#pragma once

#include "operation.h"

namespace puna {

constexpr int TILE_KEYS = 64;

class TileMask {
  public:
    // `memory`: `size(op)` bytes that the threads share.
    TileMask(const Tensor &op, void *memory);

    static size_t size(const Tensor &op);
    // One thread's share of reading the mask. `tile` is valid once all threads have done theirs.
    void read(const Team &team) const;
    // Of a tile: a flag for each query from `query` on.
    const bool *tile(int64_t stream, int64_t tile, int64_t query) const {
        return seen_ + query + queries_ * (tile + tiles_ * (stream % streams_));
    }
    // This thread's part of the first stream's tiles, `first` to before `end`. All parts have equally many that a query sees.
    void split_seen(const Team &team, int64_t *first, int64_t *end) const;

  private:
    bool sees(int64_t stream, int64_t query, int64_t tile) const;

    const Tensor *mask_;
    int64_t keys_, tiles_, queries_, streams_;
    bool *seen_;
};

} // namespace puna
