// Any policy: what parses and compiles is an image that bw_decide() can walk with any facts.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "bpf-lsm/decide.h"
#include "policy/image/compile.h"
#include "tests/fuzz/input.h"

using namespace bpfwarden::policy;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool fits(bw_match_sets sets) { return sets.sure < BW_MAX_VECTORS && sets.may < BW_MAX_VECTORS; }

void check_image(const bw_image& image) {
  require(image.period_count >= 1 && image.period_count <= BW_MAX_TIMES);
  require(image.signer_count >= BW_SIGNER_FIRST_KEY && image.signer_count <= BW_MAX_SIGNERS);
  require(image.rule_count <= BW_MAX_RULES);
  for (const bw_class_info& info : image.classes) require(fits(info.other) && fits(info.unknown));
  for (const bw_pattern& pattern : image.patterns)
    require(fits(pattern.rules) && pattern.name_class < BW_CLASSES &&
            pattern.length < BW_NAME_SIZE);
}

// The bytes, repeated, as facts; only what the kernel part itself bounds is bounded here.
bw_facts facts_from(std::string_view bytes) {
  bw_facts facts;
  for (size_t i = 0; i < sizeof(facts); i++)
    reinterpret_cast<char*>(&facts)[i] = bytes.empty() ? 0 : bytes[i % bytes.size()];
  facts.signer %= BW_MAX_SIGNERS;
  for (bw_name& name : facts.names) name.length %= BW_NAME_SIZE;
  return facts;
}

void check_decision(const bw_image& image, bw_facts facts) {
  const uint8_t guard = facts.guard;
  const bw_decision decision = bw_decide(&image, &facts);
  if (guard != BW_CAUSE_RULE) require(decision.allow == 0 && decision.cause == guard);
  if (decision.rule != BW_NO_RULE) require(decision.rule < image.rule_count);
  if (image.rule_count == 0) require(decision.rule == BW_NO_RULE);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ParseResult parsed = fuzz::parse_input(text);
  if (!parsed.policy) return 0;
  const auto image = compile(*parsed.policy, std::array<uint8_t, 32>{});
  if (!image) return 0;
  check_image(**image);
  bw_facts facts = facts_from(text.substr(text.size() / 2));
  check_decision(**image, facts);
  facts.guard = BW_CAUSE_RULE;
  facts.prog_type = 6;  // BPF_PROG_TYPE_XDP: a class that there is
  facts.attach_type = 37;
  check_decision(**image, facts);
  return 0;
}
