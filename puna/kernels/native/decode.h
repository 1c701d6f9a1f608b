// A slice of a panel as a tile reads it: scales as vectors, and numbers spread out in the cache as the dot products want them, or, for
// few rows, where they are.
#pragma once

#include <type_traits>

#include "panel.h"
#include "tile.h"

namespace puna {

// The unit that computes a type: numbers above six bits have no room for sums in 16.
template <class I, Type T>
using UnitOf = std::conditional_t<T == Type::Q8_0 || T == Type::IQ4_NL || T == Type::IQ4_XS, typename I::Wide, typename I::Narrow>;

// The offset of the numbers that the unit sees: MXFP4's values and wide numbers are lifted above zero where they must be.
template <class I, Type T> constexpr int offset_of() {
    if (T == Type::MXFP4) return 12;
    if (std::is_same_v<UnitOf<I, T>, typename I::Wide>) return I::Wide::lift;
    return format_of(T)->offset;
}

// The largest number that the unit sees.
template <Type T> constexpr int top_of() { return T == Type::MXFP4 ? 24 : (1 << format_of(T)->bits) - 1; }

// Whether sums in 16 bits begin with what the offset takes away. On their way they may wrap around: only the last one has to fit, and
// numbers on both sides of zero leave room for twice as many.
template <class I, Type T> constexpr bool centred() {
    using U = UnitOf<I, T>;
    constexpr Format format = *format_of(T);
    constexpr int steps = format.group / 4;
    return format.scaling == Scaling::SUPER && format.offset != 0 && U::depth(top_of<T>()) < steps && U::depth(format.offset) >= steps;
}

template <class I, Type T> struct SliceScales {
    static constexpr Format format = *format_of(T);
    using Unit = UnitOf<I, T>;
    static constexpr bool centred = puna::centred<I, T>();
    static constexpr bool super = format.scaling == Scaling::SUPER;
    static constexpr bool mins = format.scaling == Scaling::MIN;
    static constexpr int groups = SLICE / format.group;

    alignas(64) float d[super ? 1 : SLICE_BLOCKS][COLUMNS];
    alignas(64) float m[super || mins ? (super ? 1 : SLICE_BLOCKS) : 1][COLUMNS];
    // SUPER: a scale for each group, and mins of two groups side by side in 16 bits each.
    alignas(64) int32_t scale[super ? groups : 1][COLUMNS];
    alignas(64) int32_t min[super ? groups / 2 : 1][COLUMNS];

    void read(const uint8_t *slice, int blocks) {
        for (size_t line = 0; line < layout_of(T).slice(blocks); line += 64) I::prefetch(slice + line + AHEAD);
        for (int v = 0; v < COLUMNS; v += I::lanes) read_scales(slice, blocks, v);
    }

  private:
    using Int = typename I::Int;
    static constexpr int AHEAD = 4096; // bytes of weights that are on their way while a slice is computed

    PUNA_INLINE void read_scales(const uint8_t *slice, int blocks, int v) {
        if constexpr (super)
            read_super_scales(slice, v);
        else if constexpr (T == Type::IQ4_XS)
            for (int b = 0; b < blocks; b++)
                I::storef(d[b] + v, I::mul(I::load_f16(slice + 2 * v), I::to_float(I::load_i8(slice + 2 * COLUMNS + COLUMNS * b + v))));
        else
            for (int b = 0; b < blocks; b++) {
                const uint8_t *at = slice + layout_of(T).scales * b;
                I::storef(d[b] + v, T == Type::MXFP4 ? I::load_e8m0_half(at + v) : I::load_f16(at + 2 * v));
                if constexpr (mins) I::storef(m[b] + v, I::load_f16(at + 2 * COLUMNS + 2 * v));
            }
    }

    // A constant offset is a min like the scale itself.
    PUNA_INLINE void read_super_scales(const uint8_t *slice, int v) {
        constexpr bool own_mins = format.offset == 0;
        const typename I::Float scale_of_all = I::load_f16(slice + 2 * v);
        const uint8_t *scales = slice + (own_mins ? 4 : 2) * COLUMNS + v, *least = scales + COLUMNS * groups;
        I::storef(d[0] + v, scale_of_all);
        for (int j = 0; j < groups; j++) I::store(scale[j] + v, Unit::scale(I::load_i8(scales + COLUMNS * j)));
        if constexpr (centred) return;
        I::storef(m[0] + v, own_mins ? I::load_f16(slice + 2 * COLUMNS + 2 * v) : I::mul(scale_of_all, I::broadcast(format.offset)));
        for (int j = 0; j < groups; j += 2) {
            const Int even = own_mins ? I::load_u8(least + COLUMNS * j) : I::load_i8(scales + COLUMNS * j);
            const Int odd = own_mins ? I::load_u8(least + COLUMNS * (j + 1)) : I::load_i8(scales + COLUMNS * (j + 1));
            I::store(min[j / 2] + v, I::interleave16(even, odd));
        }
    }
};

// The numbers of one step out of a block's planes, in the order that suits them.
template <class I, Type T> struct Numbers {
    using Int = typename I::Int;
    static constexpr Format format = *format_of(T);

    template <int step> static PUNA_INLINE Int of(const uint8_t *planes) {
        Int x = low_bits<step>(planes);
        if constexpr (format.bits == 5 || format.bits == 3) {
            constexpr int place = format.bits - 1;
            const Int bits = I::load(planes + (format.bits == 5 ? 256 : 128));
            x = I::bit_or(x, I::bit_and(I::template shift<step - place>(bits), I::broadcast_byte(1 << place)));
        } else if constexpr (format.bits == 6) {
            const Int bits = I::load(planes + 256 + 64 * (step / 4));
            x = I::bit_or(x, I::bit_and(I::template shift<2 * (step % 4) - 4>(bits), I::broadcast_byte(48)));
        }
        if constexpr (format.scaling == Scaling::TABLE) x = I::lookup(table(), x);
        if constexpr (format.bits == 8 && I::Wide::lift == 0) x = I::flip_sign_bits(x);
        return x;
    }

  private:
    template <int step> static PUNA_INLINE Int low_bits(const uint8_t *planes) {
        if constexpr (format.bits == 8) return I::load(planes + 64 * step);
        if constexpr (format.bits < 4) return I::bit_and(I::template shift<2 * (step % 4)>(I::load(planes + 64 * (step / 4))), I::broadcast_byte(3));
        return I::bit_and(I::template shift<(step < 4 ? 0 : 4)>(I::load(planes + 64 * (step % 4))), I::broadcast_byte(15));
    }

    static const uint8_t *table() {
        struct Table {
            uint8_t values[16];
            Table() {
                for (int i = 0; i < 16; i++)
                    values[i] = static_cast<uint8_t>((T == Type::MXFP4 ? MXFP4_VALUES : IQ4_VALUES)[i] + offset_of<I, T>());
            }
        };
        static const Table made;
        return made.values;
    }
};

template <class I, Type T> struct Decoded : SliceScales<I, T> {
    using Unit = UnitOf<I, T>;
    alignas(64) uint8_t numbers[SLICE_BLOCKS * Unit::steps * 64];

    void read(const uint8_t *slice, int blocks) {
        constexpr Layout layout = layout_of(T);
        SliceScales<I, T>::read(slice, blocks);
        const uint8_t *planes = slice + layout.header(blocks);
        for (int b = 0; b < blocks; b++, planes += layout.numbers)
            for (int v = 0; v < 4 * COLUMNS; v += 4 * I::lanes) {
                uint8_t *at = numbers + 64 * Unit::steps * b;
                if constexpr (I::has_mmla)
                    unroll<Unit::steps / 2>([&](auto i) { I::store_interleaved(at + 128 * i + 2 * v, step<2 * i>(planes + v), step<2 * i + 1>(planes + v)); });
                else
                    unroll<Unit::steps>([&](auto i) { I::store(at + 64 * i + v, step<i>(planes + v)); });
            }
    }
    // Of one step. Where products are has_mmla, two steps lie in turn: 8 k of each column.
    template <int step> PUNA_INLINE typename I::Int weights(int64_t block, int at) const {
        return I::load(numbers + 64 * (Unit::steps * block + step) + at);
    }

  private:
    template <int i> static PUNA_INLINE typename I::Int step(const uint8_t *planes) { return Numbers<I, T>::template of<i>(planes); }
};

// For processors whose products want numbers just as they come.
template <class I, Type T> struct Stored : SliceScales<I, T> {
    const uint8_t *planes;

    void read(const uint8_t *slice, int blocks) {
        planes = slice + layout_of(T).header(blocks);
        SliceScales<I, T>::read(slice, blocks);
    }
    template <int step> PUNA_INLINE typename I::Int weights(int64_t block, int at) const {
        return Numbers<I, T>::template of<step>(planes + layout_of(T).numbers * block + at);
    }
};

} // namespace puna
