#include "../kernel.h"

#ifdef __AVX512BF16__

#include "../isa/avx512bf16.h"

namespace puna {

extern const Variant AVX512VNNI, AVX512BF16;

namespace {

bool runs_here() { return AVX512VNNI.runs_here() && __builtin_cpu_supports("avx512bf16"); }

const Kernel *kernel(Type type) {
    static constexpr Kernel f16 = FloatGemm<Avx512, Type::F16, PairedBfloats<Type::F16>>::kernel();
    static constexpr Kernel bf16 = FloatGemm<Avx512, Type::BF16, PairedBfloats<Type::BF16>>::kernel();
    return type == Type::F16 ? &f16 : type == Type::BF16 ? &bf16 : AVX512VNNI.kernel(type);
}

} // namespace

const Variant AVX512BF16{"avx512bf16", true, runs_here, kernel, AVX512VNNI.attention, AVX512VNNI.logits};

} // namespace puna

#else // a compiler that does not know these instructions

namespace puna {

extern const Variant AVX512BF16;
const Variant AVX512BF16{"avx512bf16", true, [] { return false; }, nullptr, nullptr, nullptr};

} // namespace puna

#endif
