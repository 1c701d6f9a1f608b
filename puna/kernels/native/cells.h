// Reads cells of the KV cache as floats, `C::lanes` (8 or 16) elements at a time. `isa/*_cells.h` has each processor's C.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "attention.h"
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

    typename C::Vector read(int cell, int at) const {
        const uint8_t *row = cells + stride * static_cast<size_t>(cell);
        if constexpr (format.block == 1)
            if (at + C::lanes > size) return load_partial<C, T>(row, at, size - at);
        return load_vector<C, T>(row, at);
    }
    void prefetch(int cell) const {
        const auto row = reinterpret_cast<uintptr_t>(cells) + stride * static_cast<size_t>(cell);
        for (int byte = 0; byte < size / format.block * format.bytes; byte += 64) C::prefetch(reinterpret_cast<const char *>(row) + byte);
    }

    // Transposes C::lanes cells from `cell` on: use(i, x) in order, where x has element i of each. Cells from `count` on are zero.
    template <class Use> PUNA_INLINE void for_columns(int cell, int count, Use use) const {
        int at = 0;
        if constexpr (T == Type::F16 && C::f16_transposed > 0)
            for (; at + C::f16_transposed <= size; at += C::f16_transposed)
                C::transpose_f16(cells + stride * static_cast<size_t>(cell) + 2 * at, stride, count - cell,
                               [&](int i, typename C::Vector x) __attribute__((always_inline)) { use(at + i, x); });
        if constexpr (T == Type::Q8_0 && C::q8_0_transposed > 0)
            for (; at < size; at += C::q8_0_transposed)
                C::transpose_q8_0(cells + stride * static_cast<size_t>(cell) + at / format.block * format.bytes, stride, count - cell,
                                  [&](int i, typename C::Vector x) __attribute__((always_inline)) { use(at + i, x); });
        for (; at < size; at += C::lanes) {
            typename C::Vector x[C::lanes];
            for (int i = 0; i < C::lanes; i++) x[i] = cell + i < count ? read(cell + i, at) : C::zero();
            C::transpose(x);
            unroll<C::lanes>([&](auto i) __attribute__((always_inline)) { use(at + i, x[i]); });
        }
    }

    // The least e such that all magnitudes are below 2^e; `invalid` if any is NaN or infinite.
    float exponent(int cell, float invalid) const {
        int e;
        if constexpr (T == Type::F16) { // bits of magnitudes order like the magnitudes
            const uint16_t most = C::max_magnitude_f16(reinterpret_cast<const uint16_t *>(cells + stride * static_cast<size_t>(cell)), size);
            if (most >> 10 == 31) return invalid;
            e = std::max(most >> 10, 1) - 14;
        } else if constexpr (T == Type::Q8_0 && C::q8_0_transposed > 0) {
            int32_t most = 0;
            const uint8_t *block = cells + stride * static_cast<size_t>(cell);
            for (int at = 0; at < size; at += format.block, block += format.bytes) most = std::max(most, C::max_magnitude_q8_0(block));
            e = (most >> 23) - 126;
        } else {
            auto most = C::zero_magnitude();
            for (int at = 0; at < size; at += C::lanes) most = C::max_magnitude(most, read(cell, at));
            e = (C::reduce_max(most) >> 23) - 126;
        }
        return e > 128 ? invalid : static_cast<float>(e < MIN_EXPONENT ? MIN_EXPONENT : e);
    }

    // Stores two cells, scaled and rounded to 16 bits, as interleaved pairs. Elements from `at` on go to place(at).
    template <class Place> void store_pair(int first, float first_scale, int second, float second_scale, Place place) const {
        for (int at = 0; at < size; at += C::lanes)
            C::store_pairs(place(at), C::round_scaled(read(first, at), first_scale), C::round_scaled(read(second, at), second_scale));
    }
};

} // namespace puna
