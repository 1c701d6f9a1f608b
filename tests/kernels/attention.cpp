// Attention against plain double precision, and to the last bit whatever is beside a row, wherever its cells lie and in which order.
#include <cmath>
#include <cstdio>
#include <cstring>

#include "reference.h"
#include "team.h"

using namespace puna;

namespace {

int faults = 0;

void check(bool good, const char *what, const AttentionProblem::Shape &s, int64_t detail) {
    if (good) return;
    faults++;
    std::printf("%s (%ld): types %d %d, sizes %ld %ld, queries %ld, cells %ld, heads %ld %ld, cap %g, bias %g, sinks %d\n", what, static_cast<long>(detail),
                static_cast<int>(s.keys), static_cast<int>(s.values), static_cast<long>(s.key_size), static_cast<long>(s.value_size),
                static_cast<long>(s.queries), static_cast<long>(s.cells), static_cast<long>(s.heads), static_cast<long>(s.kv_heads),
                static_cast<double>(s.cap), static_cast<double>(s.bias), s.sinks);
}

bool same(const float *a, const float *b, int64_t count) { return std::memcmp(a, b, sizeof(float) * static_cast<size_t>(count)) == 0; }

// The row of one query, computed by itself.
void alone(const AttentionKernel &kernel, AttentionProblem &problem, int64_t query, const std::vector<float> &all) {
    const auto &s = problem.shape;
    Tensor q = problem.q_tensor, mask = problem.mask_tensor, op = problem.op;
    std::vector<float> out(static_cast<size_t>(s.value_size * s.heads * s.streams));
    q.ne[1] = op.ne[2] = 1;
    q.data = static_cast<char *>(q.data) + q.nb[1] * static_cast<size_t>(query);
    mask.data = static_cast<char *>(mask.data) + mask.nb[1] * static_cast<size_t>(query);
    op.data = out.data();
    op.nb[3] = op.nb[2];
    op.src[0] = &q;
    op.src[3] = &mask;
    run(Attention(kernel), op, 2);
    const int64_t row = s.value_size * s.heads;
    for (int64_t stream = 0; stream < s.streams; stream++)
        check(same(&out[static_cast<size_t>(stream * row)], &all[static_cast<size_t>((stream * s.queries + query) * row)], row), "other bits alone", s, query);
}

// The same cells at other places of `cells` (cell i at places[i]), amid cells of others that hold no numbers.
void moved(const AttentionKernel &kernel, AttentionProblem &problem, const std::vector<int64_t> &places, int64_t cells, const std::vector<float> &all) {
    const auto &s = problem.shape;
    std::vector<std::vector<uint8_t>> memories;
    Tensor tensors[2] = {problem.k_tensor, problem.v_tensor}, mask = problem.mask_tensor, op = problem.op;
    for (Tensor &t : tensors) {
        std::vector<uint8_t> memory(t.nb[1] * static_cast<size_t>(cells), 0xff);
        for (size_t i = 0; i < places.size(); i++)
            std::memcpy(&memory[t.nb[1] * static_cast<size_t>(places[i])], static_cast<char *>(t.data) + t.nb[1] * i, t.nb[1]);
        memories.push_back(std::move(memory));
        t.ne[1] = cells;
        t.data = memories.back().data();
    }
    std::vector<uint16_t> masks(static_cast<size_t>(cells * s.queries), 0xfc00);
    for (int64_t query = 0; query < s.queries; query++)
        for (size_t i = 0; i < places.size(); i++)
            masks[static_cast<size_t>(query * cells + places[i])] = problem.mask[static_cast<size_t>(query * s.cells) + i];
    mask.ne[0] = cells;
    mask.nb[1] = 2 * static_cast<size_t>(cells);
    mask.data = masks.data();
    std::vector<float> out(all.size());
    op.data = out.data();
    op.src[1] = &tensors[0];
    op.src[2] = &tensors[1];
    op.src[3] = &mask;
    run(Attention(kernel), op, 2);
    check(same(out.data(), all.data(), static_cast<int64_t>(all.size())), "other bits elsewhere", s, cells);
}

void moved(const AttentionKernel &kernel, AttentionProblem &problem, const std::vector<float> &all) {
    const int64_t count = problem.shape.cells;
    std::vector<int64_t> later, apart, backward, mixed;
    for (int64_t i = 0; i < count; i++) {
        later.push_back(70 + i);
        apart.push_back(5 + 2 * i);
        backward.push_back(count - i);
        mixed.push_back(i * 1009 % 1013); // 1013 is prime
    }
    moved(kernel, problem, later, count + 71, all);
    moved(kernel, problem, apart, 2 * count + 8, all);
    moved(kernel, problem, backward, count + 1, all);
    moved(kernel, problem, mixed, 1013, all);
}

// Of what is no number in a cell, only those queries know that see it.
void wrong(const AttentionKernel &kernel, bool in_values) {
    constexpr Type f16 = Type::F16;
    AttentionProblem problem({f16, f16, 24, 40, 40, 150, 4, 2, 1, 0, 0, false}, 5);
    const auto &s = problem.shape;
    problem.compute(kernel);
    const std::vector<float> before = problem.out;
    Tensor &t = in_values ? problem.v_tensor : problem.k_tensor;
    const int64_t cell = 77;
    const uint16_t nan = 0x7e00;
    for (int64_t head = 0; head < s.kv_heads; head++) std::memcpy(static_cast<char *>(t.data) + t.nb[1] * cell + t.nb[2] * static_cast<size_t>(head) + 6, &nan, 2);
    problem.compute(kernel);
    const int64_t row = s.value_size * s.heads;
    for (int64_t query = 0; query < s.queries; query++) {
        const bool sees = problem.mask[static_cast<size_t>(query * s.cells + cell)] == 0;
        const float *now = &problem.out[static_cast<size_t>(query * row)];
        check(sees ? std::isnan(now[3]) : same(now, &before[static_cast<size_t>(query * row)], row), "what is no number", s, query);
    }
}

void attend(const AttentionKernel &kernel, const AttentionProblem::Shape &shape) {
    AttentionProblem problem(shape, static_cast<uint32_t>(shape.cells + shape.queries));
    check(Attention::covers(problem.op), "not covered", shape, 0);
    problem.compute(kernel);
    const std::vector<float> all = problem.out;
    // Values are rounded to 13 bits of the largest of their cell; those of 16 bits have no more here.
    const bool fits = shape.values == Type::F16 || shape.values == Type::BF16;
    check(difference(all, problem.expected()) < (fits ? 3e-5 : 1.2e-4), "wrong", shape, 0);
    for (const int threads : {2, 3, 7}) {
        std::fill(problem.out.begin(), problem.out.end(), 0);
        run(Attention(kernel), problem.op, threads);
        check(same(problem.out.data(), all.data(), static_cast<int64_t>(all.size())), "other bits by threads", shape, threads);
    }
    for (int64_t query = 0; query < shape.queries; query += 1 + shape.queries / 5) alone(kernel, problem, query, all);
    if (shape.streams == 1) moved(kernel, problem, all);
}

void attend_all(const AttentionKernel &kernel) {
    constexpr Type f16 = Type::F16;
    // Every type, sizes that fill no vector where the type has no blocks.
    for (const Type type : {Type::F32, f16, Type::BF16, Type::Q8_0, Type::Q4_0})
        for (const int64_t size : {32, 64, 96}) attend(kernel, {type, type, size, size, 7, 150, 4, 2, 1, 0, 0, false});
    attend(kernel, {Type::Q8_0, f16, 64, 40, 5, 130, 4, 4, 1, 0, 0, false});
    for (const int64_t size : {1, 5, 20, 40, 72, 80, 112, 192, 256}) attend(kernel, {f16, f16, size, size + 3, 3, 97, 6, 2, 1, 0, 0, false});
    attend(kernel, {f16, f16, 576, 512, 2, 70, 16, 1, 1, 0, 0, false});
    // One query to many, of one head to many.
    for (const int64_t queries : {1, 2, 3, 9, 40, 130}) attend(kernel, {f16, f16, 16, 16, queries, 200, 8, 2, 1, 0, 0, false});
    for (const int64_t heads : {1, 3, 12, 150, 260}) attend(kernel, {f16, f16, 16, 24, 2, 65, heads, 1, 1, 0, 0, false});
    for (const int64_t cells : {1, 7, 63, 64, 65, 128}) attend(kernel, {f16, f16, 24, 24, 4, cells, 2, 2, 1, 0, 0, false});
    // Sinks, a soft cap, ALiBi (also of a number of heads that is no power of two), streams apart.
    attend(kernel, {f16, f16, 32, 32, 5, 150, 6, 3, 1, 0, 0, true});
    attend(kernel, {f16, f16, 32, 32, 5, 150, 4, 2, 1, 0, 5, false});
    attend(kernel, {f16, f16, 32, 32, 5, 150, 12, 4, 1, 8, 0, false});
    attend(kernel, {f16, f16, 32, 32, 5, 150, 12, 4, 3, 8, 30, true});
}

// What it cannot do is left to libllama.
void refuse() {
    const AttentionProblem::Shape shape{Type::F16, Type::F16, 32, 32, 2, 64, 4, 2, 1, 0, 0, false};
    AttentionProblem problem(shape, 1);
    Tensor op = problem.op, mask = problem.mask_tensor, k = problem.k_tensor;
    op.src[3] = &mask;
    op.src[1] = &k;
    k.type = Type::Q5_0;
    check(!Attention::covers(op), "covers unknown keys", shape, 0);
    k.type = Type::F16;
    k.nb[0] = 4;
    check(!Attention::covers(op), "covers keys that are apart", shape, 0);
    k.nb[0] = 2;
    mask.ne[2] = 4;
    check(!Attention::covers(op), "covers a mask for each head", shape, 0);
}

} // namespace

int main() {
    refuse();
    for (int i = 0; i < VARIANT_COUNT; i++) {
        if (!VARIANTS[i]->runs_here()) continue;
        attend_all(*VARIANTS[i]->attention);
        for (const bool in_values : {false, true}) wrong(*VARIANTS[i]->attention, in_values);
        check(agrees(*VARIANTS[i]->attention), "its own test", {}, 0);
        std::printf("%s: attention\n", VARIANTS[i]->name);
    }
    return faults != 0;
}
