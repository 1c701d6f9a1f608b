// Zeros for large buffers, whose pages come into memory later: when they are first used, or when there is time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna {

void zero(uint8_t *from, size_t size);

// Bytes that `zero` left to come later.
size_t pages_to_come();

// Bring them into memory now. Others may use them meanwhile.
void bring_pages();

} // namespace puna
