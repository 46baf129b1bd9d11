// Fixed-size text fields of records that the kernel part writes.
#pragma once

#include <cstddef>
#include <string>

namespace bpfwarden::loader {

// Up to the first NUL, or to the end; what a terminal could take amiss is a `?`.
[[nodiscard]] std::string kernel_text(const void* bytes, size_t size);

}  // namespace bpfwarden::loader
