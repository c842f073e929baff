// expect: a batch needs a function that can be called with an element of the range
#include <magpie/combinators/batch_stream.hpp>

#include <string>
#include <vector>

using namespace magpie;

task<int> length(std::string text);

task<> f(std::vector<int>& numbers) {
    co_await batch_stream(numbers, length, [](auto& s) -> task<> { (void)co_await s.next(); });
}
