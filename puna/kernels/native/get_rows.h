// GET_ROWS of packed weights: token embeddings of models whose output matrix is the same tensor.
#pragma once

#include "operation.h"

namespace puna {

class GetRows final : public Operation {
  public:
    // Whether `compute` supports the op, given packed weights that `Multiplication::fits`.
    static bool covers(const Tensor &op);

    size_t work_size(int threads, const Tensor &op) const override;
    void compute(Team &team, uint8_t *work, const Tensor &op) const override;
};

} // namespace puna
