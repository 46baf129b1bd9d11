// Certificates of who may sign programs, where the File Hierarchy for the Verification of OS
// Artifacts (VOA, of the UAPI group) has them, read as systemd's keyring-setup reads them:
//
//   {/etc,/run,/usr/local/share,/usr/share}/voa/OS/PURPOSE/bpf/x509/NAME-certificate.pem
//
// OS is what os-release says, exactly (ID:VERSION_ID:VARIANT_ID:IMAGE_ID:IMAGE_VERSION as far as it
// says) and by its ID alone; PURPOSE is `kernel-keyring`, or `trust-anchor-kernel-keyring` for who
// issues. Every copy counts; a link to /dev/null masks its name in all four. A file has one
// certificate. One that its extensions keep from signing code is refused, and so is a file or
// folder that others than its owner may write to, or that leads out of the hierarchy.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "keyring/x509.h"

namespace bpfwarden::keyring {

struct Verifiers {
  std::vector<Certificate> certificates;  // what comes first goes before
  std::vector<Error> refused;             // each begins with the file
};

// How the system below `root` is called there: the exact name, then the ID.
[[nodiscard]] std::vector<std::string> os_names(const std::filesystem::path& root = "/");

// In the hierarchy below `root`.
[[nodiscard]] Verifiers find_verifiers(const std::filesystem::path& root = "/");

// Of files, PEM or DER, and of folders, in which they are called as above.
[[nodiscard]] Verifiers read_verifiers(std::span<const std::filesystem::path> named);

}  // namespace bpfwarden::keyring
