#include <magpie/io/detail/completion.hpp>

#include <doctest/doctest.h>

#include <cstdint>

namespace {

using namespace magpie::detail;

class counted final : public completion {
public:
    bool reaped(unsigned channel, std::int32_t, std::uint32_t) noexcept override {
        ++taken[channel];
        return channel == 0;
    }
    void completed() noexcept override { ++ended; }
    int taken[channels]{};
    int ended = 0;
};

TEST_CASE("an address of a completion leaves room for the channel") {
    counted some[3];
    for (completion const& each : some) {
        CHECK(reinterpret_cast<std::uintptr_t>(&each) % completion::channels == 0);
    }
}

TEST_CASE("completions can be listed, each in one list at a time") {
    counted a;
    counted b;
    completion_list list;
    list.push_back(&a);
    list.push_back(&b);
    CHECK(completion_list::linked(&a));
    list.erase(&a);
    CHECK(!completion_list::linked(&a));
    CHECK(list.pop_front() == &b);
    CHECK(list.empty());
}

TEST_CASE("it carries its own functions") {
    counted a;
    completion& known_as = a;
    CHECK(known_as.reaped(0, 5, 0));
    CHECK(!known_as.reaped(7, 5, 0));
    known_as.completed();
    CHECK(a.taken[0] == 1);
    CHECK(a.taken[7] == 1);
    CHECK(a.ended == 1);
}

}  // namespace
