// One flat object of numbers: what benchmarks write with --json FILE.
#ifndef MUSTER_TESTS_BENCH_FLAT_JSON_H_
#define MUSTER_TESTS_BENCH_FLAT_JSON_H_

#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

namespace muster::bench {

// Keys are plain ASCII without quotes. Numbers that are not finite are null.
class FlatJson {
 public:
  void Add(const std::string& key, double value) { values_[key] = value; }

  // Writes to the FILE behind --json, adding to what that flat object has; true
  // if there is no such argument, or all went well.
  bool WriteIfAsked(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; ++i) {
      if (std::strcmp(argv[i], "--json") == 0) return Write(argv[i + 1]);
    }
    return true;
  }

 private:
  bool Write(const char* path) {
    const std::string kept = Kept(path);
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) {
      std::perror(path);
      return false;
    }
    std::fprintf(file, "{\n%s", kept.c_str());
    size_t left = values_.size();
    for (const auto& [key, value] : values_) {
      --left;
      std::fprintf(file, "  \"%s\": ", key.c_str());
      if (std::isfinite(value)) {
        std::fprintf(file, "%.6g", value);
      } else {
        std::fprintf(file, "null");
      }
      std::fprintf(file, left > 0 ? ",\n" : "\n");
    }
    std::fprintf(file, "}\n");
    return std::fclose(file) == 0;
  }

  // Lines of an earlier file whose keys are not ours.
  std::string Kept(const char* path) const {
    std::FILE* file = std::fopen(path, "r");
    if (file == nullptr) return "";
    std::string lines;
    char line[512];
    while (std::fgets(line, sizeof(line), file) != nullptr) {
      char key[256];
      double value;
      if (std::sscanf(line, " \"%255[^\"]\": %lf", key, &value) == 2 &&
          values_.count(key) == 0) {
        char text[600];
        std::snprintf(text, sizeof(text), "  \"%s\": %.6g,\n", key, value);
        lines += text;
      }
    }
    std::fclose(file);
    return lines;
  }

  std::map<std::string, double> values_;
};

}  // namespace muster::bench

#endif  // MUSTER_TESTS_BENCH_FLAT_JSON_H_
