#include "loader/metrics/exposition.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

constexpr std::string_view kTotal = "_total";

// Quotes are escaped in label values, and in OpenMetrics in HELP as well.
std::string escaped(std::string_view text, bool quotes) {
  std::string safe;
  for (const char c : text) {
    if (c == '\n') {
      safe += "\\n";
      continue;
    }
    if (c == '\\' || (c == '"' && quotes)) safe += '\\';
    safe += c;
  }
  return safe;
}

const char* type_name(MetricType type) { return type == MetricType::counter ? "counter" : "gauge"; }

// OpenMetrics names a counter's family without the suffix of its samples.
std::string family_name(const Metric& metric, Exposition exposition) {
  std::string name = metric.name;
  if (exposition == Exposition::openmetrics && metric.type == MetricType::counter)
    name.resize(name.size() - kTotal.size());
  return name;
}

std::string sample_line(const std::string& name, const Sample& sample) {
  std::string line = name;
  const char* before = "{";
  for (const auto& [label, value] : sample.labels) {
    line += before + label + "=\"" + escaped(value, true) + "\"";
    before = ",";
  }
  if (!sample.labels.empty()) line += "}";
  return line + " " + std::to_string(sample.value) + "\n";
}

}  // namespace

const char* media_type(Exposition exposition) {
  return exposition == Exposition::openmetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

std::string expose(std::span<const Metric> metrics, Exposition exposition) {
  const bool is_open = exposition == Exposition::openmetrics;
  std::string text;
  for (const Metric& metric : metrics) {
    const std::string family = family_name(metric, exposition);
    text += "# HELP " + family + " " + escaped(metric.help, is_open) + "\n";
    text += "# TYPE " + family + " " + type_name(metric.type) + "\n";
    for (const Sample& sample : metric.samples) text += sample_line(metric.name, sample);
  }
  return is_open ? text + "# EOF\n" : text;
}

nlohmann::json metrics_to_json(std::span<const Metric> metrics) {
  auto all = nlohmann::json::array();
  for (const Metric& metric : metrics) {
    auto samples = nlohmann::json::array();
    for (const Sample& sample : metric.samples) {
      auto labels = nlohmann::json::object();
      for (const auto& [label, value] : sample.labels) labels[label] = value;
      samples.push_back(object_of({{"labels", std::move(labels)}, {"value", sample.value}}));
    }
    all.push_back(object_of({{"name", metric.name},
                             {"type", type_name(metric.type)},
                             {"help", metric.help},
                             {"samples", std::move(samples)}}));
  }
  return object_of({{"metrics", std::move(all)}});
}

}  // namespace bpfwarden::loader
