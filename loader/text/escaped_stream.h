// Standard output and standard error of this process: whatever a verb prints of others' names, an
// object's, a policy's or an event's, reaches neither a terminal nor a log as control characters.
#pragma once

#include <cstdio>
#include <string_view>

namespace bpfwarden::loader {

// From here on, stdout and stderr write policy::escaped() of what they are given. Once, at the
// start of main(). std::cout and std::cerr go past them: nothing uses those.
void escape_standard_streams();

// What has been made for a terminal, with escape sequences of our own; names in it are escaped
// already. On standard output, after what was printed before.
void put_on_terminal(std::string_view text);

// 0, or the errno with which standard output could not be written; flushes it.
[[nodiscard]] int output_error();

}  // namespace bpfwarden::loader
