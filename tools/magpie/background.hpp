#pragma once

#include <magpie/runtime/task.hpp>

namespace magpie::tools {

// Runs `body`, and `background` beside it until the body has ended, well or not: then the background is cancelled and
// waited for. A background that ends before has done its work; one that fails cancels the body. Throws the background's
// error, else what the body threw.
task<> with_background(task<> background, task<> body);

}  // namespace magpie::tools
