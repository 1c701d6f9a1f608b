// A ggml op that Puna computes instead of ggml.
#pragma once

#include "ggml.h"
#include "team.h"

namespace puna {

struct Operation {
    virtual ~Operation() = default;
    // Bytes of work memory for `compute`, shared by the threads.
    virtual size_t work_size(int threads, const Tensor &op) const = 0;
    // Called by every thread of the team. `work` is aligned to 64 bytes.
    virtual void compute(Team &team, uint8_t *work, const Tensor &op) const = 0;
};

} // namespace puna
