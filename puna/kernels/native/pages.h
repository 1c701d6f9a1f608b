// Zeros large buffers without touching their pages, which come into memory on first use or when there is time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna {

void zero(uint8_t *from, size_t size);

// Bytes of pages that `zero` left for later.
size_t pages_to_come();

// Bring them into memory now. Other threads may use them meanwhile.
void bring_pages();

} // namespace puna
