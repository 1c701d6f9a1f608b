// GET_ROWS of packed weights: the embeddings of tokens, where the same matrix is the output.
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
