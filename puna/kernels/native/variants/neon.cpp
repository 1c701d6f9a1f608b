#include "../attend.h"
#include "../gemm.h"
#include "../isa/neon.h"
#include "../scan.h"

namespace puna {

extern const Variant NEON;
const Variant NEON{"neon", false, [] { return true; }, all_kernels<Neon>, &ATTENTION<Neon>, &LOGITS};

} // namespace puna
