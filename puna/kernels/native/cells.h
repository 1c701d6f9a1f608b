// Cells of K and V as floats, eight at a time, in a processor's own vectors (`Cells` in `isa/`).
#pragma once

#include <cstdint>
#include <cstring>

#include "attention.h"

namespace puna {

// Numbers at..at+7 of a row; `at` is a multiple of 8.
template <class C, Type T> inline typename C::Eight eight(const uint8_t *row, int at) {
    constexpr CellFormat format = cell_format(T);
    const uint8_t *block = row + at / format.block * format.bytes;
    if constexpr (T == Type::F32) return C::floats(block);
    if constexpr (T == Type::F16) return C::halves(block);
    if constexpr (T == Type::BF16) return C::bfloats(block);
    if constexpr (T == Type::Q8_0) return C::scaled(C::signed_bytes(block + 2 + at % 32), block);
    // The first 16 are the low nibbles.
    if constexpr (T == Type::Q4_0) return C::scaled(C::nibbles(block + 2 + at % 16, at % 32 >= 16), block);
}

// The last numbers of a row whose size is no multiple of 8, and zeros. Only for types without blocks.
template <class C, Type T> inline typename C::Eight last_of_eight(const uint8_t *row, int at, int count) {
    constexpr size_t bytes = cell_format(T).bytes;
    uint8_t copy[8 * bytes] = {};
    std::memcpy(copy, row + bytes * static_cast<size_t>(at), bytes * static_cast<size_t>(count));
    return eight<C, T>(copy, 0);
}

// Fills a tile of `keys` (a multiple of 8) cells from `count` of them, `stride` bytes apart, `size` numbers each; what is
// beyond is zero. `place(at, key)` is where the eight numbers from `at` of cell `key` go. TURNED: where number `at` of the
// eight cells from `key` goes.
template <class C, Type T, bool TURNED, class Place>
inline void fill_tile(const uint8_t *cells, size_t stride, int64_t count, int keys, int size, Place place) {
    constexpr CellFormat format = cell_format(T);
    const auto read = [&](int key, int at) {
        if (key >= count) return C::zero();
        const uint8_t *row = cells + stride * static_cast<size_t>(key);
        if constexpr (format.block == 1)
            if (at + 8 > size) return last_of_eight<C, T>(row, at, size - at);
        return eight<C, T>(row, at);
    };
    for (int key = 0; key < keys; key += 8) {
        for (int i = 0; i < 8; i++) { // the same of the next tile
            const auto next = reinterpret_cast<uintptr_t>(cells) + stride * static_cast<size_t>(keys + key + i);
            for (int byte = 0; byte < size / format.block * format.bytes; byte += 64) C::prefetch(reinterpret_cast<const char *>(next) + byte);
        }
        for (int at = 0; at < size; at += 8) {
            typename C::Eight x[8];
            for (int i = 0; i < 8; i++) x[i] = read(key + i, at);
            if constexpr (TURNED) C::transpose(x);
            for (int i = 0; i < 8; i++) C::store(TURNED ? place(at + i, key) : place(at, key + i), x[i]);
        }
    }
}

} // namespace puna
