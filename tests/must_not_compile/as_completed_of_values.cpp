// expect: as_completed\(range, body\) needs a range
#include <magpie/combinators/as_completed.hpp>

#include <vector>

using namespace magpie;

task<> f(std::vector<int>& numbers) {
    co_await as_completed(numbers, [](auto& s) -> task<> { (void)co_await s.next(); });
}
