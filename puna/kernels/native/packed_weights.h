// The memory of a model's packed weights. It is filled by packing, or mapped from a file that an earlier load wrote.
#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"

namespace puna {

// A tensor's place in its model's packed memory, in bytes.
struct PackedTensor {
    char name[64];
    uint64_t offset, size;
};

// What a load did with the file: there was none, it was not in the page cache, it did not fit, or it is mapped.
enum class RepackFile { NONE, UNUSED, UNUSABLE, MAPPED };

class PackedWeights {
  public:
    // Allocate memory, or map the file if it fits. Null if there is no memory.
    static PackedWeights *make(size_t size, const char *file);
    ~PackedWeights();
    PackedWeights(const PackedWeights &) = delete;
    PackedWeights &operator=(const PackedWeights &) = delete;

    uint8_t *memory() const { return memory_; }
    size_t size() const { return size_; }
    RepackFile file() const { return file_; }
    // Register a tensor. Returns whether the mapped file contains it; otherwise the caller packs it.
    bool take(const Tensor &weights, size_t size);
    // Move the weights from pages of 4 KB to huge pages. Other threads may read them meanwhile.
    void use_huge_pages();
    // Write a file that `make` can map. Returns 0 or errno.
    int write(const char *path) const;

  private:
    explicit PackedWeights(size_t size) : size_(size) {}
    RepackFile map(const char *path);

    uint8_t *memory_ = nullptr; // aligned to huge pages
    size_t size_;
    RepackFile file_ = RepackFile::NONE;
    bool small_pages_ = false;
    std::vector<PackedTensor> mapped_, tensors_;
};

} // namespace puna
