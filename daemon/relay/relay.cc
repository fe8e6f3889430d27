#include "daemon/relay/relay.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/base/mutex.h"
#include "daemon/relay/line.h"

namespace muster::relay {
namespace {

// More relays one after another than anybody has reason for.
constexpr size_t kMaxHops = 8;
// How long before the end of its grace what is left goes to the spool.
constexpr absl::Duration kSpillBeforeEnd = absl::Seconds(1);
// How often a relay that is to stop looks whether it may.
constexpr absl::Duration kStopInterval = absl::Milliseconds(20);

}  // namespace

std::string RandomId() {
  std::random_device random;
  const auto half = [&] { return absl::Hex(random(), absl::kZeroPad8); };
  return absl::StrCat(half(), half());
}

class Relay::Impl {
 public:
  Impl(Options options, Clock clock, std::unique_ptr<Upstream> upstream,
       std::string id, Log log)
      : options_(std::move(options)),
        clock_(std::move(clock)),
        log_(std::move(log)),
        random_(std::random_device()()),
        upstream_(std::move(upstream)),
        around_{
            .options = options_,
            .clock = clock_,
            .upstream = *upstream_,
            .counts = counts_,
            .id = std::move(id),
            .next_id = [this] { return next_id_++; },
            .next_number = [this] { return next_number_++; },
            .random =
                [this] { return std::uniform_real_distribution<>()(random_); },
            .tell = [this](UpstreamState state,
                           const std::string& why) { Tell(state, why); },
            .post = [this](std::function<void()> f) { Post(std::move(f)); }} {
    status_.since = clock_.wall();
    OpenSpool();
    thread_ = std::thread([this] { Run(); });
  }

  void Post(std::function<void()> action) {
    {
      MutexLock lock(mutex_);
      inbox_.push_back(std::move(action));
    }
    wake_.notify_one();
  }

  // The rest on the relay's thread, or before and after it lives.

  void Arrive(Arrival arrival) {
    const std::string run = arrival.hello.run();
    auto found = lines_.find(run);
    if (found == lines_.end()) {
      const auto limit = static_cast<size_t>(options_.max_runs);
      if (lines_.size() >= limit) {
        arrival.outbox->Refuse(
            arrival.hello.source(), 0, v1::TOO_MANY_RUNS,
            absl::StrCat("this relay carries ", limit, " runs, the limit"));
        return;
      }
      found = lines_.emplace(run, std::make_unique<Line>(run, around_)).first;
    }
    found->second->Open(std::move(arrival));
  }

  template <typename Action>
  void ForLine(const std::string& run, Action&& action) {
    const auto found = lines_.find(run);
    if (found != lines_.end()) action(*found->second);
  }

  const Surroundings& around() const { return around_; }

  Stats stats() const {
    Stats stats;
    {
      MutexLock lock(mutex_);
      stats = stats_;
    }
    if (spool_ != nullptr) stats.spool = spool_->stats();
    stats.upstream = options_.upstream;
    return stats;
  }

  void PrepareToStop() {
    Post([this] {
      for (auto& [run, line] : lines_) line->Stop();
    });
  }

  void Stop() {
    if (!thread_.joinable()) return;
    PrepareToStop();
    {
      MutexLock lock(mutex_);
      stop_at_ = clock_.monotonic() + options_.grace;
    }
    wake_.notify_one();
    thread_.join();
    lines_.clear();
    if (spool_ != nullptr) spool_->Stop();
  }

 private:
  void OpenSpool() {
    if (options_.spool.folder.empty()) return;
    spool_ = std::make_unique<Spool>(
        options_.spool, clock_.wall,
        SpoolEvents{.dropped =
                        [this](const std::string& run, int64_t through,
                               uint64_t reports, Where where) {
                          Post([=, this] {
                            OnDropped(run, through, reports, where);
                          });
                        },
                    .lost =
                        [this](uint64_t reports) {
                          Post([this, reports] { OnLost(reports); });
                        },
                    .log = log_});
    around_.spool = spool_.get();
    next_id_ = spool_->next_id();
    next_number_ = spool_->next_number();
    for (const SpooledRun& found : spool_->TakeFound()) {
      auto line = std::make_unique<Line>(found.run, around_);
      line->Continue(found);
      lines_.emplace(found.run, std::move(line));
    }
  }

  void OnDropped(const std::string& run, int64_t through, uint64_t reports,
                 Where where) {
    ForLine(run, [&](Line& line) {
      reports -= std::min(reports, line.log().SpoolDropped(through, where));
    });
    counts_.Drop(where, reports);
  }

  void OnLost(uint64_t reports) {
    for (auto& [run, line] : lines_) {
      reports -= std::min(reports, line->log().SpoolLost());
    }
    counts_.Drop(Where::kCorrupt, reports);
  }

  void Tell(UpstreamState state, const std::string& why) {
    if (!why.empty()) status_.last_error = why;
    // It is away until it answers.
    if (state == UpstreamState::kConnecting &&
        status_.state != UpstreamState::kIdle) {
      return;
    }
    if (status_.state == state) return;
    if (state == UpstreamState::kUp) {
      log_(false, absl::StrCat("upstream ", options_.upstream, " answers"));
    } else if (!why.empty()) {
      log_(true, absl::StrCat("upstream ", options_.upstream, ": ", why));
    }
    status_.state = state;
    status_.since = clock_.wall();
  }

  void Run() {
    absl::Duration idle = absl::ZeroDuration();
    for (;;) {
      std::deque<std::function<void()>> actions;
      {
        MutexLock lock(mutex_);
        if (inbox_.empty()) {
          wake_.wait_for(mutex_, absl::ToChronoNanoseconds(idle));
        }
        actions.swap(inbox_);
      }
      for (auto& action : actions) action();
      idle = Advance();
      if (IsTimeToEnd(idle)) return;
    }
  }

  absl::Duration Advance() {
    absl::Duration idle = absl::Seconds(1);
    size_t bytes = 0;
    for (auto it = lines_.begin(); it != lines_.end();) {
      Line& line = *it->second;
      idle = std::min(idle, line.Advance());
      bytes += line.log().memory_bytes();
      it = line.finished() ? lines_.erase(it) : std::next(it);
    }
    while (bytes > options_.memory_bytes && DropOldest(bytes)) {
    }
    if (lines_.empty() && status_.state != UpstreamState::kIdle) {
      status_.state = UpstreamState::kIdle;
      status_.since = clock_.wall();
    }
    Publish();
    return idle;
  }

  // Of the run that has most, so that no run takes the place of others.
  bool DropOldest(size_t& bytes) {
    const auto most = std::max_element(
        lines_.begin(), lines_.end(), [](const auto& one, const auto& other) {
          return one.second->log().memory_bytes() <
                 other.second->log().memory_bytes();
        });
    if (most == lines_.end()) return false;
    RunLog& log = most->second->log();
    const size_t before = log.memory_bytes();
    if (!log.DropOldest()) return false;
    bytes -= before - log.memory_bytes();
    return true;
  }

  void Publish() {
    Stats stats;
    stats.status = status_;
    stats.counts = counts_;
    stats.runs = lines_.size();
    absl::Time oldest = absl::InfiniteFuture();
    for (const auto& [run, line] : lines_) {
      stats.sources += line->connected();
      stats.memory_reports += line->log().memory_entries();
      stats.memory_bytes += line->log().memory_bytes();
      oldest = std::min(oldest, line->log().oldest());
    }
    stats.oldest = oldest;
    MutexLock lock(mutex_);
    stats_ = std::move(stats);
  }

  bool IsTimeToEnd(absl::Duration& idle) {
    absl::Duration stop_at;
    {
      MutexLock lock(mutex_);
      if (!stop_at_) return false;
      stop_at = *stop_at_;
    }
    idle = std::min(idle, kStopInterval);
    const absl::Duration now = clock_.monotonic();
    if (now >= stop_at) return true;
    bool left = false;
    for (auto& [run, line] : lines_) {
      line->Stop();
      if (spool_ != nullptr && stop_at - now <= kSpillBeforeEnd) {
        line->log().Spill(absl::InfiniteFuture(), now);
      }
      left |= !line->at_rest();
    }
    return !left;
  }

  const Options options_;
  const Clock clock_;
  const Log log_;

  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> inbox_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Duration> stop_at_ ABSL_GUARDED_BY(mutex_);
  Stats stats_ ABSL_GUARDED_BY(mutex_);

  // The thread's.
  std::mt19937_64 random_;
  Counts counts_;
  UpstreamStatus status_;
  int64_t next_id_ = 1;
  uint32_t next_number_ = 1;
  const std::unique_ptr<Upstream> upstream_;
  std::unique_ptr<Spool> spool_;
  Surroundings around_;
  std::map<std::string, std::unique_ptr<Line>, std::less<>> lines_;
  std::thread thread_;
};

// Passes one source to the relay's thread.
class Relay::RemoteSource : public ingest::SourceSink {
 public:
  RemoteSource(std::shared_ptr<Impl> impl, std::string run, uint64_t token,
               uint32_t rank, uint32_t sketch_width)
      : impl_(std::move(impl)),
        run_(std::move(run)),
        token_(token),
        rank_(rank),
        sketch_width_(sketch_width) {}

  std::optional<ingest::Rejection> Add(v1::StepReport& report) override {
    ReportBytes kept;
    kept.sequence = report.sequence();
    report.clear_source();
    // Before the check, which takes the sketches: fields that this version does
    // not know pass it too.
    kept.bytes = report.SerializeAsString();
    auto checked = ingest::CheckReport(report, rank_, sketch_width_);
    if (auto* rejection = std::get_if<ingest::Rejection>(&checked)) {
      return std::move(*rejection);
    }
    reports_.push_back(std::move(kept));
    return std::nullopt;
  }

  runs::Posted Flush(uint64_t settled) override {
    return Post([token = token_, settled,
                 reports = std::exchange(reports_, {})](Line& line) mutable {
      line.Report(token, std::move(reports), settled);
    });
  }

  runs::Posted State(const v1::Facts& facts,
                     std::shared_ptr<const frames::FactSet>) override {
    v1::Facts kept = facts;
    kept.clear_source();
    return Post([token = token_, bytes = kept.SerializeAsString()](Line& line) {
      line.State(token, bytes);
    });
  }

  runs::Posted Depart(const v1::Goodbye& goodbye) override {
    v1::Goodbye kept = goodbye;
    kept.clear_source();
    return Post([token = token_, bytes = kept.SerializeAsString()](Line& line) {
      line.Depart(token, bytes);
    });
  }

  void Disconnect() override {
    Post([token = token_](Line& line) { line.Disconnect(token); });
  }

  // Memory has its own bound: the oldest goes.
  bool IsFull() const override { return false; }
  void NotifyWhenDrained(std::function<void()> callback) override {
    callback();
  }

 private:
  template <typename Action>
  runs::Posted Post(Action action) {
    impl_->Post(
        [impl = impl_.get(), run = run_, action = std::move(action)]() mutable {
          impl->ForLine(run, action);
        });
    return runs::Posted::kTaken;
  }

  const std::shared_ptr<Impl> impl_;
  const std::string run_;
  const uint64_t token_;
  const uint32_t rank_;
  const uint32_t sketch_width_;
  std::vector<ReportBytes> reports_;
};

Relay::Relay(Options options, Clock clock, std::unique_ptr<Upstream> upstream,
             std::string id, Log log)
    : impl_(std::make_shared<Impl>(std::move(options), std::move(clock),
                                   std::move(upstream), std::move(id),
                                   std::move(log))) {}

Relay::~Relay() { Stop(); }

absl::Status Relay::Admit(const ingest::Caller& caller) {
  const std::string& own = impl_->around().id;
  if (std::find(caller.via.begin(), caller.via.end(), own) !=
      caller.via.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("relay loop: these reports have passed this relay, ", own,
                     ", already: ", absl::StrJoin(caller.via, " → ")));
  }
  if (caller.via.size() >= kMaxHops) {
    return absl::FailedPreconditionError(
        absl::StrCat("relay loop: these reports have passed ",
                     caller.via.size(), " relays, the limit"));
  }
  return absl::OkStatus();
}

std::variant<std::shared_ptr<ingest::SourceSink>, ingest::Rejection>
Relay::Open(const ingest::Caller& caller, const v1::Hello& hello,
            ingest::CheckedHello checked,
            const std::shared_ptr<ingest::Outbox>& outbox) {
  static std::atomic<uint64_t> next_token{1};
  const uint64_t token = next_token++;
  auto source = std::make_shared<RemoteSource>(
      impl_, checked.run, token, checked.info.rank, checked.info.sketch.width);
  impl_->Post([impl = impl_.get(),
               arrival = Arrival{token, hello, outbox, caller.via}]() mutable {
    impl->Arrive(std::move(arrival));
  });
  return source;
}

Stats Relay::stats() const {
  Stats stats = impl_->stats();
  return stats;
}

void Relay::PrepareToStop() { impl_->PrepareToStop(); }

void Relay::Stop() { impl_->Stop(); }

}  // namespace muster::relay
