// expect: a task is awaited once: std::move it into
#include <magpie/combinators/as_completed.hpp>

#include <vector>

using namespace magpie;

task<> all(std::vector<task<int>> tasks) {
    co_await as_completed(tasks, [](auto& s) -> task<> { (void)co_await s.next(); });
}
