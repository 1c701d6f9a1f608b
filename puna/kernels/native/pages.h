// Memory that is filled with zeros by the system, a range at a time, instead of a fault for each page.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna {

// Make `size` bytes zero and resident. They lie in private memory that nobody else uses meanwhile.
void zero(uint8_t *from, size_t size);

} // namespace puna
