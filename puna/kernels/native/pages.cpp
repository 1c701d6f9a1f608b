#include "pages.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace puna {
namespace {

void zero_part(uint8_t *from, size_t size) {
#if defined(__linux__) && defined(MADV_POPULATE_WRITE)
    // What is dropped comes back as zeros.
    if (!madvise(from, size, MADV_DONTNEED) && !madvise(from, size, MADV_POPULATE_WRITE)) return;
#endif
    std::memset(from, 0, size);
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
    constexpr size_t worth_a_thread = 32 << 20;
    const size_t page = page_size(), before = (page - reinterpret_cast<uintptr_t>(from) % page) % page;
    if (size < worth_a_thread) {
        std::memset(from, 0, size);
        return;
    }
    uint8_t *const first = from + before;
    const size_t pages = (size - before) / page;
    std::memset(from, 0, before);
    std::memset(first + pages * page, 0, size - before - pages * page);
    const size_t count = std::clamp<size_t>(size / worth_a_thread, 1, std::max(1U, std::thread::hardware_concurrency()));
    std::vector<std::thread> threads;
    const auto part = [&](size_t i) { zero_part(first + pages * i / count * page, (pages * (i + 1) / count - pages * i / count) * page); };
    for (size_t i = 1; i < count; i++) threads.emplace_back(part, i);
    part(0);
    for (std::thread &thread : threads) thread.join();
}

} // namespace puna
