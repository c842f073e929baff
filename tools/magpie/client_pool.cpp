#include "client_pool.hpp"

namespace magpie::tools {

client_pool::client_pool(std::vector<io::endpoint> addresses, std::size_t connections)
    : addresses_(std::move(addresses)), slots_(static_cast<std::ptrdiff_t>(connections)) {
    clients_.reserve(connections);
    free_.reserve(connections);
    for (std::size_t i = 0; i < connections; ++i) {
        free_.push_back(&clients_.emplace_back(addresses_));
    }
}

task<client_pool::lease> client_pool::acquire() {
    permit slot = co_await slots_.acquire();
    std::unique_lock lock(mutex_);
    http_client* const client = free_.back();
    free_.pop_back();
    lock.unlock();
    co_return lease(*this, std::move(slot), *client);
}

void client_pool::give_back(http_client& client) {
    std::lock_guard const lock(mutex_);
    free_.push_back(&client);
}

}  // namespace magpie::tools
