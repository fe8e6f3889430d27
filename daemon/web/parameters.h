// The parameters of a request, checked.
#ifndef MUSTER_DAEMON_WEB_PARAMETERS_H_
#define MUSTER_DAEMON_WEB_PARAMETERS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace muster::web {

// As they were sent, percent-decoded.
using Parameters = std::multimap<std::string, std::string>;

// User input as it may stand in an answer: short, printable ASCII.
std::string Shown(const std::string& text);

// Reads the parameters of one request; remembers the first thing wrong, naming
// the parameter and what is allowed. Thread-compatible; borrows them.
class ParameterReader {
 public:
  static constexpr uint64_t kMaxStep = uint64_t{1} << 62;

  ParameterReader(const Parameters& parameters,
                  std::initializer_list<const char*> allowed);

  // A whole number, min … max; absent if not given.
  std::optional<uint64_t> Number(const std::string& name, uint64_t max,
                                 uint64_t min = 0);
  // At most `most` of them with commas between; none if not given.
  std::vector<uint32_t> Numbers(const std::string& name, size_t most,
                                uint32_t max);
  // 0 or 1; 0 if not given.
  bool Flag(const std::string& name);
  // Empty if not given.
  std::string Text(const std::string& name) const;

  // Sets the fields `from` and `to` of a request to steps, where given.
  template <typename Request>
  void Steps(Request& request) {
    if (const auto from = Number("from", kMaxStep)) request.set_from(*from);
    if (const auto to = Number("to", kMaxStep)) request.set_to(*to);
  }

  // Empty if all was good.
  const std::string& error() const { return error_; }

 private:
  void Fail(std::string error);

  const Parameters& parameters_;
  std::string error_;
};

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_PARAMETERS_H_
