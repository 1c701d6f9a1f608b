// The reference for kernels: products and attention in double precision, and the test at start.
#pragma once

#include <vector>

#include "kernel.h"

namespace puna {

// A random problem: weights as in a file, and activations.
struct Problem {
    const Format *format;
    int64_t k, columns, rows;
    std::vector<uint8_t> weights;
    std::vector<float> activations;

    Problem(Type type, int64_t k, int64_t columns, int64_t rows, uint32_t seed);

    size_t weight_stride() const { return static_cast<size_t>(k / format->block * format->block_bytes); }
    std::vector<uint8_t> packed() const;
    // rows x columns, in double precision, of activations stored as a kernel stores them.
    std::vector<double> expected(Activations become) const;
    // rows x columns by a kernel, on one thread.
    std::vector<float> computed(const Kernel &kernel) const;
};

// The largest difference, as a part of the largest value.
double difference(const std::vector<float> &computed, const std::vector<double> &expected);

// A random FLASH_ATTN_EXT with its own memory. Some queries see nothing of some tiles.
struct AttentionProblem {
    struct Shape {
        Type keys, values;
        int64_t key_size, value_size, queries, cells, heads, kv_heads, streams;
        float bias, cap; // ALiBi's most, soft cap
        bool sinks;
    };
    Shape shape;
    std::vector<uint8_t> k, v;
    std::vector<uint16_t> mask;
    std::vector<float> q, sinks, out;
    Tensor q_tensor{}, k_tensor{}, v_tensor{}, mask_tensor{}, sinks_tensor{}, op{};

    AttentionProblem(const Shape &shape, uint32_t seed);
    AttentionProblem(const AttentionProblem &) = delete;
    std::vector<double> expected() const;
    void compute(const AttentionKernel &kernel); // on one thread, into `out`
};

bool agrees(const AttentionKernel &kernel);

// Whether a kernel's products are right, on a problem that takes a millisecond.
bool agrees(const Kernel &kernel);

} // namespace puna
