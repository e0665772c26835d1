#include "tests/unit/node/counted_allocations.hpp"

#include <cstdlib>
#include <new>

namespace {

std::size_t allocations = 0;

void* take(std::size_t byte_count) noexcept {
  ++allocations;
  return std::malloc(byte_count > 0 ? byte_count : 1);
}

void* take(std::size_t byte_count, std::align_val_t alignment) noexcept {
  ++allocations;
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t units = byte_count / unit + 1;  // aligned_alloc wants a multiple
  return std::aligned_alloc(unit, units * unit);
}

void* checked(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

namespace holdfast::node {

std::size_t counted_allocations() {
  return allocations;
}

}  // namespace holdfast::node

// clang-format off
void* operator new(std::size_t n) { return checked(take(n)); }
void* operator new[](std::size_t n) { return checked(take(n)); }
void* operator new(std::size_t n, std::align_val_t a) { return checked(take(n, a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return checked(take(n, a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return take(n); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return take(n); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return take(n, a); }
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return take(n, a); }

void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
// clang-format on
