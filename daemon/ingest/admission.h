// What one stream's sender may report, and which ranks are whose.
#ifndef MUSTER_DAEMON_INGEST_ADMISSION_H_
#define MUSTER_DAEMON_INGEST_ADMISSION_H_

#include <cstdint>
#include <functional>
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
  // Told of a claim that was refused: of which incarnation, once for each owner
  // of it while the rank is held.
  using Contested = std::function<void(const std::string& run, uint32_t rank,
                                       uint64_t incarnation)>;
  // Holds a rank for its owner while it lives.
  class Claim;

  explicit RankClaims(Contested contested) : contested_(std::move(contested)) {}

  // Null if the rank is another owner's.
  std::unique_ptr<Claim> Take(const std::string& run, uint32_t rank,
                              uint64_t incarnation, const std::string& owner);

 private:
  using Key = std::pair<std::string, uint32_t>;
  struct Held {
    std::string owner;
    int claims = 0;
    // Who else has asked; a few are enough to tell of.
    std::set<std::string> others;
  };
  void Release(const Key& key);

  const Contested contested_;
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

  // Whether the sender may report for the rank; denials are counted and logged
  // here. `*claim` lives as long as the source; it stays null where ranks are
  // nobody's.
  bool Grants(const std::string& run, uint32_t rank, uint64_t incarnation,
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
