// Dequantises a column of a panel: the inverse of `panel.cpp`.
#include <algorithm>
#include <cstring>

#include "panel.h"

namespace puna {
namespace {

uint16_t half_at(const uint8_t *halves, int column) {
    uint16_t bits;
    std::memcpy(&bits, halves + 2 * column, sizeof bits);
    return bits;
}

// Reads 32 quants of a column from its bit planes.
void read_quants(int bits, const uint8_t *planes, int column, uint8_t *q) {
    std::fill(q, q + BLOCK, uint8_t{0});
    for (int done = 0, width; done < bits; done += width, planes += 4 * COLUMNS * width) {
        width = bits - done >= 8 ? 8 : bits - done >= 4 ? 4 : bits - done >= 2 ? 2 : 1;
        for (int i = 0; i < width; i++)
            for (int s = 0; s < 8 / width; s++) {
                const int step = width == 4 ? i + 4 * s : 8 / width * i + s;
                for (int t = 0; t < 4; t++)
                    q[4 * step + t] |= (planes[4 * (COLUMNS * i + column) + t] >> (width * s) & ((1 << width) - 1)) << done;
            }
    }
}

// A weight is scale * q + addend. It is rounded once: either the product is exact, or the addend is -0, which changes nothing.
struct Affine {
    float scale, addend;
};

Affine affine_of_block(const Format &format, const uint8_t *header, int column) {
    if (format.type == Type::MXFP4) return {exponent_to_float(header[column]), -0.0F};
    const float m = format.scaling == Scaling::MIN ? half_to_float(half_at(header + 2 * COLUMNS, column)) : -0.0F;
    return {half_to_float(half_at(header, column)), m};
}

Affine affine_of_group(const Format &format, const uint8_t *header, int group, int column) {
    const bool mins = format.scaling == Scaling::SUPER && format.offset == 0;
    const uint8_t *integers = header + (mins ? 4 : 2) * COLUMNS;
    const float scale = half_to_float(half_at(header, column)) * static_cast<int8_t>(integers[COLUMNS * group + column]);
    if (!mins) return {scale, -0.0F};
    return {scale, -(half_to_float(half_at(header + 2 * COLUMNS, column)) * integers[COLUMNS * (SLICE / format.group + group) + column])};
}

int integer_of(const Format &format, uint8_t q) {
    if (format.scaling == Scaling::TABLE) return (format.type == Type::MXFP4 ? MXFP4_VALUES : IQ4_VALUES)[q];
    return q - format.offset;
}

void unpack_slice(const Format &format, const uint8_t *slice, int blocks, int column, float *out) {
    const Layout layout = layout_of(format.type);
    for (int b = 0; b < blocks; b++) {
        const uint8_t *planes = slice + layout.header(blocks) + layout.quants * b;
        float *here = out + BLOCK * b;
        if (format.scaling == Scaling::FLOAT) {
            for (int k = 0; k < BLOCK; k++) here[k] = float_at(format.type, planes + layout.quants / BLOCK * k + format.bits / 8 * column);
            continue;
        }
        uint8_t q[BLOCK];
        read_quants(format.bits, planes, column, q);
        for (int at = 0; at < BLOCK; at += format.group) {
            const Affine affine = layout.super ? affine_of_group(format, slice, (BLOCK * b + at) / format.group, column)
                                           : affine_of_block(format, slice + layout.scales * b, column);
            for (int k = at; k < at + format.group; k++) here[k] = affine.scale * static_cast<float>(integer_of(format, q[k])) + affine.addend;
        }
    }
}

} // namespace

void unpack_column(const Format &format, const uint8_t *panel, int column, int64_t k, float *out) {
    for (int64_t at = 0; at < k; at += SLICE) {
        const int blocks = static_cast<int>(std::min<int64_t>(SLICE, k - at) / BLOCK);
        unpack_slice(format, panel, blocks, column, out + at);
        panel += layout_of(format.type).slice(blocks);
    }
}

} // namespace puna
