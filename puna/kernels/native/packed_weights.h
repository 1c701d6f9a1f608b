// The memory that a model's packed weights lie in: filled by packing, or mapped from a file that an earlier load wrote.
#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"

namespace puna {

// Where a tensor lies in the memory of its model, in bytes.
struct PackedTensor {
    char name[64];
    uint64_t offset, size;
};

// What became of the file that a load was to map.
enum class RepackFile { NONE, UNUSED, UNUSABLE, MAPPED };

class PackedWeights {
  public:
    // Memory for weights, from a file if it fits. Null if there is no room.
    static PackedWeights *make(size_t size, const char *file);
    ~PackedWeights();
    PackedWeights(const PackedWeights &) = delete;
    PackedWeights &operator=(const PackedWeights &) = delete;

    uint8_t *memory() const { return memory_; }
    size_t size() const { return size_; }
    RepackFile file() const { return file_; }
    // Whether the weights of this tensor are there; from now on they will be.
    bool take(const Tensor &weights, size_t size);
    // Move what lies in pages of 4 KB to huge ones. Others may read meanwhile.
    void use_huge_pages();
    // Write a file that `make` can map. Returns 0, or the system's error.
    int write(const char *path) const;

  private:
    explicit PackedWeights(size_t size) : size_(size) {}
    RepackFile map(const char *path);

    uint8_t *memory_ = nullptr; // begins at a huge page
    size_t size_;
    RepackFile file_ = RepackFile::NONE;
    bool small_pages_ = false;
    std::vector<PackedTensor> mapped_, tensors_;
};

} // namespace puna
