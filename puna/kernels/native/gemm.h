// The matrix product of quantised weights with rows of activations, written once for all processors.
//
// A slice of some panels is decoded into L1, then all rows pass over it in register tiles of R rows by P panels. Sums over 32 or
// 256 k are integers, and floats are added in the order of k. So neither tiling nor threads change a bit of a row's result.
#pragma once

#include "activation.h"
#include "decode.h"
#include "floats.h"
#include "kernel.h"
#include "tile.h"

namespace puna {

// A tile's weights and activations in one block of 32 k. A step is 4 k. D: `DecodedSlice` or `PackedSlice`.
template <class I, class D, int R, int P> struct TileOperands {
    const D *w; // P panels
    const uint8_t *const (&rows)[R];
    int64_t block;

    template <int step> PUNA_INLINE typename I::Int weights(int c) const {
        return w[c / VECTORS<I>].template weights<step>(block, 4 * I::lanes * (c % VECTORS<I>));
    }
    PUNA_INLINE typename I::Int activations(int step, int r) const { return I::broadcast4(rows[r] + BLOCK * block + 4 * step); }
};

// sums = the dot products of STEPS steps; with MORE, sums +=. They are 32-bit integers, or what `widen` makes these of.
template <class I, int FIRST, int STEPS, bool MORE = false, class D, int R, int P>
PUNA_INLINE void dot(const TileOperands<I, D, R, P> &at, Ints<I, R, P> &sums) {
    using U = typename D::Dot;
    if constexpr (P == 1 && !MORE && U::template has_tile<R, STEPS>)
        return U::template tile<STEPS>(at.w->quants + 64 * (U::steps * at.block + FIRST), at.rows, BLOCK * at.block + 4 * FIRST, sums);
    unroll<STEPS>([&](auto step) __attribute__((always_inline)) {
        typename I::Int v[P * VECTORS<I>];
        for (int c = 0; c < P * VECTORS<I>; c++) v[c] = at.template weights<FIRST + step>(c);
        for (int r = 0; r < R; r++) {
            const typename I::Int x = at.activations(FIRST + step, r);
            for (int c = 0; c < P * VECTORS<I>; c++) {
                sums[r][c] = step == 0 && !MORE ? U::product(v[c], x) : U::accumulate(sums[r][c], v[c], x);
                I::pin_register(sums[r][c]);
            }
        }
    });
}

// The same for few steps: all weights stay in registers, and each sum goes to take(r, c, sum) at once.
template <class I, int FIRST, int STEPS, class D, int R, int P, class Take>
PUNA_INLINE void short_dot(const TileOperands<I, D, R, P> &at, Take take) {
    using U = typename D::Dot;
    typename I::Int v[STEPS][P * VECTORS<I>];
    unroll<STEPS>([&](auto step) __attribute__((always_inline)) {
        for (int c = 0; c < P * VECTORS<I>; c++) v[step][c] = at.template weights<FIRST + step>(c);
    });
    for (int r = 0; r < R; r++) {
        typename I::Int sums[P * VECTORS<I>];
        for (int step = 0; step < STEPS; step++) {
            const typename I::Int x = at.activations(FIRST + step, r);
            for (int c = 0; c < P * VECTORS<I>; c++) sums[c] = step == 0 ? U::product(v[step][c], x) : U::accumulate(sums[c], v[step][c], x);
        }
        for (int c = 0; c < P * VECTORS<I>; c++) take(r, c, sums[c]);
    }
}

// The same with MMLA, which multiplies two rows by two columns of 8 k. Rows stay in registers while columns pass. Sums start with
// start(r). An odd last row is paired with itself.
template <class I, int FIRST, int STEPS, class D, int R, class Start, class Take>
PUNA_INLINE void mmla_dot(const TileOperands<I, D, R, 1> &at, Start start, Take take) {
    constexpr int pairs = (R + 1) / 2, loads = STEPS / 4; // pairs of rows; loads of 16 k
    typename I::Int x[loads][pairs][2], before[pairs];
    for (int p = 0; p < pairs; p++) {
        const int first = 2 * p, second = first + 1 < R ? first + 1 : first;
        before[p] = I::zip_low64(start(first), start(second));
        for (int load = 0; load < loads; load++) {
            const int64_t k = BLOCK * at.block + 4 * FIRST + 16 * load;
            I::interleave_rows(at.rows[first] + k, at.rows[second] + k, x[load][p]);
        }
    }
    const uint8_t *quants = at.w->quants + 64 * (D::Dot::steps * at.block + FIRST);
    unroll<VECTORS<I>>([&](auto c) __attribute__((always_inline)) {
        typename I::Int sums[pairs][2];
        for (int p = 0; p < pairs; p++) sums[p][0] = sums[p][1] = before[p];
        unroll<STEPS / 2>([&](auto eight) __attribute__((always_inline)) {
            for (int side = 0; side < 2; side++) {
                const typename I::Int w = I::load(quants + 128 * eight + 32 * c + 16 * side);
                for (int p = 0; p < pairs; p++) sums[p][side] = I::mmla(sums[p][side], x[eight / 2][p][eight % 2], w);
            }
        });
        for (int p = 0; p < pairs; p++) {
            take(2 * p, c, I::zip_low64(sums[p][0], sums[p][1]));
            if (2 * p + 1 < R) take(2 * p + 1, c, I::zip_high64(sums[p][0], sums[p][1]));
        }
    });
}

// Passes the dot products of STEPS steps to take(r, c, sum), by the fastest way for this many.
template <class I, int FIRST, int STEPS, class D, int R, int P, class Take>
PUNA_INLINE void for_dots(const TileOperands<I, D, R, P> &at, Take take) {
    constexpr int few = 4;
    if constexpr (I::has_mmla) {
        mmla_dot<I, FIRST, STEPS>(at, [](int) { return I::zero(); }, take);
    } else if constexpr (STEPS <= few && !(P == 1 && D::Dot::template has_tile<R, STEPS>)) {
        short_dot<I, FIRST, STEPS>(at, take);
    } else {
        Ints<I, R, P> sums;
        dot<I, FIRST, STEPS>(at, sums);
        for (int c = 0; c < P * VECTORS<I>; c++)
            for (int r = 0; r < R; r++) take(r, c, sums[r][c]);
    }
}

// The same, but each sum starts with start(r).
template <class I, int FIRST, int STEPS, class D, int R, int P, class Start, class Take>
PUNA_INLINE void for_dots_from(const TileOperands<I, D, R, P> &at, Start start, Take take) {
    if constexpr (I::has_mmla) {
        mmla_dot<I, FIRST, STEPS>(at, start, take);
    } else if constexpr (D::Dot::sums_int32) {
        Ints<I, R, P> sums;
        for (int r = 0; r < R; r++)
            for (auto &sum : sums[r]) sum = start(r);
        dot<I, FIRST, STEPS, true>(at, sums);
        for (int r = 0; r < R; r++)
            for (int c = 0; c < P * VECTORS<I>; c++) take(r, c, sums[r][c]);
    } else {
        const auto started = [&](int r, int c, typename I::Int sum) __attribute__((always_inline)) { take(r, c, D::Dot::add_start(sum, start(r))); };
        for_dots<I, FIRST, STEPS>(at, started);
    }
}

// The scales of the tile's vector c.
template <class I, class S> PUNA_INLINE const S *scales_at(const S (&scales)[COLUMNS], int c) { return scales + I::lanes * (c % VECTORS<I>); }

// Types with a scale per 32 k.
template <class I, Type T, class D, int R, int P>
PUNA_INLINE void multiply_blocks(const D *w, int blocks, const uint8_t *const (&rows)[R], Floats<I, R, P> &out) {
    using U = typename D::Dot;
    constexpr int steps_per_sum = U::max_steps(max_quant_of<T>()) < U::steps ? U::max_steps(max_quant_of<T>()) : U::steps;
    // -offset * (sum of activations): sums start with it where they are 32-bit from the first step.
    constexpr bool offset = offset_of<I, T>() != 0, started = offset && (U::sums_int32 || I::has_mmla);
    for (auto &row : out)
        for (auto &x : row) x = I::zerof();
    for (int b = 0; b < blocks; b++) {
        const TileOperands<I, D, R, P> at{w, rows, b};
        if constexpr (R > 1) w->prefetch_ahead(b);
        const auto start = [&](int r) __attribute__((always_inline)) {
            return offset ? I::broadcast4(reinterpret_cast<const BlockRow *>(rows[r])->start + b) : I::zero();
        };
        const auto finish = [&](int r, int c, typename I::Int sum) __attribute__((always_inline)) {
            const auto &x = *reinterpret_cast<const BlockRow *>(rows[r]);
            const D &panel = w[c / VECTORS<I>];
            if constexpr (offset && !started) sum = I::add(sum, start(r));
            out[r][c] = I::fma(I::to_float(sum), I::mul(I::broadcast(x.d[b]), I::loadf(scales_at<I>(panel.d[b], c))), out[r][c]);
            if constexpr (D::mins) out[r][c] = I::fma(I::broadcast(x.sum[b]), I::loadf(scales_at<I>(panel.m[b], c)), out[r][c]);
        };
        if constexpr (started || I::has_mmla) {
            for_dots_from<I, 0, U::steps>(at, start, finish);
        } else {
            Ints<I, R, P> total;
            unroll<U::steps / steps_per_sum>([&](auto part) __attribute__((always_inline)) {
                for_dots<I, steps_per_sum * part, steps_per_sum>(at, [&](int r, int c, typename I::Int x) __attribute__((always_inline)) {
                    total[r][c] = part == 0 ? U::widen(x) : I::add(total[r][c], U::widen(x));
                    I::pin_register(total[r][c]);
                });
            });
            for (int r = 0; r < R; r++)
                for (int c = 0; c < P * VECTORS<I>; c++) finish(r, c, total[r][c]);
        }
    }
}

// Types with a superblock of 256 k: one float scale, and integer scales per 16 or 32 k.
template <class I, class D, int R, int P, int TOP>
PUNA_INLINE void multiply_superblock(const D *w, const uint8_t *const (&rows)[R], Floats<I, R, P> &out) {
    using U = typename D::Dot;
    using Activation = std::conditional_t<D::centred, CentredRow, SuperRow>;
    constexpr int steps = D::format.group / 4, groups = U::steps / steps; // steps per group, groups per block
    constexpr int steps_per_sum = !D::centred && U::max_steps(TOP) < steps ? U::max_steps(TOP) : steps;
    const auto activation = [&](int r) __attribute__((always_inline)) -> const Activation & {
        return *reinterpret_cast<const Activation *>(rows[r]);
    };
    Ints<I, R, P> total;
    for (auto &row : total)
        for (auto &x : row) x = I::zero();
    for (int b = 0; b < SLICE_BLOCKS; b++) {
        if constexpr (R > 1) w->prefetch_ahead(b);
        unroll<U::steps / steps_per_sum>([&](auto part) __attribute__((always_inline)) {
            const int j = groups * b + steps_per_sum * part / steps;
            const auto take = [&](int r, int c, typename I::Int x) __attribute__((always_inline)) {
                total[r][c] = I::add(total[r][c], U::widen_scaled(x, I::load(scales_at<I>(w[c / VECTORS<I>].scale[j], c))));
                I::pin_register(total[r][c]);
            };
            const TileOperands<I, D, R, P> at{w, rows, b};
            if constexpr (D::centred)
                for_dots_from<I, steps_per_sum * part, steps_per_sum>(
                    at, [&](int r) __attribute__((always_inline)) { return I::broadcast4(activation(r).starts + j); }, take);
            else
                for_dots<I, steps_per_sum * part, steps_per_sum>(at, take);
        });
    }
    for (int r = 0; r < R; r++) {
        const auto &x = activation(r);
        for (int c = 0; c < P * VECTORS<I>; c++) {
            const D &panel = w[c / VECTORS<I>];
            typename I::Float sum = I::mul(I::to_float(total[r][c]), I::loadf(scales_at<I>(panel.d[0], c)));
            if constexpr (!D::centred) {
                typename I::Int least = I::zero();
                for (int j = 0; j < D::groups / 2; j++)
                    least = I::madd16(least, I::load(scales_at<I>(panel.min[j], c)), I::broadcast4(x.sums + 2 * j));
                sum = I::fnma(I::to_float(least), I::loadf(scales_at<I>(panel.m[0], c)), sum);
            }
            out[r][c] = I::mul(I::broadcast(x.d), sum);
        }
    }
}

// The kernel of one quantised type.
template <class I, Type T> class QuantGemm {
  public:
    static constexpr int64_t row_bytes = centred<I, T>() ? sizeof(CentredRow) : DecodedSlice<I, T>::super ? sizeof(SuperRow) : sizeof(BlockRow);
    static constexpr int panels = sizeof(DecodedSlice<I, T>) > 8192 ? 2 : 4; // decoded at once, in L1

    // Few rows are bound by memory, so they read one panel after another, as one stream.
    static void multiply(const Product &p) {
        using Few = std::conditional_t<I::decodes_in_registers, PackedSlice<I, T>, DecodedSlice<I, T>>;
        p.row_count > MEMORY_BOUND_ROWS ? multiply<DecodedSlice<I, T>, panels, I::tile_panels, I::tile_rows>(p)
                                         : multiply<Few, 1, 1, I::tile_rows * I::tile_panels>(p);
    }

  private:
    // One slice of some panels, and the activations that it is multiplied with.
    template <class D> struct PanelSlice {
        const D *panels;
        int blocks;
        const uint8_t *activations;
        int64_t column, width;
        bool first;
    };

    // Goes by slices of TOGETHER panels, in tiles of up to R rows by P panels.
    template <class D, int TOGETHER, int P, int R> static void multiply(const Product &p) {
        D decoded[TOGETHER];
        constexpr Layout layout = layout_of(T);
        const size_t panel_bytes = layout.panel(p.blocks);
        constexpr int64_t together = COLUMNS * TOGETHER;
        for (int64_t column = 0; column < p.columns; column += together) {
            const uint8_t *slice = p.panels + panel_bytes * (column / COLUMNS);
            const uint8_t *activations = p.activations;
            for (int64_t block = 0; block < p.blocks; block += SLICE_BLOCKS) {
                const int blocks = static_cast<int>(p.blocks - block < SLICE_BLOCKS ? p.blocks - block : SLICE_BLOCKS);
                const int64_t width = p.columns - column < together ? p.columns - column : together;
                for (int64_t n = 0; COLUMNS * n < width; n++) decoded[n].read(slice + panel_bytes * n, blocks);
                multiply_rows<P, R>(PanelSlice<D>{decoded, blocks, activations, p.first_column + column, width, block == 0}, p.rows, p.row_count);
                slice += layout.slice(blocks);
                activations += p.slice_stride;
            }
        }
    }

    template <int P, int R, class D> static void multiply_rows(const PanelSlice<D> &slice, const Row *rows, int64_t count) {
        for (; count >= R; rows += R, count -= R) tiles<P, R>(slice, rows, count >= 2 * R ? rows + R : rows);
        if constexpr (R > 1)
            if (count) multiply_rows<P, R / 2>(slice, rows, count);
    }

    // The results of a tile are far apart, so hardware prefetching misses them: they are fetched while the tile is computed. The
    // next rows' activations are fetched during the second tile, because both at once would be too many requests.
    template <int P, int R, class D> static void tiles(const PanelSlice<D> &slice, const Row *rows, const Row *next) {
        const uint8_t *a[R];
        for (int r = 0; r < R; r++) a[r] = slice.activations + row_bytes * rows[r].source;
        int64_t n = 0;
        for (; COLUMNS * (n + P - 1) < slice.width; n += P) {
            if (n == P)
                for (int r = 0; r < R; r++)
                    for (int64_t byte = 0; byte < row_bytes; byte += 64) __builtin_prefetch(slice.activations + row_bytes * next[r].source + byte);
            tile<R, P>(slice, n, a, rows);
        }
        if constexpr (P > 1)
            for (; COLUMNS * n < slice.width; n++) tile<R, 1>(slice, n, a, rows);
    }

    template <int R, int P, class D>
    static PUNA_INLINE void tile(const PanelSlice<D> &slice, int64_t n, const uint8_t *const (&a)[R], const Row *rows) {
        const int64_t column = slice.column + COLUMNS * n;
        for (int r = 0; r < R; r++)
            for (int c = 0; c < P * COLUMNS; c += COLUMNS) __builtin_prefetch(rows[r].target + column + c);
        Floats<I, R, P> out;
        if constexpr (D::super)
            multiply_superblock<I, D, R, P, max_quant_of<T>()>(slice.panels + n, a, out);
        else
            multiply_blocks<I, T, D, R, P>(slice.panels + n, slice.blocks, a, out);
        write_tile<I, R, P>(out, rows, column, slice.width - COLUMNS * n, slice.first);
    }
};

template <class I, Type T> constexpr Kernel kernel() {
    constexpr Format format = *format_of(T);
    if constexpr (format.scaling == Scaling::FLOAT) {
        return FloatGemm<I, T>::kernel();
    } else {
        using S = QuantGemm<I, T>;
        if constexpr (centred<I, T>()) {
            constexpr auto quantise = quantise_centred<I, DotOf<I, T>, format.offset>;
            return {T, I::pays(T), S::row_bytes, Activations::SLICES, COLUMNS * S::panels, quantise, S::multiply};
        } else if constexpr (DecodedSlice<I, T>::super)
            return {T, I::pays(T), S::row_bytes, Activations::SLICES, COLUMNS * S::panels, quantise_super<I, format.group>, S::multiply};
        else
            return {T, I::pays(T), S::row_bytes, Activations::BLOCKS, COLUMNS * S::panels,
                    quantise_blocks<I, offset_of<I, T>(), format.scaling == Scaling::MIN>, S::multiply};
    }
}

template <class I, Type... T> const Kernel *find_kernel(Type type) {
    static constexpr Kernel kernels[] = {kernel<I, T>()...};
    for (const Kernel &kernel : kernels)
        if (kernel.type == type) return &kernel;
    return nullptr;
}

template <class I> const Kernel *all_kernels(Type type) {
    return find_kernel<I, Type::Q4_0, Type::Q4_1, Type::Q5_0, Type::Q5_1, Type::Q8_0, Type::IQ4_NL, Type::IQ4_XS, Type::MXFP4, Type::Q2_K,
                       Type::Q3_K, Type::Q4_K, Type::Q5_K, Type::Q6_K, Type::F16, Type::BF16, Type::F32>(type);
}

} // namespace puna
