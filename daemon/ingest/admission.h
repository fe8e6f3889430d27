// What one stream's sender may report, and which ranks are whose.
#ifndef MUSTER_DAEMON_INGEST_ADMISSION_H_
#define MUSTER_DAEMON_INGEST_ADMISSION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "daemon/base/mutex.h"
#include "daemon/identity/gate.h"

namespace muster::ingest {

// Ranks by the identity that reports for them. Thread-safe; outlives its
// claims.
class RankClaims {
 public:
  // Holds a rank for its owner while it lives.
  class Claim;

  enum class Outcome {
    kHeld,
    kTaken,       // by another owner
    kTakenAgain,  // as kTaken, and this `owner` has been told so before
  };
  // `*claim` is set if the rank is nobody's, or `owner`'s already.
  Outcome Take(const std::string& run, uint32_t rank, const std::string& owner,
               std::unique_ptr<Claim>* claim);

 private:
  using Key = std::pair<std::string, uint32_t>;
  struct Held {
    std::string owner;
    int claims = 0;
    // Who else has asked; a few are enough to tell of.
    std::set<std::string> others;
  };
  void Release(const Key& key);

  Mutex mutex_;
  std::map<Key, Held> held_ ABSL_GUARDED_BY(mutex_);
};

class RankClaims::Claim {
 public:
  Claim(RankClaims& claims, Key key) : claims_(claims), key_(std::move(key)) {}
  ~Claim() { claims_.Release(key_); }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  RankClaims& claims_;
  const Key key_;
};

// One stream's sender before the gate. Thread-compatible; owned by the stream's
// session.
class Admission {
 public:
  // One who may report everything.
  Admission() = default;
  // `gate` and `claims` outlive it. `peer`: where the stream comes from, for
  // the log.
  Admission(identity::Gate& gate, RankClaims& claims, identity::Caller caller,
            std::string peer);

  enum class Verdict { kGranted, kNotAllowed, kRankTaken, kRankTakenAgain };
  // Denials are counted and logged here. `*claim` lives as long as the source;
  // it stays null where ranks are nobody's.
  Verdict Ask(const std::string& run, uint32_t rank,
              std::unique_ptr<RankClaims::Claim>* claim);

  // True once after tokens or rules have changed: then look again at the runs
  // of this stream.
  bool Changed();
  // Whether what was granted still is; counted and logged if not.
  bool StillAllows(const std::string& run);

 private:
  void Deny(identity::Denial reason, const std::string& run, uint32_t rank);

  identity::Gate* gate_ = nullptr;
  RankClaims* claims_ = nullptr;
  identity::Caller caller_;
  std::string peer_;
  uint64_t generation_ = 0;
};

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_ADMISSION_H_
