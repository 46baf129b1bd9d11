#include "loader/handover/carry.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bpf-lsm/abi/program.h"
#include "loader/handover/laid_out.h"

namespace bpfwarden::loader {
namespace {

using Bytes = std::vector<std::byte>;

constexpr const char* kProgramRecords = "programs";
// With its object an entry goes.
constexpr std::array kRecords = {kProgramRecords, "loader_maps", "growing",
                                 "unjudged",      "signed_maps", "claims"};
constexpr std::array kLasting = {"ended_filesystems", "managers"};
constexpr std::array kCounts = {"any_filesystem_ended", "sequence", "counters", "minutes",
                                "untallied"};
constexpr const char* kTallyCounts = "tallies";

// A map of both.
class Shared {
 public:
  [[nodiscard]] static Result<Shared> open(const RunningPart& from, const Warden& to,
                                           const char* name) {
    auto before = from.map(name);
    if (!before) return std::unexpected(std::move(before).error());
    const int after = to.map(name);
    if (after < 0) return fail(std::string("the kernel part has no map `") + name + "`");
    auto laid_out = LaidOut::between(before->get(), after);
    if (!laid_out) return std::unexpected(std::move(laid_out).error());
    return Shared(name, std::move(*before), after, std::move(*laid_out));
  }

  // In no order; what comes and goes meanwhile may be missing.
  [[nodiscard]] Result<std::vector<Bytes>> old_keys() const { return keys_of(from_.get()); }
  [[nodiscard]] Result<std::vector<Bytes>> new_keys() const { return keys_of(to_); }

  // What `from` has, as `to` lays it out; empty: nothing.
  [[nodiscard]] Bytes old_value(const void* key) const {
    Bytes before(laid_out_.size_before()), after(laid_out_.size_after());
    if (bpf_map_lookup_elem(from_.get(), key, before.data()) != 0) return {};
    laid_out_.move(before.data(), after.data());
    return after;
  }

  [[nodiscard]] Bytes new_value(const void* key) const {
    Bytes value(laid_out_.size_after());
    if (bpf_map_lookup_elem(to_, key, value.data()) != 0) return {};
    return value;
  }

  [[nodiscard]] Status put(const void* key, const Bytes& value, uint64_t flags = BPF_ANY) const {
    if (bpf_map_update_elem(to_, key, value.data(), flags) == 0 || errno == EEXIST) return {};
    return fail_errno(errno, "cannot carry over what is known in the map " + name_);
  }

  void drop(const void* key) const { bpf_map_delete_elem(to_, key); }
  [[nodiscard]] bool is_of_programs() const { return name_ == kProgramRecords; }

 private:
  [[nodiscard]] Result<std::vector<Bytes>> keys_of(int map) const {
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_map_get_info_by_fd(map, &info, &size) != 0)
      return fail_errno(errno, "cannot look at the map " + name_);
    std::vector<Bytes> keys;
    Bytes next(info.key_size);
    while (keys.size() < info.max_entries &&
           bpf_map_get_next_key(map, keys.empty() ? nullptr : keys.back().data(), next.data()) == 0)
      keys.push_back(next);
    return keys;
  }

  Shared(const char* name, Fd from, int to, LaidOut laid_out)
      : name_(name), from_(std::move(from)), to_(to), laid_out_(std::move(laid_out)) {}

  std::string name_;
  Fd from_;
  int to_;
  LaidOut laid_out_;
};

bw_program program_in(const Bytes& value) {
  bw_program program = {};
  std::memcpy(&program, value.data(), std::min(value.size(), sizeof(program)));
  return program;
}

// Both have seen the load from its beginning to its end.
bool know_alike(const bw_program& one, const bw_program& other) {
  return one.program_id == other.program_id && one.standing == other.standing &&
         one.decision.allow == other.decision.allow &&
         one.facts.signature == other.facts.signature && one.loader_id == other.loader_id &&
         std::ranges::equal(one.signer_key, other.signer_key);
}

// Of a program that is still being verified both know the same, or only one does.
bool replaces(const Shared& map, const Bytes& value, const Bytes& known) {
  // The programs of `to` itself, which it knows as its own.
  if (map.is_of_programs() && (program_in(value).flags & BW_PROGRAM_SUCCESSOR) != 0) return false;
  if (known.empty() || !map.is_of_programs()) return known != value;
  const bw_program program = program_in(value);
  return program.standing == BW_STANDING_CONFIRMED && !know_alike(program, program_in(known));
}

// Until it is as `from` has it, which may change under way.
Status carry_one(const Shared& map, const void* key) {
  constexpr int most_changes = 8;
  Bytes value = map.old_value(key);
  for (int i = 0; i < most_changes && !value.empty(); i++) {
    const Bytes known = map.new_value(key);
    if (!replaces(map, value, known)) return {};
    if (auto put = map.put(key, value, known.empty() ? BPF_NOEXIST : BPF_ANY); !put) return put;
    Bytes now = map.old_value(key);
    if (now == value) return {};
    value = std::move(now);
  }
  return {};
}

Status carry_map(const RunningPart& from, const Warden& to, const char* name) {
  const auto map = Shared::open(from, to, name);
  if (!map) return std::unexpected(map.error());
  const auto keys = map->old_keys();
  if (!keys) return std::unexpected(keys.error());
  for (const Bytes& key : *keys)
    if (auto carried = carry_one(*map, key.data()); !carried) return carried;
  return {};
}

struct Entry {
  const Shared* map;
  Bytes key, value;
};

// That `from` does not have.
Status find_gone(const Shared& map, std::vector<Entry>& gone) {
  const auto keys = map.new_keys();
  if (!keys) return std::unexpected(keys.error());
  for (const Bytes& key : *keys)
    if (map.old_value(key.data()).empty()) gone.push_back({&map, key, map.new_value(key.data())});
  return {};
}

std::vector<uint64_t> running_loaders(const Shared& programs, const std::vector<Bytes>& keys) {
  std::vector<uint64_t> running;
  for (const Bytes& key : keys) {
    uint64_t address = 0;
    std::memcpy(&address, key.data(), std::min(key.size(), sizeof(address)));
    const Bytes value = programs.old_value(&address);
    if (!value.empty() && program_in(value).run == BW_RUN_UNDER_WAY) running.push_back(address);
  }
  return running;
}

}  // namespace

Status carry_records(const RunningPart& from, const Warden& to) {
  for (const auto& names :
       {std::span<const char* const>(kRecords), std::span<const char* const>(kLasting)})
    for (const char* name : names)
      if (auto carried = carry_map(from, to, name); !carried) return carried;
  return {};
}

Status forget_gone(const RunningPart& from, const Warden& to) {
  constexpr auto hooks_take = std::chrono::seconds(1);
  std::vector<Shared> maps;
  std::vector<Entry> gone;
  for (const char* name : kRecords) {
    auto map = Shared::open(from, to, name);
    if (!map) return std::unexpected(std::move(map).error());
    maps.push_back(std::move(*map));
  }
  for (const Shared& map : maps)
    if (auto found = find_gone(map, gone); !found) return found;
  std::this_thread::sleep_for(hooks_take);
  for (const Entry& one : gone)
    if (one.map->old_value(one.key.data()).empty() &&
        one.map->new_value(one.key.data()) == one.value)
      one.map->drop(one.key.data());
  return {};
}

Status carry_counts(const RunningPart& from, const Warden& to) {
  for (const char* name : kCounts)
    if (auto carried = carry_map(from, to, name); !carried) return carried;
  return carry_map(from, to, kTallyCounts);
}

Status await_loaders(const RunningPart& from, const Warden& to) {
  constexpr auto step = std::chrono::milliseconds(50);
  constexpr auto limit = std::chrono::seconds(60);
  const auto programs = Shared::open(from, to, kProgramRecords);
  if (!programs) return std::unexpected(programs.error());
  const auto keys = programs->old_keys();
  if (!keys) return std::unexpected(keys.error());
  std::vector<uint64_t> running = running_loaders(*programs, *keys);
  for (auto waited = std::chrono::milliseconds(0); !running.empty(); waited += step) {
    if (waited >= limit)
      return fail("program " +
                      std::to_string(program_in(programs->old_value(&running.front())).program_id) +
                      " is a signed loader that has been running for a minute",
                  "try again once it is done");
    std::this_thread::sleep_for(step);
    std::erase_if(running, [&](uint64_t address) {
      const Bytes value = programs->old_value(&address);
      return value.empty() || program_in(value).run != BW_RUN_UNDER_WAY;
    });
  }
  return {};
}

template <class T>
Result<T> read_as_here(const RunningPart& from, const Warden& to, const char* name, uint32_t key) {
  const auto map = Shared::open(from, to, name);
  if (!map) return std::unexpected(map.error());
  const Bytes value = map->old_value(&key);
  T record = {};
  if (value.size() < sizeof(record))
    return fail(std::string("cannot read the map `") + name + "` of the active kernel part");
  std::memcpy(&record, value.data(), sizeof(record));
  return record;
}

template Result<bw_control> read_as_here(const RunningPart&, const Warden&, const char*, uint32_t);
template Result<bw_attached_hook> read_as_here(const RunningPart&, const Warden&, const char*,
                                               uint32_t);

}  // namespace bpfwarden::loader
