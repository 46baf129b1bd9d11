// Which programs are the members of a struct_ops: its map tells their ids where the struct has
// function pointers (bpf_struct_ops_map_sys_lookup_elem()), and BTF tells where those are.
#pragma once

#include <bpf/btf.h>
#include <linux/bpf.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bpfwarden::loader {

struct StructOpsMembers {
  std::vector<uint32_t> programs;  // none, unless it is registered or waits for a link
  bool needs_link = false;         // only a link makes it active
};

// Reads the kernel's BTF when it is first needed, and keeps it.
class StructOps {
 public:
  // Errors: errno of bpf(2), or of reading BTF.
  [[nodiscard]] Result<StructOpsMembers> members_of(const Fd& map, const bpf_map_info& info);

 private:
  struct Free {
    void operator()(btf* owned) const { btf__free(owned); }
  };
  using Types = std::unique_ptr<btf, Free>;

  // Of the kernel itself, or of the module `id`.
  [[nodiscard]] Result<const btf*> types(uint32_t id);

  Types kernel_;
  std::map<uint32_t, Types> modules_;
};

}  // namespace bpfwarden::loader
