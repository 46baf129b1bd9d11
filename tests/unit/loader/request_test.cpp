// An order as a file, and the signatures beside it.
#include "loader/signed/request.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "base/file.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

bw_request an_order(bw_request_verb verb) {
  bw_request request = {};
  request.magic = BW_REQUEST_MAGIC;
  request.abi = BW_REQUEST_ABI;
  request.verb = verb;
  request.policy_version = 8;
  request.to_version = verb == BW_REQUEST_ROLLBACK ? 7 : 0;
  request.challenge[0] = 0x0123456789abcdef;
  std::strcpy(request.policy_name, "edge");
  return request;
}

fs::path put(const test::TempDir& folder, const bw_request& request) {
  fs::path file = folder.path() / "an.order";
  REQUIRE(write_output(file, signed_bytes(request)));
  return file;
}

bool is_read(const bw_request& request) {
  const test::TempDir folder;
  const auto read = read_request(put(folder, request));
  if (!read) CHECK(read.error().is_unreadable);
  return read.has_value();
}

}  // namespace

TEST_CASE("an order is read as it was written, and nothing else is one") {
  const test::TempDir folder;
  const bw_request off = an_order(BW_REQUEST_OFF);
  const auto read = read_request(put(folder, off));
  REQUIRE(read);
  CHECK(std::memcmp(&*read, &off, sizeof(off)) == 0);
  CHECK(std::string(request_word(read->verb)) == "off");
  CHECK(challenge_text(*read).starts_with("efcdab8967452301"));
  CHECK(challenge_text(*read).size() == 64);
  CHECK(std::string(request_word(BW_REQUEST_ROLLBACK)) == "rollback");

  bw_request other = off;
  other.magic++;
  CHECK_FALSE(is_read(other));
  other = off;
  other.abi++;
  CHECK_FALSE(is_read(other));
  other = off;
  other.verb = 3;
  CHECK_FALSE(is_read(other));
  other = off;
  std::memset(other.policy_name, 'x', sizeof(other.policy_name));
  CHECK_FALSE(is_read(other));

  const fs::path cut = folder.path() / "cut";
  REQUIRE(write_output(cut, signed_bytes(off).first(sizeof(off) - 1)));
  CHECK_FALSE(read_request(cut));
  CHECK_FALSE(read_request(folder.path() / "none"));
}

TEST_CASE("an order is given with the signatures beside it, of which there are four at most") {
  const test::TempDir folder;
  const fs::path file = put(folder, an_order(BW_REQUEST_ROLLBACK));
  const auto unsigned_one = read_signed_request(file, BW_REQUEST_ROLLBACK);
  REQUIRE_FALSE(unsigned_one);
  CHECK(unsigned_one.error().message.find("nobody has signed") != std::string::npos);

  const std::vector<uint8_t> signature = {1, 2, 3};
  for (const char* name : {".sig-1.p7s", ".sig-2.p7s", ".sig-3.p7s", ".sig-4.p7s"}) {
    const auto added = add_request_signature(file, signature);
    REQUIRE(added);
    CHECK(*added == file.string() + name);
  }
  CHECK_FALSE(add_request_signature(file, signature));
  const auto read = read_signed_request(file, BW_REQUEST_ROLLBACK);
  REQUIRE(read);
  CHECK(read->signatures.size() == 4);
  CHECK(read->signatures.front() == signature);
  CHECK(read->request.to_version == 7);

  const auto as_off = read_signed_request(file, BW_REQUEST_OFF);
  REQUIRE_FALSE(as_off);
  CHECK(as_off.error().hint.find("bpfwarden rollback --order") != std::string::npos);
}

}  // namespace bpfwarden::loader
