// The memory of a model's packed weights: filled by packing, or mapped from a file that an earlier load wrote.
#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"

namespace puna {

// A tensor's place in the memory of its model, in bytes.
struct PackedTensor {
    char name[64];
    uint64_t offset, size;
};

// The result for the file that a load could map.
enum class RepackFile { NONE, UNUSED, UNUSABLE, MAPPED };

class PackedWeights {
  public:
    // Memory for weights, mapped from the file if it fits. Null if there is no room.
    static PackedWeights *make(size_t size, const char *file);
    ~PackedWeights();
    PackedWeights(const PackedWeights &) = delete;
    PackedWeights &operator=(const PackedWeights &) = delete;

    uint8_t *memory() const { return memory_; }
    size_t size() const { return size_; }
    RepackFile file() const { return file_; }
    // Register a tensor. Returns whether the mapped file has its weights; otherwise the caller packs them.
    bool take(const Tensor &weights, size_t size);
    // Move the weights from pages of 4 KB to huge pages. Other threads may read them meanwhile.
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
