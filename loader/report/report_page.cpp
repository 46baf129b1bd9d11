#include "loader/report/report_page.h"

#include <zlib.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "keyring/x509.h"
#include "loader/report/report_assets.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// zlib's own format: what DecompressionStream calls "deflate".
Result<std::vector<uint8_t>> compress(std::string_view text) {
  uLongf size = ::compressBound(text.size());
  std::vector<uint8_t> packed(size);
  const int done = ::compress2(packed.data(), &size, bytes_of(text).data(), text.size(), 6);
  if (done != Z_OK) return fail("the events cannot be compressed: no memory", "give --since");
  packed.resize(size);
  return packed;
}

// What may run and look: exactly what is embedded, by its hash.
std::string hash_source(std::string_view content) {
  return "'sha256-" + keyring::base64(keyring::sha256(bytes_of(content))) + "'";
}

std::string security_policy() {
  return "default-src 'none'; script-src " + hash_source(kReportScript) + "; style-src " +
         hash_source(kReportStyle) + "; img-src data:; base-uri 'none'; form-action 'none'";
}

// Each {{NAME}} once, in one pass: what is put in is not looked at again.
std::string fill(std::string_view page, const std::map<std::string_view, std::string>& parts) {
  std::string filled;
  for (size_t start = page.find("{{"); start != std::string_view::npos; start = page.find("{{")) {
    const size_t end = page.find("}}", start);
    filled += page.substr(0, start);
    filled += parts.at(page.substr(start + 2, end - start - 2));
    page.remove_prefix(end + 2);
  }
  return filled += page;
}

bool is_pressing(const EventTable& events, const TableEntry& entry) {
  return events.outcome(entry) != EventOutcome::allowed;
}

// By time.
std::vector<TableEntry> chosen(const EventTable& events, size_t most) {
  std::vector<TableEntry> entries = events.entries();
  if (entries.size() <= most) return entries;
  std::ranges::reverse(entries);
  std::ranges::stable_partition(entries,
                                [&](const auto& entry) { return is_pressing(events, entry); });
  entries.resize(most);
  std::ranges::stable_sort(entries, {}, &TableEntry::time);
  return entries;
}

// Numbers them from 0, in the order in which they are asked for.
class Renumbered {
 public:
  uint32_t operator()(uint32_t number) {
    const auto [found, is_new] = numbers_.try_emplace(number, order_.size());
    if (is_new) order_.push_back(number);
    return found->second;
  }
  [[nodiscard]] const std::vector<uint32_t>& order() const { return order_; }

 private:
  std::map<uint32_t, uint32_t> numbers_;
  std::vector<uint32_t> order_;
};

// From one to the next: small numbers, often the same, are little once compressed.
std::vector<int64_t> differences(std::vector<int64_t> values) {
  std::adjacent_difference(values.begin(), values.end(), values.begin());
  return values;
}

// `shape`: 0 for the next that has not been there yet, else its number + 1.
void add_columns(json& columns, const std::vector<TableEntry>& entries, Renumbered& shapes) {
  std::vector<int64_t> time, sequence;
  std::vector<uint32_t> shape, program_id, tgid;
  for (const TableEntry& entry : entries) {
    time.push_back(entry.time);
    sequence.push_back(static_cast<int64_t>(entry.sequence));
    const size_t known = shapes.order().size();
    const uint32_t number = shapes(entry.shape);
    shape.push_back(number == known ? 0 : number + 1);
    program_id.push_back(entry.program_id);
    tgid.push_back(entry.tgid);
  }
  columns["time"] = differences(std::move(time));
  columns["sequence"] = differences(std::move(sequence));
  columns["shape"] = std::move(shape);
  columns["program_id"] = std::move(program_id);
  columns["tgid"] = std::move(tgid);
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : text) switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
  return escaped;
}

std::string script_json(const json& value) {
  std::string escaped;
  for (const char c : dump(value)) switch (c) {
      case '<':
        escaped += "\\u003c";
        break;
      case '>':
        escaped += "\\u003e";
        break;
      case '&':
        escaped += "\\u0026";
        break;
      default:
        escaped += c;
    }
  return escaped;
}

json events_to_columns(const EventTable& events, size_t most) {
  json columns = {{"total", events.entries().size()}};
  Renumbered shapes, texts;
  add_columns(columns, chosen(events, most), shapes);
  json& fields = columns["fields"] = json::object();
  for (size_t i = 0; i < kFields; i++) {
    std::vector<int64_t> column;
    for (const uint32_t number : shapes.order())
      column.push_back(texts(events.shapes()[number][i]));
    fields[field_name(static_cast<Field>(i))] = differences(std::move(column));
  }
  json& words = columns["texts"] = json::array();
  for (const uint32_t number : texts.order()) words.push_back(events.texts()[number]);
  return columns;
}

Result<std::string> render_page(const ReportPage& page, const json& report,
                                const EventTable& events) {
  std::map<std::string_view, std::string> parts = {
      {"POLICY", security_policy()},          {"TITLE", escape_html(page.title)},
      {"SUMMARY", escape_html(page.summary)}, {"STYLE", std::string(kReportStyle)},
      {"REPORT", script_json(report)},        {"EVENTS", ""},
      {"SCRIPT", std::string(kReportScript)}};
  const size_t besides = fill(kReportPage, parts).size();
  size_t most = std::min(kMostEventsInPage, events.entries().size());
  while (true) {
    const auto packed = compress(dump(events_to_columns(events, most)));
    if (!packed) return std::unexpected(packed.error());
    parts["EVENTS"] = keyring::base64(*packed);
    const size_t size = besides + parts["EVENTS"].size();
    if (size < kMostBytesInPage || most == 0) return fill(kReportPage, parts);
    most = most * 9 / 10 * kMostBytesInPage / size;
  }
}

}  // namespace bpfwarden::loader
