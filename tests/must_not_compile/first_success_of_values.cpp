// expect: needs a range of tasks, of handles or of other awaitables
#include <magpie/combinators/first_success.hpp>

#include <vector>

using namespace magpie;

task<> f(std::vector<int>& numbers) {
    co_await first_success(numbers);
}
