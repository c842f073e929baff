#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace magpie::tests {

// A directory that stands for "/", removed at the end.
class fake_root {
public:
    fake_root() {
        auto pattern = (std::filesystem::temp_directory_path() / "magpie-root-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    fake_root(fake_root const&) = delete;
    fake_root& operator=(fake_root const&) = delete;
    ~fake_root() { std::filesystem::remove_all(path_); }

    std::string const& path() const { return path_; }

    void file(std::string const& path, std::string const& text) {
        std::filesystem::create_directories(std::filesystem::path(path_ + path).parent_path());
        std::ofstream(path_ + path) << text;
    }
    void node(unsigned number, std::string const& cpus) {
        file("/sys/devices/system/node/node" + std::to_string(number) + "/cpulist", cpus + "\n");
    }

private:
    std::string path_;
};

}  // namespace magpie::tests
