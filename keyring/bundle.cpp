#include "keyring/bundle.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

#include "base/file.h"
#include "keyring/manifest.h"
#include "keyring/self_check.h"

namespace bpfwarden::keyring {
namespace {

// The first byte is not text and the line ends differ, so a transfer that treats the file as text
// damages the magic and is noticed at once.
constexpr std::array<uint8_t, 8> magic = {0x89, 'B', 'P', 'F', 'W', '\r', '\n', 0x1a};
constexpr uint32_t format_version = 1;
constexpr uint32_t flag_critical = 1;
constexpr size_t alignment = 8;

constexpr size_t max_file = 32 << 20;
constexpr uint32_t max_sections = 64;
constexpr size_t max_manifest = 64 << 10;
constexpr size_t max_text = 255;
constexpr size_t insn_size = 8;               // sizeof(struct bpf_insn)
constexpr size_t max_insns = 1'000'000;       // BPF_COMPLEXITY_LIMIT_INSNS
constexpr size_t max_signed = (1 << 24) - 1;  // bpf_dynptr_check_size()
constexpr size_t max_signature = 8 << 10;     // KMALLOC_MAX_CACHE_SIZE with 4 KiB pages
constexpr size_t max_certificate = 1 << 20;   // add_key(2)

enum class SectionType : uint32_t {
  manifest = 1,
  insns,
  metadata,
  signature,
  certificate,
  self_check_signature,
};

std::string at_byte(size_t offset) { return " at byte " + std::to_string(offset); }

Status check_text(std::string_view text, const char* what) {
  if (text.size() > max_text)
    return fail(std::string(what) + " is longer than " + std::to_string(max_text) + " bytes");
  if (!std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; }))
    return fail(std::string(what) + " holds more than printable ASCII");
  return {};
}

Status check_texts(const Bundle& bundle) {
  const auto first_failure = [](std::initializer_list<Status> checks) -> Status {
    for (const Status& check : checks)
      if (!check) return check;
    return {};
  };
  Status status = first_failure({check_text(bundle.name, "the bundle's name"),
                                 check_text(bundle.version, "the bundle's version"),
                                 check_text(bundle.tool, "the tool's name"),
                                 check_text(bundle.license, "the license"),
                                 check_text(bundle.attach_name, "the attach name")});
  for (const ProgramEntry& program : bundle.programs)
    if (status)
      status = first_failure({check_text(program.name, "a program's name"),
                              check_text(program.section, "a program's section"),
                              check_text(program.attach, "a program's attach point")});
  for (const MapEntry& map : bundle.maps)
    if (status) status = check_text(map.name, "a map's name");
  return status;
}

// Names become the names of pins: they are C identifiers, or libbpf's ".rodata" and "x.rodata".
bool is_name(std::string_view name) {
  constexpr std::string_view characters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";
  return name.find_first_not_of(characters) == std::string_view::npos &&
         name.find_first_not_of('.') != std::string_view::npos;
}

Status check_names(const Bundle& bundle) {
  for (const ProgramEntry& program : bundle.programs)
    if (!is_name(program.name)) return fail("a program has a name that is none");
  for (const MapEntry& map : bundle.maps)
    if (!is_name(map.name)) return fail("a map has a name that is none");
  return {};
}

// What both directions demand of a bundle, beyond its encoding.
Status check(const Bundle& bundle) {
  if (bundle.insns.empty() || bundle.insns.size() % insn_size != 0)
    return fail("the instructions are not a whole number of 8-byte BPF instructions");
  if (bundle.insns.size() / insn_size > max_insns)
    return fail("more than " + std::to_string(max_insns) + " instructions");
  if (bundle.metadata.size() > max_signed - bundle.insns.size())
    return fail("instructions and metadata exceed the 16 MiB the kernel can verify");
  if (std::max(bundle.signature.size(), bundle.self_check_signature.size()) > max_signature)
    return fail("the signature exceeds 8 KiB");
  if (bundle.certificate_der.size() > max_certificate) return fail("the certificate exceeds 1 MiB");
  if (bundle.programs.empty()) return fail("it names no program");
  if (bundle.kind == Bundle::Kind::loader) {
    if (bundle.metadata.empty()) return fail("a loader needs metadata");
    if (!bundle.attach_name.empty()) return fail("a loader has no attach name");
  } else {
    if (bundle.programs.size() != 1) return fail("a single program names itself alone");
    if (!bundle.metadata.empty()) return fail("a single program has no metadata");
    if (!bundle.self_check_signature.empty()) return fail("a single program checks no metadata");
  }
  if (Status texts = check_texts(bundle); !texts) return texts;
  return check_names(bundle);
}

class Writer {
 public:
  explicit Writer(uint32_t sections) : bytes_(magic.begin(), magic.end()) {
    number(format_version);
    number(sections);
  }
  void section(SectionType type, uint32_t flags, std::span<const uint8_t> content) {
    number(static_cast<uint32_t>(type));
    number(flags);
    number(static_cast<uint64_t>(content.size()));
    bytes_.insert(bytes_.end(), content.begin(), content.end());
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  }
  [[nodiscard]] std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  template <class T>
  void number(T value) {
    for (size_t i = 0; i < sizeof(T); ++i)
      bytes_.push_back(static_cast<uint8_t>(uint64_t{value} >> (8 * i)));
  }

  std::vector<uint8_t> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] size_t offset() const { return offset_; }
  [[nodiscard]] size_t left() const { return bytes_.size() - offset_; }

  Result<std::span<const uint8_t>> take(uint64_t size, std::string_view what) {
    if (size > left())
      return fail("cut short" + at_byte(offset_) + ": " + std::string(what) + " takes " +
                  std::to_string(size) + " bytes, " + std::to_string(left()) + " are left");
    const auto taken = bytes_.subspan(offset_, size);
    offset_ += size;
    return taken;
  }
  // Little-endian.
  template <class T>
  Result<T> number(std::string_view what) {
    const auto taken = take(sizeof(T), what);
    if (!taken) return std::unexpected(taken.error());
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value |= uint64_t{(*taken)[i]} << (8 * i);
    return static_cast<T>(value);
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t offset_ = 0;
};

struct Section {
  size_t offset = 0;
  uint32_t type = 0;
  bool critical = false;
  std::span<const uint8_t> content;
};

// The number of sections that follow.
Result<uint32_t> read_header(Reader& in) {
  const auto found = in.take(magic.size(), "the magic");
  if (!found) return std::unexpected(found.error());
  if (!std::ranges::equal(*found, magic)) return fail("not a bpfwarden bundle");
  const auto version = in.number<uint32_t>("the format version");
  if (!version) return std::unexpected(version.error());
  if (*version != format_version)
    return fail("bundle format " + std::to_string(*version) + " is not known",
                "use the bpfwarden that wrote it, or a newer one");
  const auto sections = in.number<uint32_t>("the section count");
  if (sections && *sections > max_sections)
    return fail("more than " + std::to_string(max_sections) + " sections");
  return sections;
}

Result<Section> read_section(Reader& in) {
  Section section;
  section.offset = in.offset();
  const auto type = in.number<uint32_t>("a section's type");
  if (!type) return std::unexpected(type.error());
  const auto flags = in.number<uint32_t>("a section's flags");
  if (!flags) return std::unexpected(flags.error());
  if ((*flags & ~flag_critical) != 0)
    return fail("unknown section flags " + std::to_string(*flags) + at_byte(section.offset));
  const auto length = in.number<uint64_t>("a section's length");
  if (!length) return std::unexpected(length.error());
  const auto content = in.take(*length, "section " + std::to_string(*type));
  if (!content) return std::unexpected(content.error());
  const auto padding = in.take((alignment - *length % alignment) % alignment, "padding");
  if (!padding) return std::unexpected(padding.error());
  if (std::ranges::any_of(*padding, [](uint8_t byte) { return byte != 0; }))
    return fail("padding is not zero" + at_byte(in.offset() - padding->size()));
  section.type = *type;
  section.critical = (*flags & flag_critical) != 0;
  section.content = *content;
  return section;
}

Status place(const Section& section, Bundle& bundle) {
  const auto type = static_cast<SectionType>(section.type);
  const auto copy = [&](std::vector<uint8_t>& field) -> Status {
    if (section.content.empty())
      return fail("section " + std::to_string(section.type) + at_byte(section.offset) +
                  " is empty");
    field.assign(section.content.begin(), section.content.end());
    return {};
  };
  if (type == SectionType::manifest) {
    if (section.content.size() > max_manifest) return fail("the manifest exceeds 64 KiB");
    return decode_manifest(
        {reinterpret_cast<const char*>(section.content.data()), section.content.size()}, bundle);
  }
  if (type == SectionType::insns) return copy(bundle.insns);
  if (type == SectionType::metadata) return copy(bundle.metadata);
  if (type == SectionType::signature) return copy(bundle.signature);
  if (type == SectionType::certificate) return copy(bundle.certificate_der);
  if (type == SectionType::self_check_signature) return copy(bundle.self_check_signature);
  if (section.critical)
    return fail("section " + std::to_string(section.type) + at_byte(section.offset) +
                    " is not known, and marked as one that must be understood",
                "use the bpfwarden that wrote it, or a newer one");
  return {};
}

}  // namespace

std::vector<uint8_t> to_be_signed(const Bundle& bundle) {
  std::vector<uint8_t> content = bundle.insns;
  content.insert(content.end(), bundle.metadata.begin(), bundle.metadata.end());
  return content;
}

std::vector<uint8_t> self_checking_insns(const Bundle& bundle) {
  return with_self_check(bundle.insns, bundle.metadata);
}

Result<std::vector<uint8_t>> encode(const Bundle& bundle) {
  if (auto status = check(bundle); !status)
    return std::unexpected(std::move(status.error()).within("cannot write the bundle"));
  const std::string text = encode_manifest(bundle);
  if (text.size() > max_manifest) return fail("cannot write the bundle: manifest exceeds 64 KiB");

  struct Part {
    SectionType type;
    uint32_t flags;
    std::span<const uint8_t> content;
  };
  const std::vector<uint8_t> manifest(text.begin(), text.end());
  const Part parts[] = {{SectionType::manifest, flag_critical, manifest},
                        {SectionType::insns, flag_critical, bundle.insns},
                        {SectionType::metadata, flag_critical, bundle.metadata},
                        {SectionType::signature, flag_critical, bundle.signature},
                        {SectionType::certificate, 0, bundle.certificate_der},
                        {SectionType::self_check_signature, 0, bundle.self_check_signature}};
  const auto present = [](const Part& part) { return !part.content.empty(); };
  Writer out(static_cast<uint32_t>(std::ranges::count_if(parts, present)));
  for (const Part& part : parts)
    if (present(part)) out.section(part.type, part.flags, part.content);
  return out.take();
}

Result<Bundle> decode(std::span<const uint8_t> bytes) {
  if (bytes.size() > max_file) return fail("larger than 32 MiB");
  Reader in(bytes);
  const auto count = read_header(in);
  if (!count) return std::unexpected(count.error());
  Bundle bundle;
  uint32_t last = 0;
  for (uint32_t i = 0; i < *count; ++i) {
    const auto section = read_section(in);
    if (!section) return std::unexpected(section.error());
    if (i == 0 && section->type != static_cast<uint32_t>(SectionType::manifest))
      return fail("the first section is not the manifest");
    if (section->type <= last)
      return fail("section " + std::to_string(section->type) + at_byte(section->offset) +
                  (section->type == last ? " appears twice" : " is out of order"));
    last = section->type;
    if (auto status = place(*section, bundle); !status)
      return std::unexpected(std::move(status.error()));
  }
  if (in.left() != 0)
    return fail(std::to_string(in.left()) + " bytes too many" + at_byte(in.offset()));
  if (auto status = check(bundle); !status) return std::unexpected(std::move(status.error()));
  return bundle;
}

Result<Bundle> read_bundle(const std::filesystem::path& path) {
  const auto bytes = read_file(path, max_file);
  if (!bytes) return std::unexpected(bytes.error());
  auto bundle = decode(*bytes);
  if (!bundle) return std::unexpected(std::move(bundle.error()).within(path.string()));
  return bundle;
}

Status write_bundle(const std::filesystem::path& path, const Bundle& bundle) {
  auto bytes = encode(bundle);
  if (!bytes) return std::unexpected(std::move(bytes.error()).within(path.string()));
  return write_output(path, *bytes);
}

}  // namespace bpfwarden::keyring
