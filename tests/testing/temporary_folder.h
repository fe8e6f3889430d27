// A folder of a test's own.
#ifndef MUSTER_TESTS_TESTING_TEMPORARY_FOLDER_H_
#define MUSTER_TESTS_TESTING_TEMPORARY_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <string>

namespace muster {

// Removed with all in it at the end of its scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "musterXXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace muster

#endif  // MUSTER_TESTS_TESTING_TEMPORARY_FOLDER_H_
