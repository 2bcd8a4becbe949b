// Threads that no thread of an engine waits for: each owns what it uses and ends when told to.
#pragma once

#include <functional>

#include "FlexAvatar/Bytes.h"

namespace flexavatar {

// Runs `work` in a thread of its own. `stop`, called from any thread, must make it end soon; it
// must not keep alive what the thread uses.
void launch(std::function<void()> work, std::function<void()> stop);

// Stops all of them and waits until they have ended: for the module's shutdown alone, since the
// code that they run is unloaded next. Half a second if a server does not answer, longer only
// while the system looks a name up, which nothing can end.
FLEXAVATARCORE_API void joinThreads();

}  // namespace flexavatar
