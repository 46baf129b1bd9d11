#include "policy/attach_pattern.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "bpf-lsm/abi/image.h"
#include "policy/nearest.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

string quoted(string_view text) { return "`" + string(text) + "`"; }

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
      return Error{0, quoted(text) + ": whether a program may sleep is no part of its attach point",
                   "write " + quoted(respelt(text, plain.size() + 2, meant))};
  }
  for (const string_view part : {text, body, head}) {
    const auto meant = alias_of(part);
    if (!meant || (meant->ends_with('*') && part.size() < body.size())) continue;
    return Error{0, quoted(text) + " is not how an attach point is named here",
                 "did you mean " + quoted(respelt(text, part.size(), *meant)) + "?"};
  }
  return std::nullopt;
}

Error unknown(string_view text) {
  std::vector<string_view> whole, heads;
  for (const AttachFamily& family : attach_families())
    (family.target == Target::none ? whole : heads).push_back(family.name);
  const string_view body = text.substr(0, text.find('*'));
  const string_view head = head_of(body);
  Error error{0, "there is no attach point " + quoted(text),
              "docs/policy.md lists the attach points"};
  if (const auto near = nearest(body, whole))
    error.hint = "did you mean " + quoted(*near) + "?";
  else if (const auto near_head = nearest(head, heads))
    error.hint = "did you mean " + quoted(respelt(text, head.size(), *near_head)) + "?";
  return error;
}

std::optional<Error> malformed(string_view text) {
  if (text.empty()) return Error{0, "an attach point is missing", "write one, such as `xdp`"};
  for (const char c : text)
    if (c <= ' ' || c > '~')
      return Error{0, "an attach point has only printable ASCII characters and no spaces", ""};
  if (const size_t at = text.find('@'); at != string_view::npos)
    return Error{
        0, quoted(text) + ": `@` is not supported by this version",
        "where a program is attached will be decided at attach, by a later version; write " +
            quoted(text.substr(0, at)) + " to decide for every place"};
  if (text.find('*') < text.size() - 1)
    return Error{0, quoted(text) + ": `*` stands only at the end of an attach point", ""};
  return std::nullopt;
}

// `star` is what follows the target: a wildcard or nothing.
std::optional<Error> bad_target(const AttachFamily& family, string_view target, string_view star) {
  const string name(family.name);
  if (target.size() >= BW_NAME_SIZE)
    return Error{0, "the target is longer than 127 bytes", "no name in the kernel's BTF is"};
  if (target.find(':') != string_view::npos)
    return Error{0, "the kernel does not tell of which module a target is",
                 "write " + quoted(name + "/" + string(target.substr(target.rfind(':') + 1)) +
                                   string(star))};
  for (const Alias& own : kTargetPrefixes)
    if (own.written == family.name && target.starts_with(own.meant))
      return Error{
          0, quoted(own.meant) + " is left out of attach points",
          "write " + quoted(name + "/" + string(target.substr(own.meant.size())) + string(star))};
  return std::nullopt;
}

Result<AttachPoint> exact_point(string_view text) {
  const auto whole = find_family(text);
  if (whole && attach_families()[*whole].target == Target::none) return AttachPoint{*whole, {}};
  const string_view head = head_of(text);
  const auto found = find_family(head);
  if (auto error = other_spelling(text)) return std::unexpected(std::move(*error));
  if (!found) return std::unexpected(unknown(text));
  const AttachFamily& family = attach_families()[*found];
  if (family.target == Target::none)
    return fail(quoted(head) + " takes no target", "write " + quoted(head));
  if (head.size() + 1 >= text.size())
    return fail(quoted(head) + " needs a target",
                "write " + quoted(string(head) + "/*") + " for every target");
  AttachPoint point{*found, string(text.substr(head.size() + 1))};
  if (family.target == Target::load)
    if (auto error = bad_target(family, point.target, ""))
      return std::unexpected(std::move(*error));
  return point;
}

// A target that is known only at attach.
Error not_yet(string_view text, const AttachFamily& family) {
  const string every = quoted(string(family.name) + "/*");
  return Error{
      0, quoted(text) + ": this version cannot decide by the target of " + quoted(family.name),
      "the kernel names it only at attach, which a later version will decide; write " + every};
}

Result<AttachPattern> exact_pattern(string_view text) {
  auto point = exact_point(text);
  if (!point) return std::unexpected(std::move(point.error()));
  const AttachFamily& family = attach_families()[point->family];
  if (family.target == Target::attach) return std::unexpected(not_yet(text, family));
  AttachPattern pattern{string(text), {}, TargetMatch::all, std::move(point->target)};
  pattern.families.set(point->family);
  if (family.target == Target::load) pattern.match = TargetMatch::exact;
  return pattern;
}

// `body` is the text without its `*`.
Result<AttachPattern> prefix_pattern(string_view text, string_view body) {
  AttachPattern pattern{string(text), {}, TargetMatch::all, {}};
  for (size_t i = 0; i < attach_families().size(); i++) {
    const AttachFamily& family = attach_families()[i];
    const string full = string(family.name) + (family.target == Target::none ? "" : "/");
    if (full.starts_with(body)) {
      pattern.families.set(i);
    } else if (family.target != Target::none && body.starts_with(full)) {
      if (family.target == Target::attach) return std::unexpected(not_yet(text, family));
      pattern.families.set(i);
      pattern.match = TargetMatch::prefix;
      pattern.target = body.substr(full.size());
      auto error = bad_target(family, pattern.target, "*");
      if (error) return std::unexpected(std::move(*error));
      return pattern;
    }
  }
  if (pattern.families.any()) return pattern;
  if (auto error = other_spelling(text)) return std::unexpected(std::move(*error));
  const string_view head = head_of(body);
  if (head.size() < body.size() && find_family(head))
    return fail(quoted(head) + " takes no target", "write " + quoted(head));
  return std::unexpected(unknown(text));
}

}  // namespace

Result<AttachPattern> parse_attach_pattern(string_view text) {
  if (auto error = malformed(text)) return std::unexpected(std::move(*error));
  if (text.ends_with('*')) return prefix_pattern(text, text.substr(0, text.size() - 1));
  return exact_pattern(text);
}

Result<AttachPoint> parse_attach_point(string_view text) {
  if (text.ends_with('*'))
    return fail("one attach point is needed, not a pattern", "write it without `*`");
  // What is known only at attach may hold anything, such as the path of a binary.
  const auto found = find_family(head_of(text));
  const bool free_form = found && attach_families()[*found].target == Target::attach;
  if (!free_form)
    if (auto error = malformed(text)) return std::unexpected(std::move(*error));
  return exact_point(text);
}

}  // namespace bpfwarden::policy
