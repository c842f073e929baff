#include <magpie/runtime/scheduler/run_queue.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <latch>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

using namespace magpie::detail;

struct item {
    item* next = nullptr;
    int value = 0;
};

template <std::uint32_t Capacity = 8>
using queue = run_queue<item, Capacity>;

template <class End>
concept pushes = requires(End& end, item* i) { end.push(i); };
template <class End>
concept pops = requires(End& end) { end.pop(); };
template <class End>
concept steals = requires(End& end) { end.steal_one(); };

using owner_end = queue<>::owner_end;
using thief_end = queue<>::thief_end;
static_assert(pushes<owner_end> && pops<owner_end> && !steals<owner_end>);
static_assert(!pushes<thief_end> && !pops<thief_end> && steals<thief_end>);
static_assert(!std::is_copy_constructible_v<owner_end> && !std::is_copy_constructible_v<thief_end>);

std::vector<item> numbered(int count) {
    std::vector<item> items(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        items[static_cast<std::size_t>(i)].value = i;
    }
    return items;
}

template <class Queue>
std::vector<int> drain(Queue& q) {
    std::vector<int> values;
    while (item* const i = q.owner().pop()) {
        values.push_back(i->value);
    }
    return values;
}

std::vector<int> drain(intrusive_queue<item>& q) {
    std::vector<int> values;
    while (item* const i = q.pop_front()) {
        values.push_back(i->value);
    }
    return values;
}

std::vector<int> range(int first, int last) {
    std::vector<int> values;
    for (int i = first; i < last; ++i) {
        values.push_back(i);
    }
    return values;
}

template <class Queue>
void fill(Queue& q, std::vector<item>& items, int first, int count) {
    for (int i = first; i < first + count; ++i) {
        REQUIRE(q.owner().push(&items[static_cast<std::size_t>(i)]));
    }
}

// Every interesting place of the indices: the start, and just before they wrap.
constexpr std::uint32_t starts[] = {0, 5, std::numeric_limits<std::uint32_t>::max() - 2};

TEST_CASE("run_queue: smoke: the owner's pops are FIFO, also across the wrap of the indices") {
    for (std::uint32_t const start : starts) {
        auto items = numbered(100);
        queue<> q(start);
        CHECK(q.empty());
        CHECK(q.owner().pop() == nullptr);
        int pushed = 0;
        int popped = 0;
        while (popped < 100) {
            while (pushed < 100 && q.owner().push(&items[static_cast<std::size_t>(pushed)])) {
                ++pushed;
            }
            for (int i = 0; i < 3 && popped < pushed; ++i) {
                REQUIRE(q.owner().pop() == &items[static_cast<std::size_t>(popped)]);
                ++popped;
            }
            REQUIRE(q.size() == static_cast<std::size_t>(pushed - popped));
        }
        CHECK(q.owner().pop() == nullptr);
    }
}

TEST_CASE("run_queue: push refuses the item when full, and takes it after a pop") {
    for (std::uint32_t const start : starts) {
        auto items = numbered(9);
        queue<> q(start);
        fill(q, items, 0, 8);
        CHECK(q.owner().room() == 0);
        CHECK_FALSE(q.owner().push(&items[8]));
        CHECK(q.owner().pop() == &items[0]);
        CHECK(q.owner().room() == 1);
        CHECK(q.owner().push(&items[8]));
        CHECK(drain(q) == range(1, 9));
    }
}

TEST_CASE("run_queue: overflow moves the older half and then the item, in order") {
    for (std::uint32_t const start : starts) {
        auto items = numbered(10);
        queue<> q(start);
        intrusive_queue<item> overflow;
        for (int i = 0; i < 8; ++i) {
            REQUIRE(q.owner().push_or_overflow(&items[static_cast<std::size_t>(i)], overflow));
        }
        CHECK(overflow.empty());
        CHECK_FALSE(q.owner().push_or_overflow(&items[8], overflow));
        CHECK(drain(overflow) == std::vector{0, 1, 2, 3, 8});
        CHECK(q.owner().push_or_overflow(&items[9], overflow));
        CHECK(overflow.empty());
        CHECK(drain(q) == std::vector{4, 5, 6, 7, 9});
    }
}

TEST_CASE("run_queue: overflow goes to anything with push_back") {
    auto items = numbered(9);
    queue<> q;
    std::vector<item*> sink;
    for (item& i : items) {
        q.owner().push_or_overflow(&i, sink);
    }
    CHECK(sink.size() == 5);
}

TEST_CASE("run_queue: push_batch moves what fits and what is asked for") {
    auto items = numbered(12);
    queue<> q(std::numeric_limits<std::uint32_t>::max() - 2);
    intrusive_queue<item> waiting;
    CHECK(q.owner().push_batch(waiting, 5) == 0);
    for (item& i : items) {
        waiting.push_back(&i);
    }
    CHECK(q.owner().push_batch(waiting, 0) == 0);
    CHECK(q.owner().push_batch(waiting, 3) == 3);
    CHECK(q.size() == 3);
    CHECK(q.owner().push_batch(waiting, 100) == 5);
    CHECK(waiting.size() == 4);
    CHECK(q.owner().push_batch(waiting, 100) == 0);
    CHECK(drain(q) == range(0, 8));
    CHECK(q.owner().push_batch(waiting, 100) == 4);
    CHECK(drain(q) == range(8, 12));
}

TEST_CASE("run_queue: a thief takes half, rounded up: the oldest to run, the rest in order") {
    for (std::uint32_t const start : starts) {
        for (int count = 0; count <= 8; ++count) {
            auto items = numbered(8);
            queue<> victim(start);
            queue<> own;
            fill(victim, items, 0, count);
            item* first = &items[7];
            unsigned taken = 99;
            steal_result const result = victim.thief().steal_into(own.owner(), first, taken);
            int const half = (count + 1) / 2;
            CHECK(taken == static_cast<unsigned>(half));
            if (count == 0) {
                CHECK(result == steal_result::empty);
                CHECK(first == nullptr);
                continue;
            }
            CHECK(result == steal_result::taken);
            REQUIRE(first == &items[0]);
            CHECK(drain(own) == range(1, half));
            CHECK(drain(victim) == range(half, count));
        }
    }
}

TEST_CASE("run_queue: a thief takes only what its own queue holds, behind what is there") {
    auto items = numbered(16);
    queue<> victim;
    queue<> own(std::numeric_limits<std::uint32_t>::max() - 8);
    fill(victim, items, 0, 8);
    fill(own, items, 8, 6);
    item* first = nullptr;
    unsigned taken = 0;
    CHECK(victim.thief().steal_into(own.owner(), first, taken) == steal_result::taken);
    CHECK(taken == 3);
    CHECK(first == &items[0]);
    CHECK(drain(own) == std::vector{8, 9, 10, 11, 12, 13, 1, 2});
    CHECK(drain(victim) == range(3, 8));
}

TEST_CASE("run_queue: a thief with a full queue takes the one it runs") {
    auto items = numbered(16);
    queue<> victim;
    queue<> own;
    fill(victim, items, 0, 8);
    fill(own, items, 8, 8);
    item* first = nullptr;
    unsigned taken = 0;
    CHECK(victim.thief().steal_into(own.owner(), first, taken) == steal_result::taken);
    CHECK(taken == 1);
    CHECK(first == &items[0]);
    CHECK(drain(own) == range(8, 16));
}

TEST_CASE("run_queue: steal_one takes the oldest") {
    auto items = numbered(3);
    queue<> q(std::numeric_limits<std::uint32_t>::max());
    CHECK(q.thief().steal_one() == nullptr);
    fill(q, items, 0, 3);
    CHECK(q.thief().steal_one() == &items[0]);
    CHECK(q.thief().size() == 2);
    CHECK(q.owner().pop() == &items[1]);
    CHECK(q.thief().steal_one() == &items[2]);
    CHECK(q.thief().empty());
}

TEST_CASE("run_queue: spsc: one thief sees what one owner pushed, in order and complete") {
    constexpr int count = 50'000;
    auto items = numbered(count);
    queue<16> q(std::numeric_limits<std::uint32_t>::max() - 1000);
    std::vector<int> seen;
    std::jthread thief([&] {
        while (seen.size() < count) {
            if (item* const i = q.thief().steal_one()) {
                seen.push_back(i->value);
            } else {
                yield_thread();
            }
        }
    });
    for (item& i : items) {
        while (!q.owner().push(&i)) {
            yield_thread();
        }
    }
    thief.join();
    CHECK(seen == range(0, count));
}

// What the threads of the stampede share: an owner that pushes, pops and overflows, and thieves that steal into queues
// of their own and from each other.
template <std::uint32_t Capacity>
class arena {
public:
    arena(int count, unsigned thieves)
        : items_(numbered(count)), times_(std::make_unique<atomic<int>[]>(items_.size())), own_(thieves) {
        for (auto& q : own_) {
            q = std::make_unique<queue<Capacity>>(std::numeric_limits<std::uint32_t>::max() - 500);
        }
    }

    void take(item* i) {
        times_[static_cast<std::size_t>(i->value)].fetch_add(1, mo_relaxed);
        taken_.fetch_add(1, mo_relaxed);
    }
    bool done() const { return taken_.load(mo_relaxed) == static_cast<int>(items_.size()); }

    void run_owner(unsigned seed) {
        std::minstd_rand random(seed);
        intrusive_queue<item> overflow;
        for (item& i : items_) {
            victim_.owner().push_or_overflow(&i, overflow);
            while (item* const o = overflow.pop_front()) {
                take(o);
            }
            if (random() % 3 == 0) {
                if (item* const popped = victim_.owner().pop()) {
                    take(popped);
                }
            }
            if (random() % 64 == 0) {
                yield_thread();
            }
        }
        while (!done()) {
            if (item* const popped = victim_.owner().pop()) {
                take(popped);
            } else {
                yield_thread();
            }
        }
    }

    // Returns how many it stole from the owner.
    unsigned run_thief(unsigned index, unsigned seed) {
        std::minstd_rand random(seed);
        queue<Capacity>& own = *own_[index];
        unsigned stolen = 0;
        while (!done()) {
            bool const from_owner = random() % 4 != 0 || own_.size() == 1;
            auto& from = from_owner ? victim_ : *own_[(index + 1) % own_.size()];
            item* first = nullptr;
            unsigned taken = 0;
            if (from.thief().steal_into(own.owner(), first, taken) == steal_result::taken) {
                take(first);
                stolen += from_owner ? taken : 0;
            } else {
                yield_thread();
            }
            // Leaves some for the other thieves now and then.
            while (random() % 8 != 0) {
                item* const popped = own.owner().pop();
                if (popped == nullptr) {
                    break;
                }
                take(popped);
            }
        }
        return stolen;
    }

    bool each_once() const {
        return std::all_of(times_.get(), times_.get() + items_.size(),
                           [](atomic<int> const& n) { return n.load(mo_relaxed) == 1; });
    }

private:
    std::vector<item> items_;
    std::unique_ptr<atomic<int>[]> times_;
    std::vector<std::unique_ptr<queue<Capacity>>> own_;
    queue<Capacity> victim_{std::numeric_limits<std::uint32_t>::max() - 500};
    atomic<int> taken_{0};
};

template <std::uint32_t Capacity>
void stampede(int count, unsigned thieves) {
    arena<Capacity> shared(count, thieves);
    {
        std::latch start(thieves + 1);
        std::vector<std::jthread> crowd;
        for (unsigned i = 0; i < thieves; ++i) {
            crowd.emplace_back([&shared, &start, i] {
                start.arrive_and_wait();
                shared.run_thief(i, i + 1);
            });
        }
        start.arrive_and_wait();
        shared.run_owner(4711);
    }
    CHECK(shared.each_once());
}

TEST_CASE("run_queue: stampede: no item is lost or taken twice") {
    stampede<4>(50'000, 3);
    stampede<256>(100'000, 3);
}

TEST_CASE("run_queue: no_starvation: a thief gets its share from an owner that never pauses") {
    constexpr unsigned enough = 100;
    auto items = numbered(64);
    queue<64> victim;
    queue<64> own;
    atomic<bool> stop{false};
    // The owner takes every other item itself; what the thief takes is gone, so the owner is given new ones.
    std::jthread const owner([&] {
        std::size_t next = 0;
        while (!stop.load(mo_relaxed)) {
            if (!victim.owner().push(&items[next++ % items.size()]) || next % 2 == 0) {
                victim.owner().pop();
            }
        }
    });
    unsigned stolen = 0;
    while (stolen < enough) {
        item* first = nullptr;
        unsigned taken = 0;
        if (victim.thief().steal_into(own.owner(), first, taken) == steal_result::taken) {
            stolen += taken;
        }
        while (own.owner().pop() != nullptr) {}
    }
    stop.store(true, mo_relaxed);
    CHECK(stolen >= enough);
}

}  // namespace
