#include "../attend.h"
#include "../gemm.h"
#include "../isa/neon.h"
#include "../scan.h"

#ifdef __APPLE__
#include <sys/sysctl.h>
#else
#include <sys/auxv.h>
#endif

namespace puna {
namespace {

bool runs_here() {
#ifdef __APPLE__
    int has = 0;
    size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, nullptr, 0) == 0 && has;
#else
    constexpr unsigned long dot_products = 1 << 20; // HWCAP_ASIMDDP of Linux
    return getauxval(AT_HWCAP) & dot_products;
#endif
}

} // namespace

extern const Variant NEONDOT;
const Variant NEONDOT{"neondot", false, runs_here, all_kernels<NeonDot>, &ATTENTION<NeonDot>, &LOGITS};

} // namespace puna
