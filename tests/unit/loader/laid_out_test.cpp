#include "loader/handover/laid_out.h"

#include <bpf/btf.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace bpfwarden::loader {
namespace {

using Types = std::unique_ptr<btf, decltype(&btf__free)>;

Types no_types() { return Types(btf__new_empty(), btf__free); }

uint32_t number(btf* types, const char* name, size_t size) {
  return static_cast<uint32_t>(btf__add_int(types, name, size, 0));
}

// { wide number; name[4]; inner { small } pair[2]; }, with or without what came later.
uint32_t record(btf* types, bool is_later) {
  const uint32_t small = number(types, "u16", 2), wide = number(types, "u64", 8),
                 letter = number(types, "char", 1), half = number(types, "u32", 4);
  const auto name = static_cast<uint32_t>(
      btf__add_array(types, static_cast<int>(half), static_cast<int>(letter), 4));
  const auto inner = static_cast<uint32_t>(btf__add_struct(types, "inner", is_later ? 8 : 2));
  if (is_later) btf__add_field(types, "added", static_cast<int>(half), 32, 0);
  btf__add_field(types, "small", static_cast<int>(small), 0, 0);
  const auto pair = static_cast<uint32_t>(
      btf__add_array(types, static_cast<int>(half), static_cast<int>(inner), 2));
  const int id = btf__add_struct(types, "record", is_later ? 40 : 16);
  if (is_later) {
    btf__add_field(types, "pair", static_cast<int>(pair), 0, 0);
    btf__add_field(types, "later", static_cast<int>(wide), 128, 0);
    btf__add_field(types, "number", static_cast<int>(wide), 192, 0);
    btf__add_field(types, "name", static_cast<int>(name), 256, 0);
  } else {
    btf__add_field(types, "number", static_cast<int>(half), 0, 0);
    btf__add_field(types, "name", static_cast<int>(name), 32, 0);
    btf__add_field(types, "pair", static_cast<int>(pair), 64, 0);
    btf__add_field(types, "gone", static_cast<int>(half), 96, 0);
  }
  return static_cast<uint32_t>(id);
}

template <class T>
T at(const std::vector<std::byte>& bytes, size_t offset) {
  T value = {};
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

}  // namespace

TEST_CASE("records go over member by member, whatever lies where") {
  const Types before = no_types(), after = no_types();
  const uint32_t old_record = record(before.get(), false), new_record = record(after.get(), true);
  const LaidOut laid_out = LaidOut::by_names(before.get(), old_record, after.get(), new_record);
  REQUIRE(laid_out.size_before() == 16);
  REQUIRE(laid_out.size_after() == 40);
  const std::array<uint8_t, 16> value = {1, 2, 3, 4, 'n', 'a', 'm', 'e', 7, 0, 9, 0, 5, 5, 5, 5};
  std::vector<std::byte> moved(40, std::byte{0xff});
  laid_out.move(reinterpret_cast<const std::byte*>(value.data()), moved.data());
  CHECK(at<uint64_t>(moved, 24) == 0x04030201);  // it has become wider
  CHECK(std::memcmp(moved.data() + 32, "name", 4) == 0);
  CHECK(at<uint16_t>(moved, 0) == 7);
  CHECK(at<uint16_t>(moved, 8) == 9);
  CHECK(at<uint32_t>(moved, 4) == 0);  // what it did not have
  CHECK(at<uint64_t>(moved, 16) == 0);
}

TEST_CASE("records that lie alike are the same bytes") {
  const Types types = no_types();
  const uint32_t id = record(types.get(), false);
  const LaidOut laid_out = LaidOut::by_names(types.get(), id, types.get(), id);
  std::vector<std::byte> value(16), moved(16);
  for (size_t i = 0; i < value.size(); i++) value[i] = static_cast<std::byte>(i + 1);
  laid_out.move(value.data(), moved.data());
  CHECK(value == moved);
}

}  // namespace bpfwarden::loader
