// Which caller may do what with which run.
#ifndef MUSTER_DAEMON_IDENTITY_RULES_H_
#define MUSTER_DAEMON_IDENTITY_RULES_H_

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/identity/options.h"

namespace muster::identity {

// Who calls, as far as it has been proved.
struct Caller {
  // "token:NAME" and "certificate:NAME", one for each subject alternative name;
  // empty for a caller that has shown nothing.
  std::vector<std::string> identities;
  // Digest of the token shown; empty without one.
  std::string token_digest;

  // What names it in logs, and owns its ranks: the token's name, else the first
  // of the certificate. Empty for one that has shown nothing.
  std::string name() const {
    return identities.empty() ? "" : identities.front();
  }
};

// Whether `text` matches: a * in `pattern` stands for any text, also for none.
bool Matches(std::string_view pattern, std::string_view text);

// Rules, ready to be asked. Immutable.
class Rules {
 public:
  // Without rules, callers that have shown something may do all; `open`: and so
  // may all others.
  static absl::StatusOr<Rules> Create(const std::vector<Rule>& rules,
                                      bool open);

  bool Allows(const Caller& caller, Verb verb, std::string_view run) const;
  // Whether there is any run for which Allows() could be true.
  bool AllowsAny(const Caller& caller, Verb verb) const;

 private:
  struct Grant {
    std::string identity;
    std::vector<std::string> runs;
    std::array<bool, kVerbs> verbs{};
  };
  static bool IsFor(const Grant& grant, const Caller& caller);

  std::vector<Grant> grants_;
};

// What is wrong with a rule, in one line; empty if nothing is.
std::string CheckRule(const Rule& rule);

}  // namespace muster::identity

#endif  // MUSTER_DAEMON_IDENTITY_RULES_H_
