#include "tests/vm/helpers/struct_ops.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kStruct = "tcp_congestion_ops";

const btf* kernel_types() {
  static btf* const kernel = btf__load_vmlinux_btf();
  REQUIRE(kernel != nullptr);
  return kernel;
}

uint32_t struct_id(const std::string& name) {
  const int id = btf__find_by_name_kind(kernel_types(), name.c_str(), BTF_KIND_STRUCT);
  REQUIRE(id > 0);
  return static_cast<uint32_t>(id);
}

struct Member {
  uint32_t index = 0, offset = 0;  // in bytes
};

Member member(const std::string& of, const char* name) {
  const btf_type* type = btf__type_by_id(kernel_types(), struct_id(of));
  for (uint32_t i = 0; i < btf_vlen(type); i++)
    if (std::strcmp(name, btf__name_by_offset(kernel_types(), btf_members(type)[i].name_off)) == 0)
      return {.index = i, .offset = btf_member_bit_offset(type, i) / 8};
  FAIL(of << " has no member " << name);
  return {};
}

std::string value_name() { return std::string("bpf_struct_ops_") + kStruct; }

Attempt load_member(const char* name) {
  Load request = program_of("struct_ops", kStruct);
  request.attach_type = member(kStruct, name).index;
  return load(request);
}

size_t value_size() { return btf__type_by_id(kernel_types(), struct_id(value_name()))->size; }

// The kernel wants the types of whoever makes such a map, and makes no use of them: one is enough.
Fd load_types() {
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__new_empty(), btf__free);
  REQUIRE(btf__add_int(types.get(), "int", sizeof(int), BTF_INT_SIGNED) > 0);
  bpf_attr attr = {};
  attr.btf = loader::as_u64(btf__raw_data(types.get(), &attr.btf_size));
  Fd loaded(loader::sys_bpf(BPF_BTF_LOAD, attr));
  REQUIRE(loaded);
  return loaded;
}

Fd make_struct_map(uint32_t flags = 0) {
  const Fd types = load_types();
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_STRUCT_OPS;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = static_cast<uint32_t>(value_size());
  attr.max_entries = 1;
  attr.map_flags = flags;
  attr.btf_fd = static_cast<uint32_t>(types.get());
  attr.btf_vmlinux_value_type_id = struct_id(value_name());
  Fd map(loader::sys_bpf(BPF_MAP_CREATE, attr));
  INFO(std::strerror(errno));
  REQUIRE(map);
  return map;
}

// The value of the map: a program's file descriptor stands where the struct has a function.
class Value {
 public:
  explicit Value(const std::string& name = "att")
      : bytes_(value_size()), data_(member(value_name(), "data").offset) {
    std::memcpy(bytes_.data() + data_ + member(kStruct, "name").offset, name.c_str(),
                name.size() + 1);
  }

  void put(const char* function, const Fd& program) {
    const auto fd = static_cast<uint64_t>(program.get());
    std::memcpy(bytes_.data() + data_ + member(kStruct, function).offset, &fd, sizeof(fd));
  }

  [[nodiscard]] const uint8_t* data() const { return bytes_.data(); }

 private:
  std::vector<uint8_t> bytes_;
  size_t data_;
};

Attach register_congestion(Where) {
  Attempt ssthresh = load_member("ssthresh"), undo = load_member("undo_cwnd");
  REQUIRE(ssthresh.error == 0);
  REQUIRE(undo.error == 0);
  return [map = make_struct_map(), ssthresh = std::move(ssthresh.fd),
          undo = std::move(undo.fd)](const Fd& program) {
    Value value;
    value.put("ssthresh", ssthresh);
    value.put("undo_cwnd", undo);
    value.put("cong_avoid", program);
    const uint32_t first = 0;
    const int error = error_of(bpf_map_update_elem(map.get(), &first, value.data(), BPF_ANY));
    if (error == 0) REQUIRE(bpf_map_delete_elem(map.get(), &first) == 0);
    return error;
  };
}

}  // namespace

Row congestion_row() {
  return {"struct_ops",
          "map-update",
          "",
          std::string("/") + kStruct,
          "",
          register_congestion,
          [] { return load_member("cong_avoid"); },
          true};
}

FilledOperations::FilledOperations() : map_(make_struct_map(BPF_F_LINK)) {
  Value value("filled");
  std::vector<Attempt> programs;
  for (const char* const name : {"ssthresh", "undo_cwnd", "cong_avoid"}) {
    programs.push_back(load_member(name));
    REQUIRE(programs.back().error == 0);
    value.put(name, programs.back().fd);
  }
  const uint32_t first = 0;
  REQUIRE(error_of(bpf_map_update_elem(map_.get(), &first, value.data(), BPF_ANY)) == 0);
}

Fd FilledOperations::link() const {
  return Fd(bpf_link_create(map_.get(), 0, BPF_STRUCT_OPS, nullptr));
}

int FilledOperations::update(const Fd& link) const {
  return error_of(bpf_link_update(link.get(), map_.get(), nullptr));
}

}  // namespace bpfwarden::vm
