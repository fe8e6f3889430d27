// Where a verb writes that can write to a file.
#ifndef MUSTER_CLI_OUTPUT_FILE_H_
#define MUSTER_CLI_OUTPUT_FILE_H_

#include <cstdio>
#include <string>

#include "absl/status/status.h"

namespace muster::cli {

// Stdout, or a file of its own, which is removed unless it is complete: half an
// export looks like a whole one. CANCELLED, of which nothing need be said, if
// nobody reads the pipe any more; ABORTED with the reason if it cannot be
// written. Owned by one call; not thread-safe.
class OutputFile {
 public:
  // `path` is empty for stdout.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  absl::Status Write(const std::string& text);
  absl::Status Complete();

 private:
  absl::Status Failed() const;

  const std::string path_;
  std::FILE* const file_;
  bool complete_ = false;
};

}  // namespace muster::cli

#endif  // MUSTER_CLI_OUTPUT_FILE_H_
