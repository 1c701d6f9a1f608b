#include "panel.h"

#include <cstring>
#include <iterator>
#include <utility>

#include "planes.h"

// Selects elements of two vectors by their index in both.
#ifdef __clang__
#define PUNA_MIX(V, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PUNA_MIX(V, a, b, ...) __builtin_shuffle(a, b, V{__VA_ARGS__})
#endif

namespace puna {
namespace {

using Words = uint32_t __attribute__((vector_size(16)));
using Halves = uint16_t __attribute__((vector_size(16)));

constexpr uint8_t ZEROS[sizeof(float) * SLICE] = {}; // the source of missing columns

// Each column's block, or its slice of floats.
using Sources = const uint8_t *[COLUMNS];

template <class V> V load(const void *p) {
    V value;
    std::memcpy(&value, p, sizeof value);
    return value;
}
template <class V> void store(void *p, V value) { std::memcpy(p, &value, sizeof value); }

Words low(Words a, Words b) { return PUNA_MIX(Words, a, b, 0, 4, 1, 5); }
Words high(Words a, Words b) { return PUNA_MIX(Words, a, b, 2, 6, 3, 7); }
Halves low(Halves a, Halves b) { return PUNA_MIX(Halves, a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
Halves high(Halves a, Halves b) { return PUNA_MIX(Halves, a, b, 4, 12, 5, 13, 6, 14, 7, 15); }

template <class V, int N> void transpose(V (&x)[N]) {
    for (int stage = 1; stage < N; stage *= 2) {
        V y[N];
        for (int i = 0; i < N / 2; i++) {
            y[2 * i] = low(x[i], x[i + N / 2]);
            y[2 * i + 1] = high(x[i], x[i + N / 2]);
        }
        std::memcpy(x, y, sizeof x);
    }
}

// Packs the quants of 32 k: word w of each column goes to vector w.
template <Type T> void pack_quants(const Sources &blocks, int part, uint8_t *planes) {
    constexpr int count = layout_of(T).quants / (4 * COLUMNS);
    alignas(16) uint32_t words[COLUMNS][8], transposed[8][COLUMNS];
    for (int column = 0; column < COLUMNS; column++) words_of<T>(blocks[column], part, words[column]);
    for (int w = 0; w < count; w += 4)
        for (int column = 0; column < COLUMNS; column += 4) {
            Words x[4];
            for (int i = 0; i < 4; i++) x[i] = load<Words>(words[column + i] + w);
            transpose(x);
            for (int i = 0; i < 4; i++) store(transposed[w + i] + column, x[i]);
        }
    std::memcpy(planes, transposed, sizeof transposed[0] * count);
}

// The scales of a block of 32.
template <Type T> void pack_scales(const Sources &blocks, uint8_t *header) {
    for (int column = 0; column < COLUMNS; column++) {
        if (T == Type::MXFP4)
            header[column] = *blocks[column];
        else
            std::memcpy(header + 2 * column, blocks[column], 2);
        if (format_of(T)->scaling == Scaling::MIN) std::memcpy(header + 2 * (COLUMNS + column), blocks[column] + 2, 2);
    }
}

// The scales of a block of 256.
template <Type T> void pack_super_scales(const Sources &blocks, uint8_t *header) {
    constexpr int groups = SLICE / format_of(T)->group;
    constexpr bool mins = format_of(T)->scaling == Scaling::SUPER && format_of(T)->offset == 0;
    uint8_t *integers = header + (mins ? 4 : 2) * COLUMNS;
    for (int column = 0; column < COLUMNS; column++) {
        Scales scales;
        read_scales(T, blocks[column], scales);
        std::memcpy(header + 2 * column, &scales.d, 2);
        if (mins) std::memcpy(header + 2 * (COLUMNS + column), &scales.m, 2);
        for (int j = 0; j < groups; j++) {
            integers[COLUMNS * j + column] = static_cast<uint8_t>(scales.scale[j]);
            if (mins) integers[COLUMNS * (groups + j) + column] = scales.min[j];
        }
    }
}

// V: a vector of N floats.
template <class V, int N> void pack_floats(const Sources &rows, int blocks, uint8_t *slice) {
    constexpr int bytes = sizeof(V) / N;
    for (int k = 0; k < BLOCK * blocks; k += N)
        for (int column = 0; column < COLUMNS; column += N) {
            V x[N];
            for (int i = 0; i < N; i++) x[i] = load<V>(rows[column + i] + bytes * k);
            transpose(x);
            for (int i = 0; i < N; i++) store(slice + bytes * (COLUMNS * (k + i) + column), x[i]);
        }
}

template <Type T> void pack_slice(const Sources &sources, int blocks, uint8_t *slice) {
    constexpr Format format = *format_of(T);
    constexpr Layout layout = layout_of(T);
    uint8_t *planes = slice + layout.header(blocks);
    if constexpr (T == Type::F32) return pack_floats<Words, 4>(sources, blocks, slice);
    if constexpr (format.scaling == Scaling::FLOAT) return pack_floats<Halves, 8>(sources, blocks, slice);
    if constexpr (format.block == SLICE) pack_super_scales<T>(sources, slice);
    for (int b = 0; b < blocks; b++) {
        Sources here;
        for (int column = 0; column < COLUMNS; column++) {
            const bool missing = sources[column] == ZEROS;
            here[column] = sources[column] + (format.block == SLICE || missing ? 0 : format.block_bytes * b);
        }
        if constexpr (format.block != SLICE) pack_scales<T>(here, slice + layout.scales * b);
        pack_quants<T>(here, b, planes + layout.quants * b);
    }
}

using PackSlice = void (*)(const Sources &, int, uint8_t *);

template <size_t... i> PackSlice find_pack(Type type, std::index_sequence<i...>) {
    PackSlice found = nullptr;
    ((FORMATS[i].type == type ? found = pack_slice<FORMATS[i].type> : found), ...);
    return found;
}

} // namespace

void pack_panel(const Format &format, const uint8_t *rows, size_t stride, int columns, int64_t k, uint8_t *panel) {
    const Layout layout = layout_of(format.type);
    const PackSlice pack = find_pack(format.type, std::make_index_sequence<std::size(FORMATS)>{});
    for (int64_t at = 0; at < k; at += SLICE) {
        const int blocks = static_cast<int>(k - at < SLICE ? (k - at) / BLOCK : SLICE_BLOCKS);
        Sources sources;
        for (int column = 0; column < COLUMNS; column++)
            sources[column] = column < columns ? rows + stride * column + at / format.block * format.block_bytes : ZEROS;
        pack(sources, blocks, panel);
        panel += layout.slice(blocks);
    }
}

} // namespace puna
