#include "cli/simulation_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster::cli {
namespace {

constexpr std::chrono::seconds kSettleTime{60};
// Messages of a stream that wait while one is written.
constexpr size_t kMostWaiting = 2;

}  // namespace

void SimulationAnswers::Take(const v1::ServerMessage& message,
                             uint32_t first_rank) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (message.has_welcome()) ++welcomed_;
  if (message.has_ack()) {
    Settle(first_rank + message.ack().source() - 1, message.ack().sequence());
  }
  if (message.has_refusal() && ++refused_ == 1) {
    refusal_ = message.refusal().detail();
  }
  // All ranks are shown the same.
  if (message.has_alerts() && first_rank == 0 &&
      message.alerts().source() == 1) {
    for (const v1::Alert& alert : message.alerts().alerts()) {
      if (!alerts_.insert(alert.id()).second) continue;
      alert_lines_.insert(absl::StrCat(alert.kind(), ": ", alert.evidence()));
    }
  }
  changed_.notify_all();
}

void SimulationAnswers::Settle(uint32_t rank, uint64_t sequence) {
  if (rank >= settled_.size()) return;
  uint64_t& settled = settled_[rank];
  while (settled < sequence) {
    const auto found = unsettled_.find(++settled);
    if (found == unsettled_.end()) continue;
    ++acknowledged_;
    if (--found->second.unsettled > 0) continue;
    const std::chrono::duration<double> took =
        Clock::now() - found->second.began;
    longest_seconds_ = std::max(longest_seconds_, took.count());
    unsettled_.erase(found);
  }
}

void SimulationAnswers::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

void SimulationAnswers::Expect(const frames::Frame& frame) {
  if (frame.reports.empty()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  unsettled_[frame.reports[0].sequence] = {Clock::now(), frame.reports.size()};
}

bool SimulationAnswers::WaitForWelcome() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kSettleTime, [&] {
    return closed_ || refused_ > 0 || welcomed_ == settled_.size();
  });
  return welcomed_ == settled_.size();
}

bool SimulationAnswers::WaitForSettled() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kSettleTime,
                    [&] { return closed_ || unsettled_.empty(); });
  return unsettled_.empty();
}

void SimulationAnswers::Fill(SimulationSummary& summary) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  summary.acknowledged = acknowledged_;
  summary.acknowledged_within_seconds = longest_seconds_;
  summary.refused = refused_;
  summary.refusal = refusal_;
  summary.alerts = alerts_;
  summary.alert_lines = alert_lines_;
}

void SimulationStream::Start(const std::shared_ptr<grpc::Channel>& channel) {
  stub_ = v1::Telemetry::NewStub(channel);
  stub_->async()->Stream(&context_, this);
  AddHold();
  StartRead(&incoming_);
  StartCall();
}

bool SimulationStream::Write(v1::ClientMessage message) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock,
                [&] { return !held_ || waiting_.size() <= kMostWaiting; });
  if (!held_) return false;
  waiting_.push_back(std::move(message));
  if (waiting_.size() == 1) StartWrite(&waiting_.front());
  return true;
}

grpc::Status SimulationStream::Finish(bool all_said) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (all_said) {
    changed_.wait(lock, [&] { return !held_ || waiting_.empty(); });
    if (held_) StartWritesDone();
  } else {
    lock.unlock();
    context_.TryCancel();
    lock.lock();
  }
  changed_.wait(lock, [&] { return done_; });
  return status_;
}

void SimulationStream::OnReadDone(bool ok) {
  if (ok) {
    answers_.Take(incoming_, first_rank_);
    StartRead(&incoming_);
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  answers_.Close();
  RemoveHold();
}

void SimulationStream::OnWriteDone(bool ok) {
  if (!ok) return;  // the read ends as well
  const std::lock_guard<std::mutex> lock(mutex_);
  waiting_.pop_front();
  if (!waiting_.empty() && held_) StartWrite(&waiting_.front());
  changed_.notify_all();
}

void SimulationStream::OnDone(const grpc::Status& status) {
  // Notifies under the lock: who waits destroys this.
  const std::lock_guard<std::mutex> lock(mutex_);
  status_ = status;
  done_ = true;
  changed_.notify_all();
}

}  // namespace muster::cli
