// Attacks on bpfwarden's programs, their links and their types.
#include <bpf/bpf.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "decoy.skel.h"
#include "loader/kernel/syscall.h"
#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kDescriptor = "a descriptor of a program, a link or BTF";
constexpr const char* kExtended = "freplace or tracing on a program";
constexpr const char* kLink = "LINK_DETACH or LINK_UPDATE on an LSM link";

uint32_t id_of_types(const Fd& types) {
  bpf_btf_info info = {};
  uint32_t size = sizeof(info);
  return bpf_btf_get_info_by_fd(types.get(), &info, &size) == 0 ? info.id : 0;
}

int trace(const Fd& program, uint32_t function, const char* family) {
  Load request = program_of(family);
  request.btf_id = function;
  request.change = [&](bpf_attr& attr) {
    attr.attach_prog_fd = static_cast<uint32_t>(program.get());
  };
  return load(request).error;
}

// Of a program that is there already: an interrupted tracer needs no more than a link.
int trace_with_link(Victim& victim) {
  Load request = program_of("fentry");
  request.btf_id = victim.function;
  request.change = [&](bpf_attr& attr) {
    attr.attach_prog_fd = static_cast<uint32_t>(victim.program.get());
  };
  const Attempt made = load(request);
  if (made.error != 0) return made.error;
  return error_of_made(bpf_raw_tracepoint_open(nullptr, made.fd.get()));
}

int replace(Victim& victim) {
  Load request = {.type = BPF_PROG_TYPE_EXT};
  request.btf_id = victim.function;
  request.change = [&](bpf_attr& attr) {
    attr.attach_prog_fd = static_cast<uint32_t>(victim.program.get());
  };
  return load(request).error;
}

// A tracing program moves to another one when it is linked.
int retarget(Victim& victim) {
  const Attempt replacing = load(program_of("fentry", "bpf_fentry_test1"));
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<uint32_t>(replacing.fd.get());
  attr.link_create.target_fd = static_cast<uint32_t>(victim.program.get());
  attr.link_create.target_btf_id = victim.function;
  attr.link_create.attach_type = BPF_TRACE_FENTRY;
  return error_of_made(loader::sys_bpf(BPF_LINK_CREATE, attr));
}

// An extension of a program of one's own, of the type that the victim's has, and then linked to the
// victim's. Made once, while everybody may load: afterwards only its instructions are loaded again.
class Extension {
 public:
  Extension() : host_(decoy_bpf__open()), own_(decoy_bpf__open()) {
    REQUIRE((host_ != nullptr && own_ != nullptr));
    load_alone(host_, host_->progs.decoy_prog);
    REQUIRE(bpf_program__set_attach_target(own_->progs.replacement, host(), "reach_own") == 0);
    load_alone(own_, own_->progs.replacement);
  }

  [[nodiscard]] Attempt load_again() const {
    const bpf_program* const made = own_->progs.replacement;
    Load request = {.type = BPF_PROG_TYPE_EXT};
    const auto* const first = reinterpret_cast<const uint8_t*>(bpf_program__insns(made));
    request.insns.assign(first, first + bpf_program__insn_cnt(made) * sizeof(bpf_insn));
    request.btf_id = function_of(host(), "reach_own");
    request.change = [&](bpf_attr& attr) {
      attr.attach_prog_fd = static_cast<uint32_t>(host());
      attr.prog_btf_fd = static_cast<uint32_t>(bpf_object__btf_fd(own_->obj));
      attr.func_info = loader::as_u64(bpf_program__func_info(made));
      attr.func_info_cnt = bpf_program__func_info_cnt(made);
      attr.func_info_rec_size = sizeof(bpf_func_info);
    };
    return load(request);
  }

 private:
  static void load_alone(decoy_bpf* object, const bpf_program* program) {
    bpf_program* one = nullptr;
    bpf_object__for_each_program(one, object->obj) bpf_program__set_autoload(one, one == program);
    REQUIRE(decoy_bpf__load(object) == 0);
  }

  [[nodiscard]] int host() const { return bpf_program__fd(host_->progs.decoy_prog); }

  decoy_bpf *host_, *own_;  // for as long as the process lives
};

int move_extension(Victim& victim) {
  static const Extension extension;
  const Attempt made = extension.load_again();
  if (made.error != 0) return made.error;
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<uint32_t>(made.fd.get());
  attr.link_create.target_fd = static_cast<uint32_t>(victim.program.get());
  attr.link_create.target_btf_id = victim.replaceable;
  return error_of_made(loader::sys_bpf(BPF_LINK_CREATE, attr));
}

int program_by_int80(uint32_t id) {
  bpf_attr& attr = low_attr();
  attr.prog_id = id;
  const long made =
      by_int80(357, BPF_PROG_GET_FD_BY_ID, reinterpret_cast<uint64_t>(&attr), sizeof(attr));
  return made < 0 ? static_cast<int>(-made) : error_of_made(static_cast<int>(made));
}

int update_link(Victim& victim) {
  const Attempt other = load(program_of("lsm", "socket_listen"));
  if (other.error != 0) return other.error;
  const Fd link(bpf_obj_get(victim.link_pin().c_str()));
  return error_of(bpf_link_update(link.get(), other.fd.get(), nullptr));
}

int detach_link(Victim& victim) {
  const Fd link(bpf_obj_get(victim.link_pin().c_str()));
  return error_of(bpf_link_detach(link.get()));
}

}  // namespace

SealAttacks attacks_on_programs() {
  return {
      {"a program by its number", kDescriptor, ENOENT,
       [](Victim& victim) {
         return error_of_made(bpf_prog_get_fd_by_id(program_id(victim.program)));
       }},
      {"a program by its number, by int 0x80", kDescriptor, ENOENT,
       [](Victim& victim) { return program_by_int80(program_id(victim.program)); }},
      {"a program by its number, beside a thread", kDescriptor, ENOENT,
       [](Victim& victim) {
         const Companion thread;
         return error_of_made(bpf_prog_get_fd_by_id(program_id(victim.program)));
       }},
      {"a program of the guard by its number", kDescriptor, ENOENT,
       [](Victim& victim) {
         return error_of_made(bpf_prog_get_fd_by_id(program_id(victim.guard)));
       }},
      {"a link by its number", kDescriptor, ENOENT,
       [](Victim& victim) { return error_of_made(bpf_link_get_fd_by_id(link_id(victim.link))); }},
      {"BTF by its number", kDescriptor, ENOENT,
       [](Victim& victim) {
         return error_of_made(bpf_btf_get_fd_by_id(id_of_types(victim.types)));
       }},
      {"trace a program by a descriptor of before: fentry", kExtended, EPERM,
       [](Victim& victim) { return trace(victim.program, victim.function, "fentry"); }},
      {"trace a program by a descriptor of before: fexit", kExtended, EPERM,
       [](Victim& victim) { return trace(victim.program, victim.function, "fexit"); }},
      {"trace a program, and link it", kExtended, EPERM, trace_with_link},
      {"trace a program of the guard", kExtended, EPERM,
       [](Victim& victim) { return trace(victim.guard, 1, "fentry"); }, On::sealed},
      {"replace a function of a program", kExtended, EPERM, replace, On::sealed},
      {"extend a program of one's own, and link that to another", kExtended, EPERM, move_extension},
      {"link a tracer of something else to a program", kExtended, EINVAL, retarget, On::sealed},
      {"detach a link, by its pin", kLink, EOPNOTSUPP, detach_link, On::sealed},
      {"detach a link, by a descriptor of before", kLink, EOPNOTSUPP,
       [](Victim& victim) { return error_of(bpf_link_detach(victim.link.get())); }, On::sealed},
      {"put another program into a link", kLink, EINVAL, update_link, On::sealed},
  };
}

}  // namespace bpfwarden::vm
