// What bpfwarden adds to system calls: medians over many calls of each, with an enforcing policy
// and without one, by turns in one boot. Runs as root in a guest (tests/bench/calls).
//
// Times are instructions of the guest (tests/vm/run --instructions), so that a busy host changes
// nothing.
//
// usage: call_bench [--calls N] [--check]
//   --calls N  of each kind and in either state; 20,000 if not given, a tenth of what takes long
//   --check    exit 1 if a ratio is above its limit
//
// Events are read between the batches, so that each decision finds room for its own.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/calls_made.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr size_t kRounds = 4;     // with and without take turns
constexpr size_t kBatch = 1'000;  // events fit into the buffer several times over

// What is added at most to a call that comes to nothing; and where a call does not say which
// program it means, so that each descriptor of the caller is looked at: 64 instructions for each.
constexpr int64_t kMostAdded = 1'300, kMostWalked = int64_t{64} * 65'536;

// The link's place is asked for at attach, so that this is decided, too.
constexpr const char* kPolicy = R"(
[[rules]]
name = "what the bench loads"
allow = ["socket", "cgroup_skb/egress@/bench"]
signature = "unsigned"
)";

struct Subject {
  const char* name;
  double aim;     // of the ratio
  double limit;   // what it must not exceed: the aim, or not much more than was measured
  size_t one_in;  // of the calls that are asked for: what takes long
  std::function<Call()> prepare;
  int64_t most = 0;  // instead of the limit, where it is not 0: what may be added to one call
  std::vector<int64_t> without = {}, with = {};
};

void measure(Subject& subject, size_t calls, std::vector<int64_t>& times) {
  const Call call = subject.prepare();
  for (size_t done = 0; done < calls; done++) {
    times.push_back(call());
    if (done % kBatch == kBatch - 1) run("bpfwarden events >/dev/null");
  }
}

int64_t median(std::vector<int64_t> times) {
  const auto middle = times.begin() + static_cast<ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

int report(const std::vector<Subject>& subjects) {
  int above = 0;
  std::printf("%-24s %8s %12s %12s %8s %8s %8s\n", "medians", "calls", "without ns", "with ns",
              "ratio", "aim", "limit");
  for (const Subject& subject : subjects) {
    const int64_t without = median(subject.without), with = median(subject.with);
    const double ratio = static_cast<double>(with) / static_cast<double>(without);
    const bool good = subject.most != 0 ? with - without <= subject.most : ratio <= subject.limit;
    above += good ? 0 : 1;
    std::printf("%-24s %8zu %12lld %12lld %8.3f %8.2f %8.2f %s\n", subject.name,
                subject.with.size(), static_cast<long long>(without), static_cast<long long>(with),
                ratio, subject.aim, subject.limit, good ? "" : "ABOVE");
  }
  return above;
}

int bench(size_t calls, bool check) {
  std::vector<Subject> subjects = {
      {"smallest program load", 1.10, 1.13, 1, [] { return load_of(2); }},
      {"1,000-insn program load", 1.02, 1.02, 10, [] { return load_of(1'000); }},
      {"map lookup", 1.10, 1.10, 1, map_lookup},
      {"link create", 1.15, 1.42, 1, link_create},
      {"file open", 1.01, 1.06, 1, file_open},
      {"exec", 1.01, 1.02, 10, exec_program},
      {"unlink", 1.01, 1.05, 1, unlink_file},  // one hook is asked: a pin of its own?
      {"route", 1.10, 1.08, 1, add_route},
      {"filter of tc", 1.10, 1.07, 1, add_filter},
      {"nobody: 64 filters", 1.10, 1.02, 10, filter_messages},
      {"nobody: link of nothing", 1.10, 1.10, 1, link_of_nothing, kMostAdded},
      {"nobody: socket, 65,000", 1.10, 1.10, 10, attach_nothing_to_socket, kMostWalked},
  };
  for (size_t round = 0; round < kRounds; round++) {
    run("bpfwarden off");
    for (Subject& subject : subjects)
      measure(subject, calls / subject.one_in / kRounds, subject.without);
    Warden warden;
    warden.apply("enforce", kPolicy);
    for (Subject& subject : subjects)
      measure(subject, calls / subject.one_in / kRounds, subject.with);
  }
  return report(subjects) != 0 && check ? 1 : 0;
}

}  // namespace
}  // namespace bpfwarden::vm

int main(int argc, char** argv) {
  try {
    size_t calls = 20'000;
    bool check = false;
    for (int i = 1; i < argc; i++) {
      const std::string option = argv[i];
      if (option == "--check")
        check = true;
      else if (option == "--calls" && i + 1 < argc)
        calls = std::stoul(argv[++i]);
      else
        throw std::runtime_error("usage: call_bench [--calls N] [--check]");
    }
    return bpfwarden::vm::bench(calls, check);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "call_bench: %s\n", error.what());
    return 1;
  }
}
