#include <magpie/runtime/detail/cache_line.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

namespace {

using magpie::detail::cache_line_size;
using magpie::detail::cache_padded;

std::uintptr_t address(void const* p) {
    return reinterpret_cast<std::uintptr_t>(p);
}

TEST_CASE("cache_padded: neighbours in an array share no line") {
    std::vector<cache_padded<char>> values(3);
    for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(address(&values[i].value) % cache_line_size == 0);
    }
    CHECK(address(&values[1].value) - address(&values[0].value) >= cache_line_size);
}

TEST_CASE("cache_padded: a value larger than a line takes whole lines") {
    struct large {
        char bytes[cache_line_size + 1];
    };
    CHECK(sizeof(cache_padded<large>) == 2 * cache_line_size);
}

TEST_CASE("cache_padded: the value is initialised") {
    cache_padded<int> const zero;
    CHECK(zero.value == 0);
}

}  // namespace
