// Keeps two daemons out of one file or folder.
#ifndef MUSTER_DAEMON_HISTORY_LOCK_FILE_H_
#define MUSTER_DAEMON_HISTORY_LOCK_FILE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace muster::history {

// Held until its end, or the end of the process in whatever way; the file
// stays. Owned by who writes what it stands for.
class LockFile {
 public:
  // FAILED_PRECONDITION, naming the file, if it cannot be made or another one
  // holds it.
  static absl::StatusOr<std::unique_ptr<LockFile>> Take(
      const std::string& path);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  explicit LockFile(int file) : file_(file) {}
  const int file_;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_LOCK_FILE_H_
