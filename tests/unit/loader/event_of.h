// Events of tests, which write them as recordings do.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "loader/events/event_json.h"

namespace bpfwarden::loader {

// Fails the test if it is none.
inline Event event_of(const nlohmann::json& object) {
  auto event = event_from_json(object);
  INFO((event ? "" : event.error().message));
  REQUIRE(event.has_value());
  return std::move(*event);
}

}  // namespace bpfwarden::loader
