#include "loader/signed/policy_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/file.h"
#include "keyring/cms.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

constexpr const char* kDropIns = "policy.d";
constexpr size_t kMaxFile = 16 << 20;
constexpr mode_t kFolderMode = 0755;
constexpr mode_t kFileMode = 0644;

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

// ---- What a folder holds ------------------------------------------------------------------------

// Only what is a certificate: a file may have held the key as well.
std::string pem_of(const std::vector<Bytes>& certificates) {
  constexpr size_t width = 64;  // RFC 7468
  std::string pem;
  for (const Bytes& der : certificates) {
    const std::string text = keyring::base64(der);
    pem += "-----BEGIN CERTIFICATE-----\n";
    for (size_t at = 0; at < text.size(); at += width) pem += text.substr(at, width) + "\n";
    pem += "-----END CERTIFICATE-----\n";
  }
  return pem;
}

// As its name says.
Bytes file_of(const fs::path& name, const std::vector<Bytes>& certificates) {
  const bool is_der = name.extension() == ".der" && certificates.size() == 1;
  return is_der ? certificates.front() : bytes_of(pem_of(certificates));
}

bool is_outside(const fs::path& path) {
  return path.is_absolute() || path.empty() || *path.begin() == "..";
}

// What parse() asks for of the text under its new names, found under the old ones.
class Move {
 public:
  explicit Move(const PolicySnapshot& snapshot) : snapshot_(snapshot) {
    for (size_t i = 0; i < snapshot.sources.size(); i++) {
      const policy::SourceFile& source = snapshot.sources[i];
      const fs::path name(source.name);
      const fs::path to = i == 0 ? fs::path(kPolicyText) : fs::path(kDropIns) / name.filename();
      sources_.push_back({to.string(), source.text});
      files_[to.string()] = bytes_of(source.text);
      (i == 0 ? home_ : drop_ins_) = name.parent_path();
    }
  }

  // The same policy, as the folder will hold it.
  CheckedPolicy check() {
    return check_policy(policy::parse(
        sources_, [this](const fs::path& path) { return read(path); }, snapshot_.checked_at));
  }

  FolderFiles take() { return std::move(files_); }

 private:
  Result<std::vector<Certificate>> read(const fs::path& path) {
    const fs::path place = path.lexically_normal();
    if (is_outside(place))
      return fail("it is not in the folder of the policy, nor below",
                  "a host would look for it there: copy it beside the policy, and name it by its "
                  "path from there");
    const std::vector<CertificateFile>* found = find(path);
    if (found == nullptr) return fail("it has not been read before");
    std::vector<Certificate> all;
    for (const CertificateFile& file : *found)
      if (Status added = add(file, place, path, all); !added)
        return std::unexpected(std::move(added).error());
    return all;
  }

  [[nodiscard]] const std::vector<CertificateFile>* find(const fs::path& path) {
    std::vector<fs::path> old = {home_ / path};
    const std::string below = path.string();
    const std::string start = std::string(kDropIns) + "/";
    if (below.starts_with(start)) old.push_back(drop_ins_ / below.substr(start.size()));
    for (const fs::path& one : old) {
      const auto found = snapshot_.certificates.find(one.string());
      if (found == snapshot_.certificates.end()) continue;
      asked_ = one;
      return &found->second;
    }
    return nullptr;
  }

  // `place` is that of the file, or of the folder that it was found in.
  Status add(const CertificateFile& file, const fs::path& place, const fs::path& path,
             std::vector<Certificate>& all) {
    const bool is_itself = file.path == asked_.string();
    const fs::path to = is_itself ? place : place / fs::path(file.path).filename();
    Bytes& bytes = files_[to.lexically_normal().string()];
    bytes = file_of(to, file.certificates);
    auto read = keyring::parse_certificates(bytes, path.string());
    if (!read) return std::unexpected(std::move(read).error());
    std::ranges::move(*read, std::back_inserter(all));
    return {};
  }

  const PolicySnapshot& snapshot_;
  std::vector<policy::SourceFile> sources_;
  fs::path home_, drop_ins_, asked_;
  FolderFiles files_;
};

// ---- What is there already ----------------------------------------------------------------------

bool has_private_key(const fs::path& path) {
  constexpr std::string_view mark = "PRIVATE KEY";
  const auto bytes = read_file(path, kMaxFile);
  return !bytes || !std::ranges::search(*bytes, mark).empty();
}

bool is_certificate_name(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".pem" || extension == ".crt" || extension == ".cer" || extension == ".der";
}

bool is_of_image(const std::string& name, const std::vector<uint32_t>& abis) {
  for (const uint32_t abi : abis) {
    const std::string image = image_name(abi);
    if (name == image) return true;
    for (size_t number = 1; number <= policy::kMostPolicySignatures; number++)
      if (name == signature_name(image, number)) return true;
  }
  return false;
}

// Whether replacing the folder loses nothing by it but an earlier signed policy.
bool may_go(const fs::directory_entry& entry, const fs::path& path, const FolderFiles& files,
            const std::vector<uint32_t>& abis) {
  std::error_code ignored;  // what cannot be looked at stays
  if (entry.is_symlink(ignored)) return false;
  if (entry.is_directory(ignored)) return true;  // what is in it is looked at
  if (!entry.is_regular_file(ignored)) return false;
  const std::string name = path.string();
  if (name == kPolicyText || is_of_image(name, abis)) return true;
  if (path.parent_path() == kDropIns && path.extension() == ".toml") return true;
  return (files.contains(name) || is_certificate_name(path)) && !has_private_key(entry.path());
}

bool holds_this_process(const fs::path& folder) {
  std::error_code error;
  const fs::path here = fs::current_path(error).lexically_relative(folder);
  return !error && !here.empty() && *here.begin() != "..";
}

Status require_nothing_else(const fs::path& folder, const FolderFiles& files) {
  const std::vector<uint32_t> abis = images_in(folder);
  std::error_code error;
  bool is_empty = true;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    is_empty = false;
    const fs::path path = entry->path().lexically_relative(folder);
    if (!may_go(*entry, path, files, abis))
      return fail(entry->path().string() + " is of no signed policy, and would be lost",
                  "take it away, or write to a new folder");
  }
  if (error) return fail_errno(error.value(), folder.string());
  if (!is_empty && abis.empty())
    return fail(folder.string() + " is there, and no signed policy", "write to a new folder");
  return {};
}

// The digest of the policy is at the same place in the images of all versions.
bool is_same_text(const Bytes& image, const Bytes& other) {
  constexpr size_t begin = offsetof(bw_image, policy_digest), end = begin + BW_DIGEST_SIZE;
  return image.size() >= end && other.size() >= end &&
         std::equal(image.begin() + begin, image.begin() + end, other.begin() + begin);
}

// ---- Writing ------------------------------------------------------------------------------------

// A folder beside its place, removed unless it has been put there.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& target) : name_(target.string() + ".XXXXXX") {
    is_there_ = ::mkdtemp(name_.data()) != nullptr;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (is_there_) fs::remove_all(name_, ignored);
  }

  [[nodiscard]] bool is_there() const { return is_there_; }
  [[nodiscard]] fs::path path() const { return name_; }
  // What was at `target` is then here, and goes with this.
  [[nodiscard]] bool put_at(const fs::path& target, bool is_exchange) {
    const unsigned flags = is_exchange ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, target.c_str(), flags) != 0) return false;
    is_there_ = is_exchange;
    return true;
  }

 private:
  std::string name_;
  bool is_there_ = false;
};

Status write_files(const fs::path& folder, const FolderFiles& files) {
  for (const auto& [name, bytes] : files) {
    std::error_code error;
    fs::create_directories((folder / name).parent_path(), error);
    if (error) return fail_errno(error.value(), (folder / name).parent_path().string());
    if (Status written = create_file(folder / name, bytes, kFileMode); !written) return written;
  }
  return {};
}

// Where a link leads; without a slash at the end.
fs::path place_of_folder(fs::path folder) {
  if (!folder.has_filename()) folder = folder.parent_path();
  std::error_code error;
  const fs::path target = fs::canonical(folder, error);
  return error ? folder : target;
}

}  // namespace

Result<FolderFiles> folder_files(const CheckedPolicy& checked, uint32_t confirm_within_s) {
  Move move(checked.snapshot);
  const CheckedPolicy moved = move.check();
  if (!moved.compiled)
    return unreadable(fail("the policy would be another one, or none, on another host:\n" +
                           policy::render_all(moved.diagnostics, moved.sources)));
  auto image = std::make_unique<bw_image>(*checked.compiled->image);
  if (!std::ranges::equal(signed_bytes(*moved.compiled->image), signed_bytes(*image)))
    return fail("the policy would be another one on another host",
                "report this: it is a fault of bpfwarden");
  image->confirm_within_s = confirm_within_s;
  FolderFiles files = move.take();
  const auto bytes = signed_bytes(*image);
  files[image_name(BW_IMAGE_ABI)] = {bytes.begin(), bytes.end()};
  return files;
}

Result<std::vector<std::string>> keep_earlier(FolderFiles& files, const fs::path& folder) {
  std::error_code error;
  const fs::path place = place_of_folder(folder);
  if (!fs::exists(place, error)) return std::vector<std::string>();
  if (!fs::is_directory(place, error))
    return fail(folder.string() + " is a file", "write to a new folder");
  if (holds_this_process(place))
    return fail(folder.string() +
                    " is the folder in which this command runs: another one would "
                    "take its place",
                "run it from elsewhere");
  if (Status nothing_else = require_nothing_else(place, files); !nothing_else)
    return std::unexpected(std::move(nothing_else).error());
  if (images_in(place).empty()) return std::vector<std::string>();
  auto earlier = read_images(place);
  if (!earlier) return std::unexpected(std::move(earlier).error());
  const std::string own = image_name(BW_IMAGE_ABI);
  const Bytes& image = files[own];
  const auto own_then = earlier->find(own);
  const bool is_unchanged = own_then == earlier->end() || own_then->second == image;
  std::vector<std::string> notes;
  for (auto& [name, bytes] : *earlier) {
    const std::string of = name.substr(0, name.find('.'));
    if (is_unchanged && (of == own || is_same_text(earlier->at(of), image)))
      files.insert_or_assign(name, bytes);
    else if (name != own)
      notes.push_back(name + " was of another policy, or another window, and is not kept");
  }
  return notes;
}

Status write_folder(const fs::path& folder, const FolderFiles& files) {
  const fs::path place = place_of_folder(folder);
  TemporaryFolder temporary(place);
  if (!temporary.is_there())
    return fail_errno(errno, folder.string() + ": cannot make a folder beside it");
  if (Status written = write_files(temporary.path(), files); !written) return written;
  if (::chmod(temporary.path().c_str(), kFolderMode) != 0)
    return fail_errno(errno, folder.string());
  std::error_code ignored;  // what cannot be looked at cannot be exchanged either
  if (!temporary.put_at(place, fs::exists(place, ignored)))
    return fail_errno(errno, folder.string() + ": cannot be put into place",
                      "write to a new folder, on this file system or another");
  return {};
}

Result<FolderFiles> read_images(const fs::path& folder) {
  FolderFiles files;
  for (const uint32_t abi : images_in(folder)) {
    const std::string image = image_name(abi);
    auto bytes = read_file(folder / image, kMaxFile);
    if (!bytes) return std::unexpected(std::move(bytes).error());
    files[image] = std::move(*bytes);
    for (size_t number = 1; number <= policy::kMostPolicySignatures; number++) {
      const std::string name = signature_name(image, number);
      auto signature = read_file(folder / name, kMaxPolicySignature);
      if (!signature && signature.error().code == ENOENT) continue;
      if (!signature) return std::unexpected(std::move(signature).error());
      files[name] = std::move(*signature);
    }
  }
  if (files.empty()) return fail(folder.string() + " has no image");
  return files;
}

Status add_to_folder(const fs::path& folder, const FolderFiles& added) {
  std::vector<fs::path> written;
  for (const auto& [name, bytes] : added) {
    Status one = create_file(folder / name, bytes, kFileMode);
    if (one) {
      written.push_back(folder / name);
      continue;
    }
    std::error_code ignored;  // the first error is the one to report
    for (const fs::path& path : written) fs::remove(path, ignored);
    return one;
  }
  return {};
}

bool is_signed_by(const FolderFiles& files, const std::string& image,
                  const Certificate& certificate) {
  for (size_t number = 1; number <= policy::kMostPolicySignatures; number++) {
    const auto found = files.find(signature_name(image, number));
    if (found != files.end() &&
        keyring::verify_detached(files.at(image), found->second, certificate))
      return true;
  }
  return false;
}

Result<std::string> add_signature(FolderFiles& files, const std::string& image, Bytes signature) {
  for (size_t number = 1; number <= policy::kMostPolicySignatures; number++) {
    std::string name = signature_name(image, number);
    if (files.contains(name)) continue;
    files[name] = std::move(signature);
    return name;
  }
  return fail(image + " has " + std::to_string(policy::kMostPolicySignatures) +
                  " signatures, and more are not looked at",
              "take one away that is not needed");
}

}  // namespace bpfwarden::loader
