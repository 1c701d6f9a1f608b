// Reference products and attention in double precision, and the kernels' self-test at start.
#pragma once

#include <vector>

#include "kernel.h"

namespace puna {

// A random product: weights as in a file, and activations.
struct Problem {
    const Format *format;
    int64_t k, columns, rows;
    std::vector<uint8_t> weights;
    std::vector<float> activations;

    Problem(Type type, int64_t k, int64_t columns, int64_t rows, uint32_t seed);

    size_t weight_stride() const { return static_cast<size_t>(k / format->block * format->block_bytes); }
    std::vector<uint8_t> packed() const;
    // The reference result, rows x columns, with activations rounded as the kernel does.
    std::vector<double> expected(Activations become) const;
    // The kernel's result, rows x columns, on one thread.
    std::vector<float> computed(const Kernel &kernel) const;
};

// The largest difference, relative to the largest value.
double difference(const std::vector<float> &computed, const std::vector<double> &expected);

// A random FLASH_ATTN_EXT op with its own memory. Some queries attend to nothing in some tiles.
struct AttentionProblem {
    struct Shape {
        Type keys, values;
        int64_t key_size, value_size, queries, cells, heads, kv_heads, streams;
        float bias, cap; // ALiBi's max_bias, soft cap
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

// Whether a kernel agrees with the reference, on a problem of about a millisecond.
bool agrees(const AttentionKernel &kernel);
bool agrees(const Kernel &kernel);

} // namespace puna
