#include <cstring>

#include "kernel.h"

namespace puna {

#ifdef __x86_64__
extern const Variant AVX512BF16, AVX512VNNI, AVX2;
const Variant *const VARIANTS[] = {&AVX512BF16, &AVX512VNNI, &AVX2};
#elif defined __aarch64__
extern const Variant NEONI8MM, NEONDOT, NEON;
const Variant *const VARIANTS[] = {&NEONI8MM, &NEONDOT, &NEON};
#else
const Variant *const VARIANTS[] = {nullptr};
#endif
const int VARIANT_COUNT = VARIANTS[0] ? sizeof VARIANTS / sizeof *VARIANTS : 0;

const Variant *variant(const char *name) {
    for (int i = 0; i < VARIANT_COUNT; i++)
        if ((*name ? std::strcmp(name, VARIANTS[i]->name) == 0 : VARIANTS[i]->measured) && VARIANTS[i]->runs_here()) return VARIANTS[i];
    return nullptr;
}

} // namespace puna
