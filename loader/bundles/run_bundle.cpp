#include "loader/bundles/run_bundle.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <bpf/skel_internal.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include "loader/btf/kernel_has.h"
#include "loader/bundles/light_skeleton.h"
#include "loader/bundles/signed_load.h"
#include "loader/kernel/syscall.h"
#include "loader/policies/active_policy.h"

namespace bpfwarden::loader {
namespace {

const char* hint_for(int code) {
  switch (code) {
    case EPERM:
      return "run `bpfwarden events`: it says which rule decided, why, and what to do";
    case ENOKEY:
      return "the keyring does not hold the signer's key: name its certificate in the policy, or "
             "give --keyring";
    case ENOPKG:
      return "this kernel verifies no signatures, and bpfwarden does once a policy is active: "
             "`bpfwarden apply POLICY`";
    case EAGAIN:
    case EBUSY:
      return "too many loads are verified at once, or on a busy host: try again";
    case EKEYREJECTED:
    case EBADMSG:
      return "the file is not what was signed, or it has no signature of the form that this kernel "
             "checks: sign it again; `bpfwarden doctor` says what the kernel checks";
    default:
      return "`bpfwarden doctor` says what this kernel lacks";
  }
}

// A refusal by the kernel in words; the errno stays in the Error.
std::unexpected<Error> refused(int code, const std::string& what) {
  return fail_errno(code, what, hint_for(code));
}

// Owns what a loader left behind in its context.
class LoaderContext {
 public:
  LoaderContext(size_t maps, size_t programs)
      : programs_(sizeof(bpf_loader_ctx) + maps * sizeof(bpf_map_desc)),
        bytes_(loader_context(maps, programs)),
        maps_(maps) {}

  std::span<uint8_t> bytes() { return bytes_; }

  // Hands over the file descriptors that the loader made. Maps live on in the programs.
  std::vector<Fd> take_programs() {
    for (size_t i = 0; i < maps_; i++)
      Fd(take_fd(sizeof(bpf_loader_ctx) + i * sizeof(bpf_map_desc))).reset();
    std::vector<Fd> fds;
    for (size_t at = programs_; at < bytes_.size(); at += sizeof(bpf_prog_desc))
      fds.emplace_back(take_fd(at));
    return fds;
  }

 private:
  int take_fd(size_t offset) const {
    int fd = 0;
    std::memcpy(&fd, bytes_.data() + offset, sizeof(fd));
    return fd > 0 ? fd : -1;
  }

  size_t programs_;
  std::vector<uint8_t> bytes_;
  size_t maps_;
};

uint32_t program_id(const Fd& program) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  return bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0 ? info.id : 0;
}

// The kernel part has not seen who signed (EAGAIN); or verifies, and has room for a few at once.
bool is_worth_another(const Error& error) {
  return error.code == EAGAIN || (error.code == EBUSY && signatures_go_beside(true));
}

Result<Fd> again_and_again(const std::function<Result<Fd>()>& load) {
  constexpr auto longest = std::chrono::milliseconds(200);
  constexpr int most = 100;
  auto pause = std::chrono::milliseconds(1);
  for (int tries = 1;; tries++) {
    auto loaded = load();
    if (loaded || tries == most || !is_worth_another(loaded.error())) return loaded;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, longest);
  }
}

// From Linux 6.18 to 7.2, where the kernel verifies and covers no map: the loader checks its
// metadata by itself, unless the policy wants that verified, which bpfwarden does.
bool checks_by_itself(const keyring::Bundle& bundle) {
  const bool covers_no_map = BW_KERNEL_HAS(signature_attr) && !BW_KERNEL_HAS(folded_maps);
  return covers_no_map && !bundle.self_check_signature.empty() && !policy_in_kernel_asks_for_maps();
}

Result<std::vector<Fd>> run_skeleton(const keyring::Bundle& bundle, int32_t keyring) {
  const bool self_check = checks_by_itself(bundle);
  const std::vector<uint8_t> insns = self_check ? self_checking_insns(bundle) : bundle.insns;
  const LightSkeleton skeleton = {
      .insns = insns,
      .metadata = bundle.metadata,
      .signature = self_check ? bundle.self_check_signature : bundle.signature,
      .asks_for_hash = self_check};
  const auto map = make_metadata_map(skeleton);
  if (!map) return std::unexpected(map.error());
  const auto loader = again_and_again([&] { return load_loader(skeleton, *map, keyring); });
  if (!loader) return std::unexpected(loader.error());
  LoaderContext context(bundle.maps.size(), bundle.programs.size());
  const Status ran = run_loader(*loader, context.bytes());
  std::vector<Fd> programs = context.take_programs();
  if (!ran) return std::unexpected(ran.error());
  return programs;
}

Result<std::vector<LoadedProgram>> load_programs(const keyring::Bundle& bundle, int32_t keyring) {
  auto fds = run_skeleton(bundle, keyring);
  if (!fds) {
    Error error = std::move(fds).error().within(bundle.name);
    error.hint = hint_for(error.code);
    return std::unexpected(std::move(error));
  }
  std::vector<LoadedProgram> loaded;
  for (size_t i = 0; i < fds->size(); i++) {
    const uint32_t id = program_id((*fds)[i]);
    loaded.push_back({.entry = bundle.programs[i], .fd = std::move((*fds)[i]), .id = id});
  }
  return loaded;
}

Result<std::vector<LoadedProgram>> load_program(const keyring::Bundle& bundle, int32_t keyring) {
  const keyring::ProgramEntry& entry = bundle.programs.front();
  bpf_attr attr = {};
  attr.prog_type = entry.prog_type;
  attr.expected_attach_type = entry.expected_attach_type;
  attr.insns = as_u64(bundle.insns.data());
  attr.insn_cnt = static_cast<uint32_t>(bundle.insns.size() / sizeof(bpf_insn));
  attr.license = as_u64(bundle.license.c_str());
  attr.signature = as_u64(bundle.signature.data());
  attr.signature_size = static_cast<uint32_t>(bundle.signature.size());
  attr.keyring_id = keyring;
  std::strncpy(attr.prog_name, entry.name.c_str(), sizeof(attr.prog_name) - 1);
  if (!bundle.attach_name.empty() &&
      (entry.prog_type == BPF_PROG_TYPE_TRACING || entry.prog_type == BPF_PROG_TYPE_LSM)) {
    const int id = libbpf_find_vmlinux_btf_id(
        bundle.attach_name.c_str(), static_cast<bpf_attach_type>(entry.expected_attach_type));
    if (id < 0) return fail_errno(-id, "this kernel has no target " + bundle.attach_name);
    attr.attach_btf_id = static_cast<uint32_t>(id);
  }
  auto made = again_and_again([&]() -> Result<Fd> {
    bpf_attr once = attr;
    if (Fd fd(load_signed(once)); fd) return fd;
    return refused(errno, bundle.name + ": failed to load the program");
  });
  if (!made) return std::unexpected(std::move(made).error());
  Fd program = std::move(*made);
  std::vector<LoadedProgram> loaded;
  const uint32_t id = program_id(program);
  loaded.push_back({.entry = entry, .fd = std::move(program), .id = id});
  return loaded;
}

}  // namespace

Result<std::vector<LoadedProgram>> load_bundle(const keyring::Bundle& bundle, int32_t keyring) {
  if (bundle.signature.empty())
    return fail(bundle.name + " carries no signature", "make it with `bpfwarden sign`");
  return bundle.kind == keyring::Bundle::Kind::loader ? load_programs(bundle, keyring)
                                                      : load_program(bundle, keyring);
}

Result<Fd> attach_program(const LoadedProgram& program, const std::string& device) {
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<uint32_t>(program.fd.get());
  attr.link_create.attach_type = program.entry.expected_attach_type;
  if (program.entry.prog_type == BPF_PROG_TYPE_XDP) {
    attr.link_create.attach_type = BPF_XDP;
    attr.link_create.target_ifindex = device.empty() ? 0 : ::if_nametoindex(device.c_str());
    if (attr.link_create.target_ifindex == 0)
      return fail("there is no network device '" + device + "'", "give --dev NAME");
  } else if (program.entry.prog_type != BPF_PROG_TYPE_TRACING &&
             program.entry.prog_type != BPF_PROG_TYPE_LSM) {
    return fail(program.entry.name + ": this version attaches tracing, LSM and XDP programs only",
                "use --pin and attach the pinned program with the tool of its kind");
  }
  Fd link(sys_bpf(BPF_LINK_CREATE, attr));
  if (!link) return refused(errno, "cannot attach " + program.entry.name);
  return link;
}

Status pin_object(const Fd& object, const std::filesystem::path& path) {
  bpf_attr attr = {};
  attr.bpf_fd = static_cast<uint32_t>(object.get());
  attr.pathname = as_u64(path.c_str());
  if (sys_bpf(BPF_OBJ_PIN, attr) != 0) return refused(errno, "cannot pin " + path.string());
  return {};
}

}  // namespace bpfwarden::loader
