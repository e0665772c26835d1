#include "base/huge_pages.hpp"

#include <sys/mman.h>

namespace holdfast {

void prefer_huge_pages(void* memory, std::size_t byte_count) {
  madvise(memory, byte_count, MADV_HUGEPAGE);
}

}  // namespace holdfast
