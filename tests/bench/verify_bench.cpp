// What it costs to verify a signature where bpfwarden does so (docs/adr/0019): medians of loads
// under one policy, which admits the program with a signature and without. Runs as root in a guest
// (tests/bench/verification).
//
// Times are instructions of the guest (tests/vm/run --instructions). The verifier's own work is a
// part of each load: it reads every instruction, too.
//
// usage: verify_bench [--check]
//   --check  exit 1 if a ratio is above its limit, or nobody has verified
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr int kLoads = 9;

constexpr const char* kPolicy = R"(
[[rules]]
name = "what the bench loads, signed"
allow = ["socket"]
signed-by = ["netops"]

[[rules]]
name = "and unsigned"
allow = ["socket"]
signature = "unsigned"
)";

struct Length {
  size_t instructions;
  double limit;  // of the ratio: a quarter above what was measured
};
constexpr Length kLengths[] = {{1'000, 10.6}, {100'000, 1.7}};

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Load straight_line(size_t instructions) {
  Load request = Load::packet_filter();
  const size_t size = sizeof(bpf_insn);
  const std::vector<uint8_t> two = request.insns;
  request.insns.resize(instructions * size);
  for (size_t i = 0; i + 1 < instructions; i++)
    std::memcpy(request.insns.data() + i * size, two.data(), size);
  std::memcpy(request.insns.data() + (instructions - 1) * size, two.data() + size, size);
  return request;
}

int64_t median_of(const Load& request) {
  std::vector<int64_t> times;
  for (int i = 0; i < kLoads; i++) {
    const int64_t start = now_ns();
    const Attempt made = load(request);
    times.push_back(now_ns() - start);
    if (made.error != 0)
      throw std::runtime_error(std::string("load: ") + std::strerror(made.error));
  }
  std::nth_element(times.begin(), times.begin() + kLoads / 2, times.end());
  return times[kLoads / 2];
}

bool all_told_by_bpfwarden(Warden& warden) {
  size_t told = 0;
  for (const auto& event : warden.events())
    told += event["verified_by"].is_string() && event["verified_by"] == "bpfwarden" ? 1U : 0U;
  return told >= kLoads;
}

int bench(bool check) {
  Warden warden;
  warden.apply("enforce", kPolicy);
  bool good = true;
  std::printf("%-12s %14s %14s %8s %8s %24s\n", "instructions", "unsigned", "verified", "ratio",
              "limit", "added to an instruction");
  for (const auto& [instructions, limit] : kLengths) {
    const Load bare = straight_line(instructions);
    const int64_t without = median_of(bare);
    (void)warden.events();
    const int64_t with = median_of(Load(bare).signed_by(warden.netops(), warden.ring()));
    const double ratio = static_cast<double>(with) / static_cast<double>(without);
    const double added = static_cast<double>(with - without) / static_cast<double>(instructions);
    const bool told = all_told_by_bpfwarden(warden);
    std::printf("%-12zu %14lld %14lld %8.3f %8.2f %24.1f %s%s\n", instructions,
                static_cast<long long>(without), static_cast<long long>(with), ratio, limit, added,
                ratio > limit ? "ABOVE" : "", told ? "" : "NOT VERIFIED");
    good = good && told && ratio <= limit;
  }
  return check && !good ? 1 : 0;
}

}  // namespace
}  // namespace bpfwarden::vm

int main(int argc, char** argv) {
  try {
    return bpfwarden::vm::bench(argc > 1 && std::string(argv[1]) == "--check");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "verify_bench: %s\n", error.what());
    return 1;
  }
}
