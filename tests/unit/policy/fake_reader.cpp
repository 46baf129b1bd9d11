#include "fake_reader.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include <catch2/catch_test_macros.hpp>

namespace bpfwarden::policy::test {
namespace {

Certificate certificate(const std::filesystem::path& path, std::string_view name) {
  Certificate info;
  info.path = path.string();
  info.subject = "CN=" + std::string(name);
  for (size_t i = 0; i < name.size(); i++)  // a hexadecimal digit for each letter
    info.fingerprint[i / 2 % info.fingerprint.size()] |=
        static_cast<uint8_t>(i % 2 == 0 ? name[i] % 16 * 16 : name[i] % 16);
  info.bits = 256;
  info.public_key = fake_key(name);
  info.kernel_algorithm = "ecdsa-nist-p256";
  info.not_before = kNow - 86'400;
  info.not_after = kNow + 365 * 86'400;
  return info;
}

}  // namespace

std::vector<uint8_t> fake_key(std::string_view name) {
  std::vector<uint8_t> key(65, 4);
  for (size_t i = 0; i < name.size(); i++)
    key[1 + i % 64] = static_cast<uint8_t>(key[1 + i % 64] * 31 + name[i]);
  return key;
}

Result<std::vector<Certificate>> read_fake(const std::filesystem::path& path) {
  std::string name = path.stem().string();
  if (name == "missing") return fail_errno(ENOENT, "cannot be read", "check the path");
  if (name == "empty") return std::vector<Certificate>{};
  if (name == "bundle")
    return std::vector{certificate(path, "bundle one"), certificate(path, "bundle two")};
  if (name.starts_with("copy-of-")) name.erase(0, 8);
  Certificate info = certificate(path, name);
  if (name == "expired") info.not_after = kNow - 1;
  if (name == "future") info.not_before = kNow + 1;
  if (name == "huge") info.public_key.resize(2000);
  if (name.starts_with("ca")) info.is_ca = true;
  if (name == "expiring") info.not_after = kNow + 10 * 86'400;
  if (name == "weak") info.bits = 1024, info.kernel_algorithm = "rsa";
  if (name == "weak-curve") info.bits = 192, info.kernel_algorithm = "ecdsa-nist-p192";
  return std::vector{info};
}

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  INFO(path.string());
  REQUIRE(file.good());
  return text.str();
}

ParseResult parse_text(std::string_view text) {
  return parse({{"test.toml", std::string(text)}}, read_fake, kNow);
}

std::string with_header(std::string_view rest) {
  return "schema = 1\nname = \"test\"\nversion = 1\nmode = \"enforce\"\ndefault = \"deny\"\n"
         "[keys.netops]\ncertificates = [\"netops.pem\"]\n" +
         std::string(rest);
}

Policy must_parse(std::string_view text) {
  ParseResult result = parse_text(text);
  INFO(render_all(result.diagnostics, result.sources));
  REQUIRE(result.policy.has_value());
  return std::move(*result.policy);
}

}  // namespace bpfwarden::policy::test
