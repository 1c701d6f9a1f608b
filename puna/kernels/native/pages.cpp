#include "pages.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace puna {
namespace {

std::mutex mutex;
std::vector<std::pair<uint8_t *, size_t>> unfaulted;

// Drop whole pages, so that they read as zeros. Returns false if the system cannot.
bool drop([[maybe_unused]] uint8_t *from, [[maybe_unused]] size_t size) {
#if defined(__linux__) && defined(MADV_POPULATE_WRITE)
    if (madvise(from, size, MADV_DONTNEED)) return false;
    const std::lock_guard lock(mutex);
    unfaulted.emplace_back(from, size);
    return true;
#else
    return false;
#endif
}

size_t page_size() {
#ifdef __linux__
    return static_cast<size_t>(sysconf(_SC_PAGESIZE));
#else
    return 4096;
#endif
}

} // namespace

void zero(uint8_t *from, size_t size) {
    constexpr size_t worth_it = 32 << 20;
    const size_t page = page_size(), before = (page - reinterpret_cast<uintptr_t>(from) % page) % page;
    const size_t whole = size < worth_it ? 0 : (size - before) / page * page;
    if (!whole || !drop(from + before, whole)) {
        std::memset(from, 0, size);
        return;
    }
    std::memset(from, 0, before);
    std::memset(from + before + whole, 0, size - before - whole);
}

size_t unfaulted_bytes() {
    const std::lock_guard lock(mutex);
    size_t sum = 0;
    for (const auto &[from, size] : unfaulted) sum += size;
    return sum;
}

void prefault() {
    std::vector<std::pair<uint8_t *, size_t>> all;
    {
        const std::lock_guard lock(mutex);
        all.swap(unfaulted);
    }
#if defined(__linux__) && defined(MADV_POPULATE_WRITE)
    constexpr size_t step = 4 << 20; // an evaluation that needs a page waits for one step at most
    for (const auto &[from, size] : all)
        for (size_t at = 0; at < size; at += step) madvise(from + at, std::min(step, size - at), MADV_POPULATE_WRITE);
#endif
}

} // namespace puna
