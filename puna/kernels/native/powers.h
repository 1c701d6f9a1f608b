// Powers of two and tanh, of vectors of floats.
#pragma once

#include "tile.h"

namespace puna {

// 2^part for a part from -1/2 to 1/2: Taylor's first seven terms.
template <class I> PUNA_INLINE typename I::Float power_of_part(typename I::Float part) {
    auto y = I::broadcast(1.5403530e-4F);
    for (const float c : {1.3333558e-3F, 9.6181291e-3F, 5.5504109e-2F, 2.4022651e-1F, 6.9314718e-1F, 1.0F}) y = I::fma(y, part, I::broadcast(c));
    return y;
}

// 2^n for whole n up to 127; next to nothing, or zero, from -127 down.
template <class I> PUNA_INLINE typename I::Float whole_power(typename I::Float n) { return I::times_power(I::broadcast(1), n); }

// 1 - 2 / (1 + e^2x); beyond 10 it is 1.
template <class I> typename I::Float tanh(typename I::Float x) {
    const auto minus = I::broadcast(-1), one = I::broadcast(1);
    x = I::maxf(I::broadcast(-10), x);
    x = I::mul(minus, I::maxf(I::broadcast(-10), I::mul(minus, x)));
    const auto twice = I::mul(x, I::broadcast(2 * 1.44269504F)), whole = I::round(twice);
    const auto e = I::times_power(power_of_part<I>(I::fma(minus, whole, twice)), whole);
    return I::fma(I::broadcast(-2), I::div(one, I::addf(one, e)), one);
}

} // namespace puna
