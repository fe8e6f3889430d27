#include "daemon/ingest/admission.h"

#include "absl/strings/str_cat.h"

namespace muster::ingest {
namespace {

constexpr size_t kOthersKept = 16;

}  // namespace

std::unique_ptr<RankClaims::Claim> RankClaims::Take(const std::string& run,
                                                    uint32_t rank,
                                                    uint64_t incarnation,
                                                    const std::string& owner) {
  Key key(run, rank);
  bool told = false;
  {
    MutexLock lock(mutex_);
    Held& held = held_[key];
    if (held.claims == 0 || held.owner == owner) {
      held.owner = owner;
      ++held.claims;
      return std::make_unique<Claim>(*this, std::move(key));
    }
    told =
        held.others.size() >= kOthersKept || !held.others.insert(owner).second;
  }
  if (!told) contested_(run, rank, incarnation);
  return nullptr;
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

bool Admission::Grants(const std::string& run, uint32_t rank,
                       uint64_t incarnation,
                       std::unique_ptr<RankClaims::Claim>* claim) {
  if (gate_ == nullptr) return true;
  if (!gate_->Allows(caller_, identity::Verb::kReport, run)) {
    Deny(identity::Denial::kNotAllowed, run, rank);
    return false;
  }
  *claim = claims_->Take(run, rank, incarnation, caller_.name());
  if (*claim == nullptr) Deny(identity::Denial::kRankTaken, run, rank);
  return *claim != nullptr;
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
