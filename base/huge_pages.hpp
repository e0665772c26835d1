// Asks the system to back memory with huge pages where it has them. Placement only: no value that
// the program computes depends on it, so it may be used below the determinism line.
//
// Random access to gigabytes of small entries costs a page-table walk each with 4 KB pages. The
// usual objection to huge pages, copy-on-write after fork, does not apply: this server never forks.
#pragma once

#include <cstddef>

namespace holdfast {

// `memory` is aligned to 2 MB and `byte_count` a multiple of it. Best effort.
void prefer_huge_pages(void* memory, std::size_t byte_count);

}  // namespace holdfast
