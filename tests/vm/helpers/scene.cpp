#include "tests/vm/helpers/scene.h"

#include <bpf/btf.h>
#include <linux/keyctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "keyring/cms.h"
#include "loader/bundles/light_skeleton.h"
#include "loader/bundles/run_bundle.h"
#include "loader/bundles/sign_object.h"
#include "loader/bundles/signed_load.h"
#include "loader/kernel/syscall.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/policy_store.h"

namespace bpfwarden::vm {
namespace {

template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

std::vector<uint8_t> bytes_of(const std::vector<bpf_insn>& insns) {
  std::vector<uint8_t> bytes(insns.size() * sizeof(bpf_insn));
  std::memcpy(bytes.data(), insns.data(), bytes.size());
  return bytes;
}

Attempt attempt(bpf_cmd command, bpf_attr& attr) {
  int fd = command == BPF_PROG_LOAD ? loader::load_signed(attr) : loader::sys_bpf(command, attr);
  if (fd < 0 && errno == ENOPKG && command == BPF_PROG_LOAD) {
    // Before bpfwarden is there nobody verifies on this kernel, and everything is loaded.
    attr.signature = attr.signature_size = attr.fd_array_cnt = 0;
    attr.keyring_id = 0;
    fd = loader::sys_bpf(command, attr);
  }
  return {.error = fd < 0 ? errno : 0, .fd = Fd(fd)};
}

// Of the policy that is active when a case begins; 0: no hooks are loaded.
uint64_t version_at_begin() {
  const char* text = std::getenv("BPFWARDEN_VERSION_AT_BEGIN");
  return text == nullptr ? 0 : std::stoull(text);
}

// Of the policy that the last Warden has left active.
std::optional<uint64_t> version_left;

}  // namespace

Ran run(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  Ran ran;
  char buffer[4096];
  while (const size_t size = std::fread(buffer, 1, sizeof(buffer), pipe))
    ran.output.append(buffer, size);
  const int status = ::pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

bool says(const std::string& output, const std::string& text) { return output.contains(text); }

bool says(const Ran& ran, const std::string& text) { return says(ran.output, text); }

nlohmann::json status() { return nlohmann::json::parse(run("bpfwarden status --json").output); }

keyring::KeySerial make_ring(const Certificate& certificate) {
  const std::vector<uint8_t>& der = certificate.der;
  // A ring of the same description would take the place of the other.
  const std::string name = "scene:" + hex(certificate.fingerprint);
  const auto ring = static_cast<keyring::KeySerial>(::syscall(
      SYS_add_key, "keyring", name.c_str(), nullptr, size_t{0}, KEY_SPEC_SESSION_KEYRING));
  if (ring < 0 ||
      ::syscall(SYS_add_key, "asymmetric", "certificate", der.data(), der.size(), ring) < 0)
    throw std::runtime_error("cannot make a keyring");
  return ring;
}

bool is_saved() {
  const auto active = loader::require_active_policy();
  const auto saved = loader::load_for_boot();
  return active && saved &&
         std::ranges::equal(saved->compiled->image->policy_digest,
                            active->generation.image->policy_digest);
}

Signer::Signer(const std::string& name, const test::CertificateOptions& options) : key(nullptr) {
  test::CertificateOptions named = options;
  named.common_name = name.c_str();
  const test::TestKey made = test::make_key(named);
  key_file = folder.write(name + ".key", test::key_pem(made));
  certificate_file = folder.write(name + ".pem", test::certificate_pem(made));
  key = value_of(keyring::open_private_key(key_file));
  certificate = value_of(keyring::read_certificates(certificate_file)).front();
  ring = make_ring(certificate);
}

std::vector<uint8_t> Signer::sign(const std::vector<uint8_t>& bytes) const {
  return value_of(keyring::sign_detached(bytes, key, certificate));
}

std::string Signer::options() const {
  return "--key " + key_file.string() + " --cert " + certificate_file.string();
}

Warden::Warden() : netops_("netops"), stranger_("stranger") {
  if (on_begin != nullptr) on_begin();
  version_ = version_left.value_or(version_at_begin());
  if (version_left && !put_to_rest()) {
    run("bpfwarden off");
    version_ = 0;
  }
}

Warden::~Warden() { version_left = version_; }

bool Warden::put_to_rest() {
  if (version_at_begin() == 0) return false;
  if (try_apply("audit", "default = \"allow\"\n", version_ + 1).status != 0) return false;
  version_++;
  return true;
}

std::string Warden::write_policy(const std::string& mode, const std::string& rules,
                                 uint64_t version) {
  const std::string header = "schema = 1\nname = \"scene\"\nversion = " + std::to_string(version) +
                             "\nmode = \"" + mode + "\"\n";
  const std::string keys =
      "[keys.netops]\ncertificates = [\"" + netops_.certificate_file.string() + "\"]\n";
  // Settings of the policy come before its first table.
  const size_t newline = rules.find("\n[");
  const size_t tables = rules.starts_with('[')         ? 0
                        : newline == std::string::npos ? rules.size()
                                                       : newline + 1;
  const std::string settings = rules.substr(0, tables);
  const bool has_default = settings.find("default = ") != std::string::npos;
  const std::string text =
      header + (has_default ? "" : "default = \"deny\"\n") + settings + keys + rules.substr(tables);
  return folder_.write("policy.toml", text);
}

Ran Warden::try_apply(const std::string& mode, const std::string& rules, uint64_t version) {
  return run("bpfwarden apply --confirm-within 0 --accept-denials " +
             write_policy(mode, rules, version));
}

void Warden::apply(const std::string& mode, const std::string& rules, const std::string& fallback) {
  const Ran ran = try_apply(mode, "default = \"" + fallback + "\"\n" + rules, version_ + 1);
  if (ran.status != 0) throw std::runtime_error("the policy was not applied:\n" + ran.output);
  version_++;
  (void)events();
}

std::vector<nlohmann::json> Warden::events() {
  std::istringstream lines(run("bpfwarden events --json").output);
  std::vector<nlohmann::json> found;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with('{')) found.push_back(nlohmann::json::parse(line));
  return found;
}

keyring::KeySerial Warden::ring() const { return value_of(keyring::find_ring("bpfwarden")); }

std::vector<uint8_t> Load::return_value(int32_t value) {
  const bpf_insn move = {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = value};
  const bpf_insn exit = {.code = BPF_JMP | BPF_EXIT};
  return bytes_of({move, exit});
}

Load Load::of_type(uint32_t type, int32_t value) {
  Load request;
  request.type = type;
  request.insns = return_value(value);
  return request;
}

Load Load::packet_filter() { return of_type(BPF_PROG_TYPE_SOCKET_FILTER); }

Load& Load::signed_by(const Signer& signer, std::optional<keyring::KeySerial> ring) {
  signature = signer.sign(insns);
  keyring = ring.value_or(signer.ring);
  return *this;
}

Attempt load(const Load& request) {
  bpf_attr attr = {};
  attr.prog_type = request.type;
  attr.expected_attach_type = request.attach_type;
  attr.insns = loader::as_u64(request.insns.data());
  attr.insn_cnt = static_cast<uint32_t>(request.insns.size() / sizeof(bpf_insn));
  attr.license = loader::as_u64("GPL");
  attr.attach_btf_id = request.btf_id;
  std::strcpy(attr.prog_name, "scene");
  if (!request.signature.empty()) {
    attr.signature = loader::as_u64(request.signature.data());
    attr.signature_size = static_cast<uint32_t>(request.signature.size());
    attr.keyring_id = request.keyring;
  }
  if (request.change) request.change(attr);
  return attempt(BPF_PROG_LOAD, attr);
}

std::vector<nlohmann::json> events_of_hook(Warden& warden, const std::string& hook) {
  std::vector<nlohmann::json> events = warden.events();
  std::erase_if(events, [&](const nlohmann::json& event) { return event["hook"] != hook; });
  return events;
}

nlohmann::json last_refused_attachment(Warden& warden) {
  nlohmann::json last;
  for (nlohmann::json& event : events_of_hook(warden, "attach"))
    if (event["refused"] == true) last = std::move(event);
  return last;
}

Attempt Skeleton::create_map() const {
  const keyring::Digest hash = keyring::sha256(bundle.insns);
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = static_cast<uint32_t>(bundle.metadata.size());
  attr.max_entries = 1;
  attr.map_flags = map_flags;
  loader::make_exclusive(attr, is_exclusive ? hash.data() : nullptr,
                         is_exclusive ? static_cast<unsigned>(hash.size()) : 0);
  Attempt map = attempt(BPF_MAP_CREATE, attr);
  if (map.error != 0) return map;
  const uint32_t key = 0;
  bpf_attr update = {};
  update.map_fd = static_cast<uint32_t>(map.fd.get());
  update.key = loader::as_u64(&key);
  update.value = loader::as_u64(bundle.metadata.data());
  bpf_attr freeze = {};
  freeze.map_fd = update.map_fd;
  if (loader::sys_bpf(BPF_MAP_UPDATE_ELEM, update) != 0 ||
      loader::sys_bpf(BPF_MAP_FREEZE, freeze) != 0)
    throw std::runtime_error("cannot fill the metadata map");
  return map;
}

Attempt Skeleton::load_loader(const Fd& map, int32_t keyring) const {
  const int fd = map.get();
  Load request = {.type = type, .insns = bundle.insns};
  if (is_signed) request.signature = bundle.signature;
  request.keyring = keyring;
  request.change = [&](bpf_attr& attr) {
    attr.fd_array = loader::as_u64(&fd);
    attr.fd_array_cnt = is_signed ? 1 : 0;
    attr.prog_flags = type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0;
  };
  return load(request);
}

int Skeleton::run(const Fd& loader_program) const {
  auto context = loader::loader_context(bundle.maps.size(), bundle.programs.size());
  const Status ran = loader::run_loader(loader_program, context);
  return ran ? 0 : ran.error().code;
}

keyring::Bundle sign_object(const std::string& object, const Signer& signer) {
  auto bundle =
      value_of(loader::make_loader_bundle(std::filesystem::path(kObjects) / (object + ".bpf.o")));
  bundle.signature = signer.sign(keyring::to_be_signed(bundle));
  bundle.self_check_signature = signer.sign(keyring::self_checking_insns(bundle));
  return bundle;
}

int load_bundle(const keyring::Bundle& bundle, int32_t keyring) {
  const auto loaded = loader::load_bundle(bundle, keyring);
  return loaded ? 0 : loaded.error().code;
}

uint32_t function_id(const std::string& name) {
  static btf* const kernel = btf__load_vmlinux_btf();
  const int id = btf__find_by_name_kind(kernel, name.c_str(), BTF_KIND_FUNC);
  if (id < 0) throw std::runtime_error("no BTF for " + name);
  return static_cast<uint32_t>(id);
}

void lose_kernel_state() {
  run("rm -rf /sys/fs/bpf/bpfwarden");
  run("keyctl unlink %:bpfwarden @u");
  for (int i = 0; i < 100 && load({}).error != 0; i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  if (load({}).error != 0) throw std::runtime_error("the hooks are still there");
}

}  // namespace bpfwarden::vm
