#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace magpie {
namespace detail {
namespace {

// Breaks text into comment lines of at most 100 characters.
void append_comment(std::string& out, std::string_view text, std::string_view mark = "# ") {
    constexpr std::size_t width = 100;
    while (!text.empty()) {
        auto end = text.size();
        if (mark.size() + end > width) {
            end = text.rfind(' ', width - mark.size());
        }
        out.append(mark).append(text.substr(0, end)).append("\n");
        text.remove_prefix(end < text.size() ? end + 1 : end);
    }
}

void append_key(std::string& out, config_key const& key, std::string_view name, void const* standard,
                std::string_view mark) {
    append_comment(out, key.meaning);
    append_comment(out, "Allowed: " + allowed_values(key) + ".");
    fmt::format_to(std::back_inserter(out), "{}{} = {}\n\n", mark, name, format_value(key, key.get(standard)));
}

std::string section_of(config_key const& key) {
    return std::string(key.path.substr(0, key.path.find('.')));
}

void append_row(std::string& out, config_key const& key, std::string_view name, std::string_view variable,
                void const* standard) {
    fmt::format_to(std::back_inserter(out), "| `{}` | `{}` | {} | {} | {} |\n", name,
                   format_value(key, key.get(standard)), allowed_values(key), variable, key.meaning);
}

void append_heading(std::string& out, std::string_view heading) {
    fmt::format_to(std::back_inserter(out),
                   "{}### {}\n\n| key | default | allowed | environment | meaning |\n|---|---|---|---|---|\n",
                   out.empty() ? "" : "\n", heading);
}

}  // namespace
}  // namespace detail

std::string config::example_toml() {
    config const standard;
    limit_config const limit;
    std::string out;
    detail::append_comment(out, "magpie.toml: every key with its default. Keep the lines you change, drop the rest.");
    detail::append_comment(out,
                           "A key can be overridden by the environment: runtime.workers by MAGPIE_RUNTIME_WORKERS, "
                           "io.buffer_ring.size by MAGPIE_IO_BUFFER_RING_SIZE.");
    std::string section;
    for (auto const& key : detail::config_keys()) {
        if (key.code_only()) {
            continue;
        }
        if (auto next = detail::section_of(key); next != section) {
            section = std::move(next);
            out += fmt::format("{}[{}]\n", out.ends_with("\n\n") ? "" : "\n", section);
        }
        detail::append_key(out, key, key.path.substr(section.size() + 1), &standard, "");
    }
    out += "[limits]\n";
    detail::append_comment(out, "How many operations may be in flight at once, by name, for batch(..., {.limit = "
                                "limits[\"upstream\"]}). A number is a fixed limit (MAGPIE_LIMITS_UPSTREAM=64):");
    out += "# upstream = 64\n#\n";
    detail::append_comment(out, "A section says more (MAGPIE_LIMITS_UPSTREAM_MAX=256); kinds other than \"fixed\" "
                                "adapt between min and max:");
    out += "# [limits.upstream]\n";
    for (auto const& key : detail::limit_keys()) {
        detail::append_key(out, key, key.path, &limit, "# ");
    }
    out.pop_back();  // the blank line after the last key
    return out;
}

std::string config::reference() {
    config const standard;
    limit_config const limit;
    std::string out;
    std::string section;
    for (auto const& key : detail::config_keys()) {
        if (key.code_only()) {
            continue;
        }
        if (auto next = detail::section_of(key); next != section) {
            section = std::move(next);
            detail::append_heading(out, fmt::format("[{}]", section));
        }
        detail::append_row(out, key, key.path.substr(section.size() + 1),
                           fmt::format("`{}`", detail::environment_name(key.path)), &standard);
    }
    detail::append_heading(out, "[limits.NAME]");
    for (auto const& key : detail::limit_keys()) {
        auto const variable = detail::environment_name(fmt::format("limits.NAME.{}", key.path));
        detail::append_row(out, key, key.path, fmt::format("`{}`", variable), &limit);
    }
    detail::append_heading(out, "In code only");
    for (auto const& key : detail::config_keys()) {
        if (key.code_only()) {
            detail::append_row(out, key, fmt::format("config.{}", key.path), "", &standard);
        }
    }
    return out;
}

}  // namespace magpie
