// A variant for one family of processors: a kernel for each type of weights, one for attention, and one for logits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attention.h"
#include "logits.h"
#include "panel.h"

namespace puna {

// A row of a product.
struct Row {
    int64_t source; // index among the rows of quantised activations
    float *target;  // the result for column 0
};

// Products with up to so many rows are bound by memory.
constexpr int64_t MEMORY_BOUND_ROWS = 8;

// A thread's piece of a product: some panels times some rows.
struct Product {
    const uint8_t *panels;
    int64_t first_column;
    int64_t columns; // of these panels; the last one may have fewer than 16
    int64_t blocks;  // of 32 k
    const uint8_t *activations;
    size_t slice_stride; // bytes from one slice of the activations to the next
    const Row *rows;
    int64_t row_count;
};

// How a kernel stores activations: as F32, as BF16, or as 8-bit integers with a scale per 32 or 256.
enum class Activations { FLOAT = 0, BFLOAT = 1, BLOCKS = 32, SLICES = 256 };

struct Kernel {
    Type type;
    bool pays;             // measured faster than libllama's own
    size_t row_bytes;      // of a slice of quantised activations
    Activations activations;
    int64_t chunk_columns; // columns per piece, so that the cache has room for activations, too
    // Quantise one slice: 1..8 blocks of 32 activations.
    void (*quantise)(const float *x, int blocks, uint8_t *row);
    // The bits of a row's result depend only on this row and the weights.
    void (*multiply)(const Product &product);
};

struct Variant {
    const char *name;
    bool measured; // on a real processor; otherwise used only if the user names it
    bool (*runs_here)();
    const Kernel *(*kernel)(Type type); // null if the type is not covered
    const AttentionKernel *attention;
    const LogitsKernel *logits;
};

// Best first.
extern const Variant *const VARIANTS[];
extern const int VARIANT_COUNT;

// The variant of this name, or the best measured one for this processor if the name is empty; null if there is none.
const Variant *variant(const char *name);

} // namespace puna
