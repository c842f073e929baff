#pragma once

// Options whose values are more than a number or a word. What cannot be read is refused with one sentence, as CLI11
// refuses its own.

#include "echo_rules.hpp"
#include "url.hpp"

#include <magpie/runtime/config.hpp>

#include <CLI/App.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace magpie::tools {

CLI::Option* add_duration(CLI::App& command, std::string const& name, std::chrono::nanoseconds& value,
                          std::string const& help);
CLI::Option* add_duration(CLI::App& command, std::string const& name, std::optional<std::chrono::nanoseconds>& value,
                          std::string const& help);
CLI::Option* add_listen_address(CLI::App& command, std::string const& name, listen_address& value,
                                std::string const& help);
CLI::Option* add_url(CLI::App& command, std::string const& name, url& value, std::string const& help);
CLI::Option* add_time_rule(CLI::App& command, std::string const& name, std::optional<time_rule>& value,
                           std::string const& help);
CLI::Option* add_size_rule(CLI::App& command, std::string const& name, std::optional<size_rule>& value,
                           std::string const& help);
CLI::Option* add_message_size(CLI::App& command, std::string const& name, std::optional<std::size_t>& value,
                              std::string const& help);
CLI::Option* add_backend(CLI::App& command, std::string const& name, std::optional<magpie::io_backend>& value,
                         std::string const& help);

}  // namespace magpie::tools
