#include <magpie/io/loop/op_inbox.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include <runtime/support/kit.hpp>

namespace {

using namespace magpie::detail;

class numbered final : public op_base {
public:
    numbered(int p, int n) : op_base({}), producer(p), number(n) {}
    int producer;
    int number;
};

template <class Link>
std::vector<int> take_all(op_inbox<Link>& inbox) {
    std::vector<int> numbers;
    inbox.take_all([&](op_base& op) { numbers.push_back(static_cast<numbered&>(op).number); });
    return numbers;
}

TEST_CASE_TEMPLATE("what was posted comes out in the order of posting, once", Link, link_of_item, link_of_hook) {
    op_inbox<Link> inbox;
    std::deque<numbered> ops;
    CHECK(inbox.empty());
    for (int i = 0; i < 4; ++i) {
        inbox.post(ops.emplace_back(0, i));
        CHECK(!inbox.empty());
    }
    CHECK(take_all(inbox) == std::vector{0, 1, 2, 3});
    CHECK(inbox.empty());
    CHECK(take_all(inbox).empty());
    inbox.post(ops[2]);
    CHECK(take_all(inbox) == std::vector{2});
}

TEST_CASE("what is taken out may be posted again at once") {
    op_inbox<link_of_item> inbox;
    numbered op(0, 7);
    inbox.post(op);
    int times = 0;
    inbox.take_all([&](op_base& taken) {
        ++times;
        inbox.post(taken);
    });
    CHECK(times == 1);
    CHECK(take_all(inbox) == std::vector{7});
}

TEST_CASE("an op can be in an inbox of each kind at the same time") {
    op_inbox<link_of_item> cancels;
    op_inbox<link_of_hook> starved;
    numbered a(0, 1);
    numbered b(0, 2);
    cancels.post(a);
    starved.post(a);
    starved.post(b);
    cancels.post(b);
    CHECK(take_all(cancels) == std::vector{1, 2});
    CHECK(take_all(starved) == std::vector{1, 2});
}

TEST_CASE("many may post while the owner takes: nothing is lost, each producer's order is kept") {
    constexpr int producers = 3;
    int const each = static_cast<int>(magpie::tests::rounds(30'000));
    op_inbox<link_of_item> inbox;
    std::vector<std::deque<numbered>> ops(producers);
    for (int p = 0; p < producers; ++p) {
        for (int n = 0; n < each; ++n) {
            ops[static_cast<std::size_t>(p)].emplace_back(p, n);
        }
    }
    std::vector<std::thread> threads;
    for (auto& own : ops) {
        threads.emplace_back([&] {
            for (numbered& op : own) {
                inbox.post(op);
            }
        });
    }
    std::vector<int> next(producers, 0);
    int taken = 0;
    bool in_order = true;
    while (taken < producers * each) {
        inbox.take_all([&](op_base& op) {
            auto const& n = static_cast<numbered&>(op);
            in_order = in_order && next[static_cast<std::size_t>(n.producer)]++ == n.number;
            ++taken;
        });
        std::this_thread::yield();
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(in_order);
    CHECK(inbox.empty());
}

}  // namespace
