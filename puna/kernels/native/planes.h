// Converts a file's block to a panel's bit planes, in 32-bit words of four quants.
#pragma once

#include <cstdint>
#include <cstring>

#include "format.h"

namespace puna {

inline uint32_t word(const uint8_t *bytes, int index) {
    uint32_t value;
    std::memcpy(&value, bytes + 4 * index, sizeof value);
    return value;
}

// Nibbles that are in the order of a plane already: 16 bytes, low nibbles first.
inline void nibble_words(const uint8_t *bytes, uint32_t *words) { std::memcpy(words, bytes, 16); }

// The nibble at bit `shift` of each of 32 bytes.
inline void nibble_words(const uint8_t *bytes, int shift, uint32_t *words) {
    for (int i = 0; i < 4; i++) words[i] = (word(bytes, i) >> shift & 0x0f0f0f0f) | (word(bytes, i + 4) >> shift & 0x0f0f0f0f) << 4;
}

// The two bits at bit `shift` of each of 32 bytes.
inline void pair_words(const uint8_t *bytes, int shift, uint32_t *words) {
    for (int half = 0; half < 2; half++) {
        words[half] = 0;
        for (int s = 0; s < 4; s++) words[half] |= (word(bytes, 4 * half + s) >> shift & 0x03030303) << (2 * s);
    }
}

// Bit `shift` of each of 32 bytes.
inline uint32_t bit_word(const uint8_t *bytes, int shift) {
    uint32_t bits = 0;
    for (int s = 0; s < 8; s++) bits |= (word(bytes, s) >> shift & 0x01010101) << s;
    return bits;
}

// 32 consecutive bits: bit 4 s + t moves to bit 8 t + s, by delta swaps.
inline uint32_t bit_word(const uint8_t *bytes) {
    uint32_t x = word(bytes, 0);
    const auto delta_swap = [&](int shift, uint32_t mask) {
        const uint32_t differ = (x >> shift ^ x) & mask;
        x ^= differ ^ differ << shift;
    };
    delta_swap(14, 0x0000cccc);
    delta_swap(7, 0x00aa00aa);
    delta_swap(2, 0x0c0c0c0c);
    delta_swap(1, 0x22222222);
    return x;
}

// The words of 32 quants, from 32 * `part` of a block on, in the order of the planes (`panel.h`).
template <Type T> inline void words_of(const uint8_t *block, [[maybe_unused]] int part, uint32_t *words) {
    // In blocks of 256, 32 bytes of nibbles hold two parts, 32 bytes of bit pairs four, and 32 bytes of bits eight.
    [[maybe_unused]] const int of_two = part / 2, of_four = part / 4, nibble = 4 * (part % 2), pair = 2 * (part % 4);
    if constexpr (T == Type::Q4_0 || T == Type::IQ4_NL) nibble_words(block + 2, words);
    if constexpr (T == Type::Q4_1) nibble_words(block + 4, words);
    if constexpr (T == Type::MXFP4) nibble_words(block + 1, words);
    if constexpr (T == Type::Q5_0) nibble_words(block + 6, words), words[4] = bit_word(block + 2);
    if constexpr (T == Type::Q5_1) nibble_words(block + 8, words), words[4] = bit_word(block + 4);
    if constexpr (T == Type::Q8_0)
        for (int i = 0; i < 8; i++) words[i] = word(block + 2, i) ^ 0x80808080;
    if constexpr (T == Type::IQ4_XS) nibble_words(block + 8 + 16 * part, words);
    if constexpr (T == Type::Q2_K) pair_words(block + 16 + 32 * of_four, pair, words);
    if constexpr (T == Type::Q3_K) pair_words(block + 32 + 32 * of_four, pair, words), words[2] = bit_word(block, part);
    if constexpr (T == Type::Q4_K) nibble_words(block + 16 + 32 * of_two, nibble, words);
    if constexpr (T == Type::Q5_K) nibble_words(block + 48 + 32 * of_two, nibble, words), words[4] = bit_word(block + 16, part);
    if constexpr (T == Type::Q6_K) {
        nibble_words(block + 64 * of_four + 32 * (part % 2), pair < 4 ? 0 : 4, words);
        pair_words(block + 128 + 32 * of_four, pair, words + 4);
    }
}

} // namespace puna
