// expect: std::move it
#include <magpie/combinators/gather.hpp>

magpie::task<> f(magpie::task<int>& one, magpie::task<int> two) {
    co_await magpie::gather(one, std::move(two));
}
