#include "loader/policies/publish.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <string_view>

#include "base/fd.h"
#include "loader/kernel/seal.h"
#include "loader/kernel/syscall.h"
#include "loader/policies/host_mounts.h"

namespace bpfwarden::loader {
namespace {

constexpr uint32_t kOnlyKey = 0;

// Not bpf_map_create(): libbpf would probe for map names with an unsigned program first.
Result<Fd> create_image_map() {
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = sizeof(bw_image);
  attr.max_entries = 1;
  std::string_view("bw_image").copy(attr.map_name, sizeof(attr.map_name) - 1);
  Fd map(sys_bpf(BPF_MAP_CREATE, attr));
  if (!map) return fail_errno(errno, "cannot create the map for the policy image");
  return map;
}

Result<Fd> fill_image_map(const bw_image& image) {
  auto map = create_image_map();
  if (!map) return map;
  if (bpf_map_update_elem(map->get(), &kOnlyKey, &image, BPF_ANY) != 0)
    return fail_errno(errno, "cannot write the policy image");
  if (bpf_map_freeze(map->get()) != 0) return fail_errno(errno, "cannot freeze the policy image");
  return map;
}

// The next number whose slot holds nothing that is still needed.
uint64_t next_number(const bw_control& word) {
  const std::array needed = {word.generation, word.fallback,   word.staged,
                             word.previous,   word.ring_owner, word.unconfirmed};
  uint64_t number = std::max(word.last, word.generation) + 1;
  const auto takes_slot = [&](uint64_t other) {
    return other != 0 && other % BW_SLOTS == number % BW_SLOTS;
  };
  while (std::ranges::any_of(needed, takes_slot)) number++;
  return number;
}

Status put_in_slot(int generations, const bw_image& image) {
  auto map = fill_image_map(image);
  if (!map) return std::unexpected(std::move(map).error());
  const auto slot = static_cast<uint32_t>(image.generation % BW_SLOTS);
  const int map_fd = map->get();
  if (bpf_map_update_elem(generations, &slot, &map_fd, BPF_ANY) == 0) return {};
  return fail_errno(errno, "cannot put the policy image into its slot",
                    errno == EPERM ? "if sealing was interrupted: `bpfwarden seal` ends it" : "");
}

Result<uint64_t> put_image(const bw_control& word, int generations, const bw_image& image,
                           std::string_view next_root = {}) {
  const uint64_t number = next_number(word);
  auto numbered = std::make_unique<bw_image>(image);
  numbered->generation = number;
  if (auto noted = note_mounts(*numbered, next_root); !noted)
    return std::unexpected(std::move(noted).error());
  if (auto put = put_in_slot(generations, *numbered); !put)
    return std::unexpected(std::move(put).error());
  return number;
}

// What a deadline has decided already is made plain, so that the deadline's words mean nothing and
// may be written again.
Status settle(int control, bw_control& word) {
  if (!has_returned(word, boot_time_ns())) return {};
  word.generation = word.fallback;
  return write_control(control, word);
}

}  // namespace

Status carry_generation(int generations, const Generation& generation) {
  return put_in_slot(generations, *generation.image);
}

Result<Fd> make_empty_slot() {
  auto map = create_image_map();
  if (map && bpf_map_freeze(map->get()) != 0)
    return fail_errno(errno, "cannot freeze an empty policy image");
  return map;
}

uint64_t boot_time_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

Result<bw_control> read_control(int control) {
  bw_control word = {};
  if (bpf_map_lookup_elem(control, &kOnlyKey, &word) != 0)
    return fail_errno(errno, "cannot read the control word");
  drop_unfinished_seal(control, word);
  return word;
}

Status write_control(int control, const bw_control& word) {
  if (bpf_map_update_elem(control, &kOnlyKey, &word, BPF_ANY) != 0)
    return fail_errno(errno, "cannot write the control word");
  return {};
}

uint64_t deciding_generation(const bw_control& word, uint64_t now_ns) {
  return has_returned(word, now_ns) ? word.fallback : word.generation;
}

bool awaits_confirmation(const bw_control& word, uint64_t now_ns) {
  return word.generation != 0 && word.generation == word.unconfirmed && now_ns < word.confirm_by_ns;
}

uint64_t seconds_left(const bw_control& word, uint64_t now_ns) {
  constexpr uint64_t second = 1'000'000'000;
  return awaits_confirmation(word, now_ns) ? (word.confirm_by_ns - now_ns) / second + 1 : 0;
}

bool has_returned(const bw_control& word, uint64_t now_ns) {
  return word.generation != 0 && word.generation == word.unconfirmed &&
         now_ns >= word.confirm_by_ns;
}

Result<std::optional<Generation>> read_generation(int generations, uint64_t number) {
  const auto slot = static_cast<uint32_t>(number % BW_SLOTS);
  uint32_t id = 0;
  if (number == 0) return std::nullopt;
  if (bpf_map_lookup_elem(generations, &slot, &id) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return fail_errno(errno, "cannot find the policy image");
  }
  struct bpf_get_fd_by_id_opts reading = {};
  reading.sz = sizeof(reading);
  reading.open_flags = BPF_F_RDONLY;
  const Fd map(bpf_map_get_fd_by_id_opts(id, &reading));
  if (!map) return fail_errno(errno, "cannot open the policy image");
  auto image = std::make_unique<bw_image>();
  if (bpf_map_lookup_elem(map.get(), &kOnlyKey, image.get()) != 0)
    return fail_errno(errno, "cannot read the policy image");
  if (image->magic != BW_IMAGE_MAGIC || image->abi != BW_IMAGE_ABI)
    return fail("the policy image in the kernel is of another version of bpfwarden",
                "it goes on deciding; reboot, and this version comes up with the confirmed policy");
  if (image->generation != number) return std::nullopt;
  return Generation{number, std::move(image)};
}

Result<std::optional<Generation>> read_active(int control, int generations) {
  auto word = read_control(control);
  if (!word) return std::unexpected(std::move(word).error());
  return read_generation(generations, deciding_generation(*word, boot_time_ns()));
}

Result<uint64_t> publish(int control, int generations, const bw_image& image,
                         std::optional<Deadline> deadline, std::string_view next_root) {
  auto word = read_control(control);
  if (!word) return std::unexpected(std::move(word).error());
  if (auto settled = settle(control, *word); !settled)
    return std::unexpected(std::move(settled).error());
  auto number = put_image(*word, generations, image, next_root);
  if (!number) return number;
  word->last = *number;
  word->fallback = 0;
  if (deadline) {
    word->unconfirmed = *number;
    word->confirm_by_ns = boot_time_ns() + deadline->within_ns;
    word->fallback = deadline->fallback;
  }
  if (auto prepared = write_control(control, *word); !prepared)
    return std::unexpected(std::move(prepared).error());
  word->previous = word->generation;
  word->generation = word->ring_owner = *number;
  word->staged = word->staged_since = 0;
  word->active_since = static_cast<uint64_t>(std::time(nullptr));
  word->active_since_ns = boot_time_ns();
  if (auto flipped = write_control(control, *word); !flipped)
    return std::unexpected(std::move(flipped).error());
  return number;
}

Result<uint64_t> publish_staged(int control, int generations, const bw_image& image) {
  auto word = read_control(control);
  if (!word) return std::unexpected(std::move(word).error());
  auto number = put_image(*word, generations, image);
  if (!number) return number;
  word->staged = word->last = *number;
  word->staged_since = static_cast<uint64_t>(std::time(nullptr));
  if (auto written = write_control(control, *word); !written)
    return std::unexpected(std::move(written).error());
  return number;
}

}  // namespace bpfwarden::loader
