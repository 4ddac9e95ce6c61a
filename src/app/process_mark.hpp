// A text by which other processes of the machine recognise this one, and see whether it has ended.
#pragma once

#include <string>
#include <string_view>

namespace immortal::app {

// Of this process: the machine's start, the name spaces in which process numbers and times have
// their meaning, number and start. Empty if any of that cannot be told.
[[nodiscard]] std::string process_mark();

// Whether the process of that mark has certainly ended. False also for one of another machine, of
// another container, or where it cannot be told.
[[nodiscard]] bool is_process_gone(std::string_view mark);

} // namespace immortal::app
