// expect: a gather is awaited once: co_await std::move\(g\)
#include <magpie/combinators/gather.hpp>

using namespace magpie;

task<> f(task<int> one, task<int> two) {
    auto g = gather(std::move(one), std::move(two));
    co_await g;
}
