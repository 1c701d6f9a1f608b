// Cells of K and V as floats, 8 or 16 at a time (`C::count`), in a processor's own vectors (`Cells` in `isa/`).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "attention.h"
#include "tile.h"

namespace puna {

constexpr int LEAST_EXPONENT = -100; // what is smaller is as good as zero

// Some numbers of a row; `at` is a multiple of how many they are.
template <class C, Type T> inline typename C::Numbers numbers(const uint8_t *row, int at) {
    constexpr CellFormat format = cell_format(T);
    const uint8_t *block = row + at / format.block * format.bytes;
    if constexpr (T == Type::F32) return C::floats(block);
    if constexpr (T == Type::F16) return C::halves(block);
    if constexpr (T == Type::BF16) return C::bfloats(block);
    if constexpr (T == Type::Q8_0) return C::scaled(C::signed_bytes(block + 2 + at % 32), block);
    // The first 16 are the low nibbles.
    if constexpr (T == Type::Q4_0) return C::scaled(C::nibbles(block + 2 + at % 16, at % 32 >= 16), block);
}

// The last numbers of a row whose size is no multiple of that, and zeros. Only for types without blocks.
template <class C, Type T> inline typename C::Numbers last_numbers(const uint8_t *row, int at, int count) {
    constexpr size_t bytes = cell_format(T).bytes;
    uint8_t copy[C::count * bytes] = {};
    std::memcpy(copy, row + bytes * static_cast<size_t>(at), bytes * static_cast<size_t>(count));
    return numbers<C, T>(copy, 0);
}

// Some cells of one head, `stride` bytes apart, `size` numbers each.
template <class C, Type T> struct CellRows {
    const uint8_t *cells;
    size_t stride;
    int size;

    typename C::Numbers read(int cell, int at) const {
        const uint8_t *row = cells + stride * static_cast<size_t>(cell);
        if constexpr (cell_format(T).block == 1)
            if (at + C::count > size) return last_numbers<C, T>(row, at, size - at);
        return numbers<C, T>(row, at);
    }
    void prefetch(int cell) const {
        const auto row = reinterpret_cast<uintptr_t>(cells) + stride * static_cast<size_t>(cell);
        constexpr CellFormat format = cell_format(T);
        for (int byte = 0; byte < size / format.block * format.bytes; byte += 64) C::prefetch(reinterpret_cast<const char *>(row) + byte);
    }

    // use(at, x) for every number of C::count cells from `cell` on, in order: x is number `at` of each; zero from cell `count` on.
    template <class Use> PUNA_INLINE void columns(int cell, int count, Use use) const {
        int at = 0;
        if constexpr (T == Type::F16 && C::halves_at_once > 0)
            for (; at + C::halves_at_once <= size; at += C::halves_at_once)
                C::turn_halves(cells + stride * static_cast<size_t>(cell) + 2 * at, stride, count - cell,
                               [&](int i, typename C::Numbers x) __attribute__((always_inline)) { use(at + i, x); });
        for (; at < size; at += C::count) {
            typename C::Numbers x[C::count];
            for (int i = 0; i < C::count; i++) x[i] = cell + i < count ? read(cell + i, at) : C::zero();
            C::transpose(x);
            unroll<C::count>([&](auto i) __attribute__((always_inline)) { use(at + i, x[i]); });
        }
    }

    // e, so that all numbers of a cell are below 2^e. `wrong` if it holds something that is no number.
    float exponent(int cell, float wrong) const {
        int e;
        if constexpr (T == Type::F16) { // magnitudes are in the order of their bits
            const uint16_t most = C::largest_half(reinterpret_cast<const uint16_t *>(cells + stride * static_cast<size_t>(cell)), size);
            if (most >> 10 == 31) return wrong;
            e = std::max(most >> 10, 1) - 14;
        } else {
            auto most = C::no_magnitude();
            for (int at = 0; at < size; at += C::count) most = C::magnitude(most, read(cell, at));
            e = (C::largest(most) >> 23) - 126;
        }
        return e > 128 ? wrong : static_cast<float>(e < LEAST_EXPONENT ? LEAST_EXPONENT : e);
    }

    // Writes the numbers of two cells, each times its scale and rounded, in pairs of 16 bits: number `at` goes to place(at).
    template <class Place> void pair(int first, float first_scale, int second, float second_scale, Place place) const {
        for (int at = 0; at < size; at += C::count) C::store_pairs(place(at), C::whole(read(first, at), first_scale), C::whole(read(second, at), second_scale));
    }
};

} // namespace puna
