#pragma once

#include "http_client.hpp"

#include <magpie/combinators/semaphore.hpp>
#include <magpie/io/endpoint.hpp>
#include <magpie/runtime/task.hpp>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace magpie::tools {

// A number of keep-alive connections to one server, lent out one exchange at a time. The one given back last is lent
// first, so that no more are opened than are needed at once.
class client_pool {
public:
    // A connection on loan; its destructor gives it back.
    class lease {
    public:
        lease(client_pool& pool, permit slot, http_client& client) noexcept
            : pool_(&pool), slot_(std::move(slot)), client_(&client) {}
        lease(lease&& other) noexcept
            : pool_(other.pool_), slot_(std::move(other.slot_)), client_(std::exchange(other.client_, nullptr)) {}
        lease& operator=(lease&&) = delete;
        ~lease() {
            if (client_ != nullptr) {
                pool_->give_back(*client_);
            }
        }
        http_client& client() const noexcept { return *client_; }

    private:
        client_pool* pool_;
        permit slot_;
        http_client* client_;
    };

    client_pool(std::vector<io::endpoint> addresses, std::size_t connections);

    // Waits for a free connection. Any worker.
    task<lease> acquire();

private:
    void give_back(http_client& client);

    std::vector<io::endpoint> const addresses_;
    std::vector<http_client> clients_;
    semaphore slots_;
    std::mutex mutex_;                // never held across a suspension
    std::vector<http_client*> free_;  // at least as many as slots_ has permits
};

}  // namespace magpie::tools
