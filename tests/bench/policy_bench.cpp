// What the manager and the decision cost, counted in instructions: run by tests/bench/instructions
// under valgrind, which counts what happens inside measured(). Nothing here looks at a clock.
//
// usage: policy_bench largest              parse and compile 1,024 rules with 4,096 names
//        policy_bench memory               the same; exit 1 if more than 16 MiB are held after it
//        policy_bench garbage NUMBER SIZE  refuse SIZE bytes that are no policy: kinds 0 to 8
//        policy_bench decide RULES HIT     1,000 decisions by a policy of so many rules; HIT:
//        `last`,
//                                          the last rule is the answer, or `none`
//        policy_bench diff RULES EDIT      compare two policies of so many rules with eight digests
//                                          each; EDIT: `some` rules are others, or `all`
//        policy_bench diff-limited RULES EDIT   the same, within 200 MB of address space
//        policy_bench diff-random PAIRS RULES   random pairs of up to so many rules, within 200 MB
#include <malloc.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "fake_reader.h"
#include "policy/diff/diff.h"
#include "policy/image/compile.h"
#include "policy/image/signers.h"
#include "policy/image/situation.h"
#include "random_policy.h"

// Known to valgrind by its name.
extern "C" [[gnu::noinline]] void measured(const std::function<void()>& work) { work(); }

namespace bpfwarden::policy::test {
namespace {

constexpr size_t kMostHeld = size_t{16} << 20;
constexpr size_t kDecisions = 1'000;

// 1,024 rules with four names each.
std::string largest_policy() {
  std::string text;
  for (int i = 0; i < BW_MAX_RULES; i++) {
    text += "[[rules]]\nname=\"r" + std::to_string(i) + "\"\nallow=[";
    for (int n = 0; n < 4; n++)
      text += "\"fentry/function_number_" + std::to_string(4 * i + n) + "\", ";
    text += "]\nsigned-by=[\"netops\"]\n";
  }
  return with_header(text);
}

size_t heap_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

bool compile_largest(bool looks_at_memory) {
  const std::string text = largest_policy();
  const size_t before = heap_in_use();
  std::optional<ParseResult> parsed;
  std::optional<Result<std::unique_ptr<bw_image>>> image;
  measured([&] {
    parsed = parse_text(text);
    image = compile(*parsed->policy, std::array<uint8_t, 32>{});
  });
  const size_t held = heap_in_use() - before;
  if (!looks_at_memory) return image->has_value();
  std::printf("%zu KiB held: policy, image of %zu KiB, text\n", held / 1024,
              sizeof(bw_image) / 1024);
  return image->has_value() && held < kMostHeld;
}

std::string repeated(std::string_view part, size_t size) {
  std::string text;
  while (text.size() < size) text += part;
  text.resize(size);
  return text;
}

std::string noise(size_t size) {
  std::mt19937_64 dice(1);
  std::string text(size, 0);
  for (char& c : text) c = static_cast<char>(dice());
  return text;
}

std::string garbage(int number, size_t size) {
  const std::string header = with_header("");
  const size_t rest = size - 1000;
  switch (number) {
    case 0:
      return noise(size);
    case 1:
      return repeated("a", size);
    case 2:
      return repeated("\"", size);
    case 3:
      return repeated("[", size);
    case 4:
      return repeated("[[rules]]\n", size);
    case 5:
      return repeated("[[rules]]\nallow=1\nfoo=2\n", size);
    case 6:
      return repeated("\n", size);
    case 7:
      return header + "x = [" + repeated("1,", rest);
    default:
      return header + "[[rules]]\nallow = [" + repeated("\"xpd\",", rest);
  }
}

bool refuse_garbage(int number, size_t size) {
  const std::string text = garbage(number, size);
  bool refused = false;
  measured([&] { refused = !parse_text(text).policy.has_value(); });
  return refused;
}

// Each rule names a function and a user; the last one is the one that the load is about. All
// policies use the same conditions, so that only the number of rules differs.
std::string policy_of(size_t rules) {
  std::string text;
  for (size_t i = 0; i < rules; i++) {
    const std::string name = i + 1 == rules ? "tcp_connect" : "function_" + std::to_string(i);
    text += "[[rules]]\nname=\"r" + std::to_string(i) + "\"\nallow=[\"fentry/" + name +
            "\", \"fentry/prefix_" + std::to_string(i) + "_*\"]\nsigned-by=[\"netops\"]\nuid=[" +
            std::to_string(i + 1 == rules ? 0 : i + 1) + "]\n";
  }
  return with_header(text);
}

bool decide(size_t rules, bool hits) {
  const Policy policy = parse_text(policy_of(rules)).policy.value();
  const std::unique_ptr<bw_image> image =
      std::move(compile(policy, std::array<uint8_t, 32>{}).value());
  Situation load;
  load.attach = *parse_attach_point(hits ? "fentry/tcp_connect" : "fentry/udp_sendmsg");
  load.signature = Signature::prog_only;
  load.signer = *signer_slot(*image, policy, "netops");
  bw_facts facts = facts_of(load, BW_STAGE_LOAD);
  const size_t expected = hits ? rules - 1 : size_t{BW_NO_RULE};
  size_t right = 0;
  measured([&] {
    for (size_t i = 0; i < kDecisions; i++) {
      const bw_decision decision = bw_decide(image.get(), &facts);
      right += decision.rule == expected ? 1 : 0;
    }
  });
  return right == kDecisions;
}

// ---- Two policies -------------------------------------------------------------------------------

constexpr rlim_t kMostAddresses = 200'000'000;

bool limit_memory() {
  const rlimit limit = {kMostAddresses, kMostAddresses};
  return setrlimit(RLIMIT_AS, &limit) == 0;
}

struct Compared {
  explicit Compared(const std::string& text)
      : policy(parse_text(text).policy.value()),
        image(std::move(compile(policy, std::array<uint8_t, 32>{}).value())) {}

  Policy policy;
  std::unique_ptr<bw_image> image;
};

std::string numbered_digest(size_t number) {
  char digits[65];
  std::snprintf(digits, sizeof(digits), "%064zx", number + 1);
  return "\"sha256:" + std::string(digits) + "\", ";
}

// Rules for one place and for their own, by signer, user, executable, digest and date. The largest
// has 8,000 digests, among other names.
std::string digest_policy(size_t rules, const std::function<bool(size_t)>& is_other) {
  constexpr size_t digests = 8, largest = 976, places = 48, users = 32;
  std::string text;
  for (size_t i = 0; i < rules; i++) {
    text += "[[rules]]\nname=\"r" + std::to_string(i) + "\"\n" + (i % 5 == 3 ? "deny" : "allow") +
            "=[\"" + (i % 2 == 0 ? "tp/*" : "fentry/f" + std::to_string(i % places) + "*") +
            "\"]\n" + (i % 3 == 0 ? "signed-by=[\"netops\"]\n" : "signature=\"unsigned\"\n");
    if (i % 4 == 1) text += "uid=[" + std::to_string(i * 7 % users) + "]\n";
    if (i % 7 == 2) text += "exe=[\"/usr/bin/" + std::to_string(i * 5 % users) + "*\"]\n";
    if (i % 11 == 0) text += "expires=2027-0" + std::to_string(2 + i % 7) + "-01\n";
    text += "digests=[";
    for (size_t n = is_other(i) ? 1 : 0; n < (i < largest ? digests : digests / 2); n++)
      text += numbered_digest(digests * i + n);
    text += "]\n";
  }
  return with_header(text);
}

// Prints what it found. False if a difference has no load that shows it, or something was left out.
bool report_diff(const PolicyDiff& diff) {
  size_t witnesses = 0;
  for (const DiffGroup& group : diff.groups)
    witnesses += group.witness[0].has_value() && group.witness[1].has_value();
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "%zu differences, %zu of them with a load that shows it; %g%% of %g classes not asked "
      "about; %ld KiB\n",
      diff.groups.size(), witnesses, 100 * diff.not_asked / diff.classes, diff.classes,
      usage.ru_maxrss);
  return witnesses == diff.groups.size() && diff.not_asked == 0;
}

bool compare(size_t rules, bool all) {
  constexpr size_t every = 97;
  const Compared before(digest_policy(rules, [](size_t) { return false; }));
  const Compared after(digest_policy(rules, [&](size_t i) { return all || i % every == 5; }));
  PolicyDiff diff;
  measured([&] {
    diff = diff_policies(
        {DiffSide{before.policy, *before.image}, DiffSide{after.policy, *after.image}}, kNow);
  });
  return report_diff(diff) && !diff.groups.empty();
}

// As random_policy() makes them, but of more rules.
PolicyText larger_policy(Dice& dice, size_t rules) {
  PolicyText text = random_policy(dice);
  while (text.rules.size() < rules)
    for (auto& rule : random_policy(dice).rules) text.rules.push_back(rule);
  if (text.rules.size() > rules) text.rules.resize(rules);
  for (size_t i = 0; i < text.rules.size(); i++)
    text.rules[i][0] = "name = \"rule " + std::to_string(i) + "\"";
  return text;
}

// Every other pair is a policy and an edit of it.
bool compare_random(size_t pairs, size_t most) {
  Dice dice(test_seed());
  size_t good = 0;
  for (size_t i = 0; i < pairs; i++) {
    const PolicyText before = larger_policy(dice, 2 + dice.below(most - 1));
    PolicyText after = larger_policy(dice, 2 + dice.below(most - 1));
    if (i % 2 == 0) {
      after = before;
      for (size_t n = 0; n < 3 && after.rules.size() > 1; n++)
        after.rules.erase(after.rules.begin() + static_cast<long>(dice.below(after.rules.size())));
    }
    const Compared one(before.text()), other(after.text());
    std::printf("%zu and %zu rules: ", before.rules.size(), after.rules.size());
    good += report_diff(
        diff_policies({DiffSide{one.policy, *one.image}, DiffSide{other.policy, *other.image}}, 0));
    std::fflush(stdout);
  }
  return good == pairs;
}

int usage() {
  std::fputs(
      "usage: policy_bench largest | memory | garbage NUMBER SIZE | decide RULES last|none |\n"
      "       diff RULES some|all | diff-limited RULES some|all | diff-random PAIRS RULES\n",
      stderr);
  return 2;
}

int run(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (argc == 2 && what == "largest") return compile_largest(false) ? 0 : 1;
  if (argc == 2 && what == "memory") return compile_largest(true) ? 0 : 1;
  if (argc != 4) return usage();
  if (what == "garbage")
    return refuse_garbage(std::atoi(argv[2]), std::strtoul(argv[3], nullptr, 10)) ? 0 : 1;
  const size_t number = std::strtoul(argv[2], nullptr, 10);
  const bool all = std::strcmp(argv[3], "all") == 0;
  if (what == "diff") return compare(number, all) ? 0 : 1;
  if (what == "diff-limited") return limit_memory() && compare(number, all) ? 0 : 1;
  if (what == "diff-random")
    return limit_memory() && compare_random(number, std::strtoul(argv[3], nullptr, 10)) ? 0 : 1;
  if (what == "decide")
    return decide(std::strtoul(argv[2], nullptr, 10), std::strcmp(argv[3], "last") == 0) ? 0 : 1;
  return usage();
}

}  // namespace
}  // namespace bpfwarden::policy::test

int main(int argc, char** argv) { return bpfwarden::policy::test::run(argc, argv); }
