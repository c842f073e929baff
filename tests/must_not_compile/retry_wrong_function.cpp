// expect: needs an fn that can be called with args, as lvalues
#include <magpie/combinators/retry.hpp>

#include <string>

using namespace magpie;

task<int> length(std::string text);

task<> f() {
    co_await retry({.attempts = 3}, length, 5);
}
