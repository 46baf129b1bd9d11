#include "loader/publish.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <string_view>

#include "base/fd.h"
#include "loader/syscall.h"

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
  attr.map_flags = BPF_F_RDONLY_PROG;
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

}  // namespace

Result<bw_control> read_control(int control) {
  bw_control word = {};
  if (bpf_map_lookup_elem(control, &kOnlyKey, &word) != 0)
    return fail_errno(errno, "cannot read the control word");
  return word;
}

Status write_control(int control, const bw_control& word) {
  if (bpf_map_update_elem(control, &kOnlyKey, &word, BPF_ANY) != 0)
    return fail_errno(errno, "cannot write the control word");
  return {};
}

Result<std::optional<Generation>> read_generation(int control, int generations, uint64_t number) {
  auto word = read_control(control);
  if (!word) return std::unexpected(std::move(word).error());
  if (number == 0 || number > word->generation || number + BW_SLOTS <= word->generation)
    return std::nullopt;
  const uint32_t slot = static_cast<uint32_t>(number % BW_SLOTS);
  uint32_t id = 0;
  if (bpf_map_lookup_elem(generations, &slot, &id) != 0)
    return fail_errno(errno, "cannot find the policy image");
  const Fd map(bpf_map_get_fd_by_id(id));
  if (!map) return fail_errno(errno, "cannot open the policy image");
  auto image = std::make_unique<bw_image>();
  if (bpf_map_lookup_elem(map.get(), &kOnlyKey, image.get()) != 0)
    return fail_errno(errno, "cannot read the policy image");
  if (image->magic != BW_IMAGE_MAGIC || image->abi != BW_IMAGE_ABI)
    return fail("the policy image in the kernel is of another version of bpfwarden",
                "use that version, or run `bpfwarden off` and apply the policy again");
  return Generation{number, std::move(image)};
}

Result<std::optional<Generation>> read_active(int control, int generations) {
  auto word = read_control(control);
  if (!word) return std::unexpected(std::move(word).error());
  return read_generation(control, generations, word->generation);
}

Result<uint64_t> publish(int control, int generations, const bw_image& image) {
  auto word = read_control(control);
  if (!word) return std::unexpected(std::move(word).error());
  auto map = fill_image_map(image);
  if (!map) return std::unexpected(std::move(map).error());
  const uint64_t next = word->generation + 1;
  const uint32_t slot = static_cast<uint32_t>(next % BW_SLOTS);
  const int map_fd = map->get();
  if (bpf_map_update_elem(generations, &slot, &map_fd, BPF_ANY) != 0)
    return fail_errno(errno, "cannot put the policy image into its slot");
  word->generation = next;
  if (auto flipped = write_control(control, *word); !flipped)
    return std::unexpected(std::move(flipped).error());
  return next;
}

}  // namespace bpfwarden::loader
