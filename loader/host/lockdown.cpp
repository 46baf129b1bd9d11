#include "loader/host/lockdown.h"

#include <fstream>

namespace bpfwarden::loader {

std::string lockdown_modes() {
  std::ifstream file("/sys/kernel/security/lockdown");
  std::string modes;
  std::getline(file, modes);
  return modes;
}

bool forbids_kernel_reads(const std::string& modes) {
  return modes.find("[confidentiality]") != std::string::npos;
}

}  // namespace bpfwarden::loader
