// expect: a batch needs a range of inputs
#include <magpie/combinators/batch.hpp>

#include <string>
#include <vector>

using namespace magpie;

task<int> half(int number);

task<> f() {
    co_await batch_each(5, half);
}
