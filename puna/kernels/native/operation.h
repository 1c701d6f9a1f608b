// A ggml op that Puna computes instead of ggml.
#pragma once

#include "ggml.h"
#include "team.h"

namespace puna {

// Rounded up to 64 bytes, a cache line.
constexpr size_t aligned(size_t size) { return (size + 63) & ~size_t{63}; }
inline uint8_t *aligned(uint8_t *p) { return p + (aligned(reinterpret_cast<uintptr_t>(p)) - reinterpret_cast<uintptr_t>(p)); }

struct Operation {
    virtual ~Operation() = default;
    // Bytes of work memory for `compute`, shared by the threads.
    virtual size_t work_size(int threads, const Tensor &op) const = 0;
    // Called by every thread of the team. `work` is aligned to 64 bytes.
    virtual void compute(Team &team, uint8_t *work, const Tensor &op) const = 0;
};

} // namespace puna
