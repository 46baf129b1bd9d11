#include "loader/kernel/hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "loader/kernel/guard.h"
#include "loader/kernel/skeleton_entry.h"
#include "loader/text/kernel_text.h"

namespace bpfwarden::loader {
namespace {

// Only a link that there is not says that a hook is gone: without descriptors, or the right to
// look, nobody can say.
Result<bool> is_attached(const bw_attached_hook& hook) {
  const std::string name = kernel_text(hook.name, sizeof(hook.name));
  Fd link(bpf_link_get_fd_by_id(hook.link_id));
  if (!link && errno == ENOENT)  // a sealed host says so to whoever is no manager
    link = open_pinned_link("link_" + name);
  if (!link && errno == ENOENT) return false;
  bpf_link_info info = {};
  uint32_t size = sizeof(info);
  if (!link || bpf_link_get_info_by_fd(link.get(), &info, &size) != 0)
    return fail_errno(errno, "cannot look whether hook " + name + " is there",
                      "try again; the policy is active all the same");
  return info.prog_id == hook.program_id;
}

// 0 for programs of LSM hooks, which the kernel always runs.
uint64_t skipped_runs(uint32_t program_id) {
  const Fd program(bpf_prog_get_fd_by_id(program_id));
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (!program || bpf_prog_get_info_by_fd(program.get(), &info, &size) != 0) return 0;
  return info.recursion_misses;
}

}  // namespace

Result<bw_attached_hook> attached_hook(const bpf_prog_skeleton& program) {
  bw_attached_hook hook = {};
  std::strncpy(hook.name, program.name, sizeof(hook.name) - 1);
  bpf_prog_info guard = {};
  bpf_link_info link = {};
  uint32_t size = sizeof(link);
  if (*program.link != nullptr &&
      bpf_link_get_info_by_fd(bpf_link__fd(*program.link), &link, &size) != 0)
    return fail_errno(errno, std::string("cannot look at the link of ") + program.name);
  hook.link_id = link.id;
  hook.program_id = link.prog_id;
  const int fd = bpf_program__fd(*program.prog);
  if (*program.link != nullptr || !is_guard(*program.prog) || fd < 0) return hook;
  size = sizeof(guard);
  if (bpf_prog_get_info_by_fd(fd, &guard, &size) != 0)
    return fail_errno(errno, std::string("cannot look at ") + program.name);
  hook.program_id = guard.id;
  return hook;
}

Status note_hooks(const bpf_object_skeleton& skeleton, int map) {
  uint32_t count = 0;
  for (int i = 0; i < skeleton.prog_cnt; i++) {
    const auto& program = skeleton_entry(skeleton.progs, i, skeleton.prog_skel_sz);
    const auto hook = attached_hook(program);
    if (!hook) return std::unexpected(hook.error());
    if (hook->program_id == 0) continue;
    if (bpf_map_update_elem(map, &count, &*hook, BPF_ANY) != 0)
      return fail_errno(errno, "cannot note which hooks are attached");
    count++;
  }
  if (bpf_map_freeze(map) != 0) return fail_errno(errno, "cannot freeze the list of hooks");
  return {};
}

Result<std::vector<bw_attached_hook>> noted_hooks(const PinnedMaps& pins) {
  std::vector<bw_attached_hook> noted;
  for (uint32_t i = 0; i < BW_MAX_HOOKS; i++) {
    bw_attached_hook hook = {};
    if (bpf_map_lookup_elem(pins.hooks.get(), &i, &hook) != 0)
      return fail_errno(errno, "cannot read which hooks there should be");
    if (hook.program_id == 0) break;
    noted.push_back(hook);
  }
  return noted;
}

Result<Hooks> read_hooks(const PinnedMaps& pins) {
  const auto noted = noted_hooks(pins);
  if (!noted) return std::unexpected(noted.error());
  Hooks hooks;
  for (const bw_attached_hook& hook : *noted) {
    std::string name = kernel_text(hook.name, sizeof(hook.name));
    if (hook.link_id == 0) {
      hooks.programs.push_back(hook.program_id);  // the guard, which stays where it is
      continue;
    }
    const auto is_there = is_attached(hook);
    if (!is_there) return std::unexpected(is_there.error());
    if (*is_there) {
      hooks.programs.push_back(hook.program_id);
      hooks.skipped += skipped_runs(hook.program_id);
    }
    (*is_there ? hooks.attached : hooks.missing).push_back(std::move(name));
  }
  return hooks;
}

Result<std::vector<uint32_t>> noted_guard(const PinnedMaps& pins) {
  const auto noted = noted_hooks(pins);
  if (!noted) return std::unexpected(noted.error());
  std::vector<uint32_t> ids;
  for (const bw_attached_hook& hook : *noted)
    if (hook.link_id == 0) ids.push_back(hook.program_id);
  return ids;
}

Result<bool> is_guarded(const PinnedMaps& pins) {
  const auto guard = noted_guard(pins);
  return guard ? has_guard(*guard) : std::unexpected(guard.error());
}

std::string missing_hooks_text(const Hooks& hooks) {
  if (hooks.missing.empty()) return {};
  std::string names;
  for (const std::string& name : hooks.missing) names += (names.empty() ? "" : ", ") + name;
  return std::to_string(hooks.attached.size()) + " of " + std::to_string(hooks.expected()) +
         " hooks: " + names + (hooks.missing.size() == 1 ? " is gone" : " are gone");
}

std::vector<uint32_t> own_programs() {
  const auto pins = open_pins();
  if (!pins || !*pins) return {};
  auto hooks = read_hooks(**pins);
  return hooks ? std::move(hooks->programs) : std::vector<uint32_t>();
}

}  // namespace bpfwarden::loader
