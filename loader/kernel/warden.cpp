#include "loader/kernel/warden.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/file.h"
#include "loader/btf/harden_tables.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/btf/kernel_has.h"
#include "loader/host/lockdown.h"
#include "loader/kernel/guard.h"
#include "loader/kernel/hooks.h"
#include "loader/kernel/libbpf_log.h"
#include "loader/kernel/own_objects.h"
#include "loader/kernel/part.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/skeleton_entry.h"
#include "loader/kernel/trial.h"
#include "warden.skel.h"

namespace bpfwarden::loader {
namespace {

constexpr const char* kDoctor = "run `bpfwarden doctor`: it says what this kernel lacks";

// A sentence, and the kernel's own words in a file: they are for whoever reports it.
std::unexpected<Error> failed(int error, const char* what, const std::string& log) {
  constexpr const char* file = "/run/bpfwarden-load.log";
  std::string hint = error == EPERM && is_filtered()
                         ? "seccomp filters this process: run it outside the container"
                         : kDoctor;
  if (!log.empty() && write_output(file, log))
    hint += std::string("; its own words are in ") + file;
  return fail_errno(error, what, hint);
}

// The verifier would say it in twenty lines.
Status require_kernel_reads() {
  if (!forbids_kernel_reads(lockdown_modes())) return {};
  return fail(std::string("lockdown: ") + kLockdownRefusal, kLockdownHint);
}

// What differs from kernel to kernel, and the kernel part cannot say by itself.
void fit_kernel_part(warden_bpf& skeleton) {
  if (!BW_KERNEL_HAS(netif_change_name))
    (void)bpf_program__set_attach_target(skeleton.progs.device_renamed, 0, "dev_change_name");
  // The kernel verifies all of it: the room for it is not needed.
  if (!verifies_by_kernel_part())
    (void)bpf_map__set_value_size(skeleton.maps.verify_slots, sizeof(uint64_t));
}

// The kernel's numbers for what [harden] closes.
void number_hardenings(warden_bpf& skeleton) {
  const HardenTables tables = harden_tables();
  std::ranges::copy(tables.reasons, skeleton.rodata->harden_reasons);
  std::ranges::copy(tables.integrity, skeleton.rodata->harden_integrity);
  std::ranges::copy(tables.data, skeleton.rodata->harden_data);
  std::ranges::copy(tables.files, skeleton.rodata->harden_files);
}

// ---- Who else is where a hook is to be attached -------------------------------------------------
// A function of the kernel has room for 38 programs (BPF_MAX_TRAMP_LINKS), whosever they are.

std::optional<bpf_prog_info> info_of_program(int fd) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (fd < 0 || bpf_prog_get_info_by_fd(fd, &info, &size) != 0) return std::nullopt;
  return info;
}

bool are_on_same_function(const bpf_prog_info& left, const bpf_prog_info& right) {
  return left.attach_btf_id != 0 && left.attach_btf_id == right.attach_btf_id &&
         left.attach_btf_obj_id == right.attach_btf_obj_id;
}

std::string crowd_around(const bpf_prog_info& hook) {
  std::string names;
  size_t count = 0;
  for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const auto other = info_of_program(Fd(bpf_prog_get_fd_by_id(id)).get());
    if (!other || other->id == hook.id || !are_on_same_function(*other, hook)) continue;
    names += (count == 0 ? ": " : ", ") + std::to_string(id) + " '" + other->name + "'";
    count++;
  }
  return std::to_string(count) + " programs are there already" + names;
}

// Of the first hook that has not been attached.
std::string crowd_text(const bpf_object_skeleton& skeleton) {
  for (int i = 0; i < skeleton.prog_cnt; i++) {
    const auto& entry = skeleton_entry(skeleton.progs, i, skeleton.prog_skel_sz);
    if (*entry.link != nullptr || is_guard(*entry.prog)) continue;
    const auto info = info_of_program(bpf_program__fd(*entry.prog));
    if (info) return std::string(entry.name) + ": " + crowd_around(*info);
  }
  return {};
}

}  // namespace

void Warden::Free::operator()(warden_bpf* skeleton) const {
  if (is_beside) (void)remove_beside({});
  if (with_guard) (void)detach_guard(kept);
  warden_bpf__destroy(skeleton);
}

Result<Warden> Warden::load(bool with_guard) {
  if (Status may_read = require_kernel_reads(); !may_read)
    return std::unexpected(std::move(may_read).error());
  const LibbpfLog log;
  Warden warden(warden_bpf__open());
  if (!warden.skeleton_) return fail_errno(errno, "cannot open the kernel part");
  fit_kernel_part(*warden.skeleton_);
  number_hardenings(*warden.skeleton_);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, warden.skeleton_->obj) if (is_guard(program))
      bpf_program__set_autoload(program, with_guard);
  if (const int error = warden_bpf__load(warden.skeleton_.get()); error != 0)
    return failed(-error, "the kernel does not load the hooks", log.text());
  return warden;
}

Result<Warden> Warden::load_lists() {
  if (Status may_read = require_kernel_reads(); !may_read)
    return std::unexpected(std::move(may_read).error());
  const LibbpfLog log;
  Warden warden(warden_bpf__open());
  if (!warden.skeleton_) return fail_errno(errno, "cannot open the kernel part");
  fit_kernel_part(*warden.skeleton_);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, warden.skeleton_->obj) bpf_program__set_autoload(
      program, bpf_program__expected_attach_type(program) == BPF_TRACE_ITER);
  if (const int error = warden_bpf__load(warden.skeleton_.get()); error != 0)
    return fail_errno(-error, log.text() + "cannot load the iterators",
                      ::geteuid() == 0 ? kDoctor : "run as root");
  if (auto attached = warden.attach(); !attached) return std::unexpected(attached.error());
  return warden;
}

ListLinks Warden::list_links() const {
  return {.programs = bpf_link__fd(skeleton_->links.list_programs),
          .links = bpf_link__fd(skeleton_->links.list_links),
          .holders = bpf_link__fd(skeleton_->links.list_holders)};
}

Status Warden::attach(const std::vector<uint32_t>& kept) {
  const LibbpfLog log;
  skeleton_.get_deleter().kept = kept;
  if (bpf_program__autoload(skeleton_->progs.guard_bpf)) {
    if (auto guarded = attach_guard(*skeleton_->skeleton, kept); !guarded) return guarded;
    skeleton_.get_deleter().with_guard = true;
  } else {
    // Left over by a run that was killed: it would pass for the guard of these hooks. Where it
    // cannot be looked for, `seal` cannot find it either.
    (void)detach_guard(kept);
  }
  const int error = warden_bpf__attach(skeleton_.get());
  if (error == -E2BIG)
    return fail_errno(E2BIG,
                      "the kernel has no room for the hooks: " + crowd_text(*skeleton_->skeleton),
                      "end what has attached them");
  if (error != 0) return failed(-error, "the kernel does not attach the hooks", log.text());
  return {};
}

Status Warden::note(std::string_view next_root) {
  const bpf_object_skeleton& skeleton = *skeleton_->skeleton;
  if (auto noted = note_hooks(skeleton, bpf_map__fd(skeleton_->maps.hooks)); !noted) return noted;
  if (auto noted = note_part(bpf_map__fd(skeleton_->maps.part)); !noted) return noted;
  const int managers = bpf_map__fd(skeleton_->maps.managers);
  (void)note_manager(managers);  // what is not noted is told of
  if (!next_root.empty()) (void)note_manager(managers, std::string(next_root));
  return {};
}

Status Warden::pin(std::string_view next_root) {
  if (auto noted = note(next_root); !noted) return noted;
  auto pinned = pin_all(*skeleton_->skeleton);
  if (pinned) settle();
  return pinned;
}

Status Warden::pin_beside() {
  if (auto noted = note({}); !noted) return noted;
  skeleton_.get_deleter().is_beside = true;
  return loader::pin_beside(*skeleton_->skeleton);
}

void Warden::settle() {
  skeleton_.get_deleter().with_guard = false;
  skeleton_.get_deleter().is_beside = false;
}

int Warden::map(const char* name) const {
  return bpf_object__find_map_fd_by_name(skeleton_->obj, name);
}

int Warden::control() const { return bpf_map__fd(skeleton_->maps.control); }
int Warden::generations() const { return bpf_map__fd(skeleton_->maps.generations); }

}  // namespace bpfwarden::loader
