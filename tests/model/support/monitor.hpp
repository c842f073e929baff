#pragma once

#include "../model.hpp"

namespace magpie::model {

// Blocks a scenario's thread; Relacy finds those who wait in vain.
class monitor {
public:
    class section {
    public:
        explicit section(monitor& m) : monitor_(m) { monitor_.mutex_.lock(RL_INFO); }
        section(section const&) = delete;
        ~section() { monitor_.mutex_.unlock(RL_INFO); }
        template <class Predicate>
        void wait_until(Predicate predicate) {
            while (!predicate()) {
                monitor_.changed_.wait(monitor_.mutex_, RL_INFO);
            }
        }
        void tell() { monitor_.changed_.notify_all(RL_INFO); }

    private:
        monitor& monitor_;
    };

private:
    rl::mutex mutex_;
    rl::condition_variable changed_;
};

}  // namespace magpie::model
