#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>

// Whatever the build says about toml++, this file has its own copy: nothing to link, and one place that includes it.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>

namespace magpie::detail {
namespace {

using entry = std::pair<toml::key const*, toml::node const*>;

class toml_reader {
public:
    toml_reader(config_loader& loader, std::string_view text, std::string const& file)
        : loader_(loader), text_(text), file_(file) {}

    void read(toml::table const& root) { read_section(root, ""); }

private:
    // In the order of the file, so that of several mistakes the first is reported.
    static std::vector<entry> in_file_order(toml::table const& table) {
        std::vector<entry> entries;
        for (auto const& [key, node] : table) {
            entries.emplace_back(&key, &node);
        }
        std::ranges::sort(entries, {}, [](entry const& e) {
            auto const begin = e.first->source().begin;
            return std::pair(begin.line, begin.column);
        });
        return entries;
    }

    config_error::place at(toml::source_region const& region) const {
        return {.file = file_,
                .line = static_cast<int>(region.begin.line),
                .column = static_cast<int>(region.begin.column)};
    }

    // The value as it was written, on one line; the parser keeps only where it was.
    std::string written(toml::node const& node) const {
        if (node.is_table()) {
            return "{…}";
        }
        auto const region = node.source();
        std::string_view rest = text_;
        for (auto line = region.begin.line; line > 1; --line) {
            rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
        }
        bool const one_line = region.begin.line == region.end.line;
        auto const last = one_line ? region.end.column : static_cast<toml::source_index>(-1);
        std::string value;
        toml::source_index column = 0;
        for (char const c : rest) {
            bool const continues = (static_cast<unsigned char>(c) & 0xC0) == 0x80;  // inside a UTF-8 character
            column += continues ? 0 : 1;
            if (c == '\n' || c == '\r' || column >= last) {
                break;
            }
            if (column >= region.begin.column) {
                value += c;
            }
        }
        constexpr std::size_t longest = 60;
        return one_line && value.size() <= longest ? value : utf8_prefix(value, longest) + "…";
    }

    static std::string utf8_prefix(std::string const& text, std::size_t size) {
        size = std::min(size, text.size());
        while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) {
            --size;
        }
        return text.substr(0, size);
    }

    [[noreturn]] void refuse(toml::node const& node, std::string path, std::string why) const {
        throw config_error(at(node.source()), std::move(path), written(node), std::move(why));
    }

    config_value value_of(config_key const& key, toml::node const& node, std::string const& path) const {
        std::expected<config_value, std::string> value = std::unexpected("is not allowed: use " + allowed_values(key));
        if (auto const* const text = node.as_string()) {
            value = parse_quoted(key, text->get());
        } else if (auto const* const number = node.as_integer()) {
            value = parse_integer(key, number->get());
        } else if (auto const* const flag = node.as_boolean(); flag != nullptr && key.kind == key_kind::flag) {
            value = config_value{std::uint64_t{flag->get() ? 1u : 0u}};
        }
        if (!value) {
            refuse(node, path, value.error());
        }
        return *std::move(value);
    }

    void read_section(toml::table const& table, std::string const& prefix) {
        for (auto const& [key, node] : in_file_order(table)) {
            auto const path = prefix + std::string(key->str());
            if (path == "limits") {
                read_limits(*node);
            } else if (auto const* const row = find_key(path)) {
                loader_.set(*row, value_of(*row, *node, path), at(key->source()));
            } else if (!is_section(path)) {
                unknown_key(*key, *node, path);
            } else if (auto const* const section = node->as_table()) {
                read_section(*section, path + ".");
            } else {
                refuse(*node, path, fmt::format("is not allowed: {0} is a section, written [{0}]", path));
            }
        }
    }

    void read_limits(toml::node const& limits) {
        auto const* const table = limits.as_table();
        if (table == nullptr) {
            refuse(limits, "limits", "is not allowed: limits is a section, written [limits]");
        }
        for (auto const& [key, node] : in_file_order(*table)) {
            std::string const name(key->str());
            auto const path = "limits." + name;
            if (!valid_limit_name(name)) {
                throw config_error(at(key->source()), path, "",
                                   "is not a usable name: a limit has 1 to 64 letters, digits, '-' or '_'");
            }
            if (auto const* const section = node->as_table()) {
                read_limit(name, *section);
                continue;
            }
            auto const& initial = *std::ranges::find(limit_keys(), "initial", &config_key::path);
            auto const number =
                node->is_integer() ? parse_integer(initial, node->as_integer()->get()) : std::unexpected(std::string());
            if (!number) {
                refuse(*node, path,
                       fmt::format("is not allowed: use {}, or a section [{}]", allowed_values(initial), path));
            }
            loader_.set_fixed_limit(name, std::get<std::uint64_t>(*number), at(key->source()));
        }
    }

    void read_limit(std::string const& name, toml::table const& table) {
        loader_.add_limit(name);
        for (auto const& [key, node] : in_file_order(table)) {
            auto const rows = limit_keys();
            auto const row = std::ranges::find(rows, key->str(), &config_key::path);
            auto const path = fmt::format("limits.{}.{}", name, key->str());
            if (row == rows.end()) {
                unknown_limit_key(*key, path);
            }
            loader_.set_limit(name, *row, value_of(*row, *node, path), at(key->source()));
        }
    }

    static config_key const* find_key(std::string_view path) {
        auto const rows = config_keys();
        auto const row = std::ranges::find(rows, path, &config_key::path);
        return row != rows.end() && !row->code_only() ? &*row : nullptr;
    }

    static bool is_section(std::string const& path) {
        return std::ranges::any_of(config_keys(),
                                   [&](config_key const& row) { return row.path.starts_with(path + "."); });
    }

    [[noreturn]] void unknown_key(toml::key const& key, toml::node const& node,
                                  std::string const& path) const {
        throw config_error(at(key.source()), path, "", why_unknown(path, node.is_table()));
    }

    static std::string why_unknown(std::string const& path, bool table) {
        auto const dot = path.rfind('.');
        auto const section = dot == path.npos ? std::string() : path.substr(0, dot + 1);
        std::vector<std::string> paths;
        std::vector<std::string_view> siblings;
        for (auto const& row : config_keys()) {
            if (row.code_only()) {
                if (row.path == path.substr(section.size())) {
                    return fmt::format("cannot be set in a file: set config.{} in code", row.path);
                }
                continue;
            }
            paths.emplace_back(row.path);
            if (!section.empty() && row.path.starts_with(section)) {
                siblings.push_back(row.path.substr(section.size()));
            }
        }
        if (section.empty()) {
            paths.insert(paths.end(), {"runtime", "io", "limits"});
            return fmt::format("{}:{} There are [runtime], [io] and [limits]",
                               table ? "is not a known section" : "stands outside of any section",
                               suggestion(path, paths));
        }
        return fmt::format("is not a known key:{} Section [{}] has {}", suggestion(path, paths),
                           section.substr(0, section.size() - 1), fmt::join(siblings, ", "));
    }

    [[noreturn]] void unknown_limit_key(toml::key const& key, std::string const& path) const {
        std::vector<std::string> names;
        for (auto const& row : limit_keys()) {
            names.emplace_back(row.path);
        }
        throw config_error(
            at(key.source()), path, "",
            fmt::format("is not a known key:{} A limit has {}", suggestion(key.str(), names), fmt::join(names, ", ")));
    }

    config_loader& loader_;
    std::string_view text_;
    std::string const& file_;
};

std::string lower_first(std::string_view text) {
    constexpr std::string_view opening = "Error while parsing ";
    return text.starts_with(opening) ? "in " + std::string(text.substr(opening.size())) : std::string(text);
}

}  // namespace

void load_toml(config_loader& loader, std::string_view text, std::string const& file) {
    toml::table root;
    try {
        root = toml::parse(text, std::string_view(file));
    } catch (toml::parse_error const& error) {
        auto const begin = error.source().begin;
        throw config_error(
            {.file = file, .line = static_cast<int>(begin.line), .column = static_cast<int>(begin.column)}, "", "",
            fmt::format("is not valid TOML: {}; correct the line (text needs quotes, a section is "
                        "written [runtime])",
                        lower_first(error.description())));
    }
    toml_reader(loader, text, file).read(root);
}

}  // namespace magpie::detail
