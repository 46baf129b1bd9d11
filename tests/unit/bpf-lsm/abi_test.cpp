// The records that kernel and manager share must lie in memory alike: what clang laid out for BPF,
// as the BTF of the built object tells it, against what g++ lays out here.
#include <bpf/btf.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "bpf-lsm/abi/inventory.h"
#include "bpf-lsm/abi/part.h"
#include "bpf-lsm/abi/summary.h"
#include "bpf-lsm/abi/tally.h"

namespace {

struct FreeBtf {
  void operator()(btf* owned) const { btf__free(owned); }
};

// Size and member offsets of one struct, in bytes.
class Layout {
 public:
  Layout(const btf* types, const char* name)
      : types_(types), id_(btf__find_by_name_kind(types, name, BTF_KIND_STRUCT)) {
    INFO(name);
    REQUIRE(id_ > 0);
    type_ = btf__type_by_id(types, static_cast<uint32_t>(id_));
  }

  size_t size() const { return type_->size; }
  size_t members() const { return btf_vlen(type_); }

  size_t offset(const std::string& member) const {
    for (uint32_t i = 0; i < btf_vlen(type_); i++)
      if (member == btf__name_by_offset(types_, btf_members(type_)[i].name_off))
        return btf_member_bit_offset(type_, i) / 8;
    return SIZE_MAX;
  }

 private:
  const btf* types_;
  int id_;
  const btf_type* type_ = nullptr;
};

std::unique_ptr<btf, FreeBtf> warden_btf() {
  std::unique_ptr<btf, FreeBtf> types(btf__parse(WARDEN_OBJECT, nullptr));
  REQUIRE(types);
  return types;
}

// Of the types that a record is made of: names, sizes and places, a line each. What a type is a
// name or a qualifier of is followed.
class Records {
 public:
  explicit Records(const btf* types) : types_(types) {}

  std::string add(const char* name) {
    const int id = btf__find_by_name_kind(types_, name, BTF_KIND_STRUCT);
    INFO(name);
    REQUIRE(id > 0);
    describe(static_cast<uint32_t>(id));
    return text_.str();
  }

 private:
  void describe(uint32_t id) {
    const btf_type* type = btf__type_by_id(types_, id);
    if (type == nullptr || !seen_.insert(id).second) return;
    text_ << btf_kind(type) << ' ' << btf__name_by_offset(types_, type->name_off) << ' '
          << btf__resolve_size(types_, id) << '\n';
    if (btf_is_composite(type)) return describe_members(type);
    if (btf_is_array(type)) return describe(btf_array(type)->type);
    if (btf_is_mod(type) || btf_is_typedef(type)) describe(type->type);
  }

  void describe_members(const btf_type* type) {
    for (uint32_t i = 0; i < btf_vlen(type); i++) {
      const btf_member& member = btf_members(type)[i];
      text_ << ' ' << btf__name_by_offset(types_, member.name_off) << ' '
            << btf_member_bit_offset(type, i) << ' ' << btf__resolve_size(types_, member.type)
            << '\n';
    }
    for (uint32_t i = 0; i < btf_vlen(type); i++) describe(btf_members(type)[i].type);
  }

  const btf* types_;
  std::set<uint32_t> seen_;
  std::ostringstream text_;
};

// FNV-1a: it is to notice what changes by mistake.
uint64_t number_of(const std::string& text) {
  uint64_t number = 0xcbf29ce484222325;
  for (const char one : text) number = (number ^ static_cast<uint8_t>(one)) * 0x100000001b3;
  return number;
}

#define CHECK_MEMBER(layout, type, member) \
  CHECK((layout).offset(#member) == offsetof(struct type, member))

}  // namespace

// A binary of another version reads the number and nothing else if it is not its own.
TEST_CASE("records that lie otherwise have another BW_PART_ABI") {
  const auto types = warden_btf();
  Records records(types.get());
  std::string text;
  for (const char* name :
       {"bw_image", "bw_control", "bw_event", "bw_counters", "bw_minute", "bw_program", "bw_tally",
        "bw_summary_key", "bw_summary", "bw_attached_hook", "bw_unjudged", "bw_listed_program",
        "bw_listed_link", "bw_listed_holder", "bw_own_key", "bw_own", "bw_manager", "bw_order",
        "bw_request"})
    text = records.add(name);
  INFO(
      "raise BW_PART_ABI in bpf-lsm/abi/part.h, say so in CHANGELOG.md, and write the number "
      "here:");
  INFO(text);
  CHECK(BW_PART_ABI == 1);
  CHECK(number_of(text) == 0x76cc9906259d5daa);
  CHECK(Layout(types.get(), "bw_part").size() == 64);
}

TEST_CASE("the policy image lies alike in kernel and manager") {
  const auto types = warden_btf();
  const Layout image(types.get(), "bw_image");
  CHECK(image.size() == sizeof(bw_image));
  CHECK(image.members() == 46);
  CHECK_MEMBER(image, bw_image, magic);
  CHECK_MEMBER(image, bw_image, policy_version);
  CHECK_MEMBER(image, bw_image, hash_seed);
  CHECK_MEMBER(image, bw_image, signer_count);
  CHECK_MEMBER(image, bw_image, mode);
  CHECK_MEMBER(image, bw_image, default_allow);
  CHECK_MEMBER(image, bw_image, policy_digest);
  CHECK_MEMBER(image, bw_image, generation);
  CHECK_MEMBER(image, bw_image, allow);
  CHECK_MEMBER(image, bw_image, load_only);
  CHECK_MEMBER(image, bw_image, audit);
  CHECK_MEMBER(image, bw_image, enforce);
  CHECK_MEMBER(image, bw_image, keyed);
  CHECK_MEMBER(image, bw_image, quiet);
  CHECK_MEMBER(image, bw_image, origin);
  CHECK_MEMBER(image, bw_image, trait);
  CHECK_MEMBER(image, bw_image, periods);
  CHECK_MEMBER(image, bw_image, signature);
  CHECK_MEMBER(image, bw_image, signer);
  CHECK_MEMBER(image, bw_image, class_of);
  CHECK_MEMBER(image, bw_image, classes);
  CHECK_MEMBER(image, bw_image, patterns);
  CHECK_MEMBER(image, bw_image, vectors);
  CHECK_MEMBER(image, bw_image, signers);
  CHECK_MEMBER(image, bw_image, rules);
  CHECK_MEMBER(image, bw_image, sealed);
  CHECK_MEMBER(image, bw_image, log_allowed);
  CHECK_MEMBER(image, bw_image, policy_signatures);
  CHECK_MEMBER(image, bw_image, policy_signers);
  CHECK_MEMBER(image, bw_image, confirm_within_s);
  CHECK_MEMBER(image, bw_image, harden);
  CHECK_MEMBER(image, bw_image, family_of);
  CHECK_MEMBER(image, bw_image, family_of_probe);
  CHECK_MEMBER(image, bw_image, detect);

  const Layout pattern(types.get(), "bw_pattern");
  CHECK(pattern.size() == sizeof(bw_pattern));
  CHECK_MEMBER(pattern, bw_pattern, name_class);
  CHECK_MEMBER(pattern, bw_pattern, length);
  CHECK_MEMBER(pattern, bw_pattern, rules);
  CHECK_MEMBER(pattern, bw_pattern, name);

  const Layout signer(types.get(), "bw_signer");
  CHECK(signer.size() == sizeof(bw_signer));
  CHECK_MEMBER(signer, bw_signer, kind);
  CHECK_MEMBER(signer, bw_signer, keyring);
  CHECK_MEMBER(signer, bw_signer, key);
  CHECK_MEMBER(signer, bw_signer, algorithm);
  CHECK_MEMBER(signer, bw_signer, name);
  CHECK_MEMBER(signer, bw_signer, not_after);
  CHECK_MEMBER(signer, bw_signer, key_digest);

  const Layout sealed(types.get(), "bw_sealed");
  CHECK(sealed.size() == sizeof(bw_sealed));
  CHECK_MEMBER(sealed, bw_sealed, ring);
  CHECK_MEMBER(sealed, bw_sealed, keys);
}

TEST_CASE("the event record lies alike in kernel and manager") {
  const auto types = warden_btf();
  const Layout event(types.get(), "bw_event");
  CHECK(event.size() == sizeof(bw_event));
  CHECK_MEMBER(event, bw_event, sequence);
  CHECK_MEMBER(event, bw_event, policy_digest);
  CHECK_MEMBER(event, bw_event, error);
  CHECK_MEMBER(event, bw_event, rule);
  CHECK_MEMBER(event, bw_event, cause);
  CHECK_MEMBER(event, bw_event, signer);
  CHECK_MEMBER(event, bw_event, key_serial);
  CHECK_MEMBER(event, bw_event, prog_type);
  CHECK_MEMBER(event, bw_event, loader_id);
  CHECK_MEMBER(event, bw_event, digest);
  CHECK_MEMBER(event, bw_event, loader_digest);
  CHECK_MEMBER(event, bw_event, attach_name);
  CHECK_MEMBER(event, bw_event, program_name);
  CHECK_MEMBER(event, bw_event, tgid);
  CHECK_MEMBER(event, bw_event, active_allow);
  CHECK_MEMBER(event, bw_event, cgroup_id);
  CHECK_MEMBER(event, bw_event, comm);
  CHECK_MEMBER(event, bw_event, exe);
  CHECK_MEMBER(event, bw_event, cgroup);
  CHECK_MEMBER(event, bw_event, wall_time);
  CHECK_MEMBER(event, bw_event, wanted_key);
  CHECK_MEMBER(event, bw_event, route);
  CHECK_MEMBER(event, bw_event, family);
  CHECK_MEMBER(event, bw_event, place);
  CHECK_MEMBER(event, bw_event, count);
}

TEST_CASE("sums of denials and the list of hooks lie alike in kernel and manager") {
  const auto types = warden_btf();
  const Layout key(types.get(), "bw_summary_key");
  CHECK(key.size() == sizeof(bw_summary_key));
  CHECK_MEMBER(key, bw_summary_key, program_name);
  CHECK_MEMBER(key, bw_summary_key, tgid);
  CHECK_MEMBER(key, bw_summary_key, rule);
  CHECK_MEMBER(key, bw_summary_key, route);
  const Layout summary(types.get(), "bw_summary");
  CHECK(summary.size() == sizeof(bw_summary));
  CHECK_MEMBER(summary, bw_summary, last_ns);
  CHECK_MEMBER(summary, bw_summary, first);
  const Layout hook(types.get(), "bw_attached_hook");
  CHECK(hook.size() == sizeof(bw_attached_hook));
  CHECK_MEMBER(hook, bw_attached_hook, program_id);
  CHECK_MEMBER(hook, bw_attached_hook, name);
}

TEST_CASE("records of the inventory lie alike in kernel and manager") {
  const auto types = warden_btf();
  const Layout program(types.get(), "bw_listed_program");
  CHECK(program.size() == sizeof(bw_listed_program));
  CHECK_MEMBER(program, bw_listed_program, load_time_ns);
  CHECK_MEMBER(program, bw_listed_program, name);
  CHECK_MEMBER(program, bw_listed_program, digest);
  CHECK_MEMBER(program, bw_listed_program, attach_name);

  const Layout link(types.get(), "bw_listed_link");
  CHECK(link.size() == sizeof(bw_listed_link));
  CHECK_MEMBER(link, bw_listed_link, program_id);
  CHECK_MEMBER(link, bw_listed_link, place);

  const Layout holder(types.get(), "bw_listed_holder");
  CHECK(holder.size() == sizeof(bw_listed_holder));
  CHECK_MEMBER(holder, bw_listed_holder, held);
  CHECK_MEMBER(holder, bw_listed_holder, object);
  CHECK_MEMBER(holder, bw_listed_holder, comm);
}

TEST_CASE("control word, provenance and counters lie alike in kernel and manager") {
  const auto types = warden_btf();
  const Layout control(types.get(), "bw_control");
  CHECK(control.size() == sizeof(bw_control));
  CHECK_MEMBER(control, bw_control, attached_ns);
  CHECK_MEMBER(control, bw_control, unconfirmed);
  CHECK_MEMBER(control, bw_control, confirm_by_ns);
  CHECK_MEMBER(control, bw_control, fallback);
  CHECK_MEMBER(control, bw_control, staged);
  CHECK_MEMBER(control, bw_control, ring_owner);
  CHECK_MEMBER(control, bw_control, released_ns);
  CHECK_MEMBER(control, bw_control, sealed_generation);
  CHECK_MEMBER(control, bw_control, staged_signed);
  CHECK_MEMBER(control, bw_control, taken_back);
  CHECK_MEMBER(control, bw_control, challenge);

  const Layout program(types.get(), "bw_program");
  CHECK(program.size() == sizeof(bw_program));
  CHECK_MEMBER(program, bw_program, decision);
  CHECK_MEMBER(program, bw_program, flags);
  CHECK_MEMBER(program, bw_program, route);
  CHECK_MEMBER(program, bw_program, family);
  CHECK_MEMBER(program, bw_program, loader_digest);
  CHECK_MEMBER(program, bw_program, signer_key);
  CHECK_MEMBER(program, bw_program, rule);
  CHECK_MEMBER(program, bw_program, staged_signer);
  CHECK_MEMBER(program, bw_program, raced);

  const Layout facts(types.get(), "bw_facts");
  CHECK(facts.size() == sizeof(bw_facts));
  CHECK_MEMBER(facts, bw_facts, signature);
  CHECK_MEMBER(facts, bw_facts, traits);
  CHECK_MEMBER(facts, bw_facts, time);
  CHECK_MEMBER(facts, bw_facts, names);
  CHECK_MEMBER(facts, bw_facts, found);

  const Layout name(types.get(), "bw_name");
  CHECK(name.size() == sizeof(bw_name));
  CHECK_MEMBER(name, bw_name, known);

  const Layout info(types.get(), "bw_class_info");
  CHECK(info.size() == sizeof(bw_class_info));
  CHECK_MEMBER(info, bw_class_info, unknown);
  CHECK_MEMBER(info, bw_class_info, prefix_lengths);

  const Layout counters(types.get(), "bw_counters");
  CHECK(counters.size() == sizeof(bw_counters));
  CHECK_MEMBER(counters, bw_counters, dropped);
  CHECK_MEMBER(counters, bw_counters, quiet);
  CHECK_MEMBER(counters, bw_counters, postponed);
  CHECK_MEMBER(counters, bw_counters, withheld);
  CHECK_MEMBER(counters, bw_counters, summed);

  const Layout minute(types.get(), "bw_minute");
  CHECK(minute.size() == sizeof(bw_minute));
  CHECK_MEMBER(minute, bw_minute, observed);
}

TEST_CASE("the key of the counts by rule lies alike in kernel and manager") {
  const auto types = warden_btf();
  const Layout tally(types.get(), "bw_tally");
  CHECK(tally.size() == sizeof(bw_tally));
  CHECK(tally.members() == 6);
  CHECK_MEMBER(tally, bw_tally, rule);
  CHECK_MEMBER(tally, bw_tally, allow);
  CHECK_MEMBER(tally, bw_tally, mode);
  CHECK_MEMBER(tally, bw_tally, cause);
  CHECK_MEMBER(tally, bw_tally, signature);
}
