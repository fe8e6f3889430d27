#include "daemon/sinks/courier.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster::sinks {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
constexpr absl::Duration kLongestBackoff = absl::Minutes(1);
// What a condition variable is asked to wait at most.
constexpr absl::Duration kLongestSleep = absl::Hours(1);

Outcome OutcomeOf(int status) {
  if (status >= 200 && status < 300) return Outcome::kTaken;
  if (status == 400 || status == 413 || status == 415 || status == 422) {
    return Outcome::kRefused;
  }
  return Outcome::kFailed;
}

std::string Describe(const HttpResponse& response) {
  return absl::StrCat("HTTP ", response.status,
                      response.first_line.empty() ? "" : ": ",
                      response.first_line);
}

}  // namespace

absl::Duration Backoff(int failures, double random) {
  absl::Duration wait = kFirstBackoff;
  for (int i = 1; i < failures && wait < kLongestBackoff; ++i) wait *= 2;
  return std::min(wait, kLongestBackoff) * (1 - random / 2);
}

Courier::Courier(std::string sink, std::string receiver,
                 std::unique_ptr<Outbox> outbox, CourierWorld world)
    : sink_(std::move(sink)),
      receiver_(std::move(receiver)),
      outbox_(std::move(outbox)),
      world_(std::move(world)) {}

Courier::~Courier() {
  RequestStop();
  Stop(absl::ZeroDuration());
}

void Courier::Take(const std::string& run, const alert::Alert& alert) {
  outbox_->Take(run, alert, Moment::Of(world_.clock));
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Courier::Resume(const std::string& run, const alert::Alert& alert) {
  outbox_->Resume(run, alert, Moment::Of(world_.clock));
}

absl::Duration Courier::Turn() {
  outbox_->Keep();
  Moment now = Moment::Of(world_.clock);
  if (now.monotonic < not_before_) return not_before_ - now.monotonic;
  const auto delivery = outbox_->Make(now);
  if (!delivery.ok()) {
    Failed(std::string(delivery.status().message()));
  } else if (delivery->has_value()) {
    Post(**delivery, /*is_probe=*/false);
  } else if (IsIdleAndDown()) {
    if (const auto probe = outbox_->Probe()) {
      Post(*probe, /*is_probe=*/true);
    } else {
      failures_ = 0;
      MutexLock lock(mutex_);
      up_ = true;
    }
  }
  now = Moment::Of(world_.clock);
  if (IsIdleAndDown()) {
    return std::max(not_before_ - now.monotonic, absl::Nanoseconds(1));
  }
  const absl::Duration next = std::max(outbox_->Due(), not_before_);
  return std::max(next - now.monotonic, absl::ZeroDuration());
}

bool Courier::IsIdleAndDown() const {
  return failures_ > 0 && outbox_->Due() == absl::InfiniteDuration();
}

void Courier::Post(const Delivery& delivery, bool is_probe) {
  const auto response = world_.post(delivery.body, delivery.headers);
  // Stopped: that says nothing of the receiver.
  if (absl::IsCancelled(response.status())) return;
  const Outcome outcome =
      response.ok() ? OutcomeOf(response->status) : Outcome::kFailed;
  const bool given_up =
      !is_probe && outbox_->Done(outcome, Moment::Of(world_.clock));
  if (outcome == Outcome::kTaken) {
    Succeeded();
    return;
  }
  const std::string why = response.ok()
                              ? Describe(*response)
                              : std::string(response.status().message());
  Failed(why);
  if (response.ok()) {
    not_before_ =
        std::max(not_before_, world_.clock.monotonic() + response->retry_after);
  }
  if (given_up) GaveUp(why);
}

void Courier::Succeeded() {
  const int failures = std::exchange(failures_, 0);
  not_before_ = absl::ZeroDuration();
  {
    MutexLock lock(mutex_);
    ++sent_;
    up_ = true;
  }
  if (failures > 0) {
    world_.tell(
        false, absl::StrCat(sink_, " '", receiver_, "': delivers again, after ",
                            failures, " failures"));
  }
}

void Courier::Failed(const std::string& why) {
  ++failures_;
  not_before_ = world_.clock.monotonic() + Backoff(failures_, world_.random());
  {
    MutexLock lock(mutex_);
    ++failed_;
    up_ = false;
  }
  if (failures_ == 1) {
    world_.tell(true, absl::StrCat(sink_, " '", receiver_,
                                   "': cannot deliver, will try again: ", why));
  }
}

void Courier::GaveUp(const std::string& why) {
  // What waits behind it may be taken.
  not_before_ = absl::ZeroDuration();
  world_.tell(true, absl::StrCat(sink_, " '", receiver_,
                                 "': a change is refused again and again, and "
                                 "is not sent any more: ",
                                 why));
}

void Courier::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Courier::Run() {
  bool last = false;
  for (;;) {
    // A last attempt does not wait for the end of a backoff.
    if (last) not_before_ = absl::ZeroDuration();
    const int before = failures_;
    const absl::Duration wait = Turn();
    if (last && (wait > absl::ZeroDuration() || failures_ > before)) break;
    MutexLock lock(mutex_);
    if (cancelled_) break;
    const auto until = std::chrono::steady_clock::now() +
                       absl::ToChronoNanoseconds(std::min(wait, kLongestSleep));
    while (!woken_ && !stopping_) {
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) break;
    }
    woken_ = false;
    last = stopping_;
  }
  if (const uint64_t untold = outbox_->counts().untold; untold > 0) {
    world_.tell(false, absl::StrCat(sink_, " '", receiver_, "': ends with ",
                                    untold, " not delivered"));
  }
  {
    MutexLock lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
}

void Courier::RequestStop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

void Courier::Stop(absl::Duration grace) {
  if (!thread_.joinable()) return;
  {
    const auto until =
        std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(grace);
    MutexLock lock(mutex_);
    while (!ended_) {
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) break;
    }
    cancelled_ = true;
  }
  world_.cancel();
  thread_.join();
}

CourierStats Courier::stats() const {
  const OutboxCounts counts = outbox_->counts();
  MutexLock lock(mutex_);
  return {.sink = sink_,
          .receiver = receiver_,
          .up = up_,
          .held = counts.held,
          .sent = sent_,
          .failed = failed_,
          .dropped = counts.dropped};
}

}  // namespace muster::sinks
