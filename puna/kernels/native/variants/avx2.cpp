#include "../attend.h"
#include "../gemm.h"
#include "../isa/avx2.h"
#include "../scan.h"

namespace puna {
namespace {

bool runs_here() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

} // namespace

extern const Variant AVX2;
const Variant AVX2{"avx2", true, runs_here, all_kernels<Avx2>, &ATTENTION<Avx2>, &LOGITS};

} // namespace puna
