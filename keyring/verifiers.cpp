#include "keyring/verifiers.h"

#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <set>
#include <string_view>

#include "keyring/openssl.h"

namespace bpfwarden::keyring {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view verifier_suffix = "-certificate.pem";
constexpr std::array load_paths = {"etc/voa", "run/voa", "usr/local/share/voa", "usr/share/voa"};

// What a certificate is there for.
enum class Use : uint8_t { signs, issues, either };

const char* purpose_of(Use use) {
  return use == Use::issues ? "trust-anchor-kernel-keyring" : "kernel-keyring";
}

// ---- One certificate ----------------------------------------------------------------------------

Status require_signer(const Certificate& certificate) {
  const X509Ptr parsed = from_der<X509Ptr, d2i_X509>(certificate.der);
  if (!parsed) return fail("not an X.509 certificate");
  const uint32_t flags = X509_get_extension_flags(parsed.get());
  if ((flags & EXFLAG_INVALID) != 0) return fail("an extension of it is malformed");
  if ((flags & EXFLAG_XKUSAGE) != 0 &&
      (X509_get_extended_key_usage(parsed.get()) & (XKU_CODE_SIGN | XKU_ANYEKU)) == 0)
    return fail("its key is not for signing code (extendedKeyUsage)",
                "have it issued with codeSigning, or without that extension");
  if ((flags & EXFLAG_KUSAGE) != 0 &&
      (X509_get_key_usage(parsed.get()) & KU_DIGITAL_SIGNATURE) == 0)
    return fail("its key is not for signatures (keyUsage)",
                "have it issued with digitalSignature, or without that extension");
  return {};
}

Result<Certificate> read_verifier(const fs::path& file, Use use) {
  auto certificates = read_certificates(file);
  if (!certificates) return std::unexpected(std::move(certificates).error());
  if (certificates->size() != 1)
    return unreadable(
        fail(file.string() + ": more than one certificate", "give each a file of its own"));
  Certificate& certificate = certificates->front();
  if (use == Use::issues || (use == Use::either && certificate.is_ca))
    return std::move(certificate);
  if (Status usable = require_signer(certificate); !usable)
    return unreadable(std::move(usable).error().within(file.string()));
  return std::move(certificate);
}

void add_verifier(Verifiers& verifiers, const fs::path& file, Use use) {
  auto certificate = read_verifier(file, use);
  if (!certificate) {
    verifiers.refused.push_back(std::move(certificate).error());
    return;
  }
  const auto same = std::ranges::find(verifiers.certificates, certificate->der, &Certificate::der);
  if (same == verifiers.certificates.end())
    verifiers.certificates.push_back(std::move(*certificate));
}

// ---- The hierarchy ------------------------------------------------------------------------------

bool is_a_verifier(const fs::path& file) {
  const std::string name = file.filename();
  return name.size() > verifier_suffix.size() && name.ends_with(verifier_suffix) &&
         !name.starts_with('.');
}

// In the order of their names.
std::vector<fs::path> verifiers_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (is_a_verifier(entry->path())) files.push_back(entry->path());
  std::ranges::sort(files);
  return files;
}

bool others_write(const fs::path& path) {
  struct stat found = {};
  return ::stat(path.c_str(), &found) != 0 || (found.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

bool is_masked(const fs::path& file) {
  std::error_code error;
  return fs::read_symlink(file, error) == "/dev/null" && !error;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const auto [rest, unused] = std::ranges::mismatch(folder, path);
  return rest == folder.end();
}

// What `root` holds, without links.
class Hierarchy {
 public:
  explicit Hierarchy(const fs::path& root) : root_(root) {
    std::error_code error;
    for (const char* path : load_paths) {
      const fs::path real = fs::canonical(root / path, error);
      if (!error) real_.push_back(real);
    }
  }

  void add_all(const std::string& os, Use use, Verifiers& verifiers) const {
    std::set<std::string> masked;
    std::vector<fs::path> files;
    for (const char* path : load_paths) {
      const fs::path folder = root_ / path / os / purpose_of(use) / "bpf" / "x509";
      for (const fs::path& file : verifiers_in(folder)) {
        if (is_masked(file))
          masked.insert(file.filename());
        else
          files.push_back(file);
      }
    }
    for (const fs::path& file : files) {
      if (masked.contains(file.filename())) continue;
      if (Status trusted = require_trusted(file); !trusted)
        verifiers.refused.push_back(std::move(trusted).error().within(file.string()));
      else
        add_verifier(verifiers, file, use);
    }
  }

 private:
  [[nodiscard]] Status require_trusted(const fs::path& file) const {
    std::error_code error;
    const fs::path real = fs::canonical(file, error);
    if (error) return fail_errno(error.value(), "it cannot be read");
    if (std::ranges::none_of(real_, [&](const fs::path& one) { return is_below(real, one); }))
      return fail("it leads out of the hierarchy", "put the file itself there");
    if (others_write(file) || others_write(file.parent_path()))
      return fail("others than its owner may write there", "chmod go-w the file and its folder");
    return {};
  }

  fs::path root_;
  std::vector<fs::path> real_;
};

// ---- The system's name --------------------------------------------------------------------------

std::string unquoted(std::string text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
      text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

// Of os-release(5); empty where it says nothing, or what is no part of a path.
class OsRelease {
 public:
  explicit OsRelease(const fs::path& root) {
    for (const char* file : {"etc/os-release", "usr/lib/os-release"}) {
      std::ifstream lines(root / file);
      if (!lines) continue;
      for (std::string line; std::getline(lines, line);) lines_.push_back(line);
      return;
    }
  }

  [[nodiscard]] std::string value(std::string_view name) const {
    std::string found;
    for (const std::string& line : lines_)
      if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == '=')
        found = unquoted(line.substr(name.size() + 1));
    return found.find_first_of("/:") == std::string::npos && found != ".." && found != "."
               ? found
               : std::string();
  }

 private:
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> os_names(const fs::path& root) {
  const OsRelease release(root);
  std::string id = release.value("ID");
  if (id.empty()) id = "linux";  // os-release(5)
  std::string exact = id, pending;
  for (const char* part : {"VERSION_ID", "VARIANT_ID", "IMAGE_ID", "IMAGE_VERSION"}) {
    const std::string value = release.value(part);
    pending += ":" + value;
    if (value.empty()) continue;
    exact += pending;
    pending.clear();
  }
  if (exact == id) return {id};
  return {exact, id};
}

Verifiers find_verifiers(const fs::path& root) {
  Verifiers verifiers;
  const Hierarchy hierarchy(root);
  for (const Use use : {Use::signs, Use::issues})
    for (const std::string& os : os_names(root)) hierarchy.add_all(os, use, verifiers);
  return verifiers;
}

Verifiers read_verifiers(std::span<const fs::path> named) {
  Verifiers verifiers;
  std::error_code error;
  for (const fs::path& path : named) {
    if (!fs::is_directory(path, error)) {
      add_verifier(verifiers, path, Use::either);
      continue;
    }
    const std::vector<fs::path> files = verifiers_in(path);
    if (files.empty())
      verifiers.refused.push_back(unreadable(fail(path.string() + ": the folder has no certificate",
                                                  "they are called NAME-certificate.pem there"))
                                      .error());
    for (const fs::path& file : files)
      if (!is_masked(file)) add_verifier(verifiers, file, Use::either);
  }
  return verifiers;
}

}  // namespace bpfwarden::keyring
