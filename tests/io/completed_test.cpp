#include <magpie/io/detail/completed.hpp>

#include <doctest/doctest.h>

#include <type_traits>

namespace {

TEST_CASE("a completed operation is a small value: nothing to destroy, cheap to hand on") {
    using magpie::io::completed;
    static_assert(std::is_trivially_copyable_v<completed>);
    static_assert(sizeof(completed) <= 2 * sizeof(void*));
    completed const none;
    CHECK(none.result == 0);
    CHECK(none.flags == 0);
    CHECK(none.home == nullptr);
}

}  // namespace
