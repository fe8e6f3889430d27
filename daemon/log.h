// The daemon's log: one line an event on standard error.
#ifndef MUSTER_DAEMON_LOG_H_
#define MUSTER_DAEMON_LOG_H_

#include <string>
#include <string_view>

#include "daemon/alert/alert.h"
#include "daemon/config.h"

namespace muster {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Thread-safe. Text: "[time] [level] message". JSON: an object with time,
// level and message, and for alerts the alert itself.
void ConfigureLog(std::string_view level, LogFormat format);
void Log(LogLevel level, const std::string& message);
// A change of an alert's state, as a warning while it is alive.
void LogAlert(const std::string& run, const alert::Alert& alert);
// Writes what is buffered; call before the process ends.
void FlushLog();

}  // namespace muster

#endif  // MUSTER_DAEMON_LOG_H_
