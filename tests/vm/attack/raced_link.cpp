#include "tests/vm/attack/raced_link.h"

#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {

std::string rules_for_functions(const std::string& functions) {
  return "[[rules]]\nname = \"here\"\nallow = [\"kprobe.multi/" + functions +
         "\", \"raw_tp/task_rename\"]\nsignature = \"unsigned\"\n";
}

Functions::Functions()
    : wanted(address_of("tcp_connect")), other(address_of("tcp_close")), page(SharedPage::make()) {
  page.number = wanted;
}

Fd Functions::link(const Fd& program) const {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.kprobe_multi.addrs = const_cast<const unsigned long*>(&page.number);
  options.kprobe_multi.cnt = 1;
  return Fd(bpf_link_create(program.get(), 0, BPF_TRACE_KPROBE_MULTI, &options));
}

bool Functions::is_on_other(int link) const {
  unsigned long address = 0;
  bpf_link_info info = {};
  info.kprobe_multi.addrs = loader::as_u64(&address);
  info.kprobe_multi.count = 1;
  uint32_t size = sizeof(info);
  return bpf_link_get_info_by_fd(link, &info, &size) == 0 &&
         info.type == BPF_LINK_TYPE_KPROBE_MULTI && address == other;
}

Writer Functions::exchanged() const {
  SharedPage* const shared = &page;
  return Writer(exchange([shared, to = other] { shared->number = to; },
                         [shared, to = wanted] { shared->number = to; }));
}

void Haul::look_at(int fd, const Functions& functions) {
  Fd taken(fd);
  if (!taken && errno == EPERM) was_refused = true;
  if (taken && functions.is_on_other(taken.get())) link = std::move(taken);
}

namespace {

uint32_t last_link() {
  uint32_t id = 0;
  while (bpf_link_get_next_id(id, &id) == 0) continue;
  return id;
}

}  // namespace

Reach by_number() {
  return [last = last_link()](pid_t, const Functions& functions, Haul& haul) mutable {
    for (uint32_t id = last; !haul.link && bpf_link_get_next_id(id, &id) == 0;) {
      haul.look_at(bpf_link_get_fd_by_id(id), functions);
      if (!haul.was_refused) last = std::max(last, id - 1);
    }
  };
}

Fd open_process(pid_t process) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

int take_descriptor(const Fd& process, int number) {
  return static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0));
}

Reach by_descriptor() {
  return [number = Fd(::dup(0)).get()](pid_t racer, const Functions& functions, Haul& haul) {
    const Fd process = open_process(racer);
    if (process) haul.look_at(take_descriptor(process, number), functions);
  };
}

size_t races_told(const std::vector<nlohmann::json>& events, int error) {
  return static_cast<size_t>(std::ranges::count_if(events, [&](const auto& event) {
    return event["cause"] == "attach-race" && event["errno"] == error;
  }));
}

}  // namespace bpfwarden::vm
