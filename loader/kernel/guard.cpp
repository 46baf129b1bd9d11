#include "loader/kernel/guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "loader/kernel/skeleton_entry.h"

namespace bpfwarden::loader {
namespace {

constexpr std::string_view kGuardName = "guard_";
constexpr size_t kGuards = 10;                         // one for each slot that the kernel has
constexpr uint32_t kMostPrograms = 64;                 // of one cgroup, as the kernel has it
constexpr ino_t kInitialCgroupNamespace = 0xEFFFFFFB;  // include/linux/proc_ns.h

bool is_in_cgroup_namespace() {
  struct stat space = {};
  return ::stat("/proc/self/ns/cgroup", &space) == 0 && space.st_ino != kInitialCgroupNamespace;
}

// The root of the hierarchy in a mount that is in no mount namespace: it need not be mounted.
Result<Fd> open_root_cgroup() {
  if (is_in_cgroup_namespace())
    return fail("this process is in a cgroup namespace, and does not see the root cgroup",
                "run it on the host: nsenter --target 1 --cgroup bpfwarden seal");
  const Fd context(::fsopen("cgroup2", FSOPEN_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail_errno(errno, "cannot open the hierarchy of cgroup2", "run as root");
  const Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  Fd root(mount ? ::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
  if (!root) return fail_errno(errno, "cannot open the root cgroup", "run as root");
  return root;
}

struct Attached {
  uint32_t id = 0;
  std::string name;
};

std::string name_of(uint32_t id) {
  const Fd program(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  if (!program || bpf_prog_get_info_by_fd(program.get(), &info, &size) != 0) return {};
  return info.name;
}

// On this cgroup itself, not on those above.
Result<std::vector<Attached>> attached_to(int cgroup) {
  std::array<uint32_t, kMostPrograms> ids = {}, flags = {};  // the kernel wants to say both
  struct bpf_prog_query_opts query = {};
  query.sz = sizeof(query);
  query.prog_ids = ids.data();
  query.prog_attach_flags = flags.data();
  query.prog_cnt = ids.size();
  if (bpf_prog_query_opts(cgroup, BPF_LSM_CGROUP, &query) != 0)
    return fail_errno(errno, "cannot ask which programs are attached as LSM_CGROUP");
  std::vector<Attached> all;
  for (const uint32_t id : std::span(ids).first(std::min<size_t>(query.prog_cnt, ids.size())))
    all.push_back({id, name_of(id)});
  return all;
}

bool is_in(const ProgramIds& ids, uint32_t id) { return std::ranges::find(ids, id) != ids.end(); }

Status require_no_others(int cgroup, const std::string& name, const ProgramIds& kept) {
  const auto attached = attached_to(cgroup);
  if (!attached) return std::unexpected(attached.error());
  const auto first =
      std::ranges::find_if(*attached, [&](const Attached& one) { return !is_in(kept, one.id); });
  if (first == attached->end()) return {};
  return fail("program " + std::to_string(first->id) + " (" + first->name +
                  ") is attached as LSM_CGROUP to the cgroup " + name +
                  ": it could overrule the guard of a sealed host",
              "`bpftool cgroup tree` shows it; end what has attached it, and apply again");
}

Status require_no_others_below(int root, const ProgramIds& kept) {
  namespace fs = std::filesystem;
  const std::string top = "/proc/self/fd/" + std::to_string(root);
  if (auto none = require_no_others(root, "/", kept); !none) return none;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(top + "/", error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (!at->is_directory(error) || error) continue;
    const std::string path = at->path();
    const Fd cgroup(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!cgroup && errno == ENOENT) continue;  // it has ended
    if (!cgroup) return fail_errno(errno, "cannot open the cgroup " + path.substr(top.size()));
    if (auto none = require_no_others(cgroup.get(), path.substr(top.size()), {}); !none)
      return none;
  }
  if (error && error.value() != ENOENT) return fail_errno(error.value(), "cannot list the cgroups");
  return {};
}

Status detach_from(int root, const ProgramIds& kept) {
  const auto attached = attached_to(root);
  if (!attached) return std::unexpected(attached.error());
  for (const Attached& one : *attached) {
    if (!one.name.starts_with(kGuardName) || is_in(kept, one.id)) continue;
    const Fd program(bpf_prog_get_fd_by_id(one.id));
    if (!program || bpf_prog_detach2(program.get(), root, BPF_LSM_CGROUP) != 0)
      return fail_errno(errno, "cannot detach " + one.name);
  }
  return {};
}

// Without the flag, whoever asks could detach one without having it.
Status attach_to(int root, int program, const char* name) {
  struct bpf_prog_attach_opts options = {};
  options.sz = sizeof(options);
  options.flags = BPF_F_ALLOW_MULTI;
  if (bpf_prog_attach_opts(program, root, BPF_LSM_CGROUP, &options) == 0) return {};
  return fail_errno(errno, std::string("cannot attach ") + name + " to the root cgroup",
                    "the kernel has room for ten hooks of LSM_CGROUP, and for 38 programs on one "
                    "hook; `bpftool cgroup tree` and `bpftool prog` show who has them");
}

}  // namespace

bool is_guard(const bpf_program* program) {
  return bpf_program__expected_attach_type(program) == BPF_LSM_CGROUP;
}

Status attach_guard(const bpf_object_skeleton& skeleton, const ProgramIds& kept) {
  const auto root = open_root_cgroup();
  if (!root) return std::unexpected(root.error());
  if (auto left = detach_from(root->get(), kept); !left) return left;  // by a run that was killed
  if (auto alone = require_no_others_below(root->get(), kept); !alone) return alone;
  for (int i = 0; i < skeleton.prog_cnt; i++) {
    const auto& entry = skeleton_entry(skeleton.progs, i, skeleton.prog_skel_sz);
    if (!is_guard(*entry.prog)) continue;
    auto attached = attach_to(root->get(), bpf_program__fd(*entry.prog), entry.name);
    if (attached) continue;
    (void)detach_from(root->get(), kept);  // the first error is the one to report
    return attached;
  }
  return {};
}

Status detach_guard(const ProgramIds& kept) {
  // From there the root cgroup is not seen. What is left on it does nothing, and goes with the next
  // hooks that are attached.
  if (is_in_cgroup_namespace()) return {};
  const auto root = open_root_cgroup();
  return root ? detach_from(root->get(), kept) : std::unexpected(root.error());
}

Result<bool> has_guard(const ProgramIds& noted) {
  if (noted.size() != kGuards) return false;
  const auto root = open_root_cgroup();
  if (!root) return std::unexpected(root.error());
  const auto attached = attached_to(root->get());
  if (!attached) return std::unexpected(attached.error());
  return std::ranges::all_of(noted, [&](uint32_t id) {
    return std::ranges::find(*attached, id, &Attached::id) != attached->end();
  });
}

}  // namespace bpfwarden::loader
