// The one error type of bpfwarden, and the Result that carries it.
//
// Every function that can fail returns Result<T> (or Status). An Error is plain data: a layer that
// passes it on may put its own context in front, and keeps the errno value. Frozen: policy and
// keyring both stand on this header, so that neither needs to know the other.
#pragma once

#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace bpfwarden {

struct Error {
  int code = 0;                // errno value as the kernel gave it, positive; 0 where there is none
  std::string message;         // what went wrong, no trailing newline
  std::string hint;            // what the user can do next; may be empty
  bool is_unreadable = false;  // what was given to read is not what it should be (exit status 2)

  // Puts "context: " in front of the message.
  [[nodiscard]] Error within(std::string_view context) && {
    message.insert(0, std::string(context) + ": ");
    return std::move(*this);
  }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(std::string message, std::string hint = {}) {
  return std::unexpected(Error{0, std::move(message), std::move(hint)});
}

// A failed system call: `code` is the positive errno, its text is appended to the message.
[[nodiscard]] inline std::unexpected<Error> fail_errno(int code, std::string message,
                                                       std::string hint = {}) {
  message += ": ";
  message += std::strerror(code);
  return std::unexpected(Error{code, std::move(message), std::move(hint)});
}

// Says of an error that a file could not be read as what it should be.
[[nodiscard]] inline std::unexpected<Error> unreadable(Error error) {
  error.is_unreadable = true;
  return std::unexpected(std::move(error));
}
[[nodiscard]] inline std::unexpected<Error> unreadable(std::unexpected<Error> failed) {
  return unreadable(std::move(failed).error());
}

}  // namespace bpfwarden
