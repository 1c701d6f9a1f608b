// Reads cells of the KV cache as floats, `C::lanes` (8 or 16) elements at a time. `isa/*_cells.h` has each processor's C.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "attention.h"
#include "prefetch.h"
#include "tile.h"

namespace puna {

constexpr int MIN_EXPONENT = -100; // smaller values count as zero

// The elements of a row from `at` on, a multiple of the lanes.
template <class C, Type T> inline typename C::Vector load_vector(const uint8_t *row, int at) {
    constexpr CellFormat format = cell_format(T);
    const uint8_t *block = row + at / format.block * format.bytes;
    if constexpr (T == Type::F32) return C::load_f32(block);
    if constexpr (T == Type::F16) return C::load_f16(block);
    if constexpr (T == Type::BF16) return C::load_bf16(block);
    if constexpr (T == Type::Q8_0) return C::scaled(C::load_i8(block + 2 + at % 32), block);
    // Elements 0..15 are the low nibbles.
    if constexpr (T == Type::Q4_0) return C::scaled(C::load_nibbles(block + 2 + at % 16, at % 32 >= 16), block);
}

// The last `count` elements of a row, padded with zeros. Only for types without blocks.
template <class C, Type T> inline typename C::Vector load_partial(const uint8_t *row, int at, int count) {
    constexpr size_t bytes = cell_format(T).bytes;
    uint8_t copy[C::lanes * bytes] = {};
    std::memcpy(copy, row + bytes * static_cast<size_t>(at), bytes * static_cast<size_t>(count));
    return load_vector<C, T>(copy, 0);
}

// One KV head of consecutive cells, `stride` bytes apart, `size` elements each.
template <class C, Type T> struct CellRows {
    static constexpr CellFormat format = cell_format(T);

    const uint8_t *cells;
    size_t stride;
    int size;

    const uint8_t *row(int cell) const { return cells + stride * static_cast<size_t>(cell); }

    // f(at, read) for each vector of a cell, where read(row) is its elements from `at` on. Only the last may be partial: a call to
    // memcpy within a loop would spill all vectors.
    template <class F> PUNA_INLINE void for_vectors(int from, F f) const {
        int at = from;
        for (; at + C::lanes <= size; at += C::lanes)
            f(at, [at](const uint8_t *row) __attribute__((always_inline)) { return load_vector<C, T>(row, at); });
        if constexpr (format.block == 1)
            if (at < size) f(at, [this, at](const uint8_t *row) { return load_partial<C, T>(row, at, size - at); });
    }

    void prefetch(int cell) const {
        const auto row = reinterpret_cast<uintptr_t>(cells) + stride * static_cast<size_t>(cell);
        for (int byte = 0; byte < size / format.block * format.bytes; byte += 64) puna::prefetch(reinterpret_cast<const void *>(row + byte));
    }

    // Transposes C::lanes cells from `cell` on: use(i, x) in order, where x has element i of each. Cells from `count` on are zero.
    template <class Use> PUNA_INLINE void for_columns(int cell, int count, Use use) const {
        int at = 0;
        if constexpr (T == Type::F16 && C::f16_transposed > 0)
            for (; at + C::f16_transposed <= size; at += C::f16_transposed)
                C::transpose_f16(row(cell) + 2 * at, stride, count - cell,
                               [&](int i, typename C::Vector x) __attribute__((always_inline)) { use(at + i, x); });
        if constexpr (T == Type::Q8_0 && C::q8_0_transposed > 0)
            for (; at < size; at += C::q8_0_transposed)
                C::transpose_q8_0(row(cell) + at / format.block * format.bytes, stride, count - cell,
                                  [&](int i, typename C::Vector x) __attribute__((always_inline)) { use(at + i, x); });
        for_vectors(at, [&](int from, auto read) __attribute__((always_inline)) {
            typename C::Vector x[C::lanes];
            for (int i = 0; i < C::lanes; i++) x[i] = cell + i < count ? read(row(cell + i)) : C::zero();
            C::transpose(x);
            unroll<C::lanes>([&](auto i) __attribute__((always_inline)) { use(from + i, x[i]); });
        });
    }

    // Of each of 16 cells from `cell` on: the least e such that all magnitudes are below 2^e; `invalid` if any is NaN or infinite.
    // Cells from `count` on have any exponent.
    void read_exponents(int cell, int count, float invalid, float *exponents) const {
        if constexpr (T == Type::F16 && C::f16_transposed > 0)
            C::store(exponents, C::exponents_f16(row(cell), stride, count - cell, size, invalid));
        else
            for (int i = 0; i < 16; i++) exponents[i] = exponent(row(std::min(cell + i, count - 1)), invalid);
    }

    // Stores two cells, scaled and rounded to 16 bits, as interleaved pairs: WIDTH to each panel. Panels are `panel` pairs apart.
    template <int WIDTH> PUNA_INLINE void store_pair(int first, float first_scale, int second, float second_scale, int32_t *to, int panel) const {
        const uint8_t *even = row(first), *odd = row(second);
        const auto store = [&](int32_t *at, auto read) __attribute__((always_inline)) {
            C::store_pairs(at, C::round_scaled(read(even), first_scale), C::round_scaled(read(odd), second_scale));
        };
        int at = 0;
        for (; at + WIDTH <= size; at += WIDTH, to += panel)
            unroll<WIDTH / C::lanes>([&](auto i) __attribute__((always_inline)) {
                store(to + C::lanes * i, [&](const uint8_t *row) __attribute__((always_inline)) { return load_vector<C, T>(row, at + C::lanes * i); });
            });
        for_vectors(at, [&](int from, auto read) __attribute__((always_inline)) { store(to + from - at, read); });
    }

  private:
    float exponent(const uint8_t *row, float invalid) const {
        if constexpr (T == Type::F16) { // bits of magnitudes order like the magnitudes
            const int biased = max_magnitude_f16(reinterpret_cast<const uint16_t *>(row)) >> 10;
            return biased == 31 ? invalid : static_cast<float>(std::max(biased, 1) - 14);
        } else {
            const int biased = max_magnitude(row) >> 23;
            return biased == 255 ? invalid : static_cast<float>(std::max(biased - 126, MIN_EXPONENT));
        }
    }
    uint16_t max_magnitude_f16(const uint16_t *x) const {
        uint16_t most = 0;
        for (int i = 0; i < size; i++) most = std::max<uint16_t>(most, x[i] & 0x7fff);
        return most;
    }
    // The bits of the largest magnitude, as a 32-bit float.
    int32_t max_magnitude(const uint8_t *row) const {
        if constexpr (T == Type::Q8_0 && C::q8_0_transposed > 0) {
            int32_t most = 0;
            for (int at = 0; at < size; at += format.block, row += format.bytes) most = std::max(most, C::max_magnitude_q8_0(row));
            return most;
        } else {
            auto most = C::zero_magnitude();
            for_vectors(0, [&](int, auto read) __attribute__((always_inline)) { most = C::max_magnitude(most, read(row)); });
            return C::reduce_max(most);
        }
    }
};

} // namespace puna
