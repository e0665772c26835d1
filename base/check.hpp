// HF_CHECK stops the process at a broken invariant of our own, in every build. It is never used on
// input: bad input is a Result or an error reply. The condition must be cheap: it stays on in
// release.
#pragma once

namespace holdfast {

[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace holdfast

#define HF_CHECK(condition)                                     \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::holdfast::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
