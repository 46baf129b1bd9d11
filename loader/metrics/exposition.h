// Metrics in the text formats that Prometheus scrapes: its own (0.0.4), and OpenMetrics 1.0.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bpfwarden::loader {

struct Sample {
  std::vector<std::pair<std::string, std::string>> labels;  // values in UTF-8, of any characters
  int64_t value = 0;
};

enum class MetricType : uint8_t { gauge, counter };

struct Metric {
  std::string name;  // with its unit; a counter's ends in _total
  MetricType type = MetricType::gauge;
  std::string help;  // one sentence
  std::vector<Sample> samples;
};

enum class Exposition : uint8_t { prometheus, openmetrics };

// Of Content-Type.
[[nodiscard]] const char* media_type(Exposition exposition);

[[nodiscard]] std::string expose(std::span<const Metric> metrics, Exposition exposition);

[[nodiscard]] nlohmann::json metrics_to_json(std::span<const Metric> metrics);

}  // namespace bpfwarden::loader
