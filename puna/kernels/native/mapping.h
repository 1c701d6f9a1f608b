// The model's file, as libllama maps it into memory.
#pragma once

#include <cstddef>

namespace puna {

// Take note of the files that are mapped now and shared with other processes.
void note_mappings();

// `size` bytes at `data` have been read for the last time. If they lie in a file that was noted, their pages leave this
// process's memory, and the system's cache keeps the file as long as there is room. All other memory stays as it is.
void release(const void *data, size_t size);

} // namespace puna
