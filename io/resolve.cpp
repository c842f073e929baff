#include <magpie/io/resolve.hpp>
#include <magpie/runtime/detail/blocking.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>

#include <charconv>
#include <coroutine>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <errno.h>
#include <netdb.h>

namespace magpie::io {

namespace {

class category final : public std::error_category {
public:
    char const* name() const noexcept override { return "resolver"; }
    std::string message(int error) const override { return ::gai_strerror(error); }
    std::error_condition default_error_condition(int error) const noexcept override {
        switch (error) {
        case EAI_AGAIN:
            return std::errc::resource_unavailable_try_again;
        case EAI_MEMORY:
            return std::errc::not_enough_memory;
        case EAI_NONAME:
            return std::errc::no_such_device_or_address;
        default:
            return {error, *this};
        }
    }
};

using addresses = result<std::vector<endpoint>>;

addresses ask_system(std::string const& host, std::string const& service) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* raw = nullptr;
    int const error = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &raw);
    if (error == EAI_SYSTEM) {
        return failure(errno);
    }
    if (error != 0) {
        return failure(std::error_code(error, resolve_category()));
    }
    std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> const list(raw, &::freeaddrinfo);
    std::vector<endpoint> found;
    for (addrinfo const* each = raw; each != nullptr; each = each->ai_next) {
        if (auto const address = endpoint::from_socket_address(each->ai_addr, each->ai_addrlen)) {
            found.push_back(*address);
        }
    }
    return found;
}

class answer_awaiter;

// The question, shared by the waiting task and the pool's thread: either may be gone first.
class question final : public detail::blocking_call {
public:
    question(std::string host, std::string service) : host_(std::move(host)), service_(std::move(service)) {}

    void run() noexcept override;
    // Gives the answer to who still waits for it, and lets go of the question.
    void answer(addresses found) noexcept;
    void release() noexcept {
        if (references_.fetch_sub(1, detail::mo_acq_rel) == 1) {  // pairs with itself: the last one sees all
            delete this;
        }
    }

    detail::spin_lock lock;
    answer_awaiter* waiting = nullptr;  // under the lock; null: abandoned, or answered

private:
    ~question() = default;

    std::string const host_;
    std::string const service_;
    detail::atomic<int> references_{2};
};

class answer_awaiter final : public detail::waiter {
public:
    explicit answer_awaiter(question& asked) noexcept : asked_(&asked) {}
    ~answer_awaiter() { asked_->release(); }

    bool await_ready() const noexcept { return false; }
    template <detail::runnable_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> coroutine) {
        bind(coroutine);
        return wait();
    }
    addresses await_resume() {
        if (was_cancelled()) {
            detail::deliver_cancellation(*context);
        }
        return std::move(answer);
    }

    addresses answer = failure(EINVAL);  // written by the pool's thread once it has taken us off the question

private:
    bool wait();
    bool try_cancel() noexcept override {
        std::lock_guard const guard(asked_->lock);
        return std::exchange(asked_->waiting, nullptr) != nullptr;
    }
    std::string describe() const override { return "resolve"; }

    question* asked_;
};

bool answer_awaiter::wait() {
    question& asked = *asked_;
    detail::scheduler& here = detail::required_scheduler("resolve");
    {
        std::lock_guard const guard(asked.lock);
        if (!context->suspend(*this)) {
            cancelled_ = true;
            asked.release();  // the pool's reference: it will not hear of the question
            return false;
        }
        asked.waiting = this;
    }
    // From here on the task may be cancelled and gone.
    try {
        detail::submit_blocking(here, asked);
    } catch (std::system_error const& error) {
        asked.answer(failure(error.code()));
    } catch (...) {
        asked.answer(failure(std::errc::not_enough_memory));
    }
    return true;
}

void question::run() noexcept {
    addresses found = failure(std::errc::not_enough_memory);
    try {
        found = ask_system(host_, service_);
    } catch (std::bad_alloc const&) {}
    answer(std::move(found));
}

void question::answer(addresses found) noexcept {
    answer_awaiter* asking = nullptr;
    {
        std::lock_guard const guard(lock);
        asking = std::exchange(waiting, nullptr);
    }
    if (asking != nullptr) {
        asking->answer = std::move(found);
        asking->wake();
    }
    release();
}

std::optional<endpoint> in_figures(std::string_view host, std::string_view service) {
    std::uint16_t port = 0;
    auto const [end, error] = std::from_chars(service.data(), service.data() + service.size(), port);
    if (error != std::errc{} || end != service.data() + service.size()) {
        return std::nullopt;
    }
    auto const address = endpoint::from_address(host, port);
    return address ? std::optional(*address) : std::nullopt;
}

}  // namespace

std::error_category const& resolve_category() noexcept {
    static category const only;
    return only;
}

task<result<std::vector<endpoint>>> resolve(std::string host, std::string service) {
    if (auto const known = in_figures(host, service)) {
        std::vector<endpoint> one;
        one.push_back(*known);
        co_return one;
    }
    auto* const asked = new question(std::move(host), std::move(service));
    co_return co_await answer_awaiter(*asked);
}

}  // namespace magpie::io
