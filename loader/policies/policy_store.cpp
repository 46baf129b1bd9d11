#include "loader/policies/policy_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/file.h"
#include "keyring/x509.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

constexpr size_t kMaxCopy = 256 << 20;
constexpr const char* kSuffix = ".policy.json";
constexpr const char* kAudit = " audit";
constexpr const char* kEnforce = " enforce";
constexpr const char* kApplyAgain = "run `bpfwarden apply POLICY` with the policy's own file";

std::filesystem::path path_of(const std::string& digest_hex) {
  return std::filesystem::path(kPolicyStore) / (digest_hex + kSuffix);
}

void sync_folder(const std::filesystem::path& folder) {
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) (void)::fsync(fd.get());  // what is there decides; only a power cut would tell
}

std::filesystem::path boot_path() { return std::filesystem::path(kPolicyStore) / kBootFile; }

// Their names are on the disk before anything is in them.
Status make_store() {
  std::error_code error;
  if (std::filesystem::is_directory(kPolicyStore, error)) return {};
  std::filesystem::create_directories(kPolicyStore, error);
  if (error)
    return fail_errno(error.value(), std::string("cannot make ") + kPolicyStore, "run as root");
  for (auto made = std::filesystem::path(kPolicyStore); made.has_relative_path();
       made = made.parent_path())
    sync_folder(made.parent_path());
  return {};
}

Status write_text(const std::filesystem::path& path, const std::string& text) {
  if (auto made = make_store(); !made) return made;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  return replace_file(path, {bytes, text.size()}, 0600);
}

Result<std::string> read_text(const std::filesystem::path& path) {
  const auto bytes = read_file(path, kMaxCopy);
  if (!bytes) return std::unexpected(bytes.error());
  return std::string(bytes->begin(), bytes->end());
}

// By replace_file(), for a run that was killed; whoever asks holds the Lock.
bool is_unfinished(const std::string& name) {
  constexpr std::string_view random = ".XXXXXX";
  if (name.size() <= random.size() || name[name.size() - random.size()] != '.') return false;
  const std::string_view target = std::string_view(name).substr(0, name.size() - random.size());
  return target == kBootFile || target.ends_with(kSuffix);
}

std::string digest_in(const std::string& boot) { return boot.substr(0, boot.find(' ')); }

json to_json(const PolicySnapshot& snapshot) {
  json sources = json::array(), certificates = json::object();
  for (const auto& source : snapshot.sources)
    sources.push_back({{"name", source.name}, {"text", source.text}});
  for (const auto& [path, files] : snapshot.certificates) {
    json& list = certificates[path] = json::array();
    for (const CertificateFile& file : files)
      list.push_back({{"path", file.path}, {"der", file.certificates}});
  }
  return {
      {"sources", sources}, {"certificates", certificates}, {"checked_at", snapshot.checked_at}};
}

PolicySnapshot from_json(const json& all) {
  PolicySnapshot snapshot;
  snapshot.checked_at = all.at("checked_at");
  for (const json& source : all.at("sources"))
    snapshot.sources.push_back({source.at("name"), source.at("text")});
  for (const auto& [path, files] : all.at("certificates").items())
    for (const json& file : files)
      snapshot.certificates[path].push_back({file.at("path"), file.at("der")});
  return snapshot;
}

Result<CheckedPolicy> load(const std::string& digest_hex) {
  const std::filesystem::path path = path_of(digest_hex);
  const auto text = read_text(path);
  if (!text) return std::unexpected(Error(text.error().code, text.error().message, kApplyAgain));
  CheckedPolicy checked;
  try {
    checked = check_snapshot(from_json(json::parse(*text)));
  } catch (const json::exception& error) {
    return fail(path.string() + " is damaged: " + error.what(), kApplyAgain);
  }
  if (!checked.compiled || hex(checked.compiled->image->policy_digest) != digest_hex)
    return fail(path.string() + " no longer gives the policy that it is named for", kApplyAgain);
  return checked;
}

std::string boot_text(const bw_image& image) {
  const bool is_audit = is_on_trial(image);  // else as it is written
  return hex(image.policy_digest) + (is_audit ? kAudit : kEnforce) + "\n";
}

}  // namespace

Status save_policy(const CheckedPolicy& checked) {
  const std::string digest = hex(checked.compiled->image->policy_digest);
  return write_text(path_of(digest), to_json(checked.snapshot).dump() + "\n");
}

Result<CheckedPolicy> load_policy(PolicyDigest digest) { return load(hex(digest)); }

Status save_for_boot(const bw_image& image) { return write_text(boot_path(), boot_text(image)); }

bool is_saved_for_boot(const bw_image& image) {
  const auto saved = read_text(boot_path());
  return saved && *saved == boot_text(image);
}

bool has_saved_for_boot() {
  std::error_code error;
  return std::filesystem::exists(boot_path(), error) || error;  // unreadable is not absent
}

Result<CheckedPolicy> load_for_boot() {
  const auto boot = read_text(boot_path());
  if (!boot)
    return fail("no policy has been confirmed on this host", "run `bpfwarden apply POLICY`");
  auto checked = load(digest_in(*boot));
  if (checked && boot->contains(kAudit))
    checked->compiled->image = in_audit_mode(*checked->compiled->image);
  return checked;
}

void prune_policies(const std::vector<PolicyDigest>& keep) {
  std::error_code error;
  const auto saved = read_text(boot_path());
  if (!saved && has_saved_for_boot()) return;  // which one it needs nobody can say
  const std::string boot = digest_in(saved.value_or(""));
  const auto is_kept = [&](const std::string& name) {
    if (is_unfinished(name)) return false;
    return !name.ends_with(kSuffix) || (!boot.empty() && name.starts_with(boot)) ||
           std::ranges::any_of(keep,
                               [&](PolicyDigest digest) { return name.starts_with(hex(digest)); });
  };
  for (const auto& entry : std::filesystem::directory_iterator(kPolicyStore, error))
    if (!is_kept(entry.path().filename())) std::filesystem::remove(entry.path(), error);
}

Status forget_policies() {
  std::error_code error;
  // First, and for good: a boot must not look for a copy that is gone.
  std::filesystem::remove(boot_path(), error);
  sync_folder(kPolicyStore);
  if (!error) std::filesystem::remove_all(kPolicyStore, error);
  if (error) return fail_errno(error.value(), std::string("cannot remove ") + kPolicyStore);
  return {};
}

}  // namespace bpfwarden::loader
