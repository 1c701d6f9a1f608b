#include "panel.h"

#include <cstring>

namespace puna {
namespace {

void put_half(uint8_t *out, int column, uint16_t value) { std::memcpy(out + 2 * column, &value, 2); }

constexpr int VECTOR = 4 * COLUMNS;

// `count` steps of 4 bytes, each to its own vector. `plane` begins at the column's 4 bytes.
void put_steps(const uint8_t *bytes, int count, uint8_t *plane) {
    for (int i = 0; i < count; i++) std::memcpy(plane + VECTOR * i, bytes + 4 * i, 4);
}

void put_four_bits(const uint8_t *q, uint8_t *plane) {
    uint8_t packed[16];
    for (int i = 0; i < 16; i++) packed[i] = static_cast<uint8_t>((q[i] & 15) | q[i + 16] << 4);
    put_steps(packed, 4, plane);
}

// Two bits of each number, from `shift` on.
void put_two_bits(const uint8_t *q, int shift, uint8_t *plane) {
    uint8_t packed[8] = {};
    for (int half = 0; half < 2; half++)
        for (int s = 0; s < 4; s++)
            for (int t = 0; t < 4; t++) packed[4 * half + t] |= static_cast<uint8_t>((q[16 * half + 4 * s + t] >> shift & 3) << (2 * s));
    put_steps(packed, 2, plane);
}

// One bit of each number.
void put_one_bit(const uint8_t *q, int bit, uint8_t *plane) {
    uint8_t packed[4] = {};
    for (int s = 0; s < 8; s++)
        for (int t = 0; t < 4; t++) packed[t] |= static_cast<uint8_t>((q[4 * s + t] >> bit & 1) << s);
    put_steps(packed, 1, plane);
}

// The numbers of 32 k of one column.
void put_numbers(int bits, const uint8_t *q, uint8_t *planes) {
    switch (bits) {
    case 8: return put_steps(q, 8, planes);
    case 2: return put_two_bits(q, 0, planes);
    case 3: return put_two_bits(q, 0, planes), put_one_bit(q, 2, planes + 2 * VECTOR);
    case 4: return put_four_bits(q, planes);
    case 5: return put_four_bits(q, planes), put_one_bit(q, 4, planes + 4 * VECTOR);
    default: return put_four_bits(q, planes), put_two_bits(q, 4, planes + 4 * VECTOR);
    }
}

// A block of 32.
void pack_block(const Format &format, const Parts &parts, int column, uint8_t *header, uint8_t *numbers) {
    if (format.type == Type::MXFP4)
        header[column] = static_cast<uint8_t>(parts.d);
    else
        put_half(header, column, parts.d);
    if (format.scaling == Scaling::MIN) put_half(header + 2 * COLUMNS, column, parts.m);
    put_numbers(format.bits, parts.q, numbers + 4 * column);
}

// A block of 256.
void pack_super(const Format &format, const Layout &layout, const Parts &parts, int column, uint8_t *slice) {
    const int groups = SLICE / format.group;
    const bool mins = format.scaling == Scaling::SUPER && format.offset == 0;
    put_half(slice, column, parts.d);
    uint8_t *scales = slice + 2 * COLUMNS;
    if (mins) {
        put_half(scales, column, parts.m);
        scales += 2 * COLUMNS;
    }
    for (int j = 0; j < groups; j++) {
        scales[COLUMNS * j + column] = static_cast<uint8_t>(parts.scale[j]);
        if (mins) scales[COLUMNS * (groups + j) + column] = parts.min[j];
    }
    for (int b = 0; b < SLICE_BLOCKS; b++)
        put_numbers(format.bits, parts.q + BLOCK * b, slice + layout.scales + layout.numbers * b + 4 * column);
}

void pack_floats(const uint8_t *row, int blocks, int column, uint8_t *slice) {
    for (int k = 0; k < BLOCK * blocks; k++) std::memcpy(slice + 2 * (COLUMNS * k + column), row + 2 * k, 2);
}

} // namespace

void pack_panel(const Format &format, const uint8_t *rows, size_t stride, int columns, int64_t k, uint8_t *panel) {
    const Layout layout = layout_of(format.type);
    Parts parts{};
    if (columns < COLUMNS) std::memset(panel, 0, layout.panel(k / BLOCK));
    for (int64_t at = 0; at < k; at += SLICE) {
        const int blocks = static_cast<int>(k - at < SLICE ? (k - at) / BLOCK : SLICE_BLOCKS);
        for (int column = 0; column < columns; column++) {
            const uint8_t *source = rows + stride * column + at / format.block * format.block_bytes;
            if (format.scaling == Scaling::FLOAT) {
                pack_floats(source, blocks, column, panel);
            } else if (format.block == SLICE) {
                take_apart(format.type, source, parts);
                pack_super(format, layout, parts, column, panel);
            } else {
                for (int b = 0; b < blocks; b++) {
                    take_apart(format.type, source + format.block_bytes * b, parts);
                    pack_block(format, parts, column, panel + layout.scales * b, panel + layout.header(blocks) + layout.numbers * b);
                }
            }
        }
        panel += layout.slice(blocks);
    }
}

} // namespace puna
