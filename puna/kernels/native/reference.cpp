#include "reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace puna {
namespace {

// xorshift: the same numbers on every machine.
struct Random {
    uint32_t state;
    uint32_t next() {
        state ^= state << 13;
        state ^= state >> 17;
        return state ^= state << 5;
    }
    float uniform() { return static_cast<float>(next() >> 8) / (1 << 24) * 2 - 1; }
};

// float16 of about 1/64, with either sign.
uint16_t scale(Random &random) { return static_cast<uint16_t>(0x2000 + random.next() % 0x800 + (random.next() % 2 << 15)); }

void put(uint8_t *at, uint16_t value) { std::memcpy(at, &value, 2); }

// Any bytes are numbers; scales have to be finite.
void make_scales(const Format &format, uint8_t *block, Random &random) {
    switch (format.type) {
    case Type::MXFP4: block[0] = static_cast<uint8_t>(118 + random.next() % 8); break;
    case Type::Q2_K:
        put(block + 80, scale(random));
        put(block + 82, scale(random));
        break;
    case Type::Q3_K: put(block + 108, scale(random)); break;
    case Type::Q6_K: put(block + 208, scale(random)); break;
    case Type::F16:
        for (int i = 0; i < 32; i++) put(block + 2 * i, scale(random));
        break;
    case Type::BF16:
        for (int i = 0; i < 32; i++) put(block + 2 * i, static_cast<uint16_t>(0x3c00 + random.next() % 0x100 + (random.next() % 2 << 15)));
        break;
    default:
        put(block, scale(random));
        if (format.scaling == Scaling::MIN || format.scaling == Scaling::SUPER) put(block + 2, scale(random));
    }
}

float bfloat_to_float(uint16_t bits) {
    const uint32_t wide = uint32_t{bits} << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
}

} // namespace

Problem::Problem(Type type, int64_t k, int64_t columns, int64_t rows, uint32_t seed)
    : format(format_of(type)), k(k), columns(columns), rows(rows), weights(static_cast<size_t>(columns) * weight_stride()),
      activations(static_cast<size_t>(rows * k)) {
    Random random{seed * 2654435761U + 1};
    for (uint8_t &byte : weights) byte = static_cast<uint8_t>(random.next() >> 11);
    for (size_t at = 0; at < weights.size(); at += static_cast<size_t>(format->block_bytes)) make_scales(*format, &weights[at], random);
    for (float &x : activations) x = random.uniform();
}

std::vector<uint8_t> Problem::packed() const {
    const size_t panel = layout_of(format->type).panel(k / BLOCK);
    std::vector<uint8_t> out(panel * static_cast<size_t>((columns + COLUMNS - 1) / COLUMNS));
    for (int64_t c = 0; c < columns; c += COLUMNS)
        pack_panel(*format, weights.data() + weight_stride() * static_cast<size_t>(c), weight_stride(),
                   static_cast<int>(std::min<int64_t>(COLUMNS, columns - c)), k, out.data() + panel * static_cast<size_t>(c / COLUMNS));
    return out;
}

std::vector<double> Problem::expected(int group) const {
    std::vector<double> x(activations.begin(), activations.end());
    for (int64_t row = 0; group && row < rows; row++)
        for (int64_t at = 0; at < k; at += group) {
            const auto from = x.begin() + row * k + at, to = from + std::min<int64_t>(group, k - at);
            float magnitude = 0;
            for (auto i = from; i != to; ++i) magnitude = std::max(magnitude, static_cast<float>(std::fabs(*i)));
            const float d = magnitude / 127.0F, inverse = magnitude > 0 ? 127.0F / magnitude : 0;
            for (auto i = from; i != to; ++i) *i = double{d} * std::nearbyint(static_cast<float>(*i) * inverse);
        }
    std::vector<double> out(static_cast<size_t>(rows * columns)), w(static_cast<size_t>(k));
    Parts parts{};
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t at = 0; at < k; at += format->block) {
            const uint8_t *block = weights.data() + weight_stride() * static_cast<size_t>(c) + at / format->block * format->block_bytes;
            if (format->scaling == Scaling::FLOAT) {
                uint16_t bits[BLOCK];
                std::memcpy(bits, block, sizeof bits);
                for (int i = 0; i < BLOCK; i++)
                    w[static_cast<size_t>(at + i)] = format->type == Type::F16 ? half_to_float(bits[i]) : bfloat_to_float(bits[i]);
            } else {
                take_apart(format->type, block, parts);
                for (int i = 0; i < format->block; i++) w[static_cast<size_t>(at + i)] = value_of(*format, parts, i);
            }
        }
        for (int64_t row = 0; row < rows; row++) {
            double sum = 0;
            for (int64_t i = 0; i < k; i++) sum += w[static_cast<size_t>(i)] * x[static_cast<size_t>(row * k + i)];
            out[static_cast<size_t>(row * columns + c)] = sum;
        }
    }
    return out;
}

std::vector<float> Problem::computed(const Kernel &kernel) const {
    const int64_t slices = (k + SLICE - 1) / SLICE;
    const size_t slice_stride = kernel.row_bytes * static_cast<size_t>(rows);
    std::vector<uint8_t> panels = packed(), memory(slice_stride * static_cast<size_t>(slices) + 64);
    uint8_t *quantised = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64);
    std::vector<float> out(static_cast<size_t>(rows * columns));
    std::vector<Row> targets;
    for (int64_t row = 0; row < rows; row++) {
        targets.push_back({row, out.data() + row * columns});
        for (int64_t at = 0; at < slices; at++)
            kernel.quantise(activations.data() + row * k + at * SLICE, static_cast<int>(std::min<int64_t>(SLICE_BLOCKS, (k - at * SLICE) / BLOCK)),
                            quantised + slice_stride * static_cast<size_t>(at) + kernel.row_bytes * static_cast<size_t>(row));
    }
    kernel.multiply({panels.data(), 0, columns, k / BLOCK, quantised, slice_stride, targets.data(), rows});
    return out;
}

double difference(const std::vector<float> &computed, const std::vector<double> &expected) {
    double most = 0, largest = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        const double here = std::fabs(computed[i] - expected[i]);
        most = here <= most ? most : here; // what is no number stays
        largest = std::max(largest, std::fabs(expected[i]));
    }
    return most / largest;
}

bool agrees(const Kernel &kernel) {
    const Problem problem(kernel.type, 2 * SLICE, COLUMNS + 3, 7, 1);
    return difference(problem.computed(kernel), problem.expected(kernel.activation_group)) < 1e-5;
}

} // namespace puna
