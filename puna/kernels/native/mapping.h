// The model's file, as libllama maps it into memory.
#pragma once

#include <cstddef>

namespace puna {

// Record the files that are now mapped read-only and shared.
void note_mappings();

// `size` bytes at `data` have been read for the last time. If they are in a recorded file, their pages leave this
// process's memory, and the system's cache keeps the file as long as there is room. Other memory stays unchanged.
void release(const void *data, size_t size);

} // namespace puna
