// A variant for one family of processors: a kernel for each type of weights, one for attention, and one for logits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attention.h"
#include "logits.h"
#include "panel.h"

namespace puna {

// A row of activations and where its products go. `source` counts rows of the quantised activations.
struct Row {
    int64_t source;
    float *target; // the row's product with column 0
};

// A thread's unit of work: some panels times all rows given.
struct Product {
    const uint8_t *panels;
    int64_t first_column;
    int64_t columns; // of the panels given; the last panel may be narrower than 16
    int64_t blocks;  // of 32 along k
    const uint8_t *activations;
    size_t slice_stride; // bytes from one slice of the activations to the next
    const Row *rows;
    int64_t row_count;
};

// How a kernel stores activations: F32, BF16 (as its weights), or 8-bit integers with a scale for each 32 or 256.
enum class Activations { FLOAT = 0, BFLOAT = 1, BLOCKS = 32, SLICES = 256 };

struct Kernel {
    Type type;
    bool pays;             // measured to be faster than libllama's own
    size_t row_bytes;      // quantised activations of a row in a slice
    Activations activations;
    int64_t chunk_columns; // columns of a product that leave room in the cache for the activations
    // Quantise a row's `blocks` (1..8) of 32 activations.
    void (*quantise)(const float *x, int blocks, uint8_t *row);
    // To the last bit, a row's products depend only on this row and the weights.
    void (*multiply)(const Product &product);
};

struct Variant {
    const char *name;
    bool measured; // on a real processor; otherwise used only when named
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
