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

// An F16 of about 1/64, of either sign.
uint16_t scale(Random &random) { return static_cast<uint16_t>(0x2000 + random.next() % 0x800 + (random.next() % 2 << 15)); }

// Rounds to BF16, ties to even.
float bfloat(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    std::memcpy(&x, &bits, sizeof bits);
    return x;
}

void put(uint8_t *at, uint16_t value) { std::memcpy(at, &value, 2); }

// Any bytes are valid quants; only scales must be finite.
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
    case Type::F32:
        for (int i = 0; i < 32; i++) {
            const float x = random.uniform() / 64;
            std::memcpy(block + 4 * i, &x, sizeof x);
        }
        break;
    case Type::BF16:
        for (int i = 0; i < 32; i++) put(block + 2 * i, static_cast<uint16_t>(0x3c00 + random.next() % 0x100 + (random.next() % 2 << 15)));
        break;
    default:
        put(block, scale(random));
        if (format.scaling == Scaling::MIN || format.scaling == Scaling::SUPER) put(block + 2, scale(random));
    }
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

std::vector<double> Problem::expected(Activations become) const {
    std::vector<double> x(activations.begin(), activations.end());
    if (become == Activations::BFLOAT)
        for (double &value : x) value = bfloat(static_cast<float>(value));
    const int group = become == Activations::BLOCKS || become == Activations::SLICES ? static_cast<int>(become) : 0;
    for (int64_t row = 0; group && row < rows; row++)
        for (int64_t at = 0; at < k; at += group) {
            const auto from = x.begin() + row * k + at, to = from + std::min<int64_t>(group, k - at);
            float magnitude = 0;
            for (auto i = from; i != to; ++i) magnitude = std::max(magnitude, static_cast<float>(std::fabs(*i)));
            const float d = magnitude / 127.0F, inverse = magnitude > 0 ? 127.0F / magnitude : 0;
            for (auto i = from; i != to; ++i) *i = double{d} * std::nearbyint(static_cast<float>(*i) * inverse);
        }
    std::vector<double> out(static_cast<size_t>(rows * columns)), w(static_cast<size_t>(k));
    UnpackedBlock parts{};
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t at = 0; at < k; at += format->block) {
            const uint8_t *block = weights.data() + weight_stride() * static_cast<size_t>(c) + at / format->block * format->block_bytes;
            if (format->scaling == Scaling::FLOAT) {
                for (int i = 0; i < BLOCK; i++) {
                    const float weight = float_at(format->type, block + format->bits / 8 * i);
                    w[static_cast<size_t>(at + i)] = become == Activations::BFLOAT ? bfloat(weight) : weight;
                }
            } else {
                unpack_block(format->type, block, parts);
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
    uint8_t *quantised = aligned(memory.data());
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
        most = here <= most ? most : here; // NaN stays
        largest = std::max(largest, std::fabs(expected[i]));
    }
    return most / largest;
}

bool agrees(const Kernel &kernel) {
    const Problem problem(kernel.type, 2 * SLICE, COLUMNS + 3, 7, 1);
    return difference(problem.computed(kernel), problem.expected(kernel.activations)) < 1e-5;
}

namespace {

Tensor tensor_of(Type type, size_t item, void *data, size_t row, int64_t a, int64_t b, int64_t c, int64_t d) {
    Tensor t{};
    t.type = type;
    t.data = data;
    const int64_t ne[] = {a, b, c, d};
    std::copy(ne, ne + 4, t.ne);
    t.nb[0] = item;
    t.nb[1] = row;
    for (int i = 2; i < 4; i++) t.nb[i] = t.nb[i - 1] * static_cast<size_t>(ne[i - 1]);
    return t;
}

// KV cells in libllama's layout: all heads of a cell are contiguous.
Tensor cells_of(Type type, std::vector<uint8_t> &memory, int64_t size, int64_t cells, int64_t heads, int64_t streams, Random &random) {
    const CellFormat format = cell_format(type);
    const auto bytes = static_cast<size_t>(format.bytes), row = static_cast<size_t>(size / format.block) * bytes;
    memory.resize(row * static_cast<size_t>(cells * heads * streams));
    for (uint8_t &byte : memory) byte = static_cast<uint8_t>(random.next() >> 11);
    for (size_t at = 0; at < memory.size(); at += bytes) {
        const float x = random.uniform();
        if (type == Type::F32) std::memcpy(&memory[at], &x, 4);
        // Floats are about 1, scales about 1/64.
        else if (type == Type::BF16) put(&memory[at], static_cast<uint16_t>(0x3f00 + random.next() % 0x100 + (random.next() % 2 << 15)));
        else put(&memory[at], static_cast<uint16_t>(scale(random) + (type == Type::F16 ? 0x1800 : 0)));
    }
    Tensor t = tensor_of(type, bytes, memory.data(), row * static_cast<size_t>(heads), size, cells, heads, streams);
    t.nb[2] = row;
    t.nb[3] = t.nb[1] * static_cast<size_t>(cells);
    return t;
}

double element_of(const Tensor &t, int64_t at, int64_t cell, int64_t head, int64_t stream) {
    const CellFormat format = cell_format(t.type);
    const uint8_t *block = static_cast<const uint8_t *>(t.data) + static_cast<size_t>(cell) * t.nb[1] + static_cast<size_t>(head) * t.nb[2] +
                           static_cast<size_t>(stream) * t.nb[3] + at / format.block * format.bytes;
    if (format.block == 1) return float_at(t.type, block);
    uint16_t half;
    std::memcpy(&half, block, 2);
    if (t.type == Type::Q8_0) return double{half_to_float(half)} * static_cast<int8_t>(block[2 + at % 32]);
    return double{half_to_float(half)} * ((block[2 + at % 16] >> (at % 32 < 16 ? 0 : 4) & 15) - 8);
}

} // namespace

AttentionProblem::AttentionProblem(const Shape &s, uint32_t seed) : shape(s) {
    Random random{seed * 2654435761U + 1};
    q.resize(static_cast<size_t>(s.key_size * s.queries * s.heads * s.streams));
    for (float &x : q) x = 2 * random.uniform();
    for (int64_t head = 0; s.sinks && head < s.heads; head++) sinks.push_back(3 * random.uniform());
    // Each query attends to a run of cells with gaps; the third to none.
    mask.assign(static_cast<size_t>(s.cells * s.queries * s.streams), 0xfc00);
    for (int64_t row = 0; row < s.queries * s.streams; row++) {
        const int64_t from = random.next() % static_cast<uint32_t>(s.cells), to = s.cells - random.next() % static_cast<uint32_t>(s.cells - from);
        for (int64_t cell = from; cell < to && row != 2; cell++)
            if (random.next() % 8)
                mask[static_cast<size_t>(row * s.cells + cell)] = s.bias > 0 ? static_cast<uint16_t>(0xbc00 + random.next() % 0x800) : 0;
    }
    out.resize(static_cast<size_t>(s.value_size * s.heads * s.queries * s.streams));
    q_tensor = tensor_of(Type::F32, 4, q.data(), 4 * static_cast<size_t>(s.key_size), s.key_size, s.queries, s.heads, s.streams);
    k_tensor = cells_of(s.keys, k, s.key_size, s.cells, s.kv_heads, s.streams, random);
    v_tensor = cells_of(s.values, v, s.value_size, s.cells, s.kv_heads, s.streams, random);
    mask_tensor = tensor_of(Type::F16, 2, mask.data(), 2 * static_cast<size_t>(s.cells), s.cells, s.queries, 1, s.streams);
    sinks_tensor = tensor_of(Type::F32, 4, sinks.data(), 4 * static_cast<size_t>(s.heads), s.heads, 1, 1, 1);
    op = tensor_of(Type::F32, 4, out.data(), 4 * static_cast<size_t>(s.value_size), s.value_size, s.heads, s.queries, s.streams);
    op.op = Op::FLASH_ATTN_EXT;
    const float parameters[] = {1 / std::sqrt(static_cast<float>(s.key_size)), s.bias, s.cap};
    std::memcpy(op.op_params, parameters, sizeof parameters);
    Tensor *sources[] = {&q_tensor, &k_tensor, &v_tensor, &mask_tensor, s.sinks ? &sinks_tensor : nullptr};
    std::copy(sources, sources + 5, op.src);
}

std::vector<double> AttentionProblem::expected() const {
    const Shape &s = shape;
    std::vector<double> result, scores(static_cast<size_t>(s.cells)), sums(static_cast<size_t>(s.value_size));
    const double power = std::exp2(std::floor(std::log2(static_cast<double>(s.heads))));
    for (int64_t stream = 0; stream < s.streams; stream++)
        for (int64_t query = 0; query < s.queries; query++)
            for (int64_t head = 0; head < s.heads; head++) {
                const double h = static_cast<double>(head);
                const double exponent = h < power ? -s.bias / power * (h + 1) : -s.bias / 2 / power * (2 * (h - power) + 1);
                const double slope = s.bias > 0 ? std::exp2(exponent) : 1;
                const int64_t kv_head = head / (s.heads / s.kv_heads);
                double most = s.sinks ? sinks[static_cast<size_t>(head)] : -1e30, weights = 0;
                for (int64_t cell = 0; cell < s.cells; cell++) {
                    double score = 0;
                    for (int64_t i = 0; i < s.key_size; i++)
                        score += double{q[static_cast<size_t>(i + s.key_size * (query + s.queries * (head + s.heads * stream)))]} *
                                 element_of(k_tensor, i, cell, kv_head, stream);
                    score /= std::sqrt(static_cast<double>(s.key_size));
                    if (s.cap != 0) score = s.cap * std::tanh(score / s.cap);
                    score += slope * half_to_float(mask[static_cast<size_t>(cell + s.cells * (query + s.queries * stream))]);
                    most = std::max(most, scores[static_cast<size_t>(cell)] = score);
                }
                if (s.sinks) weights = std::exp(sinks[static_cast<size_t>(head)] - most);
                std::fill(sums.begin(), sums.end(), 0);
                for (int64_t cell = 0; cell < s.cells; cell++) {
                    const double weight = std::exp(scores[static_cast<size_t>(cell)] - most);
                    weights += weight;
                    for (int64_t i = 0; weight > 0 && i < s.value_size; i++)
                        sums[static_cast<size_t>(i)] += weight * element_of(v_tensor, i, cell, kv_head, stream);
                }
                for (const double sum : sums) result.push_back(weights > 0 ? sum / weights : 0);
            }
    return result;
}

void AttentionProblem::compute(const AttentionKernel &kernel) {
    struct Alone final : Team {
        int64_t next = 1;
        Alone() : Team(0, 1) {}
        void barrier() override {}
        void restart() override { next = 1; }
        int64_t take() override { return next++; }
    } team;
    const Attention operation(kernel);
    std::vector<uint8_t> memory(operation.work_size(1, op) + 64);
    operation.compute(team, aligned(memory.data()), op);
}

bool agrees(const AttentionKernel &kernel) {
    AttentionProblem problem({Type::F16, Type::F16, 24, 40, 5, 150, 4, 2, 1, 0, 0, false}, 1);
    problem.compute(kernel);
    return difference(problem.out, problem.expected()) < 1e-4;
}

} // namespace puna
