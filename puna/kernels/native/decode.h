// A panel's slice, decoded for the tiles of a product: scales as floats and integers, quants as bytes. Quants are decoded into
// cache or, for few rows, into registers.
#pragma once

#include <type_traits>

#include "panel.h"
#include "prefetch.h"
#include "tile.h"

namespace puna {

// The dot product of a type. Products of 8-bit quants leave no room for 16-bit sums.
template <class I, Type T>
using DotOf = std::conditional_t<T == Type::Q8_0 || T == Type::IQ4_NL || T == Type::IQ4_XS, typename I::WideDot, typename I::NarrowDot>;

// What `weight = d * (q - offset)` subtracts from the bytes that the dot product gets. MXFP4's values, and 8-bit quants where the
// instruction wants unsigned bytes, are biased to be positive.
template <class I, Type T> constexpr int offset_of() {
    if (T == Type::MXFP4) return 12;
    if (std::is_same_v<DotOf<I, T>, typename I::WideDot>) return I::WideDot::bias;
    return format_of(T)->offset;
}

// The largest byte that the dot product gets.
template <Type T> constexpr int max_quant_of() { return T == Type::MXFP4 ? 24 : (1 << format_of(T)->bits) - 1; }

// Whether a superblock type's sums start with the offset's part, so that they sum q - offset. 32-bit sums always do. With 16 bits,
// intermediate sums may wrap around: only the result must fit, and values around zero leave room for twice as many steps.
template <class I, Type T> constexpr bool centred() {
    using U = DotOf<I, T>;
    constexpr Format format = *format_of(T);
    constexpr int steps = format.group / 4;
    if (format.scaling != Scaling::SUPER || format.offset == 0) return false;
    return U::sums_int32 || (U::max_steps(max_quant_of<T>()) < steps && U::max_steps(format.offset) >= steps);
}

template <class I, Type T> struct SliceScales {
    static constexpr Format format = *format_of(T);
    using Dot = DotOf<I, T>;
    static constexpr bool centred = puna::centred<I, T>();
    static constexpr bool super = format.scaling == Scaling::SUPER;
    static constexpr bool mins = format.scaling == Scaling::MIN;
    static constexpr int groups = SLICE / format.group;

    alignas(64) float d[super ? 1 : SLICE_BLOCKS][COLUMNS];
    alignas(64) float m[super || mins ? (super ? 1 : SLICE_BLOCKS) : 1][COLUMNS];
    // SUPER: a scale per group, and the mins of two groups interleaved in 16 bits each.
    alignas(64) int32_t scale[super ? groups : 1][COLUMNS];
    alignas(64) int32_t min[super ? groups / 2 : 1][COLUMNS];

    void read(const uint8_t *slice, int blocks) {
        for (int v = 0; v < COLUMNS; v += I::lanes) read_scales(slice, blocks, v);
    }

  protected:
    // Fetches a block's share of what follows. A whole slice at once would be more requests than a core has in flight.
    // Tiles of one row skip it (gemm.h), because the processor's own prefetches are faster there.
    static PUNA_INLINE void prefetch_ahead(const uint8_t *slice, int block) {
        constexpr size_t bytes = layout_of(T).slice(SLICE_BLOCKS) / SLICE_BLOCKS;
        const uint8_t *from = slice + bytes * static_cast<size_t>(block) + PREFETCH_BYTES;
        unroll<(bytes + 63) / 64>([&](auto line) __attribute__((always_inline)) { prefetch(from + 64 * line); });
    }

  private:
    using Int = typename I::Int;
    static constexpr size_t PREFETCH_BYTES = 8192; // ahead of a block

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

    // A constant offset acts as mins of offset * scale.
    PUNA_INLINE void read_super_scales(const uint8_t *slice, int v) {
        constexpr bool own_mins = format.offset == 0;
        const typename I::Float scale_of_all = I::load_f16(slice + 2 * v);
        const uint8_t *scales = slice + (own_mins ? 4 : 2) * COLUMNS + v, *least = scales + COLUMNS * groups;
        I::storef(d[0] + v, scale_of_all);
        for (int j = 0; j < groups; j++) I::store(scale[j] + v, Dot::pack_scale(I::load_i8(scales + COLUMNS * j)));
        if constexpr (centred) return;
        I::storef(m[0] + v, own_mins ? I::load_f16(slice + 2 * COLUMNS + 2 * v) : I::mul(scale_of_all, I::broadcast(format.offset)));
        for (int j = 0; j < groups; j += 2) {
            const Int even = own_mins ? I::load_u8(least + COLUMNS * j) : I::load_i8(scales + COLUMNS * j);
            const Int odd = own_mins ? I::load_u8(least + COLUMNS * (j + 1)) : I::load_i8(scales + COLUMNS * (j + 1));
            I::store(min[j / 2] + v, I::interleave16(even, odd));
        }
    }
};

// Extracts one step's quants from a block's bit planes.
template <class I, Type T> struct Quants {
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
        if constexpr (format.bits == 8 && I::WideDot::bias == 0) x = I::flip_sign_bits(x);
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

template <class I, Type T> struct DecodedSlice : SliceScales<I, T> {
    using Dot = DotOf<I, T>;
    alignas(64) uint8_t quants[SLICE_BLOCKS * Dot::steps * 64];

    void read(const uint8_t *slice, int blocks) {
        constexpr Layout layout = layout_of(T);
        SliceScales<I, T>::read(slice, blocks);
        const uint8_t *planes = slice + layout.header(blocks);
        for (int b = 0; b < blocks; b++, planes += layout.quants) {
            SliceScales<I, T>::prefetch_ahead(slice, b);
            for (int v = 0; v < 4 * COLUMNS; v += 4 * I::lanes) {
                uint8_t *at = quants + 64 * Dot::steps * b;
                if constexpr (I::has_mmla)
                    unroll<Dot::steps / 2>([&](auto i) {
                        I::store_interleaved(at + 128 * i + 2 * v, step<2 * i>(planes + v), step<2 * i + 1>(planes + v));
                    });
                else
                    unroll<Dot::steps>([&](auto i) { I::store(at + 64 * i + v, step<i>(planes + v)); });
            }
        }
    }
    static void prefetch_ahead(int) {} // `read` has done it
    // The quants of one step. For MMLA, two steps are interleaved: 8 k of each column.
    template <int step> PUNA_INLINE typename I::Int weights(int64_t block, int at) const {
        return I::load(quants + 64 * (Dot::steps * block + step) + at);
    }

  private:
    template <int i> static PUNA_INLINE typename I::Int step(const uint8_t *planes) { return Quants<I, T>::template of<i>(planes); }
};

// For few rows: decodes into registers at each use.
template <class I, Type T> struct PackedSlice : SliceScales<I, T> {
    const uint8_t *planes;

    void read(const uint8_t *slice, int blocks) {
        planes = slice + layout_of(T).header(blocks);
        SliceScales<I, T>::read(slice, blocks);
    }
    PUNA_INLINE void prefetch_ahead(int block) const { SliceScales<I, T>::prefetch_ahead(planes, block); }
    template <int step> PUNA_INLINE typename I::Int weights(int64_t block, int at) const {
        return Quants<I, T>::template of<step>(planes + layout_of(T).quants * block + at);
    }
};

} // namespace puna
