#include <magpie/magpie.hpp>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

magpie::task<> say(char const* what) {
    co_await magpie::sleep(10ms);
    std::puts(what);
}

magpie::task<int> amain() {
    co_await magpie::gather(say("hello"), say("world"));
    co_return 0;
}

int main() {
    return magpie::run(amain());
}
