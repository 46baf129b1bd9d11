#include "loader/handover/laid_out.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace bpfwarden::loader {
namespace {

struct Place {
  size_t offset, size;
};

using Places = std::map<std::string, Place>;  // by the path of a member: "facts.names[2].words"

// Of values of one type.
class Members {
 public:
  explicit Members(const btf* types) : types_(types) {}

  void find(uint32_t id, const std::string& path, size_t offset) {
    id = plain(id);
    const btf_type* type = btf__type_by_id(types_, id);
    if (type == nullptr) return;
    if (btf_is_composite(type)) return find_in_struct(type, path, offset);
    if (btf_is_array(type)) return find_in_array(type, path, offset);
    places_[path] = {offset, size_of(id)};
  }

  [[nodiscard]] Places take() { return std::move(places_); }

 private:
  [[nodiscard]] uint32_t plain(uint32_t id) const {
    for (const btf_type* type = btf__type_by_id(types_, id);
         type != nullptr && (btf_is_mod(type) || btf_is_typedef(type));
         type = btf__type_by_id(types_, id))
      id = type->type;
    return id;
  }

  [[nodiscard]] size_t size_of(uint32_t id) const {
    return static_cast<size_t>(std::max<int64_t>(btf__resolve_size(types_, id), 0));
  }

  void find_in_struct(const btf_type* type, const std::string& path, size_t offset) {
    constexpr uint32_t bits = 8;
    for (uint32_t i = 0; i < btf_vlen(type); i++) {
      const btf_member& member = btf_members(type)[i];
      const std::string name = btf__name_by_offset(types_, member.name_off);
      find(member.type, name.empty() ? path : std::string(path).append(".").append(name),
           offset + btf_member_bit_offset(type, i) / bits);
    }
  }

  // Of numbers it is one piece.
  void find_in_array(const btf_type* type, const std::string& path, size_t offset) {
    const struct btf_array* array = btf_array(type);
    const uint32_t element = plain(array->type);
    const btf_type* of = btf__type_by_id(types_, element);
    const size_t size = size_of(element);
    if (of == nullptr || !(btf_is_composite(of) || btf_is_array(of))) {
      places_[path] = {offset, size * array->nelems};
      return;
    }
    for (uint32_t i = 0; i < array->nelems; i++)
      find(element, std::string(path).append("[").append(std::to_string(i)).append("]"),
           offset + i * size);
  }

  const btf* types_;
  Places places_;
};

Result<bpf_map_info> info_of(int map) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(map, &info, &size) != 0)
    return fail_errno(errno, "cannot look at a map of the kernel part");
  return info;
}

using Types = std::unique_ptr<btf, decltype(&btf__free)>;

Result<Types> types_of(const bpf_map_info& info) {
  const std::string name = info.name;
  if (info.btf_id == 0 || info.btf_value_type_id == 0)
    return fail("the map " + name + " says nothing of its types");
  Types types(btf__load_from_kernel_by_id(info.btf_id), btf__free);
  if (!types) return fail_errno(errno, "cannot read the types of the map " + name);
  return types;
}

Places places_in(const btf* types, uint32_t id) {
  Members members(types);
  members.find(id, "", 0);
  return members.take();
}

bool is_for_each_cpu(const bpf_map_info& info) {
  return info.type == BPF_MAP_TYPE_PERCPU_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_HASH;
}

size_t in_words(size_t size) { return (size + 7) / 8 * 8; }

}  // namespace

LaidOut LaidOut::by_names(const btf* before, uint32_t before_id, const btf* after,
                          uint32_t after_id) {
  const auto size_of = [](const btf* types, uint32_t id) {
    return static_cast<size_t>(std::max<int64_t>(btf__resolve_size(types, id), 0));
  };
  LaidOut laid_out;
  laid_out.before_ = size_of(before, before_id);
  laid_out.after_ = size_of(after, after_id);
  const Places known = places_in(before, before_id);
  for (const auto& [path, place] : places_in(after, after_id))
    if (const auto from = known.find(path); from != known.end())
      laid_out.moves_.push_back(
          {from->second.offset, place.offset, std::min(from->second.size, place.size)});
  return laid_out;
}

Result<LaidOut> LaidOut::between(int from, int to) {
  const auto old_info = info_of(from), new_info = info_of(to);
  if (!old_info) return std::unexpected(old_info.error());
  if (!new_info) return std::unexpected(new_info.error());
  if (old_info->type != new_info->type || old_info->key_size != new_info->key_size)
    return fail(std::string("the map ") + new_info->name + " is another kind of map");
  const auto before = types_of(*old_info), after = types_of(*new_info);
  if (!before) return std::unexpected(before.error());
  if (!after) return std::unexpected(after.error());
  LaidOut laid_out = by_names(before->get(), old_info->btf_value_type_id, after->get(),
                              new_info->btf_value_type_id);
  if (is_for_each_cpu(*old_info)) {
    laid_out.copies_ = static_cast<size_t>(libbpf_num_possible_cpus());
    laid_out.before_ = in_words(laid_out.before_);
    laid_out.after_ = in_words(laid_out.after_);
  }
  return laid_out;
}

void LaidOut::move(const std::byte* before, std::byte* after) const {
  std::memset(after, 0, size_after());
  for (size_t copy = 0; copy < copies_; copy++)
    for (const Move& one : moves_)
      std::memcpy(after + copy * after_ + one.to, before + copy * before_ + one.from, one.size);
}

}  // namespace bpfwarden::loader
