// The product of panels with rows, written once for all processors.
//
// A slice of some panels is decoded into the cache, then all rows pass over it in tiles: R rows by 16 columns. Sums
// over 32 or 256 k are whole numbers; floats are added in the order of k alone. So the tile that a row happens to be
// in, and how many threads share the work, change no bit of its result.
#pragma once

#include "activation.h"
#include "decode.h"
#include "floats.h"
#include "kernel.h"
#include "tile.h"

namespace puna {

// sums = the dot products of STEPS steps, as whole numbers of 32 bits or what `widen` and `scaled` make these of.
// The activations are `at` bytes behind `rows`.
template <class I, class U, int R, int STEPS>
PUNA_INLINE void dot(const uint8_t *w, const uint8_t *const (&rows)[R], int64_t at, Ints<I, R> &sums) {
    if constexpr (U::template tiles<R, STEPS>) return U::template tile<STEPS>(w, rows, at, sums);
    unroll<STEPS>([&](auto step) __attribute__((always_inline)) {
        typename I::Int v[VECTORS<I>];
        for (int c = 0; c < VECTORS<I>; c++) v[c] = I::load(w + 64 * step + 4 * I::lanes * c);
        for (int r = 0; r < R; r++) {
            const typename I::Int x = I::broadcast4(rows[r] + at + 4 * step);
            for (int c = 0; c < VECTORS<I>; c++) {
                sums[r][c] = step == 0 ? U::product(v[c], x) : U::accumulate(sums[r][c], v[c], x);
                I::settle(sums[r][c]);
            }
        }
    });
}

// The same of so few steps that their weights stay in registers and each sum goes on at once, to take(r, c, sum).
template <class I, class U, int R, int STEPS, class Take>
PUNA_INLINE void short_dot(const uint8_t *w, const uint8_t *const (&rows)[R], int64_t at, Take take) {
    typename I::Int v[STEPS][VECTORS<I>];
    for (int step = 0; step < STEPS; step++)
        for (int c = 0; c < VECTORS<I>; c++) v[step][c] = I::load(w + 64 * step + 4 * I::lanes * c);
    for (int r = 0; r < R; r++) {
        typename I::Int sums[VECTORS<I>];
        for (int step = 0; step < STEPS; step++) {
            const typename I::Int x = I::broadcast4(rows[r] + at + 4 * step);
            for (int c = 0; c < VECTORS<I>; c++) sums[c] = step == 0 ? U::product(v[step][c], x) : U::accumulate(sums[c], v[step][c], x);
        }
        for (int c = 0; c < VECTORS<I>; c++) take(r, c, sums[c]);
    }
}

// Let all sums of STEPS steps go to take(r, c, sum), in the way that suits so many.
template <class I, class U, int R, int STEPS, class Take>
PUNA_INLINE void each_dot(const uint8_t *w, const uint8_t *const (&rows)[R], int64_t at, Take take) {
    constexpr int few = 4;
    if constexpr (STEPS <= few && !U::template tiles<R, STEPS>) return short_dot<I, U, R, STEPS>(w, rows, at, take);
    Ints<I, R> sums;
    dot<I, U, R, STEPS>(w, rows, at, sums);
    for (int c = 0; c < VECTORS<I>; c++)
        for (int r = 0; r < R; r++) take(r, c, sums[r][c]);
}

// Types with a scale for every 32 k.
template <class I, Type T, int R>
PUNA_INLINE void multiply_blocks(const Decoded<I, T> &w, int blocks, const uint8_t *const (&rows)[R], Floats<I, R> &out) {
    using U = UnitOf<I, T>;
    constexpr int depth = U::depth(top_of<T>()) < U::steps ? U::depth(top_of<T>()) : U::steps;
    for (auto &row : out)
        for (auto &x : row) x = I::zerof();
    for (int b = 0; b < blocks; b++) {
        Ints<I, R> total;
        unroll<U::steps / depth>([&](auto part) __attribute__((always_inline)) {
            const int64_t at = U::steps * b + depth * part;
            each_dot<I, U, R, depth>(w.numbers + 64 * at, rows, 4 * at, [&](int r, int c, typename I::Int x) __attribute__((always_inline)) {
                total[r][c] = part == 0 ? U::widen(x) : I::add(total[r][c], U::widen(x));
                I::settle(total[r][c]);
            });
        });
        for (int r = 0; r < R; r++) {
            const auto &x = *reinterpret_cast<const BlockRow *>(rows[r]);
            const typename I::Float d = I::broadcast(x.d[b]);
            for (int c = 0; c < VECTORS<I>; c++) {
                if constexpr (offset_of<I, T>() != 0) total[r][c] = I::add(total[r][c], I::broadcast4(x.start + b));
                out[r][c] = I::fma(I::to_float(total[r][c]), I::mul(d, I::loadf(w.d[b] + I::lanes * c)), out[r][c]);
                if constexpr (Decoded<I, T>::mins)
                    out[r][c] = I::fma(I::broadcast(x.sum[b]), I::loadf(w.m[b] + I::lanes * c), out[r][c]);
            }
        }
    }
}

// Types with whole scales below one for 256 k.
template <class I, Type T, int R>
PUNA_INLINE void multiply_super(const Decoded<I, T> &w, const uint8_t *const (&rows)[R], Floats<I, R> &out) {
    using U = UnitOf<I, T>;
    using D = Decoded<I, T>;
    constexpr int steps = D::format.group / 4;
    constexpr int depth = U::depth(top_of<T>()) < steps ? U::depth(top_of<T>()) : steps;
    Ints<I, R> total;
    for (auto &row : total)
        for (auto &x : row) x = I::zero();
    for (int j = 0; j < D::groups; j++) {
        unroll<steps / depth>([&](auto part) __attribute__((always_inline)) {
            const int64_t at = steps * j + depth * part;
            each_dot<I, U, R, depth>(w.numbers + 64 * at, rows, 4 * at, [&](int r, int c, typename I::Int x) __attribute__((always_inline)) {
                total[r][c] = I::add(total[r][c], U::scaled(x, I::load(w.scale[j] + I::lanes * c)));
                I::settle(total[r][c]);
            });
        });
    }
    for (int r = 0; r < R; r++) {
        const auto &x = *reinterpret_cast<const SuperRow *>(rows[r]);
        for (int c = 0; c < VECTORS<I>; c++) {
            typename I::Int least = I::zero();
            for (int j = 0; j < D::groups / 2; j++)
                least = I::add(least, I::pairs(I::load(w.min[j] + I::lanes * c), I::broadcast4(x.sums + 2 * j)));
            const typename I::Float sum = I::mul(I::to_float(total[r][c]), I::loadf(w.d[0] + I::lanes * c));
            out[r][c] = I::mul(I::broadcast(x.d), I::fnma(I::to_float(least), I::loadf(w.m[0] + I::lanes * c), sum));
        }
    }
}

// One slice of one product.
template <class I, Type T> class Sweep {
  public:
    static constexpr int64_t row_bytes = Decoded<I, T>::super ? sizeof(SuperRow) : sizeof(BlockRow);
    static constexpr int panels = sizeof(Decoded<I, T>) > 8192 ? 2 : 4; // that lie decoded in the first cache at once

    static void multiply(const Product &p) {
        Decoded<I, T> decoded[panels];
        constexpr Layout layout = layout_of(T);
        const size_t panel_bytes = layout.panel(p.blocks);
        // Few rows are bound by memory: panel after panel, the weights are one stream.
        const int64_t together = COLUMNS * (p.row_count > FEW ? panels : 1);
        for (int64_t column = 0; column < p.columns; column += together) {
            const uint8_t *slice = p.panels + panel_bytes * (column / COLUMNS);
            const uint8_t *activations = p.activations;
            for (int64_t block = 0; block < p.blocks; block += SLICE_BLOCKS) {
                const int blocks = static_cast<int>(p.blocks - block < SLICE_BLOCKS ? p.blocks - block : SLICE_BLOCKS);
                const int64_t width = p.columns - column < together ? p.columns - column : together;
                for (int64_t n = 0; COLUMNS * n < width; n++) decoded[n].read(slice + panel_bytes * n, blocks);
                const Part part{decoded, blocks, activations, p.first_column + column, width, block == 0};
                int64_t at = 0;
                for (; at + I::rows <= p.row_count; at += I::rows) tile<I::rows>(part, p.rows + at);
                rest<I::rows / 2>(part, p.rows + at, p.row_count - at);
                slice += layout.slice(blocks);
                activations += p.slice_stride;
            }
        }
    }

  private:
    static constexpr int64_t FEW = 8;

    struct Part {
        const Decoded<I, T> *decoded;
        int blocks;
        const uint8_t *activations;
        int64_t column, width;
        bool first;
    };

    template <int R> static void rest(const Part &part, const Row *rows, int64_t count) {
        if (count & R) {
            tile<R>(part, rows);
            rows += R;
        }
        if constexpr (R > 1) rest<R / 2>(part, rows, count);
    }

    template <int R> static void tile(const Part &part, const Row *rows) {
        const uint8_t *a[R];
        for (int r = 0; r < R; r++) a[r] = part.activations + row_bytes * rows[r].source;
        for (int64_t n = 0; COLUMNS * n < part.width; n++) {
            Floats<I, R> out;
            if constexpr (Decoded<I, T>::super)
                multiply_super<I, T, R>(part.decoded[n], a, out);
            else
                multiply_blocks<I, T, R>(part.decoded[n], part.blocks, a, out);
            deliver<I, R>(out, rows, part.column + COLUMNS * n, part.width - COLUMNS * n, part.first);
        }
    }
};

template <class I, Type T> constexpr Kernel kernel() {
    constexpr Format format = *format_of(T);
    if constexpr (format.scaling == Scaling::FLOAT) {
        using S = FloatSweep<I, T>;
        return {T, I::pays(T), S::row_bytes, 0, COLUMNS * FLOAT_PANELS, copy_floats, S::multiply};
    } else {
        using S = Sweep<I, T>;
        if constexpr (Decoded<I, T>::super)
            return {T, I::pays(T), S::row_bytes, SLICE, COLUMNS * S::panels, quantise_super<I, format.group>, S::multiply};
        else
            return {T, I::pays(T), S::row_bytes, BLOCK, COLUMNS * S::panels,
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
