#include "format.h"

#include <cmath>
#include <cstring>

namespace puna {

const int8_t IQ4_VALUES[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
const int8_t MXFP4_VALUES[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

namespace {

uint16_t half_at(const uint8_t *bytes) {
    uint16_t value;
    std::memcpy(&value, bytes, 2);
    return value;
}

// 16 bytes: the low nibbles are quants 0..15, the high ones 16..31.
void nibbles(const uint8_t *bytes, uint8_t *q) {
    for (int i = 0; i < 16; i++) {
        q[i] = bytes[i] & 15;
        q[i + 16] = bytes[i] >> 4;
    }
}

// 32 bits: bit 4 of 32 quants.
void fifth_bits(const uint8_t *bytes, uint8_t *q) {
    for (int byte = 0; byte < 4; byte++)
        for (int i = 0; i < 8; i++) q[8 * byte + i] |= (bytes[byte] >> i & 1) << 4;
}

// Four times 32 bytes: the low nibbles are 32 quants, the high ones the next 32.
void wide_nibbles(const uint8_t *bytes, uint8_t *q) {
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 32; i++) {
            q[64 * j + i] = bytes[32 * j + i] & 15;
            q[64 * j + 32 + i] = bytes[32 * j + i] >> 4;
        }
}

// Twice 32 bytes: each byte has two bits of four quants, 32 apart.
void pairs_of_bits(const uint8_t *bytes, uint8_t *q) {
    for (int n = 0; n < 2; n++)
        for (int j = 0; j < 4; j++)
            for (int i = 0; i < 32; i++) q[128 * n + 32 * j + i] = bytes[32 * n + i] >> (2 * j) & 3;
}

// Q4_K and Q5_K: eight 6-bit scales and mins in twelve bytes.
void scales_and_mins(const uint8_t *bytes, Scales &scales) {
    for (int j = 0; j < 4; j++) {
        scales.scale[j] = static_cast<int8_t>(bytes[j] & 63);
        scales.min[j] = bytes[j + 4] & 63;
        scales.scale[j + 4] = static_cast<int8_t>((bytes[j + 8] & 15) | (bytes[j] >> 6) << 4);
        scales.min[j + 4] = static_cast<uint8_t>((bytes[j + 8] >> 4) | (bytes[j + 4] >> 6) << 4);
    }
}

void q2_k_scales(const uint8_t *bytes, Scales &scales) {
    for (int j = 0; j < 16; j++) {
        scales.scale[j] = bytes[j] & 15;
        scales.min[j] = bytes[j] >> 4;
    }
}

void q3_k_scales(const uint8_t *bytes, Scales &scales) {
    for (int j = 0; j < 16; j++) {
        const int low = j < 8 ? bytes[j] & 15 : bytes[j - 8] >> 4;
        const int high = bytes[8 + j % 4] >> (2 * (j / 4)) & 3;
        scales.scale[j] = static_cast<int8_t>((low | high << 4) - 32);
    }
}

void iq4_xs_scales(const uint8_t *block, Scales &scales) {
    const uint16_t high = half_at(block + 2);
    for (int j = 0; j < 8; j++) {
        const int low = block[4 + j / 2] >> (4 * (j % 2)) & 15;
        scales.scale[j] = static_cast<int8_t>((low | (high >> (2 * j) & 3) << 4) - 32);
    }
}

void q3_k(const uint8_t *block, uint8_t *q) {
    pairs_of_bits(block + 32, q);
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 32; i++) q[32 * j + i] |= (block[i] >> j & 1) << 2;
}

void q5_k(const uint8_t *block, uint8_t *q) {
    wide_nibbles(block + 48, q);
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 32; i++) q[32 * j + i] |= (block[16 + i] >> j & 1) << 4;
}

void q6_k(const uint8_t *block, uint8_t *q) {
    for (int n = 0; n < 2; n++)
        for (int j = 0; j < 4; j++)
            for (int i = 0; i < 32; i++) {
                const uint8_t low = block[64 * n + 32 * (j % 2) + i] >> (j < 2 ? 0 : 4) & 15;
                const uint8_t high = block[128 + 32 * n + i] >> (2 * j) & 3;
                q[128 * n + 32 * j + i] = static_cast<uint8_t>(low | high << 4);
            }
}

void read_quants(Type type, const uint8_t *block, uint8_t *q) {
    switch (type) {
    case Type::Q4_0:
    case Type::IQ4_NL: return nibbles(block + 2, q);
    case Type::Q4_1: return nibbles(block + 4, q);
    case Type::Q5_0: return nibbles(block + 6, q), fifth_bits(block + 2, q);
    case Type::Q5_1: return nibbles(block + 8, q), fifth_bits(block + 4, q);
    case Type::MXFP4: return nibbles(block + 1, q);
    case Type::Q8_0:
        for (int i = 0; i < 32; i++) q[i] = block[2 + i] ^ 0x80;
        return;
    case Type::IQ4_XS:
        for (int j = 0; j < 8; j++) nibbles(block + 8 + 16 * j, q + 32 * j);
        return;
    case Type::Q2_K: return pairs_of_bits(block + 16, q);
    case Type::Q3_K: return q3_k(block, q);
    case Type::Q4_K: return wide_nibbles(block + 16, q);
    case Type::Q5_K: return q5_k(block, q);
    case Type::Q6_K: return q6_k(block, q);
    default: return;
    }
}

} // namespace

void read_scales(Type type, const uint8_t *block, Scales &scales) {
    switch (type) {
    case Type::MXFP4: scales.d = block[0]; return;
    case Type::Q4_1:
    case Type::Q5_1: scales.m = half_at(block + 2); break;
    case Type::Q4_K:
    case Type::Q5_K:
        scales.m = half_at(block + 2);
        scales_and_mins(block + 4, scales);
        break;
    case Type::IQ4_XS: iq4_xs_scales(block, scales); break;
    case Type::Q2_K:
        q2_k_scales(block, scales);
        scales.m = half_at(block + 82);
        scales.d = half_at(block + 80);
        return;
    case Type::Q3_K:
        q3_k_scales(block + 96, scales);
        scales.d = half_at(block + 108);
        return;
    case Type::Q6_K:
        std::memcpy(scales.scale, block + 192, 16);
        scales.d = half_at(block + 208);
        return;
    default: break;
    }
    scales.d = half_at(block);
}

void unpack_block(Type type, const uint8_t *block, UnpackedBlock &parts) {
    read_scales(type, block, parts);
    read_quants(type, block, parts.q);
}

float half_to_float(uint16_t bits) {
    const int sign = bits >> 15, exponent = bits >> 10 & 31, fraction = bits & 1023;
    float value;
    if (exponent == 31)
        value = fraction ? NAN : INFINITY;
    else if (exponent)
        value = std::ldexp(1024.0F + static_cast<float>(fraction), exponent - 25);
    else
        value = std::ldexp(static_cast<float>(fraction), -24);
    return sign ? -value : value;
}

float float_at(Type type, const uint8_t *bytes) {
    if (type == Type::F16) return half_to_float(half_at(bytes));
    uint32_t bits = 0;
    if (type == Type::F32)
        std::memcpy(&bits, bytes, sizeof bits);
    else
        bits = uint32_t{half_at(bytes)} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

float exponent_to_float(uint8_t e) { return std::ldexp(1.0F, e - 128); }

double value_of(const Format &format, const UnpackedBlock &parts, int k) {
    const double q = parts.q[k];
    const int part = k / format.group;
    switch (format.scaling) {
    case Scaling::OFFSET: return half_to_float(parts.d) * (q - format.offset);
    case Scaling::MIN: return half_to_float(parts.d) * q + half_to_float(parts.m);
    case Scaling::TABLE:
        if (format.type == Type::MXFP4) return double{exponent_to_float(static_cast<uint8_t>(parts.d))} * MXFP4_VALUES[parts.q[k]];
        return double{half_to_float(parts.d)} * (format.block == 256 ? parts.scale[part] : 1) * IQ4_VALUES[parts.q[k]];
    case Scaling::SUPER:
        if (format.offset) return double{half_to_float(parts.d)} * parts.scale[part] * (q - format.offset);
        return double{half_to_float(parts.d)} * parts.scale[part] * q - double{half_to_float(parts.m)} * parts.min[part];
    case Scaling::FLOAT: break;
    }
    return 0;
}

} // namespace puna
