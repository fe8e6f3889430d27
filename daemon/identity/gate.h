// Who may come in: certificates, tokens and rules, as they are now.
#ifndef MUSTER_DAEMON_IDENTITY_GATE_H_
#define MUSTER_DAEMON_IDENTITY_GATE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/base/clock.h"
#include "daemon/base/mutex.h"
#include "daemon/identity/options.h"
#include "daemon/identity/rules.h"
#include "daemon/identity/server_tls.h"
#include "daemon/identity/tokens.h"

namespace muster::identity {

// Why somebody was turned away.
enum class Denial {
  kUnauthenticated,  // no token or certificate, or none that is known
  kNotAllowed,       // no rule grants it
  kRankTaken,        // another identity reports for the rank
};

struct GateStats {
  // How often, by names of verb and reason; empty while everybody may do all.
  std::map<std::pair<std::string, std::string>, uint64_t> denied;
  // Of the certificate that is served; absl::InfiniteFuture() without TLS.
  absl::Time certificate_expires = absl::InfiniteFuture();
  // A changed file is not good, so the old ones are still in force.
  bool stale = false;
};

// Thread-safe but for Refresh(); owned by the server.
class Gate {
 public:
  // `failing`: something is wrong; else it is news.
  using LogFunction =
      std::function<void(bool failing, const std::string& line)>;

  // Reads all files. An error is one line with key, file and reason.
  static absl::StatusOr<std::unique_ptr<Gate>> Create(Options options,
                                                      Clock clock,
                                                      LogFunction log);
  // Ends the watch.
  ~Gate();

  // Looks after the files every second, on a thread of its own.
  void Watch();
  // Reads the files again. What is good is in force from then on; what is not
  // is told once, and the old stays in force. One thread at a time: not beside
  // Watch().
  void Refresh();
  // Puts other rules in force.
  absl::Status SetRules(const std::vector<Rule>& rules);

  // Whether everybody may do all.
  bool open() const { return open_; }
  const TlsOptions& tls_options() const { return options_.tls; }
  // Null without TLS.
  std::shared_ptr<const ServerTls> tls() const;
  // Changes when tokens or rules do.
  uint64_t generation() const { return generation_; }

  // Who it is that shows a verified certificate with these subject alternative
  // names, and the header `authorization`; both may be empty. UNAUTHENTICATED
  // for a token that is not known.
  absl::StatusOr<Caller> Identify(
      const std::vector<std::string>& certificate_names,
      std::string_view authorization) const;
  // Whether the token that was shown is still good.
  bool StillKnown(const Caller& caller) const;
  bool Allows(const Caller& caller, Verb verb, std::string_view run) const;
  // Whether there may be any run for which Allows() is true.
  bool AllowsAny(const Caller& caller, Verb verb) const;

  // Counts, and tells people unless they were told much already. `what`: who
  // asked for what.
  void Deny(Verb verb, Denial reason, const std::string& what);
  GateStats stats() const;

 private:
  Gate(Options options, Clock clock, LogFunction log);

  // What went wrong with one kind of file, and whether it has been told. A
  // fault that is gone at the next look was a pair being exchanged.
  struct Fault {
    std::string seen;
    bool told = false;
  };

  absl::Status LoadTls();
  absl::Status LoadTokens();
  void Note(const absl::Status& status, Fault& fault);
  void WatchUntilStopped();

  const Options options_;
  const bool open_;
  const Clock clock_;
  const LogFunction log_;

  std::atomic<uint64_t> generation_ = 0;

  // Of the thread that refreshes.
  Fault tls_fault_;
  Fault tokens_fault_;
  std::string tokens_text_;

  mutable Mutex mutex_;
  std::shared_ptr<const ServerTls> tls_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Tokens> tokens_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Rules> rules_ ABSL_GUARDED_BY(mutex_);
  bool stale_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::pair<std::string, std::string>, uint64_t> denied_
      ABSL_GUARDED_BY(mutex_);
  // Lines that may be written now, and since when; what was left out.
  double log_budget_ ABSL_GUARDED_BY(mutex_);
  absl::Duration log_budget_at_ ABSL_GUARDED_BY(mutex_);
  uint64_t unlogged_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  CondVar stopped_;
  std::thread watch_;
};

}  // namespace muster::identity

#endif  // MUSTER_DAEMON_IDENTITY_GATE_H_
