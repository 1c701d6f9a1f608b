// Products in the plainest way, and whether a kernel agrees with them.
#pragma once

#include <vector>

#include "kernel.h"

namespace puna {

// A made-up problem: weights as a file holds them, and activations.
struct Problem {
    const Format *format;
    int64_t k, columns, rows;
    std::vector<uint8_t> weights;
    std::vector<float> activations;

    Problem(Type type, int64_t k, int64_t columns, int64_t rows, uint32_t seed);

    size_t weight_stride() const { return static_cast<size_t>(k / format->block * format->block_bytes); }
    std::vector<uint8_t> packed() const;
    // rows x columns, in double precision, of activations that were quantised in groups of `group` (0: not at all).
    std::vector<double> expected(int group) const;
    // rows x columns by a kernel, alone on one thread.
    std::vector<float> computed(const Kernel &kernel) const;
};

// The largest difference, as a part of the largest value.
double difference(const std::vector<float> &computed, const std::vector<double> &expected);

// Whether a kernel's products are right, on a problem of a millisecond.
bool agrees(const Kernel &kernel);

} // namespace puna
