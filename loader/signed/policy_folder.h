// Making the folder of signed_policy.h: what it holds, whole in memory before any of it is written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/signed/signed_policy.h"

namespace bpfwarden::loader {

// By path in the folder.
using FolderFiles = std::map<std::string, std::vector<uint8_t>>;

// The text, the certificates that it names and its image. `checked` is of check_policy_file() and
// has compiled. Errors: the text names a file that is not beside it or below, which another host
// would look for elsewhere; without its name and place it would be another policy.
[[nodiscard]] Result<FolderFiles> folder_files(const CheckedPolicy& checked,
                                               uint32_t confirm_within_s);

// Takes over from an earlier folder what is still true: signatures of the same image, and images
// of the same text for other kernel parts. Returns notes on what is not. Where the folder is not
// there, or empty, there is nothing. Errors: it holds something that is of no signed policy, and
// would be lost; of reading.
[[nodiscard]] Result<std::vector<std::string>> keep_earlier(FolderFiles& files,
                                                            const std::filesystem::path& folder);

// Puts the folder into place, all of it or nothing; an earlier one is gone then. Call
// keep_earlier() before. Errors: errno of the call that failed.
[[nodiscard]] Status write_folder(const std::filesystem::path& folder, const FolderFiles& files);

// Of the images and signatures of a folder. Errors: there is no image; of reading.
[[nodiscard]] Result<FolderFiles> read_images(const std::filesystem::path& folder);
// Puts files that are not there yet into a folder that is, all or none. Errors: EEXIST, errno.
[[nodiscard]] Status add_to_folder(const std::filesystem::path& folder, const FolderFiles& added);

// Whether that certificate's key has signed the image already.
[[nodiscard]] bool is_signed_by(const FolderFiles& files, const std::string& image,
                                const Certificate& certificate);
// Under the next free number, which is returned. Errors: there are four.
[[nodiscard]] Result<std::string> add_signature(FolderFiles& files, const std::string& image,
                                                std::vector<uint8_t> signature);

}  // namespace bpfwarden::loader
