#include "daemon/consistency/sample_accounts.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"

namespace muster::consistency {
namespace {

using frames::Report;

// What a report's facts say of the fact; empty if nothing.
std::string FactOf(const Report& report, const std::string& name) {
  if (report.facts == nullptr) return "";
  const auto it = report.facts->find(name);
  return it == report.facts->end() ? "" : it->second.value;
}

std::optional<uint64_t> LengthOf(const Report& report) {
  uint64_t length = 0;
  if (report.sample_ids_are_batches ||
      !absl::SimpleAtoi(FactOf(report, "dataset_length"), &length)) {
    return std::nullopt;
  }
  return length;
}

}  // namespace

EpochAccount* SampleAccounts::Open(uint64_t epoch) {
  size_t open = first_is_closed_ ? 1 : 0;
  for (; open < accounts_.size(); ++open) {
    if (accounts_[open]->epoch() == epoch) return accounts_[open].get();
  }
  if (!accounts_.empty() && epoch < accounts_.back()->epoch()) return nullptr;
  if (first_is_closed_ && accounts_.size() == 1 &&
      epoch == accounts_[0]->epoch()) {
    return nullptr;
  }
  accounts_.push_back(std::make_unique<EpochAccount>(epoch, capacity_));
  while (accounts_.size() > (first_is_closed_ ? 3u : 2u)) {
    if (first_is_closed_) accounts_.pop_front();
    first_is_closed_ = true;
  }
  return accounts_.back().get();
}

void SampleAccounts::TakeIn(const frames::Frame& frame) {
  for (const Report& report : frame.reports) {
    if (!report.epoch) continue;
    EpochAccount* account = Open(*report.epoch);
    if (account == nullptr) continue;
    if (report.sample_limit) account->LowerLimit(*report.sample_limit);
    for (const uint64_t id : report.sample_ids) account->Add(report.rank, id);
  }
}

void SampleAccounts::Measure(const frames::Frame& frame, Measures& measures) {
  if (frame.attempt != attempt_) {
    accounts_.clear();
    first_is_closed_ = false;
  }
  attempt_ = frame.attempt;
  const Report* first = nullptr;
  uint64_t lowest = 0;
  for (const Report& report : frame.reports) {
    if (!report.epoch) continue;
    if (first == nullptr || *report.epoch < lowest) lowest = *report.epoch;
    if (first == nullptr) first = &report;
  }
  if (first == nullptr) return;
  TakeIn(frame);

  const size_t oldest_open = first_is_closed_ ? 1 : 0;
  if (oldest_open >= accounts_.size()) return;
  const EpochAccount& account = *accounts_[oldest_open];
  const EpochAccount* before = first_is_closed_ ? accounts_[0].get() : nullptr;
  SampleMeasures samples = account.Figures(LengthOf(*first));
  samples.closed = lowest > account.epoch();
  samples.batches = first->sample_ids_are_batches;
  samples.with_replacement = FactOf(*first, "sampling") == "with replacement";
  samples.shuffled = FactOf(*first, "sampler_shuffle") == "True";
  for (RankMeasures& rank : measures.ranks) {
    rank.samples = account.FiguresOf(rank.rank, before);
  }
  if (samples.closed) {
    if (first_is_closed_) accounts_.pop_front();
    first_is_closed_ = true;
  }
  measures.samples = std::move(samples);
}

}  // namespace muster::consistency
