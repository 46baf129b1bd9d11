// A program of extend.bpf.c, whose functions can be replaced, and what replaces them.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// Both are loaded on construction, through libbpf: before there is a policy.
class Extendable {
 public:
  Extendable();

  // One more extension of `replaceable`, by bpf(2) alone.
  [[nodiscard]] Attempt load_extension() const;

  // Links it there; nothing of the target is said where `function` is empty. 0, or errno.
  [[nodiscard]] int link(const Fd& extension, const std::string& function = "") const;

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  using Object = std::unique_ptr<bpf_object, Close>;

  // With this program alone.
  static Object open(const char* program);
  [[nodiscard]] int host() const;
  [[nodiscard]] uint32_t id_of(const std::string& function) const;  // in the host's BTF

  Object host_, extension_;
};

}  // namespace bpfwarden::vm
