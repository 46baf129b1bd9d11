#include "policy/image/pattern_table.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <vector>

#include "bpf-lsm/decide.h"

namespace bpfwarden::policy {
namespace {

// A full table finds its seed within a few tries; this many mean that something else is wrong.
constexpr uint64_t kMaxSeeds = 4096;

void unite(bw_vector& into, const bw_vector& from) {
  for (size_t i = 0; i < BW_VECTOR_WORDS; i++) into.words[i] |= from.words[i];
}

void set_bit(bw_vector& vector, uint32_t bit) { vector.words[bit / 64] |= uint64_t{1} << bit % 64; }

// Hands out one index for each different vector.
class VectorPool {
 public:
  explicit VectorPool(bw_image& image) : image_(image) {
    bw_vector all;
    std::fill(std::begin(all.words), std::end(all.words), ~uint64_t{0});
    (void)index_of({});   // BW_VECTOR_NONE
    (void)index_of(all);  // BW_VECTOR_ALL
  }

  // BW_MAX_VECTORS if there is no room.
  uint16_t index_of(const bw_vector& vector) {
    std::array<uint64_t, BW_VECTOR_WORDS> words;
    std::copy(std::begin(vector.words), std::end(vector.words), words.begin());
    const auto next = static_cast<uint16_t>(std::min<size_t>(known_.size(), BW_MAX_VECTORS));
    const auto [known, is_new] = known_.emplace(words, next);
    if (is_new && next < BW_MAX_VECTORS) image_.vectors[next] = vector;
    return known->second;
  }

  [[nodiscard]] bool is_full() const { return known_.size() > BW_MAX_VECTORS; }

 private:
  bw_image& image_;
  std::map<std::array<uint64_t, BW_VECTOR_WORDS>, uint16_t> known_;
};

uint64_t hash_of(const bw_pattern& pattern, uint64_t seed) {
  std::array<uint8_t, BW_NAME_SIZE> name;
  std::memcpy(name.data(), pattern.name, name.size());
  uint64_t hash = bw_hash_start(seed, pattern.name_class);
  if (!pattern.is_prefix)
    return bw_hash_finish(bw_hash_words(hash, pattern.name, pattern.length), 0);
  for (size_t i = 0; i < pattern.length; i++) hash = bw_hash_byte(hash, name[i]);
  return bw_hash_finish(hash, pattern.is_prefix);
}

// Whether every pattern finds a slot near enough for bw_find_one, and no hash occurs twice.
bool place(const std::vector<bw_pattern>& patterns, uint64_t seed, bw_image& image) {
  std::memset(image.patterns, 0, sizeof(image.patterns));
  std::vector<uint64_t> hashes;
  for (bw_pattern pattern : patterns) {
    pattern.hash = hash_of(pattern, seed);
    hashes.push_back(pattern.hash);
    uint64_t probe = 0;
    const auto slot = [&] { return (pattern.hash + probe) % BW_PATTERN_SLOTS; };
    while (probe < BW_MAX_PROBES && image.patterns[slot()].hash != 0) probe++;
    if (probe == BW_MAX_PROBES) return false;
    image.patterns[slot()] = pattern;
  }
  std::sort(hashes.begin(), hashes.end());
  return std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end();
}

}  // namespace

// One writing of a table into an image.
class TableWriter {
 public:
  TableWriter(const PatternTable& table, bw_image& image)
      : table_(table), image_(image), pool_(image) {}

  void write_classes() {
    std::set<uint16_t> classes;
    for (const auto* sets : {&table_.any_, &table_.unknown_})
      for (const auto& entry : *sets) classes.insert(entry.first);
    for (const auto* names : {&table_.prefixes_, &table_.exact_}) {
      for (const auto& entry : *names) {
        classes.insert(entry.first.first);
        image_.classes[entry.first.first].flags |= BW_CLASS_PATTERNS;
      }
    }
    for (const uint16_t name_class : classes) write_class(name_class);
    for (const auto& entry : table_.prefixes_) {
      const size_t length = entry.first.second.size();
      image_.classes[entry.first.first].prefix_lengths[length / 64] |= uint64_t{1} << length % 64;
    }
  }

  std::vector<bw_pattern> patterns() {
    std::vector<bw_pattern> patterns;
    for (const bool is_prefix : {true, false})
      for (const auto& entry : is_prefix ? table_.prefixes_ : table_.exact_)
        patterns.push_back(pattern_of(entry, is_prefix));
    return patterns;
  }

  [[nodiscard]] bool is_full() const { return pool_.is_full(); }

 private:
  bw_match_sets sets_of(const PatternTable::Bits& bits) {
    return {pool_.index_of(bits.sure), pool_.index_of(bits.may)};
  }

  void write_class(uint16_t name_class) {
    PatternTable::Bits bits = table_.bits_of_any(name_class);
    image_.classes[name_class].other = sets_of(bits);
    const auto unknown = table_.unknown_.find(name_class);
    if (unknown != table_.unknown_.end()) {
      unite(bits.sure, unknown->second.sure);
      unite(bits.may, unknown->second.may);
    }
    image_.classes[name_class].unknown = sets_of(bits);
  }

  bw_pattern pattern_of(const PatternTable::Names::value_type& entry, bool is_prefix) {
    bw_pattern pattern = {};
    pattern.name_class = entry.first.first;
    pattern.is_prefix = is_prefix;
    pattern.length = static_cast<uint8_t>(entry.first.second.size());
    pattern.rules = sets_of(table_.with_prefixes(entry, is_prefix));
    std::memcpy(pattern.name, entry.first.second.data(), pattern.length);
    return pattern;
  }

  const PatternTable& table_;
  bw_image& image_;
  VectorPool pool_;
};

void PatternTable::add(uint16_t name_class, NameKind kind, std::string_view name, uint32_t rule,
                       Match match) {
  Bits& bits = kind == NameKind::any       ? any_[name_class]
               : kind == NameKind::unknown ? unknown_[name_class]
               : kind == NameKind::prefix  ? prefixes_[{name_class, std::string(name)}]
                                           : exact_[{name_class, std::string(name)}];
  if (match.sure) set_bit(bits.sure, rule);
  if (match.may) set_bit(bits.may, rule);
}

PatternTable::Bits PatternTable::bits_of_any(uint16_t name_class) const {
  const auto found = any_.find(name_class);
  return found == any_.end() ? Bits() : found->second;
}

PatternTable::Bits PatternTable::with_prefixes(const Names::value_type& entry,
                                               bool is_prefix) const {
  const auto& [name_class, name] = entry.first;
  Bits bits = entry.second;
  const Bits any = bits_of_any(name_class);
  unite(bits.sure, any.sure);
  unite(bits.may, any.may);
  for (size_t length = 1; length < name.size() + (is_prefix ? 0 : 1); length++) {
    const auto found = prefixes_.find({name_class, name.substr(0, length)});
    if (found == prefixes_.end()) continue;
    unite(bits.sure, found->second.sure);
    unite(bits.may, found->second.may);
  }
  return bits;
}

Status PatternTable::write(bw_image& image) const {
  const size_t count = prefixes_.size() + exact_.size();
  if (count > BW_MAX_PATTERNS)
    return fail("the policy has " + std::to_string(count) + " different names; " +
                    std::to_string(BW_MAX_PATTERNS) + " fit",
                "use `*`: one pattern instead of many names");
  TableWriter writer(*this, image);
  writer.write_classes();
  const std::vector<bw_pattern> patterns = writer.patterns();
  if (writer.is_full())
    return fail("the names fall to more than " + std::to_string(BW_MAX_VECTORS) +
                    " different sets of rules",
                "give fewer names, or use `*`");
  for (uint64_t seed = 1; seed <= kMaxSeeds; seed++) {
    image.hash_seed = seed;
    if (place(patterns, seed, image)) return {};
  }
  return fail("no hash seed suits the names of this policy", "use fewer names, or `*`");
}

}  // namespace bpfwarden::policy
