// Zeroes large buffers without touching their pages. Pages enter memory on first use, or when the engine is idle.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna {

void zero(uint8_t *from, size_t size);

// Bytes that `zero` left for later.
size_t unfaulted_bytes();

// Populate them now. Other threads may use them meanwhile.
void prefault();

} // namespace puna
