// The words of an inline command (a line typed into telnet), with Redis's quoting: "..." knows \n
// \r \t \b \a \xHH and \",
// '...' knows \' only, and a closing quote must be followed by a space or the end.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::resp {

// Appends the unquoted words to `bytes` and the end of each within `bytes` to `ends`. False: the
// quotes do not balance.
bool split_inline(std::string_view line, std::string& bytes, std::vector<std::size_t>& ends);

}  // namespace holdfast::resp
