#include "daemon/ingest/admission.h"

#include "absl/strings/str_cat.h"

namespace muster::ingest {
namespace {

constexpr size_t kOthersKept = 16;

}  // namespace

RankClaims::Outcome RankClaims::Take(const std::string& run, uint32_t rank,
                                     const std::string& owner,
                                     std::unique_ptr<Claim>* claim) {
  Key key(run, rank);
  MutexLock lock(mutex_);
  Held& held = held_[key];
  if (held.claims > 0 && held.owner != owner) {
    const bool told =
        held.others.size() >= kOthersKept || !held.others.insert(owner).second;
    return told ? Outcome::kTakenAgain : Outcome::kTaken;
  }
  held.owner = owner;
  ++held.claims;
  *claim = std::make_unique<Claim>(*this, std::move(key));
  return Outcome::kHeld;
}

void RankClaims::Release(const Key& key) {
  MutexLock lock(mutex_);
  const auto found = held_.find(key);
  if (--found->second.claims == 0) held_.erase(found);
}

Admission::Admission(identity::Gate& gate, RankClaims& claims,
                     identity::Caller caller, std::string peer)
    : gate_(gate.open() ? nullptr : &gate),
      claims_(&claims),
      caller_(std::move(caller)),
      peer_(std::move(peer)),
      generation_(gate.generation()) {}

Admission::Verdict Admission::Ask(const std::string& run, uint32_t rank,
                                  std::unique_ptr<RankClaims::Claim>* claim) {
  if (gate_ == nullptr) return Verdict::kGranted;
  if (!gate_->Allows(caller_, identity::Verb::kReport, run)) {
    Deny(identity::Denial::kNotAllowed, run, rank);
    return Verdict::kNotAllowed;
  }
  const auto outcome = claims_->Take(run, rank, caller_.name(), claim);
  if (outcome == RankClaims::Outcome::kHeld) return Verdict::kGranted;
  Deny(identity::Denial::kRankTaken, run, rank);
  return outcome == RankClaims::Outcome::kTaken ? Verdict::kRankTaken
                                                : Verdict::kRankTakenAgain;
}

bool Admission::Changed() {
  if (gate_ == nullptr) return false;
  const uint64_t now = gate_->generation();
  return std::exchange(generation_, now) != now;
}

bool Admission::StillAllows(const std::string& run) {
  if (gate_->StillKnown(caller_) &&
      gate_->Allows(caller_, identity::Verb::kReport, run)) {
    return true;
  }
  gate_->Deny(identity::Verb::kReport, identity::Denial::kNotAllowed,
              absl::StrCat(caller_.name(), ", from ", peer_, ", for run '", run,
                           "', any more"));
  return false;
}

void Admission::Deny(identity::Denial reason, const std::string& run,
                     uint32_t rank) {
  const std::string name = caller_.name();
  gate_->Deny(
      identity::Verb::kReport, reason,
      absl::StrCat(name.empty() ? "neither token nor certificate" : name,
                   ", from ", peer_, ", for rank ", rank, " of run '", run,
                   "'"));
}

}  // namespace muster::ingest
