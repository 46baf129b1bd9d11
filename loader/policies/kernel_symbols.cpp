#include "loader/policies/kernel_symbols.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "policy/image/family_table.h"

namespace bpfwarden::loader {
namespace {

using policy::TargetMatch;
using std::string;
using std::string_view;

bool is_within(const SymbolScope& scope, string_view module) {
  return scope.is_all || scope.module == module;
}

// `[nf_tables]` behind a tab; what the kernel has made at run time stands for no function.
bool is_made_up(string_view module) { return module == "bpf" || module.starts_with("__builtin"); }

// ---- What rules name ----------------------------------------------------------------------------

// A function, or all whose names begin so, as attachments of one family name them.
struct Named {
  size_t family = 0;
  policy::TextMatch target;  // without the module
  SymbolScope scope;
};

bool is_kprobe(string_view family) {
  return family == "kprobe" || family == "kretprobe" || family == "kprobe.multi" ||
         family == "kretprobe.multi" || family == "kprobe.session";
}

bool is_trampoline(string_view family) {
  return family == "fmod_ret" || family.starts_with("fentry") || family.starts_with("fexit") ||
         family.starts_with("fsession");
}

// `nf_tables:nft_do_chain`; nothing for a BPF program's function.
std::optional<Named> traced(size_t family, const policy::TextMatch& target) {
  const size_t colon = target.text.find(':');
  if (colon == string::npos) return Named{family, target, {.is_all = false, .module = ""}};
  const string owner = target.text.substr(0, colon);
  if (owner == "prog") return std::nullopt;
  return Named{
      family, {target.match, target.text.substr(colon + 1)}, {.is_all = false, .module = owner}};
}

std::vector<Named> named_by(const policy::AttachPattern& pattern, size_t family,
                            policy::Action action) {
  const string_view name = policy::attach_families()[family].name;
  std::vector<Named> found;
  if (name == "ksyscall" || name == "kretsyscall") {
    // An allowed whole family needs no names, and would fall at attach for them.
    if (pattern.target.match == TargetMatch::all && action == policy::Action::allow) return {};
    for (const policy::SeenAs& seen : policy::seen_as(family, pattern.target, action))
      found.push_back({seen.family, seen.target, {}});
  } else if (pattern.target.match != TargetMatch::all && is_kprobe(name)) {
    found.push_back({family, pattern.target, {}});
  } else if (pattern.target.match != TargetMatch::all && is_trampoline(name)) {
    if (auto one = traced(family, pattern.target)) found.push_back(std::move(*one));
  }
  return found;
}

template <class Visit>
void for_each_named(const policy::Rule& rule, Visit visit) {
  for (const policy::AttachEntry& entry : rule.attach)
    for (size_t i = 0; i < policy::attach_families().size(); i++)
      if (entry.pattern.families.test(i))
        for (const Named& named : named_by(entry.pattern, i, rule.action)) visit(entry, named);
}

// ---- Their other names --------------------------------------------------------------------------

class FunctionRule {
 public:
  FunctionRule(policy::Rule& rule, const KernelSymbols& symbols,
               policy::DiagnosticList& diagnostics)
      : rule_(rule), symbols_(symbols), diagnostics_(diagnostics) {}

  void complete() {
    const policy::Rule written = rule_;
    for_each_named(written, [&](const policy::AttachEntry& entry, const Named& named) {
      if (named.target.match != TargetMatch::exact) {
        for (const string& name : symbols_.beginning_with(named.target.text, named.scope))
          add_others(entry, named, name);
        return;
      }
      warn_if_ambiguous(entry, named);
      add_others(entry, named, named.target.text);
    });
  }

 private:
  bool allows() const { return rule_.action == policy::Action::allow; }

  void add_others(const policy::AttachEntry& entry, const Named& named, const string& name) {
    if (allows() && symbols_.count(name, named.scope) != 1) return;
    for (const string& other : symbols_.names_of(name, named.scope)) {
      const bool is_meant = named.target.match == TargetMatch::exact
                                ? other == named.target.text
                                : other.starts_with(named.target.text);
      if (is_meant || (allows() && symbols_.count(other, named.scope) != 1)) continue;
      add(entry, named, other);
    }
  }

  void add(const policy::AttachEntry& entry, const Named& named, const string& name) {
    const string target = (named.scope.module.empty() ? "" : named.scope.module + ":") + name;
    if (target.size() + 1 >= BW_NAME_SIZE || !added_.emplace(named.family, target).second) return;
    policy::AttachEntry more = entry;
    more.pattern.families.reset();
    more.pattern.families.set(named.family);
    more.pattern.target = {TargetMatch::exact, target};
    rule_.attach.push_back(std::move(more));
  }

  void warn_if_ambiguous(const policy::AttachEntry& entry, const Named& named) {
    const size_t count = symbols_.count(named.target.text, named.scope);
    if (!allows() || count < 2) return;
    diagnostics_.warning(kAmbiguousFunction, entry.position,
                         "`" + entry.pattern.text + "` allows each of " + std::to_string(count) +
                             " functions of that name: the kernel does not tell them apart",
                         "name another function, or accept that");
  }

  policy::Rule& rule_;
  const KernelSymbols& symbols_;
  policy::DiagnosticList& diagnostics_;
  std::set<std::pair<size_t, string>> added_;
};

}  // namespace

std::optional<SymbolLine> parse_symbol(string_view line) {
  SymbolLine symbol;
  const char *begin = line.data(), *end = begin + line.size();
  const auto [rest, error] = std::from_chars(begin, end, symbol.address, 16);
  if (error != std::errc() || end - rest < 4) return std::nullopt;
  symbol.type = rest[1];
  const string_view named = line.substr(static_cast<size_t>(rest - begin) + 3);
  const size_t tab = named.find('\t');
  symbol.name = named.substr(0, tab);
  if (tab != string_view::npos && tab + 2 < named.size())
    symbol.module = named.substr(tab + 2, named.find(']') - tab - 2);
  return symbol;
}

void KernelSymbols::add(string_view line) {
  const auto symbol = parse_symbol(line);
  if (!symbol || string_view("tTwW").find(symbol->type) == string_view::npos) return;
  if (!is_made_up(symbol->module))
    by_address_.push_back({symbol->address, symbol->name, symbol->module});
}

Result<KernelSymbols> KernelSymbols::read(const std::filesystem::path& file) {
  std::ifstream opened(file);
  if (!opened) return fail_errno(errno, "cannot read the kernel's symbols in " + file.string());
  std::ostringstream text;
  text << opened.rdbuf();
  KernelSymbols symbols;
  symbols.text_ = std::make_unique<const string>(std::move(text).str());
  for (string_view left = *symbols.text_; !left.empty();) {
    const size_t end = std::min(left.find('\n'), left.size() - 1);
    symbols.add(left.substr(0, end));
    left.remove_prefix(end + 1);
  }
  symbols.by_name_ = symbols.by_address_;
  std::ranges::sort(symbols.by_address_, {}, &Symbol::address);
  std::ranges::sort(symbols.by_name_, {}, &Symbol::name);
  if (symbols.by_address_.empty() || symbols.by_address_.back().address == 0)
    return fail(
        file.string() + " hides the addresses of functions",
        "kernel.kptr_restrict is 2, or you are not root; rules that name whole families, as "
        "`kprobe/*`, need no addresses");
  return symbols;
}

std::set<uint64_t> KernelSymbols::addresses_of(string_view name, const SymbolScope& scope) const {
  std::set<uint64_t> addresses;
  for (const Symbol& symbol : std::ranges::equal_range(by_name_, name, {}, &Symbol::name))
    if (is_within(scope, symbol.module)) addresses.insert(symbol.address);
  return addresses;
}

std::set<string> KernelSymbols::names_of(string_view name, const SymbolScope& scope) const {
  std::set<string> names;
  for (const uint64_t address : addresses_of(name, scope))
    for (const Symbol& symbol :
         std::ranges::equal_range(by_address_, address, {}, &Symbol::address))
      if (is_within(scope, symbol.module)) names.emplace(symbol.name);
  return names;
}

size_t KernelSymbols::count(string_view name, const SymbolScope& scope) const {
  return addresses_of(name, scope).size();
}

std::vector<string> KernelSymbols::beginning_with(string_view prefix,
                                                  const SymbolScope& scope) const {
  std::vector<string> names;
  for (auto symbol = std::ranges::lower_bound(by_name_, prefix, {}, &Symbol::name);
       symbol != by_name_.end() && symbol->name.starts_with(prefix); ++symbol)
    if (is_within(scope, symbol->module) && (names.empty() || names.back() != symbol->name))
      names.emplace_back(symbol->name);
  return names;
}

bool names_functions(const policy::Policy& policy) {
  bool found = false;
  for (const policy::Rule& rule : policy.rules)
    for_each_named(rule, [&](const policy::AttachEntry&, const Named&) { found = true; });
  return found;
}

Result<std::vector<policy::Diagnostic>> find_functions(CompiledPolicy& compiled,
                                                       const KernelSymbols& symbols) {
  policy::Policy completed = compiled.policy;
  policy::DiagnosticList diagnostics(completed.files);
  for (policy::Rule& rule : completed.rules) FunctionRule(rule, symbols, diagnostics).complete();
  if (auto done = compile_again(compiled, std::move(completed)); !done)
    return std::unexpected(std::move(done).error());
  return diagnostics.take();
}

}  // namespace bpfwarden::loader
