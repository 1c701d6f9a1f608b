// Asks the system for an ARM processor's features.
#pragma once

#ifdef __APPLE__
#include <sys/sysctl.h>
#else
#include <sys/auxv.h>
#endif

namespace puna {

#ifdef __APPLE__
inline bool has(const char *feature) {
    int found = 0;
    size_t size = sizeof found;
    return sysctlbyname(feature, &found, &size, nullptr, 0) == 0 && found;
}
#endif

} // namespace puna
