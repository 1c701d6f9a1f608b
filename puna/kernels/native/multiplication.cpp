#include "multiplication.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "mapping.h"

namespace puna {
namespace {

constexpr int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }
// Packing releases the file's pages after so many bytes of panels. Otherwise the largest tensor would be in memory twice.
constexpr size_t RELEASE_STEP = 4 << 20;
// Bytes of weights in a memory-bound piece: what is prefetched behind its end belongs to another thread.
constexpr size_t LARGE_PIECE = 1 << 20;

size_t panel_size(const Tensor &weights) { return layout_of(weights.type).panel(weights.ne[0] / BLOCK); }
// Bytes of one matrix. A tensor has one for each expert or head.
size_t matrix_size(const Tensor &weights) { return panel_size(weights) * static_cast<size_t>(ceiling(weights.ne[1], COLUMNS)); }

// The rows that are multiplied with one matrix.
struct Group {
    int64_t matrix, from, count;
};

// An op's sizes, and the layout of its work memory: quantised activations, rows, groups, and the groups' count.
struct Plan {
    const Tensor &weights, &input, &op;
    int64_t slices;
    int64_t sources; // rows of activations
    int64_t rows;    // rows of the result
    size_t slice_stride;
    size_t rows_at, groups_at, count_at, size;

    Plan(const Tensor &op, const Kernel &kernel)
        : weights(*op.src[0]), input(*op.src[1]), op(op), slices(ceiling(weights.ne[0], SLICE)),
          sources(input.ne[1] * input.ne[2] * input.ne[3]), rows(op.ne[1] * op.ne[2] * op.ne[3]),
          slice_stride(kernel.row_bytes * static_cast<size_t>(sources)) {
        rows_at = aligned(slice_stride * static_cast<size_t>(slices));
        groups_at = aligned(rows_at + sizeof(Row) * static_cast<size_t>(rows));
        count_at = aligned(groups_at + sizeof(Group) * static_cast<size_t>(weights.ne[2]));
        size = count_at + 64;
    }
};

float *target(const Tensor &op, int64_t i1, int64_t i2, int64_t i3) {
    return reinterpret_cast<float *>(static_cast<char *>(op.data) + static_cast<size_t>(i1) * op.nb[1] + static_cast<size_t>(i2) * op.nb[2] +
                                     static_cast<size_t>(i3) * op.nb[3]);
}

// Quantise a slice of up to 256 activations. They may be strided.
void quantise(const Plan &plan, const Kernel &kernel, int64_t source, int64_t slice, uint8_t *out) {
    const Tensor &x = plan.input;
    const int64_t i1 = source % x.ne[1], i2 = source / x.ne[1] % x.ne[2], i3 = source / (x.ne[1] * x.ne[2]);
    const char *from = static_cast<const char *>(x.data) + static_cast<size_t>(i1) * x.nb[1] + static_cast<size_t>(i2) * x.nb[2] +
                       static_cast<size_t>(i3) * x.nb[3] + static_cast<size_t>(slice * SLICE) * x.nb[0];
    const int count = static_cast<int>(std::min<int64_t>(SLICE, x.ne[0] - slice * SLICE));
    if (x.nb[0] == sizeof(float)) return kernel.quantise(reinterpret_cast<const float *>(from), count / BLOCK, out);
    float gathered[SLICE];
    for (int i = 0; i < count; i++) std::memcpy(gathered + i, from + static_cast<size_t>(i) * x.nb[0], sizeof(float));
    kernel.quantise(gathered, count / BLOCK, out);
}

// MUL_MAT broadcasts: each matrix serves an equal share of the third dimension.
int64_t group_by_share(const Plan &plan, Row *rows, Group *groups) {
    const Tensor &x = plan.input;
    const int64_t matrices = plan.weights.ne[2], share = x.ne[2] / matrices;
    int64_t at = 0;
    for (int64_t m = 0; m < matrices; m++) {
        groups[m] = {m, at, share * x.ne[1] * x.ne[3]};
        for (int64_t i3 = 0; i3 < x.ne[3]; i3++)
            for (int64_t i2 = m * share; i2 < (m + 1) * share; i2++)
                for (int64_t i1 = 0; i1 < x.ne[1]; i1++)
                    rows[at++] = {i1 + x.ne[1] * (i2 + x.ne[2] * i3), target(plan.op, i1, i2, i3)};
    }
    return matrices;
}

// MUL_MAT_ID: rows are sorted by expert. A row without a valid expert becomes zero.
int64_t group_by_expert(const Plan &plan, Row *rows, Group *groups) {
    const Tensor &x = plan.input, &ids = *plan.op.src[2];
    const int64_t experts = plan.weights.ne[2];
    const auto expert_of = [&](int64_t slot, int64_t token) {
        int32_t expert;
        std::memcpy(&expert, static_cast<const char *>(ids.data) + static_cast<size_t>(slot) * ids.nb[0] + static_cast<size_t>(token) * ids.nb[1],
                    sizeof expert);
        return expert;
    };
    std::vector<int64_t> next(static_cast<size_t>(experts), 0);
    for (int64_t token = 0; token < ids.ne[1]; token++)
        for (int64_t slot = 0; slot < ids.ne[0]; slot++) {
            const int32_t expert = expert_of(slot, token);
            if (expert >= 0 && expert < experts)
                next[static_cast<size_t>(expert)]++;
            else
                std::memset(target(plan.op, slot, token, 0), 0, sizeof(float) * static_cast<size_t>(plan.op.ne[0]));
        }
    int64_t at = 0, used = 0;
    for (int64_t expert = 0; expert < experts; expert++) {
        int64_t &count = next[static_cast<size_t>(expert)];
        if (count) groups[used++] = {expert, at, count};
        at += count;
        count = at - count;
    }
    for (int64_t token = 0; token < ids.ne[1]; token++)
        for (int64_t slot = 0; slot < ids.ne[0]; slot++) {
            const int32_t expert = expert_of(slot, token);
            if (expert >= 0 && expert < experts)
                rows[next[static_cast<size_t>(expert)]++] = {slot % x.ne[1] + x.ne[1] * token, target(plan.op, slot, token, 0)};
        }
    return used;
}

} // namespace

bool Multiplication::fits(const Tensor &weights) {
    const Format *format = format_of(weights.type);
    const int64_t least = weights.type == Type::F32 ? 1 : COLUMNS; // a router of few experts is small even where most columns are empty
    return format && weights.ne[0] % format->block == 0 && weights.ne[1] >= least && weights.ne[3] == 1;
}

bool Multiplication::covers(const Tensor &op) {
    const Tensor *weights = op.src[0], *input = op.src[1];
    if (!weights || weights->view_src || !input || op.type != Type::F32 || input->type != Type::F32 || op.nb[0] != sizeof(float)) return false;
    if (op.op == Op::MUL_MAT) return input->ne[2] % weights->ne[2] == 0;
    return op.op == Op::MUL_MAT_ID && op.src[2] && op.src[2]->type == Type::I32;
}

size_t Multiplication::packed_size(const Tensor &weights) { return matrix_size(weights) * static_cast<size_t>(weights.ne[2]); }

void Multiplication::pack(const Tensor &weights, const uint8_t *data) {
    const Format &format = *format_of(weights.type);
    const size_t stride = static_cast<size_t>(weights.ne[0] / format.block * format.block_bytes);
    const int64_t panels = ceiling(weights.ne[1], COLUMNS), all = panels * weights.ne[2];
    const size_t panel = panel_size(weights);
    // The file's first row of panel i.
    const auto rows_of = [&](int64_t i) { return data + stride * static_cast<size_t>(i / panels * weights.ne[1] + i % panels * COLUMNS); };
    const int64_t stretch = std::max<int64_t>(1, static_cast<int64_t>(RELEASE_STEP / panel));
    const auto part = [&](int64_t from, int64_t to) {
        for (int64_t end; from < to; from = end) {
            end = std::min(from + stretch, to);
            for (int64_t i = from; i < end; i++)
                pack_panel(format, rows_of(i), stride, static_cast<int>(std::min<int64_t>(COLUMNS, weights.ne[1] - i % panels * COLUMNS)),
                           weights.ne[0], static_cast<uint8_t *>(weights.data) + panel * static_cast<size_t>(i));
            release(rows_of(from), static_cast<size_t>(rows_of(end) - rows_of(from)));
        }
    };
    constexpr int64_t worth_a_thread = 1 << 18; // weights
    const int64_t count = std::clamp<int64_t>(all * COLUMNS * weights.ne[0] / worth_a_thread, 1, std::max(1U, std::thread::hardware_concurrency()));
    std::vector<std::thread> threads;
    for (int64_t i = 1; i < count; i++) threads.emplace_back(part, all * i / count, all * (i + 1) / count);
    part(0, all / count);
    for (std::thread &thread : threads) thread.join();
}

size_t Multiplication::work_size(int, const Tensor &op) const { return Plan(op, kernel_).size; }

void Multiplication::compute(Team &team, uint8_t *work, const Tensor &op) const {
    const Plan plan(op, kernel_);
    auto *rows = reinterpret_cast<Row *>(work + plan.rows_at);
    auto *groups = reinterpret_cast<Group *>(work + plan.groups_at);
    auto *group_count = reinterpret_cast<int64_t *>(work + plan.count_at);
    // Row by row, because a slice of all rows would be read in pieces of 1 KB.
    split(team, plan.slices * plan.sources, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) {
            const int64_t source = i / plan.slices, slice = i % plan.slices;
            quantise(plan, kernel_, source, slice, work + kernel_.row_bytes * static_cast<size_t>(slice * plan.sources + source));
        }
    });
    if (team.index == 0) {
        *group_count = op.op == Op::MUL_MAT ? group_by_share(plan, rows, groups) : group_by_expert(plan, rows, groups);
        team.restart();
    }
    team.barrier();

    // A piece is some columns of one group's matrix. If that gives too few pieces, its rows are divided, too.
    const int64_t columns = plan.weights.ne[1], enough = 4 * team.size;
    int64_t width = kernel_.chunk_columns;
    if (plan.rows <= MEMORY_BOUND_ROWS * *group_count)
        while (panel_size(plan.weights) * static_cast<size_t>(width / COLUMNS) < LARGE_PIECE) width *= 2;
    while (width > COLUMNS && ceiling(columns, width) * *group_count < enough) width /= 2;
    const int64_t across = ceiling(columns, width);
    const int64_t parts = std::clamp<int64_t>(enough / (across * std::max<int64_t>(1, *group_count)), 1, 1 + plan.rows / 64);
    share(team, across * parts * *group_count, [&](int64_t piece) {
        const Group &group = groups[piece / (across * parts)];
        const int64_t column = piece % across * width, part = piece / across % parts;
        const int64_t from = group.count * part / parts, to = group.count * (part + 1) / parts;
        const uint8_t *panels = static_cast<const uint8_t *>(plan.weights.data) + matrix_size(plan.weights) * static_cast<size_t>(group.matrix) +
                                panel_size(plan.weights) * static_cast<size_t>(column / COLUMNS);
        kernel_.multiply({panels, column, std::min(width, columns - column), plan.weights.ne[0] / BLOCK, work, plan.slice_stride,
                          rows + group.from + from, to - from});
    });
}

} // namespace puna
