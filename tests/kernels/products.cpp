// Every kernel that runs here against plain double precision, alone and as the ops of a team of threads.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "multiplication.h"
#include "reference.h"
#include "team.h"

using namespace puna;

namespace {

int faults = 0;

void check(bool good, const char *what, const Kernel &kernel, int64_t a, int64_t b, int64_t c) {
    if (good) return;
    faults++;
    std::printf("%s: type %d, %ld %ld %ld\n", what, static_cast<int>(kernel.type), static_cast<long>(a), static_cast<long>(b), static_cast<long>(c));
}

// A tensor over memory of one's own, `gap` bytes between rows.
Tensor tensor(Type type, size_t item, void *data, int64_t a, int64_t b, int64_t c = 1, size_t gap = 0) {
    Tensor t{};
    t.type = type;
    t.data = data;
    const int64_t ne[4] = {a, b, c, 1};
    std::copy(ne, ne + 4, t.ne);
    t.nb[0] = item;
    t.nb[1] = item * static_cast<size_t>(a) + gap;
    t.nb[2] = t.nb[1] * static_cast<size_t>(b);
    t.nb[3] = t.nb[2] * static_cast<size_t>(c);
    return t;
}

Tensor weights_of(const Problem &problem, int64_t columns, int64_t matrices, std::vector<uint8_t> &packed) {
    Tensor weights = tensor(problem.format->type, 0, nullptr, problem.k, columns, matrices);
    packed.resize(Multiplication::packed_size(weights));
    weights.data = packed.data();
    Multiplication::pack(weights, problem.weights.data());
    return weights;
}

std::vector<int64_t> lengths(const Kernel &kernel) {
    if (format_of(kernel.type)->block == SLICE) return {256, 768};
    return {32, 256, 288, 576};
}

// Every length with some columns, and more shapes of columns with one length each: not all with all, which takes minutes.
std::vector<std::pair<int64_t, int64_t>> shapes(const Kernel &kernel) {
    const std::vector<int64_t> all = lengths(kernel);
    std::vector<std::pair<int64_t, int64_t>> shapes{{all.back(), 16}, {all[all.size() / 2 - 1], 130}};
    for (const int64_t k : all) shapes.emplace_back(k, 37);
    return shapes;
}

// 1 to 100 rows, by 1 to 3 threads: right, and each row to the last bit what it is alone.
void multiply(const Kernel &kernel) {
    constexpr int64_t most = 100;
    const Multiplication operation(kernel);
    for (const auto &[k, columns] : shapes(kernel)) {
        const Problem problem(kernel.type, k, columns, most, static_cast<uint32_t>(k + columns));
        const auto expected = problem.expected(kernel.activations);
        const auto alone = problem.computed(kernel);
        check(difference(alone, expected) < 1e-5, "wrong product", kernel, k, columns, most);
        std::vector<uint8_t> packed;
        Tensor weights = weights_of(problem, columns, 1, packed);
        for (int64_t rows = 1; rows <= most; rows += rows < 10 ? 1 : rows < 40 ? 6 : 30) {
            const int threads = static_cast<int>(1 + rows % 3);
            std::vector<float> x(problem.activations.begin(), problem.activations.begin() + rows * k), out(static_cast<size_t>(rows * columns));
            Tensor input = tensor(Type::F32, 4, x.data(), k, rows);
            Tensor op = tensor(Type::F32, 4, out.data(), columns, rows);
            op.op = Op::MUL_MAT;
            op.src[0] = &weights;
            op.src[1] = &input;
            check(Multiplication::covers(op), "not covered", kernel, k, columns, rows);
            run(operation, op, threads);
            check(std::memcmp(out.data(), alone.data(), out.size() * 4) == 0, "other bits in a batch", kernel, k, columns, rows);
        }
    }
}

// The largest sums there can be: numbers of one sign as far from zero as they go, and activations that are all the same.
void multiply_extremes(const Kernel &kernel) {
    constexpr int numbers = 192; // bytes of a block, before its scales
    Problem problem(Type::Q6_K, 512, 19, 6, 11);
    for (size_t at = 0, block = 0; at < problem.weights.size(); at += 210, block++)
        std::memset(&problem.weights[at], block % 2 ? 0xff : 0, numbers);
    for (size_t i = 0; i < problem.activations.size(); i++) problem.activations[i] = i / 16 % 3 ? 1.0F : -1.0F;
    check(difference(problem.computed(kernel), problem.expected(kernel.activations)) < 1e-5, "wrong at extremes", kernel, 512, 19, 6);
}

// Rows with gaps between them, and activations that are apart.
void multiply_strided(const Kernel &kernel) {
    const int64_t k = lengths(kernel).back(), columns = 21, rows = 6;
    const Problem problem(kernel.type, k, columns, rows, 5);
    const auto alone = problem.computed(kernel);
    std::vector<uint8_t> packed;
    Tensor weights = weights_of(problem, columns, 1, packed);
    std::vector<float> x(static_cast<size_t>(rows * k * 2 + rows * 2)), out(static_cast<size_t>(rows * (columns + 3)));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < k; i++) x[static_cast<size_t>(r * (2 * k + 2) + 2 * i)] = problem.activations[static_cast<size_t>(r * k + i)];
    Tensor input = tensor(Type::F32, 8, x.data(), k, rows, 1, 8);
    Tensor op = tensor(Type::F32, 4, out.data(), columns, rows, 1, 12);
    op.op = Op::MUL_MAT;
    op.src[0] = &weights;
    op.src[1] = &input;
    run(Multiplication(kernel), op, 2);
    for (int64_t r = 0; r < rows; r++)
        check(std::memcmp(&out[static_cast<size_t>(r * (columns + 3))], &alone[static_cast<size_t>(r * columns)], static_cast<size_t>(columns) * 4) == 0,
              "strides", kernel, k, columns, r);
}

// Five experts, of which one gets nothing; two for each token, which share an input or have one each.
void multiply_by_experts(const Kernel &kernel) {
    const int64_t k = lengths(kernel).front(), columns = 35, experts = 5, used = 2, tokens = 9;
    const Problem problem(kernel.type, k, columns * experts, tokens * used, 7);
    const auto all = problem.computed(kernel);
    std::vector<uint8_t> packed;
    Tensor weights = weights_of(problem, columns, experts, packed);
    for (const int64_t inputs : {int64_t{1}, used}) {
        std::vector<int32_t> ids;
        for (int64_t i = 0; i < used * tokens; i++) ids.push_back(static_cast<int32_t>((3 * i + i / 2) % 4));
        std::vector<float> x(problem.activations), out(static_cast<size_t>(columns * used * tokens));
        Tensor input = tensor(Type::F32, 4, x.data(), k, inputs, tokens), chosen = tensor(Type::I32, 4, ids.data(), used, tokens);
        Tensor op = tensor(Type::F32, 4, out.data(), columns, used, tokens);
        op.op = Op::MUL_MAT_ID;
        op.src[0] = &weights;
        op.src[1] = &input;
        op.src[2] = &chosen;
        check(Multiplication::covers(op), "experts not covered", kernel, k, columns, inputs);
        run(Multiplication(kernel), op, 3);
        for (int64_t i = 0; i < used * tokens; i++) {
            const int64_t source = inputs == 1 ? i / used : i;
            check(std::memcmp(&out[static_cast<size_t>(i * columns)], &all[static_cast<size_t>((source * experts + ids[static_cast<size_t>(i)]) * columns)],
                              static_cast<size_t>(columns) * 4) == 0,
                  "experts", kernel, k, inputs, i);
        }
    }
}

// A view of packed weights would be read in the wrong places.
void refuse(const Kernel &kernel) {
    const Problem problem(kernel.type, 256, 32, 1, 3);
    std::vector<uint8_t> packed;
    Tensor whole = weights_of(problem, 32, 1, packed), view = whole;
    Tensor input = tensor(Type::F32, 4, nullptr, 256, 1), op = tensor(Type::F32, 4, nullptr, 32, 1);
    op.op = Op::MUL_MAT;
    op.src[1] = &input;
    op.src[0] = &whole;
    check(Multiplication::covers(op), "not covered", kernel, 256, 32, 1);
    view.view_src = &whole;
    op.src[0] = &view;
    check(!Multiplication::covers(op), "covers a view of weights", kernel, 256, 32, 1);
}

} // namespace

// A panel's columns as floats: the file's numbers, to the last bit.
void read_back(const Format &format) {
    for (const int64_t k : {format.block + 0, 3 * format.block, 512}) {
        const Problem problem(format.type, k, 21, 1, static_cast<uint32_t>(k));
        const auto panels = problem.packed();
        const size_t panel = layout_of(format.type).panel(k / BLOCK);
        std::vector<float> row(static_cast<size_t>(k));
        UnpackedBlock parts{};
        for (int column = 0; column < problem.columns; column++) {
            unpack_column(format, panels.data() + panel * static_cast<size_t>(column / COLUMNS), column % COLUMNS, k, row.data());
            const uint8_t *file = problem.weights.data() + problem.weight_stride() * static_cast<size_t>(column);
            for (int64_t i = 0; i < k; i++) {
                const uint8_t *block = file + i / format.block * format.block_bytes;
                const auto within = static_cast<int>(i % format.block);
                double value;
                if (format.scaling == Scaling::FLOAT) {
                    value = float_at(format.type, block + format.bits / 8 * within);
                } else {
                    unpack_block(format.type, block, parts);
                    value = value_of(format, parts, within);
                }
                if (row[static_cast<size_t>(i)] == static_cast<float>(value)) continue;
                faults++;
                return void(std::printf("read back: type %d, column %d, k %ld\n", static_cast<int>(format.type), column, static_cast<long>(i)));
            }
        }
    }
}

int main() {
    for (const Format &format : FORMATS) read_back(format);
    for (int i = 0; i < VARIANT_COUNT; i++) {
        if (!VARIANTS[i]->runs_here()) continue;
        int kernels = 0;
        for (const Format &format : FORMATS)
            if (const Kernel *kernel = VARIANTS[i]->kernel(format.type)) {
                kernels++;
                multiply(*kernel);
                if (format.type == Type::Q6_K) multiply_extremes(*kernel);
                multiply_strided(*kernel);
                multiply_by_experts(*kernel);
                refuse(*kernel);
                check(agrees(*kernel), "its own test", *kernel, 0, 0, 0);
            }
        std::printf("%s: %d kernels\n", VARIANTS[i]->name, kernels);
    }
    return faults != 0;
}
