#include "loader/policies/host_targets.h"

#include <net/if.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>

#include "loader/policies/kernel_symbols.h"
#include "policy/image/family_table.h"
#include "policy/lint/lint.h"
#include "policy/text/nearest.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;
using policy::TargetMatch;
using std::string;
using std::string_view;
using Names = TargetNames::Names;

constexpr const char* kEventFolder = "/sys/kernel/tracing/events";

// ---- What is there ------------------------------------------------------------------------------

// The names alone; addresses may be hidden.
Names read_symbols() {
  Names names;
  std::ifstream file(kKernelSymbols);
  for (string line; std::getline(file, line);)
    if (const auto symbol = parse_symbol(line)) names.emplace(symbol->name);
  return names;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (std::error_code ignored; entry->is_directory(ignored)) found.push_back(entry->path());
  return found;
}

Names read_events() {
  Names names;
  for (const fs::path& group : folders_in(kEventFolder))
    for (const fs::path& event : folders_in(group))
      names.insert(group.filename().string() + "/" + event.filename().string());
  return names;
}

std::optional<Names> read_devices() {
  const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> list(if_nameindex(),
                                                                               if_freenameindex);
  if (!list) return std::nullopt;
  Names names;
  for (const struct if_nameindex* one = list.get(); one->if_index != 0; one++)
    names.insert(one->if_name);
  return names;
}

// ---- What is named ------------------------------------------------------------------------------

// Where a target of one pattern may be found. Nothing is known if it is empty.
struct Asked {
  const char* what;              // "function of the kernel"
  std::vector<const Names*> in;  // any of these
  string name;                   // as it stands there
  bool is_prefix = false;
  const Names OwnedNames::* member = nullptr;  // where modules have theirs
  string before;                               // of the target in the policy
};

bool is_in(const Names& names, const Asked& asked) {
  if (!asked.is_prefix) return names.contains(asked.name);
  const auto found = names.lower_bound(asked.name);
  return found != names.end() && found->starts_with(asked.name);
}

bool is_in_any(const Asked& asked) {
  return std::ranges::any_of(asked.in, [&](const Names* names) { return is_in(*names, asked); });
}

bool is_there(const Asked& asked) { return asked.in.empty() || is_in_any(asked); }

string nearest_name(const Asked& asked) {
  std::vector<string_view> candidates;
  const size_t slack = asked.name.size() / 3 + 1;
  for (const Names* names : asked.in)
    for (const string& name : *names)
      if (name.size() <= asked.name.size() + slack && asked.name.size() <= name.size() + slack)
        candidates.push_back(name);
  return string(policy::nearest(asked.name, candidates).value_or(""));
}

// The members' names of every owner: a kprobe may be on any function.
std::vector<const Names*> of_all(const TargetNames& names, const Names OwnedNames::* member) {
  std::vector<const Names*> found;
  for (const auto& [module, owned] : names.kernel().all()) found.push_back(&(owned.*member));
  return found;
}

// `nf_tables:nft_do_chain`, or the kernel's own.
std::optional<Asked> ask_owner(const TargetNames& names, const char* what,
                               const policy::TextMatch& target, const Names OwnedNames::* member) {
  const size_t colon = target.text.find(':');
  const string owner = colon == string::npos ? "" : target.text.substr(0, colon);
  const OwnedNames* owned = names.kernel().owned_by(owner);
  if (owned == nullptr || owner == "prog") return std::nullopt;
  return Asked{.what = what,
               .in = {&(owned->*member)},
               .name = target.text.substr(colon == string::npos ? 0 : colon + 1),
               .is_prefix = target.match == TargetMatch::prefix,
               .member = owner.empty() ? member : nullptr,
               .before = owner.empty() ? "" : owner + ":"};
}

Asked ask_kprobe(const TargetNames& names, const policy::TextMatch& target) {
  Asked asked = {.what = "function",
                 .in = of_all(names, &OwnedNames::functions),
                 .name = target.text.substr(0, target.text.find('+')),
                 .is_prefix = target.match == TargetMatch::prefix};
  if (!is_in_any(asked) && !names.symbols().empty()) asked.in.push_back(&names.symbols());
  return asked;
}

// Events that people make at run time, and those that only tracefs knows.
bool is_made_at_run_time(string_view group) {
  constexpr string_view made[] = {"kprobes",     "uprobes", "eprobes", "synthetic",
                                  "user_events", "fprobes", "ftrace",  "syscalls"};
  return std::ranges::find(made, group) != std::end(made);
}

std::optional<Asked> ask_event(const TargetNames& names, const policy::TextMatch& target) {
  const bool is_prefix = target.match == TargetMatch::prefix;
  const size_t slash = target.text.find('/');
  if (is_made_at_run_time(target.text.substr(0, slash)) && names.events().empty())
    return std::nullopt;
  if (!names.events().empty())
    return Asked{"tracepoint", {&names.events()}, target.text, is_prefix, nullptr, ""};
  if (slash == string::npos) return std::nullopt;
  return Asked{"tracepoint",
               of_all(names, &OwnedNames::tracepoints),
               target.text.substr(slash + 1),
               is_prefix,
               nullptr,
               target.text.substr(0, slash + 1)};
}

bool starts(string_view family, std::initializer_list<string_view> beginnings) {
  return std::ranges::any_of(beginnings, [&](string_view one) { return family.starts_with(one); });
}

std::optional<Asked> ask(const TargetNames& names, string_view family,
                         const policy::TextMatch& target) {
  if (starts(family, {"fentry", "fexit", "fsession", "fmod_ret"}))
    return ask_owner(names, "function", target, &OwnedNames::functions);
  if (family == "tp_btf" || starts(family, {"raw_tp"}))
    return ask_owner(names, "tracepoint", target, &OwnedNames::tracepoints);
  if (family == "lsm" || family == "lsm_cgroup")
    return ask_owner(names, "LSM hook", target, &OwnedNames::hooks);
  if (family == "iter") return ask_owner(names, "iterator", target, &OwnedNames::iterators);
  if (family == "struct_ops")
    return ask_owner(names, "struct_ops type", target, &OwnedNames::struct_ops);
  if (starts(family, {"kprobe", "kretprobe"})) return ask_kprobe(names, target);
  if (family == "tp") return ask_event(names, target);
  return std::nullopt;
}

// A system call stands for functions of several names, of which a kernel has some.
bool lacks_system_call(const TargetNames& names, size_t family, const policy::AttachEntry& entry,
                       policy::Action action) {
  if (entry.pattern.target.match != TargetMatch::exact) return false;
  const auto functions = policy::seen_as(family, entry.pattern.target, action);
  return !functions.empty() && std::ranges::none_of(functions, [&](const policy::SeenAs& seen) {
    return is_there(ask_kprobe(names, seen.target));
  });
}

class Looker {
 public:
  Looker(const policy::Policy& policy, const TargetNames& names)
      : names_(names), diagnostics_(policy.files) {}

  void look_at(const policy::Rule& rule) {
    for (const policy::AttachEntry& entry : rule.attach) {
      if (entry.pattern.target.match != TargetMatch::all)
        for (size_t i = 0; i < policy::attach_families().size(); i++)
          if (entry.pattern.families.test(i)) look_at_target(entry, i, rule.action);
      look_at_place(entry);
    }
  }

  std::vector<policy::Diagnostic> take() { return diagnostics_.take(); }

 private:
  void warn(const policy::AttachEntry& entry, string what, string hint) {
    diagnostics_.warning(kNoSuchTarget, entry.position,
                         "`" + entry.pattern.text + "`: " + std::move(what), std::move(hint));
  }

  string where() const { return names_.is_host() ? " on this host" : " in that BTF"; }

  void look_at_target(const policy::AttachEntry& entry, size_t family, policy::Action action) {
    const string_view name = policy::attach_families()[family].name;
    if (name == "ksyscall" || name == "kretsyscall") {
      if (lacks_system_call(names_, family, entry, action))
        warn(entry, "there is no such system call" + where(), "write it as in `ksyscall/openat`");
      return;
    }
    const auto asked = ask(names_, name, entry.pattern.target);
    if (!asked || is_there(*asked)) return;
    warn(entry,
         string("there is no ") + asked->what + (asked->is_prefix ? " that begins with `" : " `") +
             asked->name + "`" + where(),
         hint_for(*asked, name));
  }

  string hint_for(const Asked& asked, string_view family) const {
    const string head = string(family) + "/";
    if (asked.member != nullptr)
      for (const auto& [module, owned] : names_.kernel().all())
        if (!module.empty() && is_in(owned.*asked.member, asked))
          return string("a module has it: `")
              .append(head)
              .append(module)
              .append(":")
              .append(asked.name)
              .append(asked.is_prefix ? "*`" : "`");
    if (const string near = asked.is_prefix ? "" : nearest_name(asked); !near.empty())
      return "did you mean `" + head + asked.before + near + "`?";
    return "the rule matches nothing until there is one: correct the name, or load the module "
           "that has it";
  }

  void look_at_place(const policy::AttachEntry& entry) {
    const policy::TextMatch& place = entry.pattern.place;
    if (place.match != TargetMatch::exact || place.text.find(':') != string::npos) return;
    for (size_t i = 0; i < policy::attach_families().size(); i++)
      if (entry.pattern.families.test(i) &&
          policy::attach_families()[i].place != policy::Place::device)
        return;
    const std::optional<Names>& devices = names_.devices();
    if (!devices || devices->contains(place.text)) return;
    const Asked asked = {.what = "device", .in = {&*devices}, .name = place.text};
    const string near = nearest_name(asked);
    warn(entry, "there is no device `" + place.text + "` on this host",
         near.empty() ? "the rule matches nothing until there is one"
                      : "did you mean `@" + near + "`?");
  }

  const TargetNames& names_;
  policy::DiagnosticList diagnostics_;
};

}  // namespace

Result<TargetNames> TargetNames::of_file(const fs::path& file) {
  auto kernel = KernelNames::of_file(file);
  if (!kernel) return std::unexpected(std::move(kernel).error());
  return TargetNames(std::move(*kernel));
}

const KernelNames& TargetNames::kernel() const {
  if (!kernel_) kernel_ = KernelNames::of_host().value_or(KernelNames());
  return *kernel_;
}

const Names& TargetNames::symbols() const {
  if (!symbols_) symbols_ = is_host_ ? read_symbols() : Names();
  return *symbols_;
}

const Names& TargetNames::events() const {
  if (!events_) events_ = is_host_ ? read_events() : Names();
  return *events_;
}

const std::optional<Names>& TargetNames::devices() const {
  if (!devices_) devices_ = is_host_ ? read_devices() : std::nullopt;
  return *devices_;
}

std::vector<policy::Diagnostic> missing_targets(const policy::Policy& policy,
                                                const TargetNames& names) {
  Looker looker(policy, names);
  for (const policy::Rule& rule : policy.rules) looker.look_at(rule);
  std::vector<policy::Diagnostic> found = looker.take();
  policy::drop_accepted(found, policy);
  return found;
}

}  // namespace bpfwarden::loader
