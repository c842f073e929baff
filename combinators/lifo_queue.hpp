#pragma once

#include <magpie/combinators/detail/lifo_order.hpp>
#include <magpie/combinators/queue.hpp>

namespace magpie {

// A queue whose newest item leaves first. Getters and putters are served first come, first served all the same, and an
// item for which a getter waits is handed over without going in. The rest is as in basic_queue.
template <class T>
class lifo_queue : public basic_queue<T, detail::lifo_order> {
public:
    using basic_queue<T, detail::lifo_order>::basic_queue;
};

} // namespace magpie
