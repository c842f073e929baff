#pragma once

#include <magpie/combinators/detail/priority_order.hpp>
#include <magpie/combinators/queue.hpp>

#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

namespace magpie {

// A queue whose first item by `Compare` leaves first: with std::less, the default, the smallest one, as in asyncio and
// unlike std::priority_queue; with std::greater the greatest. Items of which neither comes before the other leave in
// the order in which they went in.
//
// What is ordered are the items that are in: an item for which a getter waits is handed over at once, and one whose
// put() waits for room goes in when its turn has come, first come, first served. The comparison runs under the queue's
// lock, in whichever thread puts or gets: it must be a strict weak order, be short, neither throw (that ends the
// program) nor call the queue. The rest is as in basic_queue.
template <class T, class Compare = std::less<T>>
class priority_queue : public basic_queue<T, detail::priority_order<T, Compare>> {
    static_assert(std::is_invocable_r_v<bool, Compare&, T const&, T const&>, "Compare must compare two items");

public:
    // At most `capacity` items at a time; 0: no bound.
    explicit priority_queue(std::size_t capacity = 0, Compare compare = {})
        : basic_queue<T, detail::priority_order<T, Compare>>(std::in_place, capacity, std::move(compare)) {}
};

} // namespace magpie
