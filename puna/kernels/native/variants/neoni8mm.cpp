#include "../kernel.h"

#if defined __ARM_FEATURE_MATMUL_INT8 && defined __ARM_FEATURE_BF16_VECTOR_ARITHMETIC

#include "../attend.h"
#include "../gemm.h"
#include "../isa/arm_features.h"
#include "../isa/neonbf16.h"
#include "../scan.h"

namespace puna {
namespace {

#ifdef __APPLE__
bool runs_here() { return has("hw.optional.arm.FEAT_I8MM") && has("hw.optional.arm.FEAT_BF16"); }
#else
bool runs_here() {
    constexpr unsigned long both = 1 << 13 | 1 << 14; // HWCAP2_I8MM, HWCAP2_BF16
    return (getauxval(AT_HWCAP2) & both) == both;
}
#endif

const Kernel *kernel(Type type) {
    static constexpr Kernel f16 = FloatGemm<NeonMatrix, Type::F16, NeonBfloats<Type::F16>>::kernel();
    static constexpr Kernel bf16 = FloatGemm<NeonMatrix, Type::BF16, NeonBfloats<Type::BF16>>::kernel();
    return type == Type::F16 ? &f16 : type == Type::BF16 ? &bf16 : all_kernels<NeonMatrix>(type);
}

} // namespace

extern const Variant NEONI8MM;
const Variant NEONI8MM{"neoni8mm", false, runs_here, kernel, &ATTENTION<NeonMatrix>, &LOGITS};

} // namespace puna

#else // a compiler that does not know these instructions

namespace puna {

extern const Variant NEONI8MM;
const Variant NEONI8MM{"neoni8mm", false, [] { return false; }, nullptr, nullptr, nullptr};

} // namespace puna

#endif
