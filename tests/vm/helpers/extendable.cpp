#include "tests/vm/helpers/extendable.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <catch2/catch_test_macros.hpp>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {

Extendable::Object Extendable::open(const char* program) {
  Object object(
      bpf_object__open_file((std::string(kOwnObjects) + "/extend.bpf.o").c_str(), nullptr));
  REQUIRE(object);
  bpf_program* one = nullptr;
  bpf_object__for_each_program(one, object.get())
      bpf_program__set_autoload(one, std::string(program) == bpf_program__name(one));
  return object;
}

Extendable::Extendable() : host_(open("host")), extension_(open("extension")) {
  REQUIRE(bpf_object__load(host_.get()) == 0);
  bpf_program* program = bpf_object__find_program_by_name(extension_.get(), "extension");
  REQUIRE(bpf_program__set_attach_target(program, host(), "replaceable") == 0);
  REQUIRE(bpf_object__load(extension_.get()) == 0);
}

int Extendable::host() const {
  return bpf_program__fd(bpf_object__find_program_by_name(host_.get(), "host"));
}

uint32_t Extendable::id_of(const std::string& function) const {
  const int id =
      btf__find_by_name_kind(bpf_object__btf(host_.get()), function.c_str(), BTF_KIND_FUNC);
  REQUIRE(id > 0);
  return static_cast<uint32_t>(id);
}

Attempt Extendable::load_extension() const {
  const bpf_program* loaded = bpf_object__find_program_by_name(extension_.get(), "extension");
  Load request = {.type = BPF_PROG_TYPE_EXT};
  const auto* first = reinterpret_cast<const uint8_t*>(bpf_program__insns(loaded));
  request.insns.assign(first, first + bpf_program__insn_cnt(loaded) * sizeof(bpf_insn));
  request.btf_id = id_of("replaceable");
  request.change = [&](bpf_attr& attr) {
    attr.attach_prog_fd = static_cast<uint32_t>(host());
    attr.prog_btf_fd = static_cast<uint32_t>(bpf_object__btf_fd(extension_.get()));
    attr.func_info = loader::as_u64(bpf_program__func_info(loaded));
    attr.func_info_cnt = bpf_program__func_info_cnt(loaded);
    attr.func_info_rec_size = sizeof(bpf_func_info);
  };
  return load(request);
}

int Extendable::link(const Fd& extension, const std::string& function) const {
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<uint32_t>(extension.get());
  if (!function.empty()) {
    attr.link_create.target_fd = static_cast<uint32_t>(host());
    attr.link_create.target_btf_id = id_of(function);
  }
  return error_of_made(loader::sys_bpf(BPF_LINK_CREATE, attr));
}

}  // namespace bpfwarden::vm
