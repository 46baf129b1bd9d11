// Elements of a skeleton's tables, as bpftool generates them.
#pragma once

#include <bpf/libbpf.h>

#include <cstddef>

namespace bpfwarden::loader {

// The tables have a stride of their own, which grows from one libbpf to the next.
template <class T>
const T& skeleton_entry(const T* table, int index, int stride) {
  const auto* bytes = reinterpret_cast<const std::byte*>(table);
  return *reinterpret_cast<const T*>(bytes + static_cast<ptrdiff_t>(index) * stride);
}

}  // namespace bpfwarden::loader
