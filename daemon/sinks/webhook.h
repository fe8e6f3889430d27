// What a webhook is told: each change of an alert's state once, in order.
#ifndef MUSTER_DAEMON_SINKS_WEBHOOK_H_
#define MUSTER_DAEMON_SINKS_WEBHOOK_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "daemon/base/mutex.h"
#include "daemon/sinks/journal.h"
#include "daemon/sinks/outbox.h"

namespace muster::sinks {

// As Outbox; owned by a Courier. The oldest change is sent until it is taken;
// one that is refused kRefusals times is given up, so that it does not hold up
// those behind it for ever.
class WebhookOutbox : public Outbox {
 public:
  // More than one: a proxy, or a receiver that is being replaced, may refuse
  // what is taken a moment later.
  static constexpr int kRefusals = 3;

  // What goes wrong with the journal, told once.
  using Tell = std::function<void(bool failing, const std::string& line)>;

  // `options` and `webhook` outlive it. `journal`: goes on with what it keeps;
  // null: what waits at the end is lost.
  WebhookOutbox(const SinkOptions& options, const WebhookOptions& webhook,
                std::unique_ptr<Journal> journal = nullptr, Tell tell = {});

  void Take(const std::string& run, const alert::Alert& alert,
            Moment now) override;
  // Nothing: it was told when it changed.
  void Resume(const std::string&, const alert::Alert&, Moment) override {}
  // Writes to the journal what is not in it yet.
  void Keep() override;
  absl::Duration Due() const override;
  absl::StatusOr<std::optional<Delivery>> Make(Moment now) override;
  bool Done(Outcome outcome, Moment now) override;
  OutboxCounts counts() const override;

 private:
  void TellOnce(const absl::Status& status);

  const SinkOptions& options_;
  const WebhookOptions& webhook_;
  const Tell tell_;

  // Touched by the owner's thread alone.
  const std::unique_ptr<Journal> journal_;
  uint64_t kept_ = 0;  // up to this number in the journal
  bool told_ = false;
  uint64_t made_ = 0;  // number of the delivery that was made last
  int refusals_ = 0;   // in a row, of that one

  mutable Mutex mutex_;
  std::deque<QueuedChange> changes_ ABSL_GUARDED_BY(mutex_);
  uint64_t numbers_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_WEBHOOK_H_
