#include "../attend.h"
#include "../gemm.h"
#include "../isa/avx512.h"
#include "../scan.h"

namespace puna {
namespace {

bool runs_here() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

} // namespace

extern const Variant AVX512VNNI;
const Variant AVX512VNNI{"avx512vnni", true, runs_here, all_kernels<Avx512>, &ATTENTION<Avx512>, &LOGITS};

} // namespace puna
