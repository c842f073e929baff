// expect: a gather is awaited once: co_await std::move\(g\)
#include <magpie/combinators/gather.hpp>

#include <vector>

using namespace magpie;

task<> f(std::vector<task<int>> tasks) {
    auto const g = gather(std::move(tasks));
    co_await g;
}
