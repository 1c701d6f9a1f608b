#include "../gemm.h"
#include "../isa/avx2.h"

namespace puna {
namespace {

template <Type... T> const Kernel *find(Type type) {
    static constexpr Kernel kernels[] = {kernel<Avx2, T>()...};
    for (const Kernel &kernel : kernels)
        if (kernel.type == type) return &kernel;
    return nullptr;
}

bool runs_here() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

} // namespace

extern const Variant AVX2;
const Variant AVX2{"avx2", runs_here,
                   find<Type::Q4_0, Type::Q4_1, Type::Q5_0, Type::Q5_1, Type::Q8_0, Type::IQ4_NL, Type::IQ4_XS, Type::MXFP4,
                        Type::Q2_K, Type::Q3_K, Type::Q4_K, Type::Q5_K, Type::Q6_K>};

} // namespace puna
