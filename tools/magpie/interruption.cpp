#include "interruption.hpp"

#include <csignal>

namespace magpie::tools {

interruption::interruption() {
    signals_.emplace({SIGINT, SIGTERM});
}

task<int> interruption::wait() {
    for (;;) {
        io::result<int> const signal = co_await signals_->next();
        if (signal) {
            signals_.reset();
            co_return *signal;
        }
    }
}

}  // namespace magpie::tools
