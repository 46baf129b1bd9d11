// A program whose instructions are others once the kernel has relocated them.
#pragma once

#include <bpf/btf.h>

#include "base/fd.h"
#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// A signed `r0 = 8` with a CO-RE relocation that makes it the offset of task_struct::pid.
struct Relocated {
  btf* types = btf__new_empty();
  std::string license = "GPL";
  Fd types_fd;
  bpf_core_relo relocation = {};

  Relocated() {
    const int word = btf__add_int(types, "int", 4, BTF_INT_SIGNED);
    const int task = btf__add_struct(types, "task_struct", 16);
    btf__add_field(types, "pid", word, 64, 0);
    relocation.insn_off = 0;
    relocation.type_id = static_cast<uint32_t>(task);
    relocation.access_str_off = static_cast<uint32_t>(btf__add_str(types, "0:0"));
    relocation.kind = BPF_CORE_FIELD_BYTE_OFFSET;
    uint32_t size = 0;
    const void* raw = btf__raw_data(types, &size);
    bpf_attr attr = {};
    attr.btf = loader::as_u64(raw);
    attr.btf_size = size;
    types_fd = Fd(loader::sys_bpf(BPF_BTF_LOAD, attr));
  }
  Relocated(const Relocated&) = delete;
  Relocated& operator=(const Relocated&) = delete;
  ~Relocated() { btf__free(types); }

  Load request(const Signer& signer) {
    Load made;
    made.insns = Load::return_value(8);
    made.signed_by(signer);
    made.change = [this](bpf_attr& attr) {
      attr.prog_btf_fd = static_cast<uint32_t>(types_fd.get());
      attr.core_relos = loader::as_u64(&relocation);
      attr.core_relo_cnt = 1;
      attr.core_relo_rec_size = sizeof(relocation);
    };
    return made;
  }
};

}  // namespace bpfwarden::vm
