#include "policy/pattern_table.h"

#include <algorithm>
#include <array>
#include <cstring>
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

// Hands out one index for each different vector; 0 is the empty one.
class VectorPool {
 public:
  explicit VectorPool(bw_image& image) : image_(image) { (void)index_of({}); }

  // BW_MAX_VECTORS if there is no room.
  uint16_t index_of(const bw_vector& vector) {
    std::array<uint64_t, BW_VECTOR_WORDS> words;
    std::copy(std::begin(vector.words), std::end(vector.words), words.begin());
    const auto [known, is_new] = known_.emplace(words, static_cast<uint16_t>(known_.size()));
    if (is_new && known->second < BW_MAX_VECTORS) image_.vectors[known->second] = vector;
    return known->second;
  }

 private:
  bw_image& image_;
  std::map<std::array<uint64_t, BW_VECTOR_WORDS>, uint16_t> known_;
};

uint64_t hash_of(const bw_pattern& pattern, uint64_t seed) {
  std::array<uint8_t, BW_NAME_SIZE> name;
  std::memcpy(name.data(), pattern.name, name.size());
  uint64_t hash = bw_hash_start(seed, pattern.attach_class);
  for (size_t i = 0; i < pattern.length; i++) hash = bw_hash_byte(hash, name[i]);
  return bw_hash_finish(hash, pattern.is_prefix);
}

// Whether every pattern finds a slot near enough for bw_probe, and no hash occurs twice.
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

void PatternTable::add(uint8_t attach_class, bool is_prefix, std::string_view name, uint32_t rule,
                       Match match) {
  Bits& bits = (is_prefix ? prefixes_ : exact_)[{attach_class, std::string(name)}];
  if (match.sure) set_bit(bits.sure, rule);
  if (match.may) set_bit(bits.may, rule);
}

PatternTable::Bits PatternTable::with_prefixes(const Names::value_type& entry,
                                               bool is_prefix) const {
  const auto& [attach_class, name] = entry.first;
  Bits bits = entry.second;
  for (size_t length = 0; length < name.size() + (is_prefix ? 0 : 1); length++) {
    const auto found = prefixes_.find({attach_class, name.substr(0, length)});
    if (found == prefixes_.end()) continue;
    unite(bits.sure, found->second.sure);
    unite(bits.may, found->second.may);
  }
  return bits;
}

Status PatternTable::collect(bw_image& image, std::vector<bw_pattern>& patterns) const {
  VectorPool pool(image);
  for (const bool is_prefix : {true, false}) {
    for (const auto& entry : is_prefix ? prefixes_ : exact_) {
      const Bits bits = with_prefixes(entry, is_prefix);
      bw_pattern pattern = {};
      pattern.attach_class = entry.first.first;
      pattern.is_prefix = is_prefix;
      pattern.length = static_cast<uint8_t>(entry.first.second.size());
      pattern.sure = pool.index_of(bits.sure);
      pattern.may = pool.index_of(bits.may);
      std::memcpy(pattern.name, entry.first.second.data(), pattern.length);
      if (pattern.sure >= BW_MAX_VECTORS || pattern.may >= BW_MAX_VECTORS)
        return fail("the attach points fall to more than " + std::to_string(BW_MAX_VECTORS) +
                        " different sets of rules",
                    "name fewer attach points, or use `*`");
      patterns.push_back(pattern);
    }
  }
  return {};
}

Status PatternTable::write(bw_image& image) const {
  const size_t count = prefixes_.size() + exact_.size();
  if (count > BW_MAX_PATTERNS)
    return fail("the policy has " + std::to_string(count) + " different attach points; " +
                    std::to_string(BW_MAX_PATTERNS) + " fit",
                "use `*`: one pattern instead of many names");
  std::vector<bw_pattern> patterns;
  if (Status collected = collect(image, patterns); !collected) return collected;
  for (uint64_t seed = 1; seed <= kMaxSeeds; seed++) {
    image.hash_seed = seed;
    if (place(patterns, seed, image)) return {};
  }
  return fail("no hash seed suits the names of this policy", "use fewer names, or `*`");
}

}  // namespace bpfwarden::policy
