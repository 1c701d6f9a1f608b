#include "../attend.h"
#include "../gemm.h"
#include "../isa/arm_features.h"
#include "../isa/neon.h"
#include "../scan.h"

namespace puna {
namespace {

#ifdef __APPLE__
bool runs_here() { return has("hw.optional.arm.FEAT_DotProd"); }
#else
bool runs_here() { return getauxval(AT_HWCAP) & 1 << 20; } // HWCAP_ASIMDDP
#endif

} // namespace

extern const Variant NEONDOT;
const Variant NEONDOT{"neondot", false, runs_here, all_kernels<NeonDot>, &ATTENTION<NeonDot>, &LOGITS};

} // namespace puna
