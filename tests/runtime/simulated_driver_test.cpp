#include <magpie/runtime/scheduler/simulated_driver.hpp>

#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <string_view>
#include <thread>

namespace {

using namespace magpie;
using namespace magpie::tests;

TEST_CASE("simulated_driver: has nothing of its own, and sleeps until it is unparked, before or after") {
    detail::simulated_driver driver;
    CHECK_FALSE(driver.has_work());
    CHECK((driver.reap() == 0 && driver.in_flight() == 0 && driver.completions() == 0));
    CHECK(std::string_view(driver.name()) == "simulated");
    driver.poll();
    driver.unpark();
    driver.unpark();
    driver.park(time_point::max());  // returns: it was unparked before
    std::atomic<bool> back{false};
    std::thread sleeper([&] {
        driver.park(time_point::max());
        back = true;
    });
    CHECK_FALSE(back);
    driver.unpark();
    sleeper.join();
    CHECK(back);
}

}  // namespace
