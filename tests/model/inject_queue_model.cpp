#include "model.hpp"

#include <magpie/runtime/scheduler/inject_queue.hpp>

#include <array>

namespace {

using namespace magpie::detail;
namespace model = magpie::model;

struct item {
    guarded<item*> next;
    guarded<int> payload;
};

// Two producers push while the queue is being closed; a consumer that has seen it closed takes what is there. Whatever
// was taken in comes out, and what was refused does not.
struct close_against_push : rl::test_suite<close_against_push, 4> {
    static constexpr char const* name = "inject_queue: close against push";

    void thread(unsigned index) {
        if (index < 2) {
            item& mine = items[index];
            mine.payload = 1;
            accepted[index] = queue.push(&mine);
        } else if (index == 2) {
            MAGPIE_ASSERT(queue.close());
        } else {
            drained = queue.closed();
            while (item* const taken = queue.pop()) {
                MAGPIE_ASSERT(taken->payload == 1);
                ++times_taken[static_cast<std::size_t>(taken - items.data())];
            }
        }
    }

    void after() {
        MAGPIE_ASSERT(!queue.close());
        for (std::size_t i = 0; i < 2; ++i) {
            MAGPIE_ASSERT(times_taken[i] <= (accepted[i] ? 1 : 0));
            MAGPIE_ASSERT(!drained || times_taken[i] == (accepted[i] ? 1 : 0));
        }
    }

    inject_queue<item> queue;
    std::array<item, 2> items;
    std::array<bool, 2> accepted{};
    std::array<int, 2> times_taken{};
    bool drained = false;
};

// A batch and a single item against consumers that take single items and batches: each item once, a batch in order.
struct batches : rl::test_suite<batches, 4> {
    static constexpr char const* name = "inject_queue: batches";

    void thread(unsigned index) {
        if (index == 0) {
            intrusive_queue<item> list;
            for (int i = 0; i < 3; ++i) {
                list.push_back(make(i));
            }
            MAGPIE_ASSERT(queue.push_batch(std::move(list)));
            MAGPIE_ASSERT(list.empty());
        } else if (index == 1) {
            MAGPIE_ASSERT(queue.push(make(3)));
        } else if (index == 2) {
            take(queue.pop());
            take(queue.pop());
        } else {
            intrusive_queue<item> out;
            std::size_t const count = queue.pop_batch(out, 2);
            MAGPIE_ASSERT(count == out.size());
            int last = -1;
            while (item* const i = out.pop_front()) {
                int const payload = i->payload;
                MAGPIE_ASSERT(payload == 3 || last == 3 || payload > last);
                last = payload;
                take(i);
            }
        }
    }

    void after() {
        while (item* const left = queue.pop()) {
            take(left);
        }
        MAGPIE_ASSERT(queue.size() == 0);
        for (int const n : times_taken) {
            MAGPIE_ASSERT(n == 1);
        }
    }

    item* make(int i) {
        items[static_cast<std::size_t>(i)].payload = i;
        return &items[static_cast<std::size_t>(i)];
    }
    void take(item* i) {
        if (i != nullptr) {
            ++times_taken[static_cast<std::size_t>(static_cast<int>(i->payload))];
        }
    }

    inject_queue<item> queue;
    std::array<item, 4> items;
    std::array<int, 4> times_taken{};
};

}  // namespace

int main() {
    return model::check<close_against_push, batches>(20'000);
}
