#include "policy/language/attach_pattern.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

#include "bpf-lsm/abi/image.h"
#include "policy/text/nearest.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

string in_backticks(string_view text) { return "`" + string(text) + "`"; }

struct Alias {
  string_view written;
  string_view meant;
};

// Other spellings of libbpf, and names of the kernel. A whole attach point, or the part before `/`.
constexpr auto kAliases = std::to_array<Alias>({
    {"tracepoint", "tp"},
    {"raw_tracepoint", "raw_tp"},
    {"raw_tracepoint.w", "raw_tp.w"},
    {"classifier", "tc"},
    {"tc/ingress", "tcx/ingress"},
    {"tc/egress", "tcx/egress"},
    {"cgroup/sock", "cgroup/sock_create"},
    {"cgroup/skb", "cgroup_skb/*"},
    {"cgroup/device", "cgroup/dev"},
    {"sk_skb", "sk_skb/*"},
    {"xdp.frags", "xdp"},
    {"xdp.frags/devmap", "xdp/devmap"},
    {"xdp.frags/cpumap", "xdp/cpumap"},
});

// The kernel's own names of BTF targets begin so; facts and policies leave it out, as libbpf does.
constexpr auto kTargetPrefixes = std::to_array<Alias>({
    {"lsm", "bpf_lsm_"},
    {"lsm_cgroup", "bpf_lsm_"},
    {"iter", "bpf_iter_"},
    {"tp_btf", "btf_trace_"},
});

string_view head_of(string_view text) { return text.substr(0, text.find('/')); }

std::optional<string_view> alias_of(string_view text) {
  for (const Alias& alias : kAliases)
    if (alias.written == text) return alias.meant;
  return std::nullopt;
}

// `text` with its first `length` bytes replaced, ready to be written into the policy.
string respelt(string_view text, size_t length, string_view meant) {
  string result(meant);
  result += text.substr(length);
  while (result.ends_with("**")) result.pop_back();
  const auto family = find_family(result);
  if (family && attach_families()[*family].target != Target::none) result += "/*";
  return result;
}

std::optional<Error> other_spelling(string_view text) {
  const string_view head = head_of(text);
  const string_view body = text.ends_with('*') ? text.substr(0, text.size() - 1) : text;
  if (head.ends_with(".s") || head.ends_with(".s*")) {
    const string_view plain = head.substr(0, head.rfind(".s"));
    const string_view meant = alias_of(plain).value_or(plain);
    if (find_family(meant))
      return Error{
          0, in_backticks(text) + ": whether a program may sleep is no part of its attach point",
          "write " + in_backticks(respelt(text, plain.size() + 2, meant))};
  }
  for (const string_view part : {text, body, head}) {
    const auto meant = alias_of(part);
    if (!meant || (meant->ends_with('*') && part.size() < body.size())) continue;
    return Error{0, in_backticks(text) + " is not how an attach point is named here",
                 "did you mean " + in_backticks(respelt(text, part.size(), *meant)) + "?"};
  }
  return std::nullopt;
}

Error unknown(string_view text) {
  std::vector<string_view> whole, heads;
  for (const AttachFamily& family : attach_families())
    (family.target == Target::none ? whole : heads).push_back(family.name);
  const string_view body = text.substr(0, text.find('*'));
  const string_view head = head_of(body);
  Error error{0, "there is no attach point " + in_backticks(text),
              "docs/policy.md lists the attach points"};
  if (const auto near = nearest(body, whole))
    error.hint = "did you mean " + in_backticks(*near) + "?";
  else if (const auto near_head = nearest(head, heads))
    error.hint = "did you mean " + in_backticks(respelt(text, head.size(), *near_head)) + "?";
  return error;
}

std::optional<Error> malformed(string_view text) {
  if (text.empty()) return Error{0, "an attach point is missing", "write one, such as `xdp`"};
  for (const char c : text)
    if (c <= ' ' || c > '~')
      return Error{0, "an attach point has only printable ASCII characters and no spaces", ""};
  return std::nullopt;
}

std::optional<Error> star_within(string_view text, string_view part) {
  if (part.find('*') < part.size() - 1)
    return Error{
        0, in_backticks(text) + ": `*` stands only at the end of an attach point or of a place",
        ""};
  return std::nullopt;
}

// An attach point and its place. What is known only at attach may hold anything, such as the path
// of a binary.
struct Parts {
  string_view body;
  std::optional<string_view> place;
};

Parts split(string_view text) {
  const auto found = find_family(head_of(text));
  const size_t at = text.find('@');
  const bool free_form = found && attach_families()[*found].target == Target::attach;
  if (free_form || at == string_view::npos) return {text, std::nullopt};
  return {text.substr(0, at), text.substr(at + 1)};
}

// What stands before a `:`.
std::optional<Error> bad_owner(const AttachFamily& family, string_view target, string_view star) {
  const size_t colon = target.find(':');
  if (colon == string_view::npos) return std::nullopt;
  const string_view owner = target.substr(0, colon), rest = target.substr(colon + 1);
  const string name(family.name);
  if (!has_owned_targets(*find_family(family.name)))
    return Error{0, "a target of " + in_backticks(name) + " has no owner to name before a `:`",
                 "write " + in_backticks(name + "/" + string(rest) + string(star))};
  if (owner.empty() || rest.find(':') != string_view::npos || (rest.empty() && star.empty()))
    return Error{0, in_backticks(name + "/" + string(target)) + " names no target",
                 "write `prog:NAME` for a BPF program's, `MODULE:NAME` for a module's"};
  return std::nullopt;
}

// `star` is what follows the target: a wildcard or nothing.
std::optional<Error> bad_target(const AttachFamily& family, string_view target, string_view star) {
  const string name(family.name);
  if (target.size() >= BW_NAME_SIZE)
    return Error{0, "the target is longer than 127 bytes", "no name in the kernel's BTF is"};
  if (family.target == Target::attach) return std::nullopt;
  const size_t colon = target.find(':');
  if (auto error = bad_owner(family, target, star)) return error;
  const string owner(target.substr(0, colon == string_view::npos ? 0 : colon + 1));
  const string_view plain = target.substr(owner.size());
  for (const Alias& own : kTargetPrefixes)
    if (own.written == family.name && plain.starts_with(own.meant))
      return Error{
          0, in_backticks(own.meant) + " is left out of attach points",
          "write " +
              in_backticks(
                  (name + "/").append(owner).append(plain.substr(own.meant.size())).append(star))};
  return std::nullopt;
}

// A place in a file in the one spelling that the kernel part has: `16` and `0x010` are `0x10`,
// `readline+0` is `readline`.
string uprobe_target(string_view target) {
  const size_t place = target.rfind(':') + 1;
  const size_t plus = target.find('+', place);
  if (place == 0) return string(target);
  if (const auto offset = offset_in(target.substr(place)))
    return string(target.substr(0, place)) + offset_text(*offset);
  const auto further =
      plus == string_view::npos ? std::nullopt : offset_in(target.substr(plus + 1));
  if (!further || plus == place) return string(target);
  return string(target.substr(0, plus)) + (*further == 0 ? "" : "+" + offset_text(*further));
}

Result<AttachPoint> exact_point(string_view text) {
  const auto whole = find_family(text);
  if (whole && attach_families()[*whole].target == Target::none) return AttachPoint{*whole, {}, {}};
  const string_view head = head_of(text);
  const auto found = find_family(head);
  if (auto error = other_spelling(text)) return std::unexpected(std::move(*error));
  if (!found) return std::unexpected(unknown(text));
  const AttachFamily& family = attach_families()[*found];
  if (family.target == Target::none)
    return fail(in_backticks(head) + " takes no target", "write " + in_backticks(head));
  if (head.size() + 1 >= text.size())
    return fail(in_backticks(head) + " needs a target",
                "write " + in_backticks(string(head) + "/*") + " for every target");
  AttachPoint point{*found, string(text.substr(head.size() + 1)), {}};
  if (auto error = bad_target(family, point.target, "")) return std::unexpected(std::move(*error));
  if (is_uprobe(FamilySet().set(point.family))) point.target = uprobe_target(point.target);
  return point;
}

Result<AttachPattern> exact_pattern(string_view text) {
  auto point = exact_point(text);
  if (!point) return std::unexpected(std::move(point.error()));
  AttachPattern pattern{string(text), {}, {}, {}};
  pattern.families.set(point->family);
  if (attach_families()[point->family].target != Target::none)
    pattern.target = {TargetMatch::exact, std::move(point->target)};
  return pattern;
}

// `body` is the text without its `*`.
Result<AttachPattern> prefix_pattern(string_view text, string_view body) {
  AttachPattern pattern{string(text), {}, {}, {}};
  for (size_t i = 0; i < attach_families().size(); i++) {
    const AttachFamily& family = attach_families()[i];
    const string full = string(family.name) + (family.target == Target::none ? "" : "/");
    if (full.starts_with(body)) {
      pattern.families.set(i);
    } else if (family.target != Target::none && body.starts_with(full)) {
      pattern.families.set(i);
      pattern.target = {TargetMatch::prefix, string(body.substr(full.size()))};
      auto error = bad_target(family, pattern.target.text, "*");
      if (error) return std::unexpected(std::move(*error));
      return pattern;
    }
  }
  if (pattern.families.any()) return pattern;
  if (auto error = other_spelling(text)) return std::unexpected(std::move(*error));
  const string_view head = head_of(body);
  if (head.size() < body.size() && find_family(head))
    return fail(in_backticks(head) + " takes no target", "write " + in_backticks(head));
  return std::unexpected(unknown(text));
}

// Devices of other network namespaces than init's: `netns:4026532567/eth0`. No device has a `:` in
// its name, so none can be taken for one of those.
constexpr string_view kNamespace = "netns:";

bool is_device(string_view name) {
  constexpr size_t longest = 15;  // IFNAMSIZ without NUL
  return name.size() <= longest && name.find_first_of("/:") == string_view::npos;
}

bool is_device_elsewhere(string_view place, bool is_prefix) {
  if (!place.starts_with(kNamespace)) return false;
  const string_view rest = place.substr(kNamespace.size());
  const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  if (digits == rest.size()) return is_prefix;
  const string_view device = rest.substr(digits + 1);
  return digits > 0 && rest[digits] == '/' && is_device(device) && (is_prefix || !device.empty());
}

std::optional<Error> bad_device(string_view plain, bool is_prefix, string_view text) {
  // An allow rule for `net*` must not admit devices of a namespace that anybody can make.
  if (is_prefix && plain.size() < kNamespace.size() && kNamespace.starts_with(plain))
    return Error{0,
                 in_backticks(text) +
                     " would name all devices of other network namespaces, too, which "
                     "are written `netns:…`",
                 "name the devices one by one, or begin them with more letters"};
  if (is_device(plain) || is_device_elsewhere(plain, is_prefix)) return std::nullopt;
  return Error{0, in_backticks(text) + " names no network device",
               "a device's name has at most 15 bytes and no `/` or `:`; one in another network "
               "namespace is written `netns:4026532567/eth0`"};
}

// What is wrong with `place` for that family; `text` is the whole attach point.
std::optional<Error> bad_place(const AttachFamily& family, string_view place, string_view text) {
  const string_view plain = place.ends_with('*') ? place.substr(0, place.size() - 1) : place;
  if (family.place == Place::none)
    return Error{
        0,
        in_backticks(text) + ": " + in_backticks(family.name) + " has no place to name after `@`",
        "devices have xdp, tc, tcx and netkit; cgroups have cgroup, cgroup_skb, sockops "
        "and lsm_cgroup"};
  if (plain.empty())
    return Error{0, in_backticks(text) + ": nothing is said after `@`",
                 "name a place, or leave `@` out for every place"};
  if (family.place == Place::cgroup && !plain.starts_with('/'))
    return Error{
        0, in_backticks(text) + ": a cgroup is a path from the root of the hierarchy",
        "write " + in_backticks(text.substr(0, text.find('@') + 1)) + " with `/` after it"};
  if (family.place == Place::cgroup && plain.size() > 1 && plain == place && plain.ends_with('/'))
    return Error{0, in_backticks(text) + ": a cgroup's path does not end with `/`",
                 "write " + in_backticks(text.substr(0, text.size() - 1)) + ", or a `*` after it"};
  if (family.place == Place::device)
    if (auto error = bad_device(plain, plain != place, text)) return error;
  if (plain.size() >= BW_NAME_SIZE)
    return Error{0, in_backticks(text) + ": the place is longer than 127 bytes",
                 "end it earlier, with `*`"};
  return std::nullopt;
}

Status set_place(AttachPattern& pattern, string_view place, string_view text) {
  if (auto error = star_within(text, place)) return std::unexpected(std::move(*error));
  for (size_t i = 0; i < attach_families().size(); i++)
    if (pattern.families.test(i))
      if (auto error = bad_place(attach_families()[i], place, text))
        return std::unexpected(std::move(*error));
  const bool is_prefix = place.ends_with('*');
  pattern.place = {is_prefix ? TargetMatch::prefix : TargetMatch::exact,
                   string(place.substr(0, place.size() - (is_prefix ? 1 : 0)))};
  return {};
}

}  // namespace

std::optional<uint64_t> offset_in(string_view text) {
  const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
  if (is_hex) text.remove_prefix(2);
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, is_hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

string offset_text(uint64_t offset) {
  std::array<char, 16> digits = {};
  const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), offset, 16).ptr;
  return "0x" + string(static_cast<const char*>(digits.data()), end);
}

bool falls_at_attach(const AttachPattern& pattern) {
  if (pattern.place.match != TargetMatch::all) return true;
  if (pattern.target.match == TargetMatch::all) return false;
  for (size_t i = 0; i < attach_families().size(); i++)
    if (pattern.families.test(i) && attach_families()[i].target == Target::attach) return true;
  return false;
}

string target_in_facts(const AttachPattern& pattern) {
  for (size_t i = 0; i < attach_families().size(); i++)
    if (pattern.families.test(i)) return target_in_facts(i, pattern.target.text);
  return pattern.target.text;
}

Result<AttachPattern> parse_attach_pattern(string_view text) {
  if (auto error = malformed(text)) return std::unexpected(std::move(*error));
  const Parts parts = split(text);
  if (parts.body.empty())
    return fail(in_backticks(text) + ": an attach point is missing before `@`");
  if (auto error = star_within(text, parts.body)) return std::unexpected(std::move(*error));
  auto pattern = parts.body.ends_with('*')
                     ? prefix_pattern(parts.body, parts.body.substr(0, parts.body.size() - 1))
                     : exact_pattern(parts.body);
  if (!pattern) return pattern;
  pattern->text = text;
  if (parts.place)
    if (auto set = set_place(*pattern, *parts.place, text); !set)
      return std::unexpected(std::move(set.error()));
  return pattern;
}

Result<AttachPoint> parse_attach_point(string_view text) {
  const Parts parts = split(text);
  const auto is_pattern = [](string_view part) { return part.ends_with('*'); };
  if (is_pattern(parts.body) || (parts.place && is_pattern(*parts.place)))
    return fail("one attach point is needed, not a pattern", "write it without `*`");
  const bool has_target = find_family(head_of(text)) && parts.body.size() == text.size();
  if (!has_target || text.empty())
    if (auto error = malformed(text)) return std::unexpected(std::move(*error));
  auto point = exact_point(parts.body);
  if (!point || !parts.place) return point;
  if (auto error = bad_place(attach_families()[point->family], *parts.place, text))
    return std::unexpected(std::move(*error));
  point->place = *parts.place;
  return point;
}

string attach_point_text(const AttachPoint& point) {
  const AttachFamily& family = attach_families()[point.family];
  string text(family.name);
  if (family.target != Target::none) text += "/" + point.target;
  return point.place.empty() ? text : text + "@" + point.place;
}

}  // namespace bpfwarden::policy
