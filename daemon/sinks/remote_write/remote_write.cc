#include "daemon/sinks/remote_write/remote_write.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <iterator>
#include <map>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/base/mutex.h"
#include "daemon/history/reader.h"
#include "daemon/sinks/http_client.h"
#include "daemon/sinks/remote_write/backlog.h"
#include "daemon/sinks/remote_write/line.h"
#include "daemon/sinks/remote_write/marks.h"
#include "daemon/sinks/remote_write/pending.h"
#include "daemon/sinks/remote_write/request.h"
#include "daemon/sinks/remote_write/sender.h"

namespace muster::sinks::remote_write {
namespace {

// Marks are on the disk no later than this after a delivery; what they lack is
// sent again after a crash, and refused.
constexpr absl::Duration kSaveEvery = absl::Seconds(1);

// What was not heard of for so long is forgotten, but for its mark: queries
// have long since seen its series end.
constexpr absl::Duration kForgetAfter = absl::Hours(1);
// Times that are so far ahead of the clock are told.
constexpr absl::Duration kFarAhead = absl::Minutes(1);

}  // namespace

class RemoteWrite::Impl {
 public:
  Impl(Options options, std::string history_path, Clock clock, Tell tell)
      : options_(std::move(options)),
        history_path_(std::move(history_path)),
        marks_path_(history_path_ + ".remote_write"),
        headers_(HeadersOf(options_)),
        clock_(std::move(clock)),
        tell_(std::move(tell)),
        random_(std::random_device{}()),
        client_(options_.endpoint),
        sender_(options_, MakeWorld()) {}

  absl::Status Start() {
    if (!history_path_.empty()) {
      absl::Status status = FindBacklog();
      if (!status.ok()) return status;
    }
    thread_ = std::thread([this] { Work(); });
    return absl::OkStatus();
  }

  void Take(const std::string& run, Step step) {
    MutexLock lock(mutex_);
    Pending& pending = pending_[run];
    if (step.place.history_run == 0) step.place.position = ++last_position_;
    const int64_t before = pending.queue_bytes();
    const int64_t samples = step.samples();
    if (!pending.Push(std::move(step))) {
      stats_.dropped += static_cast<uint64_t>(samples);
    }
    stats_.queue_bytes += pending.queue_bytes() - before;
    while (stats_.queue_bytes > 0 &&
           stats_.queue_bytes + recent_bytes_ > options_.queue_bytes) {
      ShrinkFullest();
    }
  }

  void Stop(absl::Duration grace) {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
      const auto deadline =
          std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(grace);
      while (!stopped_ && thread_.joinable()) {
        if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) {
          break;
        }
      }
    }
    client_.Cancel();
    if (thread_.joinable()) thread_.join();
  }

  uint32_t max_ranks() const { return options_.max_ranks; }

  Stats stats() const {
    MutexLock lock(mutex_);
    return stats_;
  }

 private:
  // Whoever fills the queue pays for it, not who happens to come next.
  void ShrinkFullest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto fullest = std::max_element(
        pending_.begin(), pending_.end(), [](const auto& a, const auto& b) {
          return a.second.queue_bytes() < b.second.queue_bytes();
        });
    Pending& pending = fullest->second;
    const int64_t before = pending.queue_bytes();
    stats_.dropped += static_cast<uint64_t>(pending.Shrink());
    stats_.queue_bytes += pending.queue_bytes() - before;
  }

  // As it was left, if it was known.
  Line& LineOf(const std::string& run) {
    const auto [it, is_new] = lines_.try_emplace(run);
    const auto marked = marks_.runs.find(run);
    if (is_new && marked != marks_.runs.end()) {
      it->second.mark = it->second.settled = marked->second;
    }
    return it->second;
  }

  absl::Status FindBacklog() {
    const auto reader = history::Reader::Open(history_path_);
    if (!reader.ok()) return reader.status();
    auto marks = ReadMarks(marks_path_);
    if (absl::IsNotFound(marks.status()) || absl::IsDataLoss(marks.status())) {
      if (absl::IsDataLoss(marks.status())) {
        tell_(true, absl::StrCat("remote write: ", marks.status().message(),
                                 "; what was judged so far is not sent again"));
      }
      marks = MarkAll(**reader, clock_.wall());
    }
    if (!marks.ok()) return marks.status();
    marks_ = *std::move(marks);
    absl::Status status = DropForgotten(**reader, marks_);
    if (!status.ok()) return status;
    auto undelivered = FindUndelivered(**reader, marks_);
    if (!undelivered.ok()) return undelivered.status();
    for (const auto& [run, mark] : marks_.runs) {
      lines_[run].mark = lines_[run].settled = mark;
    }
    for (auto& [run, ranges] : *undelivered) {
      // Where the history began anew, places of the old one say nothing.
      const Range& first = ranges.front();
      if (Place{first.history_run, first.from} < lines_[run].mark.place) {
        lines_[run].mark.place = {};
      }
      lines_[run].uncertain_until = {ranges.back().history_run,
                                     ranges.back().to};
      MutexLock lock(mutex_);
      pending_[run].AddBacklog(std::move(ranges));
    }
    return WriteMarks(marks_path_, marks_);
  }

  SenderWorld MakeWorld() {
    return {
        .post =
            [this](std::string_view body) {
              return client_.Post(body, headers_, options_.timeout);
            },
        .wait =
            [this](absl::Duration time) {
              SaveMarks();
              MutexLock lock(mutex_);
              stats_.up = false;
              return Sleep(time);
            },
        .random =
            [this] { return std::uniform_real_distribution<>(0, 1)(random_); },
        .tell = tell_,
        .count =
            [this](Fate fate, int64_t samples) {
              MutexLock lock(mutex_);
              stats_.up = true;
              uint64_t& total = fate == Fate::kSent      ? stats_.sent
                                : fate == Fate::kPresent ? stats_.present
                                                         : stats_.refused;
              total += static_cast<uint64_t>(samples);
            },
        .count_retry =
            [this] {
              MutexLock lock(mutex_);
              ++stats_.retries;
            },
    };
  }

  // False if it is time to stop.
  bool Sleep(absl::Duration time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto until =
        std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(time);
    while (!stopping_) {
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) break;
    }
    return !stopping_;
  }

  void Work() {
    for (bool last = false; !last;) {
      {
        MutexLock lock(mutex_);
        last = !Sleep(options_.interval);
      }
      sent_all_ = SendAll();
      if (!sent_all_) break;
      ForgetWhatIsOld();
      SaveMarks();
    }
    SaveMarks();
    TellWhatIsLeft();
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }

  void ForgetWhatIsOld() {
    const absl::Duration now = clock_.monotonic();
    for (auto& [run, line] : lines_) ForgetRecent(run, line, now);
    if (now < forgot_ + kForgetAfter / 4) return;
    forgot_ = now;
    const int64_t wall_ms = absl::ToUnixMillis(clock_.wall());
    {
      MutexLock lock(mutex_);
      std::erase_if(pending_,
                    [](const auto& pending) { return pending.second.empty(); });
      for (auto it = lines_.begin(); it != lines_.end();) {
        const Line& line = it->second;
        // What comes after a time that is ahead must still be later.
        const bool old = line.mark == line.settled && line.recent.empty() &&
                         line.delivered < now - kForgetAfter &&
                         line.mark.time_ms < wall_ms &&
                         !pending_.contains(it->first);
        it = old ? lines_.erase(it) : std::next(it);
      }
      stats_.runs = lines_.size();
    }
    if (history_path_.empty()) return;
    const auto reader = history::Reader::Open(history_path_);
    // Another time, if not now.
    if (reader.ok() && DropForgotten(**reader, marks_).ok()) unsaved_ = true;
  }

  void TellWhatIsLeft() {
    if (sent_all_ && Waiting().empty()) return;
    tell_(false, history_path_.empty()
                     ? "remote write: ends before all was delivered; what is "
                       "left is lost, as there is no history"
                     : "remote write: ends before all was delivered; the next "
                       "daemon sends what is left");
  }

  // Sends what waits; false if it was time to stop before.
  bool SendAll() {
    unread_ = false;
    for (;;) {
      const std::vector<std::string> runs = Waiting();
      if (runs.empty()) return true;
      for (const std::string& run : runs) {
        if (!SendSome(run)) return false;
        if (clock_.monotonic() >= saved_ + kSaveEvery) SaveMarks();
      }
      // Read again after a while.
      if (unread_) return true;
    }
  }

  std::vector<std::string> Waiting() {
    std::vector<std::string> runs;
    MutexLock lock(mutex_);
    for (const auto& [run, pending] : pending_) {
      if (!pending.empty()) runs.push_back(run);
    }
    return runs;
  }

  // One request's worth of a run.
  bool SendSome(const std::string& run) {
    Line& line = LineOf(run);
    std::vector<Step> steps = Fetch(run);
    // The newest delivered one comes again, for its series.
    while (!steps.empty() && steps.front().place <= line.mark.place) {
      if (!steps.front().ended) NoteSeries(steps.front(), line.series);
      steps.erase(steps.begin());
    }
    if (steps.empty()) return true;
    int64_t last_ms = line.mark.time_ms;
    int64_t ahead_ms = 0;
    for (Step& step : steps) {
      last_ms = std::max(step.time_ms, last_ms + 1);
      ahead_ms = last_ms - std::exchange(step.time_ms, last_ms);
    }
    TellIfFarAhead(run, line, absl::Milliseconds(ahead_ms));
    const bool uncertain = steps.front().place < line.uncertain_until;
    if (!sender_.Deliver(run, steps, line.series, uncertain)) return false;
    if (sender_.TakeOutage() && !SendAgain()) return false;
    Delivered(run, line, steps);
    return true;
  }

  // A clock that was ahead and was set back: receivers take nothing older than
  // what they have, so the times stay ahead until the clock is there again.
  void TellIfFarAhead(const std::string& run, Line& line,
                      absl::Duration ahead) {
    const bool was = std::exchange(line.is_far_ahead, ahead > kFarAhead);
    if (was == line.is_far_ahead) return;
    tell_(line.is_far_ahead,
          line.is_far_ahead
              ? absl::StrCat("remote write: the samples of run '", run,
                             "' are dated ", absl::FormatDuration(ahead),
                             " ahead of the clock, which was set back: a "
                             "receiver takes none that are older")
              : absl::StrCat("remote write: the samples of run '", run,
                             "' have the clock's time again"));
  }

  std::vector<Step> Fetch(const std::string& run) {
    std::optional<Range> range;
    {
      MutexLock lock(mutex_);
      Pending& pending = pending_[run];
      range = pending.backlog();
      if (!range) {
        const int64_t before = pending.queue_bytes();
        std::vector<Step> steps = pending.Take(options_.batch_samples);
        stats_.queue_bytes += pending.queue_bytes() - before;
        return steps;
      }
    }
    auto steps = ReadSteps(history_path_, *range, options_.batch_samples,
                           options_.max_ranks);
    unread_ |= MayPass(steps.status());
    if (unread_ != std::exchange(read_fails_, unread_)) {
      tell_(unread_, unread_ ? absl::StrCat("remote write: the history cannot "
                                            "be read, and will be again: ",
                                            steps.status().message())
                             : "remote write: the history is read again");
    }
    if (MayPass(steps.status())) return {};
    if (!steps.ok()) {
      tell_(true, absl::StrCat("remote write: steps of run '", run,
                               "' cannot be read and are not sent: ",
                               steps.status().message()));
      range->from = range->to;
    }
    MutexLock lock(mutex_);
    pending_[run].SetBacklog(*range);
    return steps.ok() ? *std::move(steps) : std::vector<Step>();
  }

  void Delivered(const std::string& run, Line& line, std::vector<Step>& steps) {
    line.mark = {steps.back().place, steps.back().time_ms};
    const absl::Duration now = line.delivered = clock_.monotonic();
    int64_t bytes = 0;
    for (Step& step : steps) {
      bytes += step.bytes();
      if (step.ended) {
        line.series.clear();
      } else {
        NoteSeries(step, line.series);
      }
      line.recent.emplace_back(now, std::move(step));
    }
    {
      MutexLock lock(mutex_);
      recent_bytes_ += bytes;
      stats_.newest_time_ms =
          std::max(stats_.newest_time_ms, line.mark.time_ms);
      stats_.runs = lines_.size();
    }
    ForgetRecent(run, line, now);
    Settle(run, line);
  }

  // What is too old to be sent again, and what there is no memory for: half of
  // it is left to what was not sent yet.
  void ForgetRecent(const std::string& run, Line& line, absl::Duration now) {
    bool any = false;
    MutexLock lock(mutex_);
    while (!line.recent.empty() &&
           (line.recent.front().first <= now - options_.resend ||
            recent_bytes_ > options_.queue_bytes / 2)) {
      const Step& oldest = line.recent.front().second;
      recent_bytes_ -= oldest.bytes();
      line.settled = {oldest.place, oldest.time_ms};
      line.recent.pop_front();
      any = true;
    }
    if (any) Settle(run, line);
  }

  void Settle(const std::string& run, const Line& line) {
    if (history_path_.empty()) return;
    marks_.runs[run] = line.settled;
    unsaved_ = true;
  }

  // What the receiver may have lost when it failed.
  bool SendAgain() {
    for (auto& [run, line] : lines_) {
      std::vector<Step> steps;
      int64_t samples = 0;
      const auto flush = [&, &run = run] {
        samples = 0;
        return sender_.Deliver(run, std::exchange(steps, {}), {}, true);
      };
      for (auto& [when, step] : line.recent) {
        when = clock_.monotonic();
        if (step.ended) continue;
        steps.push_back(step);
        samples += step.samples();
        if (samples >= options_.batch_samples && !flush()) return false;
      }
      if (!steps.empty() && !flush()) return false;
    }
    return true;
  }

  void SaveMarks() {
    if (history_path_.empty() || !std::exchange(unsaved_, false)) return;
    saved_ = clock_.monotonic();
    const absl::Status status = WriteMarks(marks_path_, marks_);
    if (status.ok() != marks_fail_) return;
    marks_fail_ = !status.ok();
    tell_(marks_fail_,
          status.ok()
              ? absl::StrCat("remote write: ", marks_path_, " is written again")
              : absl::StrCat("remote write: ", status.message(),
                             "; a restart will send again what was "
                             "delivered"));
  }

  const Options options_;
  const std::string history_path_;
  const std::string marks_path_;
  const HttpHeaders headers_;
  const Clock clock_;
  const Tell tell_;
  std::thread thread_;

  // Of the thread, but for HttpClient::Cancel().
  std::mt19937_64 random_;
  HttpClient client_;
  Sender sender_;
  std::map<std::string, Line> lines_;
  Marks marks_;
  bool unsaved_ = false;
  bool marks_fail_ = false;
  bool sent_all_ = true;     // in the turn before
  bool unread_ = false;      // some of this turn's backlog could not be read
  bool read_fails_ = false;  // and that was told
  absl::Duration saved_ = -absl::InfiniteDuration();
  absl::Duration forgot_ = -absl::InfiniteDuration();

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Pending> pending_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_position_ ABSL_GUARDED_BY(mutex_) = 0;  // without a history
  // Of all lines' recent ones.
  int64_t recent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

absl::StatusOr<std::unique_ptr<RemoteWrite>> RemoteWrite::Create(
    Options options, const std::string& history_path, Clock clock, Tell tell) {
  auto impl = std::make_unique<Impl>(std::move(options), history_path,
                                     std::move(clock), std::move(tell));
  absl::Status status = impl->Start();
  if (!status.ok()) return status;
  return std::unique_ptr<RemoteWrite>(new RemoteWrite(std::move(impl)));
}

RemoteWrite::RemoteWrite(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RemoteWrite::~RemoteWrite() { Stop(absl::ZeroDuration()); }

void RemoteWrite::Take(const std::string& run, int64_t history_run,
                       uint64_t position, absl::Time judged,
                       const consistency::Measures* measures) {
  impl_->Take(run, MakeStep({history_run, position}, judged, measures,
                            impl_->max_ranks()));
}

void RemoteWrite::Stop(absl::Duration grace) { impl_->Stop(grace); }

Stats RemoteWrite::stats() const { return impl_->stats(); }

}  // namespace muster::sinks::remote_write
