#include "packed_weights.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace puna {
namespace {

constexpr size_t PAGE = 64 << 10, HUGE_PAGE = 2 << 20; // PAGE: the largest page size of any system

size_t whole_pages(size_t size) { return (size + PAGE - 1) / PAGE * PAGE; }

// A file consists of this head, a table of tensors and, from offset `data` on, the memory as it is.
struct Head {
    char magic[8];
    uint64_t count, data, size, sum; // tensors; offset, size and checksum
};
constexpr char MAGIC[8] = {'P', 'U', 'N', 'A', 'P', 'A', 'C', '1'};

// The FNV-1a checksum of the table.
uint64_t sum_of(const std::vector<PackedTensor> &tensors) {
    uint64_t sum = 0xcbf29ce484222325;
    const auto *bytes = reinterpret_cast<const uint8_t *>(tensors.data());
    for (size_t i = 0; i < tensors.size() * sizeof tensors[0]; i++) sum = (sum ^ bytes[i]) * 0x100000001b3;
    return sum;
}

Head head_of(const std::vector<PackedTensor> &tensors, size_t size) {
    Head head{{}, tensors.size(), 0, size, sum_of(tensors)};
    std::memcpy(head.magic, MAGIC, sizeof MAGIC);
    head.data = whole_pages(sizeof head + tensors.size() * sizeof tensors[0]);
    return head;
}

struct Descriptor {
    int number;
    Descriptor(const char *path, int flags) : number(open(path, flags | O_CLOEXEC, 0600)) {}
    ~Descriptor() {
        if (number >= 0) close(number);
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    bool reads(void *to, size_t size, size_t from) const { return pread(number, to, size, static_cast<off_t>(from)) == static_cast<ssize_t>(size); }
    bool writes(const void *data, size_t size) const {
        for (const auto *from = static_cast<const uint8_t *>(data); size;) {
            const ssize_t count = ::write(number, from, size);
            if (count < 0 && errno != EINTR) return false;
            if (count < 0) continue;
            from += count, size -= static_cast<size_t>(count);
        }
        return true;
    }
};

// Maps zeroed memory, aligned to huge pages.
uint8_t *reserve(size_t size) {
    const size_t length = whole_pages(size);
    void *const all = mmap(nullptr, length + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return nullptr;
    auto *const from = static_cast<uint8_t *>(all);
    const size_t before = (HUGE_PAGE - reinterpret_cast<uintptr_t>(from) % HUGE_PAGE) % HUGE_PAGE;
    if (before) munmap(from, before);
    munmap(from + before + length, HUGE_PAGE - before);
    return from + before;
}

void ask_for_huge_pages([[maybe_unused]] uint8_t *memory, [[maybe_unused]] size_t size) {
#ifdef __linux__
    madvise(memory, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
}

// Whether the system grants huge pages on request.
bool has_huge_pages() {
    std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string modes;
    return std::getline(file, modes) && modes.find("[never]") == std::string::npos;
}

// Whether the first huge page takes over 1 ms, as when a hypervisor has reclaimed free memory.
bool huge_pages_are_slow(uint8_t *memory, size_t size) {
    using Clock = std::chrono::steady_clock;
    if (size < HUGE_PAGE) return false;
    const auto began = Clock::now();
    *memory = 0;
    return Clock::now() - began > std::chrono::milliseconds(1);
}

// Whether 90% of a mapping is in the page cache.
bool in_cache([[maybe_unused]] uint8_t *memory, [[maybe_unused]] size_t size) {
#ifdef __linux__
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages((size + page - 1) / page);
    if (mincore(memory, size, pages.data())) return false;
    const auto cached = std::count_if(pages.begin(), pages.end(), [](unsigned char each) { return each & 1; });
    return static_cast<size_t>(cached) * 10 >= pages.size() * 9;
#else
    return false;
#endif
}

} // namespace

PackedWeights *PackedWeights::make(size_t size, const char *file) {
    std::unique_ptr<PackedWeights> made(new PackedWeights(size));
    made->memory_ = reserve(size);
    if (!made->memory_) return nullptr;
    made->file_ = *file ? made->map(file) : RepackFile::NONE;
    if (made->file_ == RepackFile::MAPPED) {
        made->small_pages_ = true;
        return made.release();
    }
    ask_for_huge_pages(made->memory_, size);
    if (huge_pages_are_slow(made->memory_, size)) {
#ifdef __linux__
        madvise(made->memory_, size / HUGE_PAGE * HUGE_PAGE, MADV_NOHUGEPAGE);
#endif
        made->small_pages_ = true;
    }
    return made.release();
}

PackedWeights::~PackedWeights() {
    if (memory_) munmap(memory_, whole_pages(size_));
}

RepackFile PackedWeights::map(const char *path) {
    const Descriptor file(path, O_RDONLY);
    struct stat state;
    if (file.number < 0 || fstat(file.number, &state)) return RepackFile::NONE;
    Head head;
    const auto length = static_cast<size_t>(state.st_size);
    if (!file.reads(&head, sizeof head, 0) || head.count > length / sizeof(PackedTensor)) return RepackFile::UNUSABLE;
    std::vector<PackedTensor> tensors(head.count);
    if (!file.reads(tensors.data(), head.count * sizeof tensors[0], sizeof head)) return RepackFile::UNUSABLE;
    const Head expected = head_of(tensors, size_);
    if (std::memcmp(&head, &expected, sizeof head) || length != head.data + size_) return RepackFile::UNUSABLE;
    // Copy on write: a tensor that is missing in the file is packed into its place.
    const void *at = mmap(memory_, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file.number, static_cast<off_t>(head.data));
    if (at != MAP_FAILED && in_cache(memory_, size_)) {
        mapped_ = std::move(tensors);
        return RepackFile::MAPPED;
    }
    // Packing the cached model file is faster than reading this one from disk.
    mmap(memory_, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return RepackFile::UNUSED;
}

bool PackedWeights::take(const Tensor &weights, size_t size) {
    PackedTensor tensor{{}, static_cast<uint64_t>(static_cast<uint8_t *>(weights.data) - memory_), size};
    std::memcpy(tensor.name, weights.name, sizeof tensor.name);
    tensors_.push_back(tensor);
    return std::any_of(mapped_.begin(), mapped_.end(), [&](const PackedTensor &each) { return !std::memcmp(&each, &tensor, sizeof tensor); });
}

void PackedWeights::use_huge_pages() {
#ifdef __linux__
    constexpr size_t step = 16 * HUGE_PAGE; // each step becomes a separate mapping, of which a process may have 65,530
    if (!small_pages_ || !has_huge_pages()) return;
    for (size_t at = 0; at + HUGE_PAGE <= size_; at += step) {
        const size_t part = std::min(step, (size_ - at) / HUGE_PAGE * HUGE_PAGE);
        uint8_t *const fresh = reserve(part);
        if (!fresh) return;
        ask_for_huge_pages(fresh, part);
        std::memcpy(fresh, memory_ + at, part);
        if (mremap(fresh, part, part, MREMAP_MAYMOVE | MREMAP_FIXED, memory_ + at) == MAP_FAILED) {
            munmap(fresh, part);
            return;
        }
    }
    small_pages_ = false;
#endif
}

int PackedWeights::write(const char *path) const {
    constexpr size_t step = 64 << 20; // bytes per fsync
    const Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.number < 0) return errno;
    const Head head = head_of(tensors_, size_);
    const std::vector<uint8_t> padding(head.data - sizeof head - tensors_.size() * sizeof tensors_[0]);
    if (!file.writes(&head, sizeof head) || !file.writes(tensors_.data(), tensors_.size() * sizeof tensors_[0]) ||
        !file.writes(padding.data(), padding.size()))
        return errno;
    for (size_t at = 0; at < size_; at += step) {
        if (!file.writes(memory_ + at, std::min(step, size_ - at)) || fsync(file.number)) return errno;
    }
    return 0;
}

} // namespace puna
