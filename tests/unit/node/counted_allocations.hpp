// Counts what this program takes from the general allocator: linking counted_allocations.cpp
// replaces every form of operator new and delete. Every form, because what one that is left out
// takes, one that is replaced may give back (std::stable_sort's buffer), and the address sanitizer
// rightly refuses such a pair. Not thread-safe.
#pragma once

#include <cstddef>

namespace holdfast::node {

// Since the program's start.
std::size_t counted_allocations();

}  // namespace holdfast::node
