// The weight types of GGUF files: their parameters, and how to unpack a block into quants and scales.
#pragma once

#include <cstdint>

#include "ggml.h"

namespace puna {

// How a weight is computed from its quant q in 0..2^bits-1.
enum class Scaling {
    OFFSET, // d * (q - offset); d per 32 weights
    MIN,    // d * q + m; d and m per 32
    TABLE,  // d * table[q]; d per 32
    SUPER,  // d * scale * q - m * min; d and m per superblock of 256, integer scale and min per 16 or 32
    FLOAT,  // the weight itself
};

struct Format {
    Type type;
    Scaling scaling;
    int bits;
    int offset;
    int block;        // weights per block of the file
    int block_bytes;
    int group;        // weights per scale
};

// The scales of a block, as F16 bits. MXFP4's d is an E8M0 exponent.
struct Scales {
    uint16_t d, m;
    int8_t scale[16];
    uint8_t min[16];
};

// An unpacked block.
struct UnpackedBlock : Scales {
    uint8_t q[256];
};

inline constexpr Format FORMATS[] = {
    {Type::Q4_0, Scaling::OFFSET, 4, 8, 32, 18, 32},
    {Type::Q4_1, Scaling::MIN, 4, 0, 32, 20, 32},
    {Type::Q5_0, Scaling::OFFSET, 5, 16, 32, 22, 32},
    {Type::Q5_1, Scaling::MIN, 5, 0, 32, 24, 32},
    {Type::Q8_0, Scaling::OFFSET, 8, 128, 32, 34, 32},
    {Type::IQ4_NL, Scaling::TABLE, 4, 0, 32, 18, 32},
    {Type::MXFP4, Scaling::TABLE, 4, 0, 32, 17, 32},
    {Type::IQ4_XS, Scaling::TABLE, 4, 0, 256, 136, 32},
    {Type::Q2_K, Scaling::SUPER, 2, 0, 256, 84, 16},
    {Type::Q3_K, Scaling::SUPER, 3, 4, 256, 110, 16},
    {Type::Q4_K, Scaling::SUPER, 4, 0, 256, 144, 32},
    {Type::Q5_K, Scaling::SUPER, 5, 0, 256, 176, 32},
    {Type::Q6_K, Scaling::SUPER, 6, 32, 256, 210, 16},
    {Type::F16, Scaling::FLOAT, 16, 0, 32, 64, 32},
    {Type::BF16, Scaling::FLOAT, 16, 0, 32, 64, 32},
    {Type::F32, Scaling::FLOAT, 32, 0, 32, 128, 32},
};

// Null if the type is not supported.
constexpr const Format *format_of(Type type) {
    for (const Format &format : FORMATS)
        if (format.type == type) return &format;
    return nullptr;
}

void read_scales(Type type, const uint8_t *block, Scales &scales);
void unpack_block(Type type, const uint8_t *block, UnpackedBlock &parts);

// The tables of TABLE types. MXFP4's values are doubled, and its scales halved.
extern const int8_t IQ4_VALUES[16];
extern const int8_t MXFP4_VALUES[16];

float half_to_float(uint16_t bits);
// A weight of a FLOAT type.
float float_at(Type type, const uint8_t *bytes);
float exponent_to_float(uint8_t e); // 2^(e - 128), MXFP4's halved scale

// Weight `k` of a block: the reference for all kernels.
double value_of(const Format &format, const UnpackedBlock &parts, int k);

} // namespace puna
