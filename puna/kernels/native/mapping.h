// Releases pages of the model's file, which libllama maps into memory, once they are read.
#pragma once

#include <cstddef>

namespace puna {

// Record the files that are mapped read-only and shared now.
void note_mappings();

// Bytes at `data` are no longer needed. If they belong to a recorded file, their pages leave this process's memory. They stay in
// the page cache while there is room. Other memory is left alone.
void release(const void *data, size_t size);

} // namespace puna
