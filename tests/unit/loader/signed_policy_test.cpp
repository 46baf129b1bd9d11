// A compiled policy as a folder: the same on every host, and taken only where text, image and
// signatures are there and belong together.
#include "loader/signed/signed_policy.h"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/file.h"
#include "keyring/cms.h"
#include "loader/signed/policy_folder.h"
#include "tests/unit/keyring/test_signer.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

const std::string kOwn = image_name(BW_IMAGE_ABI);

// A policy with a key in a folder, one in a drop-in, and who signs it.
class Release {
 public:
  Release() {
    fs::create_directories(home() / "certs" / "all");
    fs::create_directories(home() / "edge.d");
    put("certs/ops.pem", test::certificate_pem(ops_));
    put("certs/all/one.der", test::certificate_der(other_));
    put("certs/all/two.pem", test::certificate_pem(test::make_key({.common_name = "two"})));
    put("edge.d/50.toml", "[keys.late]\ncertificates = [\"../certs/all\"]\n");
    put_policy("12");
  }

  [[nodiscard]] fs::path home() const { return folder_.path() / "home"; }
  [[nodiscard]] fs::path out() const { return folder_.path() / "edge.bpfpolicy"; }
  [[nodiscard]] fs::path at(const std::string& name) const { return folder_.path() / name; }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(home() / name, std::ios::binary) << text;
  }
  void put_policy(const std::string& version, const std::string& more = {}) const {
    put("edge.toml", "schema = 1\nname = \"edge\"\nversion = " + version +
                         "\nmode = \"enforce\"\ndefault = \"deny\"\nseal = true\n"
                         "policy-signed-by = [\"ops\"]\n[keys.ops]\n"
                         "certificates = [\"certs/ops.pem\"]\n" +
                         more);
  }

  [[nodiscard]] FolderFiles files(uint32_t confirm_within_s = 0) const {
    const CheckedPolicy checked = check_policy_file(home() / "edge.toml");
    INFO(policy::render_all(checked.diagnostics, checked.sources));
    REQUIRE(checked.compiled);
    auto made = folder_files(checked, confirm_within_s);
    REQUIRE(made);
    return std::move(*made);
  }
  // Signed by `ops`, or by another key, and written.
  void publish(bool by_ops = true, uint32_t confirm_within_s = 0) const {
    FolderFiles all = files(confirm_within_s);
    sign(all, by_ops ? ops_ : other_);
    REQUIRE(write_folder(out(), all));
  }
  void sign(FolderFiles& all, const test::TestKey& key) const {
    const auto certificate = keyring::parse_certificates(bytes(test::certificate_der(key)), "x");
    const auto opened = keyring::private_key_in(test::key_pem(key));
    REQUIRE(certificate);
    REQUIRE(opened);
    auto signature = keyring::sign_detached(all.at(kOwn), *opened, certificate->front());
    REQUIRE(signature);
    const auto name = add_signature(all, kOwn, *signature);
    REQUIRE(name);
  }
  static std::vector<uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }

  [[nodiscard]] const test::TestKey& ops() const { return ops_; }
  [[nodiscard]] const test::TestKey& other() const { return other_; }

 private:
  test::TempDir folder_;
  test::TestKey ops_ = test::make_key({.common_name = "ops"}),
                other_ = test::make_key({.common_name = "other"});
};

std::string error_of(const fs::path& folder) {
  const auto policy = read_signed_policy(folder.string());
  return policy ? std::string() : policy.error().message + " — " + policy.error().hint;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void flip(const fs::path& file, std::streamoff at) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(at);
  const char byte = static_cast<char>(stream.get() ^ 1);
  stream.seekp(at);
  stream.put(byte);
}

size_t count_beside(const fs::path& path) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("signed policy: the folder has all that its text names, and no key") {
  const Release release;
  release.put("certs/ops.pem", test::key_pem(release.ops()) + test::certificate_pem(release.ops()));
  const FolderFiles files = release.files();
  std::vector<std::string> names;
  for (const auto& [name, bytes] : files) names.push_back(name);
  CHECK(names == std::vector<std::string>{"certs/all/one.der", "certs/all/two.pem", "certs/ops.pem",
                                          kOwn, "policy.d/50.toml", "policy.toml"});
  const auto& pem = files.at("certs/ops.pem");
  CHECK_FALSE(has(std::string(pem.begin(), pem.end()), "PRIVATE"));
  CHECK(files.at("certs/all/one.der") == Release::bytes(test::certificate_der(release.other())));
  CHECK(files.at(kOwn).size() == BW_IMAGE_SIGNED_SIZE);
}

TEST_CASE("signed policy: the same text gives the same bytes, wherever it is") {
  const Release release;
  const FolderFiles first = release.files(600);
  CHECK(release.files(600) == first);
  fs::create_directories(release.at("elsewhere/deep"));
  fs::rename(release.home(), release.at("elsewhere/deep/home"));
  fs::copy(release.at("elsewhere/deep/home"), release.home(), fs::copy_options::recursive);
  CHECK(release.files(600) == first);
  // Called otherwise, by a path from here, and by a link.
  const fs::path before = fs::current_path();
  fs::current_path(release.home());
  const CheckedPolicy here = check_policy_file("edge.toml");
  fs::current_path(before);
  REQUIRE(here.compiled);
  CHECK(*folder_files(here, 600) == first);
  fs::create_symlink(release.home() / "edge.toml", release.home() / "current.toml");
  const CheckedPolicy linked = check_policy_file(release.home() / "current.toml");
  REQUIRE(linked.compiled);
  CHECK(*folder_files(linked, 600) == first);
  // What it became is the same policy again.
  REQUIRE(write_folder(release.out(), first));
  const CheckedPolicy again = check_policy_file(release.out() / "policy.toml");
  REQUIRE(again.compiled);
  CHECK(*folder_files(again, 600) == first);
  CHECK(release.files(601).at(kOwn) != first.at(kOwn));
}

TEST_CASE("signed policy: what lies outside is refused, where it is named") {
  const Release release;
  std::ofstream(release.at("outside.pem")) << test::certificate_pem(release.other());
  for (const std::string& path :
       {std::string("../outside.pem"), release.at("outside.pem").string()}) {
    release.put_policy("12", "[keys.out]\ncertificates = [\"" + path + "\"]\n");
    const CheckedPolicy checked = check_policy_file(release.home() / "edge.toml");
    REQUIRE(checked.compiled);
    const auto files = folder_files(checked, 0);
    REQUIRE(!files);
    CHECK(has(files.error().message, "policy.toml:11:17: error: certificate `" + path +
                                         "`: it is not in the folder of the policy"));
    CHECK(has(files.error().message, "hint: a host would look for it there"));
  }
}

TEST_CASE("signed policy: read as it was signed") {
  const Release release;
  release.publish(true, 600);
  const auto policy = read_signed_policy(release.out().string());
  INFO(error_of(release.out()));
  REQUIRE(policy);
  CHECK(policy->image->confirm_within_s == 600);
  CHECK(policy->image->policy_version == 12);
  CHECK((policy->image->flags & BW_IMAGE_SEAL) != 0);
  CHECK(policy->signatures.size() == 1);
  CHECK(policy->abis == std::vector<uint32_t>{BW_IMAGE_ABI});
  CHECK(std::ranges::equal(signed_bytes(*policy->image),
                           signed_bytes(*policy->checked.compiled->image)));
  const bw_image& image = *policy->image;
  const auto* host = reinterpret_cast<const uint8_t*>(&image) + BW_IMAGE_SIGNED_SIZE;
  CHECK(std::all_of(host, host + sizeof(bw_image) - BW_IMAGE_SIGNED_SIZE,
                    [](uint8_t byte) { return byte == 0; }));
  CHECK(policy->checked.compiled->certificates.size() == 3);
  CHECK(check_snapshot(policy->checked.snapshot).compiled);
}

TEST_CASE("signed policy: a byte of the image, or of the text, is another policy") {
  const Release release;
  release.publish();
  for (const std::streamoff at : {std::streamoff{0}, std::streamoff{offsetof(bw_image, mode)},
                                  std::streamoff{offsetof(bw_image, policy_signers)},
                                  std::streamoff{BW_IMAGE_SIGNED_SIZE - 1}}) {
    flip(release.out() / kOwn, at);
    CHECK(has(error_of(release.out()),
              kOwn + " in " + release.out().string() + " is not what its text compiles to"));
    flip(release.out() / kOwn, at);
  }
  CHECK(error_of(release.out()).empty());
  flip(release.out() / kOwn, offsetof(bw_image, policy_digest));
  CHECK(has(error_of(release.out()), "is not what was signed"));
  flip(release.out() / kOwn, offsetof(bw_image, policy_digest));
  std::ofstream(release.out() / "policy.toml", std::ios::app) << "# a word\n";
  CHECK(has(error_of(release.out()),
            "the text in " + release.out().string() + " is not what was signed"));
}

TEST_CASE("signed policy: another certificate, a drop-in more, an image too short") {
  const Release release;
  release.publish();
  std::ofstream(release.out() / "certs/ops.pem") << test::certificate_pem(release.other());
  CHECK(has(error_of(release.out()), "is not what was signed"));
  std::ofstream(release.out() / "certs/ops.pem") << test::certificate_pem(release.ops());
  CHECK(error_of(release.out()).empty());
  std::ofstream(release.out() / "policy.d/60.toml") << "schema = 1\n";
  CHECK(has(error_of(release.out()), "is not what was signed"));
  fs::remove(release.out() / "policy.d/60.toml");
  fs::resize_file(release.out() / kOwn, BW_IMAGE_SIGNED_SIZE - 1);
  CHECK(has(error_of(release.out()), "is damaged"));
  fs::resize_file(release.out() / kOwn, BW_IMAGE_SIGNED_SIZE + 1);
  CHECK(has(error_of(release.out()), "larger than"));
  fs::resize_file(release.out() / kOwn, BW_IMAGE_SIGNED_SIZE);
  fs::remove(release.out() / "policy.toml");
  CHECK(has(error_of(release.out()), "is no good policy"));
}

TEST_CASE("signed policy: the window is the image's, and only a signature vouches for it") {
  const Release release;
  release.publish(true, 600);
  flip(release.out() / kOwn, offsetof(bw_image, confirm_within_s));
  const auto policy = read_signed_policy(release.out().string());
  REQUIRE(policy);
  CHECK(policy->image->confirm_within_s == 601);
  const auto judged = judge_signatures(*policy, {});
  REQUIRE(judged.size() == 1);
  CHECK_FALSE(judged.front().by);
  CHECK(has(judged.front().problem.message, "does not match"));
  CHECK_FALSE(is_signed_enough(*policy, judged));
}

TEST_CASE("signed policy: without an image for this kernel part, or a signature") {
  const Release release;
  release.publish();
  fs::remove(release.out() / signature_name(kOwn, 1));
  CHECK(has(error_of(release.out()), "nobody has signed"));
  CHECK(has(error_of(release.out()), "bpfwarden compile " + release.out().string()));
  fs::rename(release.out() / kOwn, release.out() / image_name(11));
  fs::copy(release.out() / image_name(11), release.out() / image_name(9));
  const std::string error = error_of(release.out());
  CHECK(has(error, "(ABI " + std::to_string(BW_IMAGE_ABI) + "), only for ABI 9, 11"));
  CHECK(has(error, "compile " + (release.out() / "policy.toml").string() + " -o"));
  CHECK(has(error_of(release.home()), "is no signed policy"));
  CHECK(has(error_of(release.at("none")), "is no signed policy"));
  CHECK(images_in(release.out()) == std::vector<uint32_t>{9, 11});
  for (const char* name : {"image-", "image-012", "image-1x", "image-99999999999", "image--1"})
    std::ofstream(release.out() / name) << "x";
  CHECK(images_in(release.out()) == std::vector<uint32_t>{9, 11});
}

TEST_CASE("signed policy: whose signatures count, once for each key") {
  const Release release;
  FolderFiles files = release.files();
  release.sign(files, release.other());
  REQUIRE(write_folder(release.out(), files));
  auto policy = read_signed_policy(release.out().string());
  REQUIRE(policy);
  auto judged = judge_signatures(*policy, {});
  CHECK(judged.at(0).key == "late");  // a key of the policy, and none that signs policies
  CHECK_FALSE(is_signed_enough(*policy, judged));
  const auto given =
      keyring::parse_certificates(Release::bytes(test::certificate_der(release.other())), "x");
  CHECK(is_signed_enough(*policy, judge_signatures(*policy, *given)));
  release.sign(files, release.ops());
  release.sign(files, release.ops());
  release.sign(files, test::make_key({.common_name = "stranger"}));
  CHECK_FALSE(add_signature(files, kOwn, {1}));
  REQUIRE(write_folder(release.out(), files));
  policy = read_signed_policy(release.out().string());
  REQUIRE(policy);
  judged = judge_signatures(*policy, {});
  REQUIRE(judged.size() == 4);
  CHECK(judged[1].key == "ops");
  CHECK(judged[1].counts);
  CHECK(judged[2].counts);
  CHECK_FALSE(judged[3].by);
  CHECK(count_signers(judged) == 1);
  CHECK(is_signed_enough(*policy, judged));
}

TEST_CASE("signed policy: a host is given the signatures that count there") {
  const Release release;
  FolderFiles files = release.files();
  release.sign(files, release.other());
  release.sign(files, release.ops());
  release.sign(files, release.ops());
  REQUIRE(write_folder(release.out(), files));
  const auto next = read_signed_policy(release.out().string());
  REQUIRE(next);
  const CheckedPolicy active = check_policy_file(release.home() / "edge.toml");
  CHECK(signatures_for(*active.compiled, *next) ==
        std::vector<std::vector<uint8_t>>{next->signatures[1]});
  release.put("certs/ops.pem", test::certificate_pem(release.other()));
  const CheckedPolicy rotated = check_policy_file(release.home() / "edge.toml");
  REQUIRE(rotated.compiled);
  CHECK(signatures_for(*rotated.compiled, *next) ==
        std::vector<std::vector<uint8_t>>{next->signatures[0]});
}

TEST_CASE("signed policy: compiled again, what is still true stays") {
  const Release release;
  FolderFiles first = release.files();
  release.sign(first, release.ops());
  first[image_name(11)] = first.at(kOwn);
  first[signature_name(image_name(11), 2)] = {1, 2, 3};
  REQUIRE(write_folder(release.out(), first));
  FolderFiles same = release.files();
  auto notes = keep_earlier(same, release.out());
  REQUIRE(notes);
  CHECK(notes->empty());
  CHECK(same == first);
  // Another window, or another text: nobody has signed that.
  FolderFiles other_window = release.files(60);
  notes = keep_earlier(other_window, release.out());
  REQUIRE(notes);
  CHECK(notes->size() == 3);
  CHECK(other_window == release.files(60));
  release.put_policy("13");
  FolderFiles next = release.files();
  notes = keep_earlier(next, release.out());
  REQUIRE(notes);
  CHECK(notes->size() == 3);
  CHECK(next == release.files());
  REQUIRE(write_folder(release.out(), next));
  CHECK(read_policy_folder(release.out())->image->policy_version == 13);
  CHECK_FALSE(fs::exists(release.out() / image_name(11)));
  // An image of the same text for another kernel part stays where this one's is new.
  FolderFiles older = release.files();
  older[image_name(11)] = older.at(kOwn);
  older.erase(kOwn);
  REQUIRE(write_folder(release.out(), older));
  FolderFiles both = release.files();
  REQUIRE(keep_earlier(both, release.out()));
  CHECK(both.contains(image_name(11)));
  CHECK(both.contains(kOwn));
  CHECK(count_beside(release.out()) == 2);  // no temporary folder is left
}

TEST_CASE("signed policy: nothing but such a folder is written over") {
  const Release release;
  FolderFiles files = release.files();
  CHECK_FALSE(keep_earlier(files, release.home()));  // a policy, but no signed one
  CHECK_FALSE(keep_earlier(files, release.home() / "edge.toml"));
  release.publish();
  CHECK(keep_earlier(files, release.out()));
  std::ofstream(release.out() / "README") << "mine";
  auto refused = keep_earlier(files, release.out());
  REQUIRE(!refused);
  CHECK(has(refused.error().message, "README is of no signed policy, and would be lost"));
  fs::remove(release.out() / "README");
  std::ofstream(release.out() / "certs/ops.pem") << test::key_pem(release.ops());
  CHECK_FALSE(keep_earlier(files, release.out()));
  fs::remove(release.out() / "certs/ops.pem");
  CHECK(keep_earlier(files, release.out()));
  fs::create_symlink("/etc/passwd", release.out() / "certs/link.pem");
  CHECK_FALSE(keep_earlier(files, release.out()));
  CHECK_FALSE(write_folder(release.home() / "edge.toml" / "x.bpfpolicy", files));
  CHECK_FALSE(write_folder(release.at("none/x.bpfpolicy"), files));
}

TEST_CASE("signed policy: added files are there, all or none") {
  const Release release;
  release.publish();
  const std::string second = signature_name(kOwn, 2);
  CHECK_FALSE(add_to_folder(
      release.out(), {{signature_name(image_name(11), 1), {1}}, {signature_name(kOwn, 1), {2}}}));
  CHECK_FALSE(fs::exists(release.out() / signature_name(image_name(11), 1)));
  CHECK(read_signatures(release.out(), kOwn)->size() == 1);
  CHECK(add_to_folder(release.out(), {{second, {1}}}));
  CHECK(read_signatures(release.out(), kOwn)->size() == 2);
  std::ofstream(release.out() / second, std::ios::trunc) << "";
  CHECK_FALSE(read_signatures(release.out(), kOwn));
  std::ofstream(release.out() / second) << std::string(kMaxPolicySignature + 1, 'x');
  CHECK_FALSE(read_signatures(release.out(), kOwn));
}

}  // namespace bpfwarden::loader
