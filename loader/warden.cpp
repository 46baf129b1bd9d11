#include "loader/warden.h"

#include <bpf/libbpf.h>

#include <cerrno>

#include "loader/libbpf_log.h"
#include "loader/pins.h"
#include "warden.skel.h"

namespace bpfwarden::loader {
namespace {

constexpr const char* kDoctor = "run `bpfwarden doctor`: it says what this kernel lacks";

}  // namespace

void Warden::Free::operator()(warden_bpf* skeleton) const { warden_bpf__destroy(skeleton); }

Result<Warden> Warden::load() {
  const LibbpfLog log;
  Warden warden(warden_bpf__open());
  if (!warden.skeleton_) return fail_errno(errno, "cannot open the kernel part");
  if (const int error = warden_bpf__load(warden.skeleton_.get()); error != 0)
    return fail_errno(-error, log.text() + "cannot load the kernel part", kDoctor);
  return warden;
}

Status Warden::attach() {
  const LibbpfLog log;
  if (const int error = warden_bpf__attach(skeleton_.get()); error != 0)
    return fail_errno(-error, log.text() + "cannot attach the kernel part", kDoctor);
  return {};
}

Status Warden::pin() const { return pin_all(*skeleton_->skeleton); }

int Warden::control() const { return bpf_map__fd(skeleton_->maps.control); }
int Warden::generations() const { return bpf_map__fd(skeleton_->maps.generations); }

}  // namespace bpfwarden::loader
