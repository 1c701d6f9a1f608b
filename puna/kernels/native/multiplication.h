// MUL_MAT and MUL_MAT_ID with packed weights.
#pragma once

#include "kernel.h"
#include "operation.h"

namespace puna {

class Multiplication final : public Operation {
  public:
    explicit Multiplication(const Kernel &kernel) : kernel_(kernel) {}

    // Whether weights of this shape can be packed.
    static bool fits(const Tensor &weights);
    // Whether `compute` supports the op. Views of packed weights are not supported: a part of a tensor has no address in it.
    static bool covers(const Tensor &op);
    // Bytes of packed weights.
    static size_t packed_size(const Tensor &weights);
    // Pack a tensor's data, as it is in a file, on all cores.
    static void pack(const Tensor &weights, const uint8_t *data);

    size_t work_size(int threads, const Tensor &op) const override;
    void compute(Team &team, uint8_t *work, const Tensor &op) const override;

  private:
    const Kernel &kernel_;
};

} // namespace puna
