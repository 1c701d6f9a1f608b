#include "mapping.h"

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace puna {
namespace {

std::vector<std::pair<uintptr_t, uintptr_t>> mappings; // from, to

} // namespace

void note_mappings() {
    mappings.clear();
#ifdef __linux__
    std::FILE *file = std::fopen("/proc/self/maps", "r");
    if (!file) return;
    char line[512];
    while (std::fgets(line, sizeof line, file)) {
        uintptr_t from, to;
        char permissions[5];
        // "7f1c2a000000-7f1c3a000000 r--s ...": read only and shared, so its pages can always be read again.
        if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, permissions) == 3 && std::string_view(permissions) == "r--s")
            mappings.emplace_back(from, to);
    }
    std::fclose(file);
#endif
}

void release([[maybe_unused]] const void *data, [[maybe_unused]] size_t size) {
#ifdef __linux__
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), at = reinterpret_cast<uintptr_t>(data);
    const uintptr_t from = (at + page - 1) / page * page, to = (at + size) / page * page;
    const auto holds = [&](const auto &mapping) { return mapping.first <= from && to <= mapping.second; };
    if (from < to && std::any_of(mappings.begin(), mappings.end(), holds)) madvise(reinterpret_cast<void *>(from), to - from, MADV_DONTNEED);
#endif
}

} // namespace puna
