// exp2 and tanh of vectors of floats.
#pragma once

#include "tile.h"

namespace puna {

// 2^x for x in [-1/2, 1/2], by a Taylor polynomial of degree 6.
template <class I> PUNA_INLINE typename I::Float exp2_fraction(typename I::Float x) {
    auto y = I::broadcast(1.5403530e-4F);
    for (const float c : {1.3333558e-3F, 9.6181291e-3F, 5.5504109e-2F, 2.4022651e-1F, 6.9314718e-1F, 1.0F}) y = I::fma(y, x, I::broadcast(c));
    return y;
}

// 2^n for integers n up to 127. From -127 down: zero or subnormal.
template <class I> PUNA_INLINE typename I::Float exp2_integer(typename I::Float n) { return I::scalef(I::broadcast(1), n); }

// tanh x = 1 - 2 / (1 + e^2x), with x clamped to [-10, 10].
template <class I> typename I::Float tanh(typename I::Float x) {
    const auto minus = I::broadcast(-1), one = I::broadcast(1);
    x = I::maxf(I::broadcast(-10), x);
    x = I::mul(minus, I::maxf(I::broadcast(-10), I::mul(minus, x)));
    const auto twice = I::mul(x, I::broadcast(2 * 1.44269504F)), integer = I::round(twice);
    const auto e = I::scalef(exp2_fraction<I>(I::fma(minus, integer, twice)), integer);
    return I::fma(I::broadcast(-2), I::div(one, I::addf(one, e)), one);
}

} // namespace puna
