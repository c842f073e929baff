#pragma once

// What the tests of the configuration share.

#include <magpie/runtime/config.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace config_support {

using magpie::config;
using magpie::config_error;

inline config_error refused(auto&& action) {
    try {
        action();
    } catch (config_error const& error) {
        return error;
    }
    FAIL("nothing was thrown");
    return config_error({}, "", "", "");
}

inline config_error refused_text(std::string_view text) {
    return refused([&] { (void)config::from_toml(text, "m.toml"); });
}

template <class... Variables>
void apply(config& c, Variables... variables) {
    char const* const list[] = {variables..., nullptr};
    c.apply_environment(list);
}

inline config_error refused_variable(char const* variable) {
    config c;
    return refused([&] { apply(c, variable); });
}

// The line of explain() for a key.
inline std::string explained(config const& c, std::string const& key) {
    std::istringstream lines(c.explain());
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(key + " ") || line.starts_with("# " + key + " ")) {
            return line;
        }
    }
    return {};
}

inline bool comes_from(config const& c, std::string const& key, std::string const& origin) {
    return explained(c, key).ends_with(" # " + origin);
}

class temp_file {
public:
    explicit temp_file(std::string const& text) {
        auto pattern = (std::filesystem::temp_directory_path() / "magpie-config-XXXXXX").string();
        int const fd = ::mkstemp(pattern.data());
        REQUIRE(fd >= 0);
        std::fclose(::fdopen(fd, "w"));
        path = pattern;
        std::ofstream(path) << text;
    }
    temp_file(temp_file const&) = delete;
    temp_file& operator=(temp_file const&) = delete;
    ~temp_file() { std::filesystem::remove(path); }

    std::string path;
};

class scoped_variable {
public:
    scoped_variable(char const* name, std::string const& value) : name_(name) {
        if (char const* const before = ::getenv(name)) {
            before_ = before;
        }
        ::setenv(name, value.c_str(), 1);
    }
    scoped_variable(scoped_variable const&) = delete;
    scoped_variable& operator=(scoped_variable const&) = delete;
    ~scoped_variable() {
        if (before_) {
            ::setenv(name_, before_->c_str(), 1);
        } else {
            ::unsetenv(name_);
        }
    }

private:
    char const* name_;
    std::optional<std::string> before_;
};

}  // namespace config_support
