// expect: as_completed\(range, body\) needs a body
#include <magpie/combinators/as_completed.hpp>

#include <utility>
#include <vector>

using namespace magpie;

task<> f(std::vector<task<int>> tasks) {
    co_await as_completed(std::move(tasks), [](auto&) {});
}
