// expect: batch_stream needs a consumer that can be called with
#include <magpie/combinators/batch_stream.hpp>

#include <string>
#include <vector>

using namespace magpie;

task<int> half(int number);

task<> f(std::vector<int>& numbers) {
    co_await batch_stream(numbers, half, [](auto&) {});
}
