// The files of loader/report/page/, as they are: embedded by CMake (cmake/Embed.cmake).
#pragma once

#include <string_view>

namespace bpfwarden::loader {

extern const std::string_view kReportPage;  // HTML, with {{NAMES}} where report_page puts things
extern const std::string_view kReportStyle;
extern const std::string_view kReportScript;

}  // namespace bpfwarden::loader
