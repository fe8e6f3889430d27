#include "daemon/sinks/remote_write/sender.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster::sinks::remote_write {
namespace {

constexpr absl::Duration kFirstWait = absl::Milliseconds(250);
constexpr absl::Duration kLongestWait = absl::Seconds(30);

// 400: Prometheus, Mimir; 409: Thanos; 413: too large; 422: others.
bool MayBeDivided(int status) {
  return status == 400 || status == 409 || status == 413 || status == 422;
}

}  // namespace

absl::Duration BackoffAfter(int failures, double random) {
  const double doubled = std::pow(2.0, std::clamp(failures - 1, 0, 20));
  return std::min(kFirstWait * doubled, kLongestWait) * (1 - random / 2);
}

Sender::Sender(const Options& options, SenderWorld world)
    : options_(options), world_(std::move(world)) {}

bool Sender::Deliver(const std::string& run, std::span<const Step> steps,
                     const SeriesKeys& series, bool uncertain) {
  std::string why;
  for (;;) {
    const Verdict verdict = Post(run, steps, series, why);
    if (verdict == Verdict::kTaken) {
      Count(Fate::kSent, steps, series);
      told_.clear();
      return true;
    }
    if (verdict == Verdict::kStopped) return false;
    if (verdict == Verdict::kLater) {
      uncertain = true;
      if (!WaitToRetry(why)) return false;
      continue;
    }
    if (verdict == Verdict::kRefused && steps.size() > 1) {
      const size_t half = steps.size() / 2;
      SeriesKeys known = series;
      for (const Step& step : steps.first(half)) NoteSeries(step, known);
      return Deliver(run, steps.first(half), series, uncertain) &&
             Deliver(run, steps.subspan(half), known, uncertain);
    }
    if (verdict == Verdict::kRefused && uncertain) {
      Count(Fate::kPresent, steps, series);
    } else {
      Count(Fate::kRefused, steps, series);
      TellRefusal(run, why);
    }
    return true;
  }
}

Sender::Verdict Sender::Post(const std::string& run,
                             std::span<const Step> steps,
                             const SeriesKeys& series, std::string& why) {
  const auto answer =
      world_.post(EncodeRequest(run, options_.external_labels, steps, series));
  if (absl::IsCancelled(answer.status())) return Verdict::kStopped;
  retry_after_ = answer.ok() ? answer->retry_after : absl::ZeroDuration();
  if (!answer.ok()) {
    why = std::string(answer.status().message());
    outage_ = true;
    return Verdict::kLater;
  }
  const int status = answer->status;
  why = absl::StrCat("status ", status, answer->first_line.empty() ? "" : ": ",
                     answer->first_line);
  if (status >= 500 || status == 429) {
    outage_ |= status != 429;
    return Verdict::kLater;
  }
  if (std::exchange(failures_, 0) > 0) {
    world_.tell(false, "remote write: the receiver answers again");
  }
  if (status / 100 == 2) return Verdict::kTaken;
  return MayBeDivided(status) ? Verdict::kRefused : Verdict::kRejected;
}

bool Sender::WaitToRetry(const std::string& why) {
  world_.count_retry();
  if (++failures_ == 1) {
    world_.tell(true, absl::StrCat("remote write: cannot deliver, and will try "
                                   "again: ",
                                   why));
  }
  return world_.wait(
      std::max(BackoffAfter(failures_, world_.random()), retry_after_));
}

void Sender::Count(Fate fate, std::span<const Step> steps,
                   const SeriesKeys& series) {
  int64_t samples = 0;
  SeriesKeys known = series;
  for (const Step& step : steps) {
    NoteSeries(step, known);
    samples += step.ended ? static_cast<int64_t>(known.size()) : step.samples();
  }
  world_.count(fate, samples);
}

void Sender::TellRefusal(const std::string& run, const std::string& why) {
  // A receiver's text names the sample: one line for each row of refusals.
  if (!std::exchange(told_, why).empty()) return;
  world_.tell(true, absl::StrCat("remote write: the receiver refuses samples "
                                 "of run '",
                                 run, "': ", why));
}

}  // namespace muster::sinks::remote_write
