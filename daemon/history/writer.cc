#include "daemon/history/writer.h"

#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <set>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/base/mutex.h"
#include "daemon/history/lock_file.h"
#include "daemon/history/retention.h"
#include "daemon/history/rows.h"
#include "daemon/history/schema.h"

namespace muster::history {
namespace {

constexpr std::chrono::seconds kRetry{1};
constexpr absl::Duration kTrimEvery = absl::Seconds(5);
// A batch is written without waiting for more when it has so many bytes.
constexpr int64_t kLargeBatch = int64_t{4} << 20;
// What fails so often for no reason of the disk is given up.
constexpr int kAttempts = 3;

struct RunBegun {
  StoredRun run;
};
struct RunOver {
  int64_t run = 0;
};
struct Item {
  std::variant<Unit, RunBegun, RunOver> what;
  int64_t bytes = 0;
};

int64_t BytesOf(const Unit& unit) {
  size_t bytes = sizeof(Item);
  for (const Entry& entry : unit.entries) {
    bytes += sizeof(Entry);
    const auto* judged = std::get_if<Judged>(&entry.body);
    if (judged == nullptr) continue;
    bytes += judged->measures->ranks.size() * sizeof(consistency::RankMeasures);
    for (const auto& report : judged->frame->reports) {
      bytes += frames::BytesOf(report);
    }
  }
  for (const AlertChange& change : unit.alerts) {
    bytes += sizeof(change) + 2 * change.line.size();
  }
  if (unit.checkpoint) {
    bytes +=
        unit.checkpoint->assembler.ranks.size() * sizeof(frames::RankState);
    for (const auto& open : unit.checkpoint->open_reports) {
      bytes += frames::BytesOf(open->report);
    }
  }
  return static_cast<int64_t>(bytes);
}

uint64_t FramesIn(const Unit& unit) {
  uint64_t frames = 0;
  for (const Entry& entry : unit.entries) {
    frames += std::holds_alternative<Judged>(entry.body);
  }
  return frames;
}

const char* ReasonOf(const absl::Status& error) {
  switch (error.code()) {
    case absl::StatusCode::kResourceExhausted:
      return "full";
    case absl::StatusCode::kUnavailable:
      return "locked";
    case absl::StatusCode::kDataLoss:
      return "corrupt";
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kNotFound:
      return "io";
    default:
      return "other";
  }
}

void Settle(Unit& unit) {
  if (auto settled = std::exchange(unit.settled, nullptr)) settled();
}

}  // namespace

class Writer::Impl {
 public:
  Impl(std::string path, Options options,
       std::function<absl::Time()> wall_clock, Log log)
      : path_(std::move(path)),
        options_(options),
        wall_clock_(std::move(wall_clock)),
        log_(std::move(log)) {
    for (const char* reason : {"full", "locked", "io", "corrupt", "other"}) {
      stats_.errors[reason] = 0;
    }
  }

  absl::Status Start() {
    auto lock = LockFile::Take(path_ + ".lock");
    if (!lock.ok()) return lock.status();
    lock_ = *std::move(lock);
    absl::Status status = OpenDatabase();
    if (absl::IsDataLoss(status)) {
      SetAside(status);
      status = OpenDatabase();
    }
    if (!status.ok()) return status;
    const auto last = database_->Number("SELECT max(run) FROM run");
    if (!last.ok()) return last.status();
    {
      MutexLock guard(mutex_);
      next_run_ = *last + 1;
    }
    thread_ = std::thread([this] { Work(); });
    return absl::OkStatus();
  }

  int64_t Begin(StoredRun run) {
    MutexLock lock(mutex_);
    run.run = next_run_++;
    run.open = true;
    const int64_t number = run.run;
    Push({RunBegun{std::move(run)}, sizeof(Item)});
    return number;
  }

  void Continue(const StoredRun& run) {
    MutexLock lock(mutex_);
    Push({RunBegun{run}, sizeof(Item)});
  }

  void End(int64_t run) {
    MutexLock lock(mutex_);
    Push({RunOver{run}, sizeof(Item)});
  }

  void Write(Unit unit) {
    const int64_t bytes = BytesOf(unit);
    bool settle = false;
    {
      MutexLock lock(mutex_);
      if (stopped_ || queue_bytes_ + bytes > options_.queue_bytes) {
        stats_.frames_lost += FramesIn(unit);
        settle = true;
      } else {
        settle = !stats_.up;
        Unit queued = unit;
        if (settle) queued.settled = nullptr;
        Push({std::move(queued), bytes});
      }
    }
    if (settle) Settle(unit);
  }

  absl::Status Flush() {
    MutexLock lock(mutex_);
    hurry_ = true;
    changed_.notify_all();
    const uint64_t failures = failures_;
    while ((!queue_.empty() || writing_) && failures_ == failures &&
           !stopped_) {
      idle_.wait(mutex_);
    }
    return failures_ == failures ? absl::OkStatus() : last_error_;
  }

  void Stop() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    for (Unit& unit : unsettled_) Settle(unit);
    unsettled_.clear();
    CloseDatabase();
    lock_.reset();
  }

  WriterStats stats() const {
    MutexLock lock(mutex_);
    WriterStats stats = stats_;
    stats.queue_bytes = queue_bytes_;
    return stats;
  }

  const std::string& path() const { return path_; }

 private:
  void Push(Item item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (queue_.empty()) waiting_since_ = std::chrono::steady_clock::now();
    queue_bytes_ += item.bytes;
    queue_.push_back(std::move(item));
    changed_.notify_all();
  }

  absl::Status OpenDatabase() {
    auto database = OpenForWriting(path_);
    if (!database.ok()) return database.status();
    auto rows = Rows::Create(**database);
    if (!rows.ok()) return rows.status();
    database_ = *std::move(database);
    rows_ = *std::move(rows);
    return absl::OkStatus();
  }

  void CloseDatabase() {
    rows_.reset();
    database_.reset();
  }

  // Renames the corrupt file, so that a new one can begin.
  void SetAside(const absl::Status& why) {
    CloseDatabase();
    const std::string aside =
        absl::StrCat(path_, ".corrupt-", absl::ToUnixSeconds(wall_clock_()));
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::rename((path_ + suffix).c_str(), (aside + suffix).c_str());
    }
    {
      MutexLock lock(mutex_);
      ++stats_.errors["corrupt"];
    }
    log_(true, absl::StrCat("history: ", why.message(), "; kept as ", aside,
                            ", a new one begins"));
  }

  void Work() {
    while (Wait()) {
      std::vector<Item> batch = Take();
      if (!batch.empty()) Store(batch);
      TrimIfDue();
    }
    MutexLock lock(mutex_);
    stopped_ = true;
    idle_.notify_all();
  }

  // False when it is time to end.
  bool Wait() {
    MutexLock lock(mutex_);
    for (;;) {
      if (stopping_ && (queue_.empty() || tried_while_stopping_)) break;
      const auto now = std::chrono::steady_clock::now();
      auto until = now + absl::ToChronoMilliseconds(kTrimEvery);
      if (!queue_.empty()) {
        const bool ready = hurry_ || stopping_ || queue_bytes_ >= kLargeBatch;
        const auto due =
            !stats_.up ? retry_at_
            : ready    ? now
                       : waiting_since_ +
                          absl::ToChronoMicroseconds(options_.commit_interval);
        if (now >= due || stopping_) {
          tried_while_stopping_ = stopping_;
          return true;
        }
        until = std::min<std::chrono::steady_clock::time_point>(until, due);
      }
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout &&
          queue_.empty()) {
        return true;  // time to trim
      }
    }
    // What is left will never be stored.
    std::deque<Item> left = std::exchange(queue_, {});
    queue_bytes_ = 0;
    for (Item& item : left) {
      auto* unit = std::get_if<Unit>(&item.what);
      if (unit == nullptr) continue;
      stats_.frames_lost += FramesIn(*unit);
      unsettled_.push_back(std::move(*unit));
    }
    return false;
  }

  std::vector<Item> Take() {
    MutexLock lock(mutex_);
    writing_ = !queue_.empty();
    hurry_ = false;
    std::vector<Item> batch;
    while (!queue_.empty()) {
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    // Sketches are most of the work: they are the first to be left out.
    with_sketches_ = queue_bytes_ < options_.queue_bytes / 2;
    return batch;
  }

  absl::Status Put(const std::vector<Item>& batch, bool with_sketches) {
    if (database_ == nullptr) {
      absl::Status status = OpenDatabase();
      if (!status.ok()) return status;
    }
    absl::Status status = database_->Execute("BEGIN IMMEDIATE");
    if (!status.ok()) return status;
    for (const auto& [number, run] : known_) {
      if (in_file_.insert(number).second) status.Update(rows_->Begin(run));
    }
    for (const Item& item : batch) {
      if (!status.ok()) break;
      if (const auto* unit = std::get_if<Unit>(&item.what)) {
        status = rows_->Put(*unit, with_sketches);
      } else if (const auto* begun = std::get_if<RunBegun>(&item.what)) {
        in_file_.insert(begun->run.run);
        status = rows_->Begin(begun->run);
      } else {
        status = rows_->End(std::get<RunOver>(item.what).run);
      }
    }
    if (status.ok()) status = database_->Execute("COMMIT");
    if (!status.ok()) {
      (void)database_->Execute("ROLLBACK");
      // It no longer knows what is in the file.
      auto rows = Rows::Create(*database_);
      if (rows.ok()) {
        rows_ = *std::move(rows);
      } else {
        CloseDatabase();
      }
      in_file_.clear();
    }
    return status;
  }

  void Store(std::vector<Item>& batch) {
    bool with_sketches = false;
    {
      MutexLock lock(mutex_);
      with_sketches = with_sketches_;
    }
    const auto begin = std::chrono::steady_clock::now();
    absl::Status status = Put(batch, with_sketches);
    if (absl::IsDataLoss(status)) {
      SetAside(status);
      in_file_.clear();
      status = Put(batch, with_sketches);
    }
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - begin;
    // Whether it is stored or will be: nobody waits for a disk that is full.
    for (Item& item : batch) {
      if (auto* unit = std::get_if<Unit>(&item.what)) Settle(*unit);
    }
    if (status.ok()) {
      Stored(batch, seconds.count());
    } else {
      Failed(std::move(batch), status);
    }
  }

  void Stored(const std::vector<Item>& batch, double seconds) {
    for (const Item& item : batch) {
      if (const auto* begun = std::get_if<RunBegun>(&item.what)) {
        known_[begun->run.run] = begun->run;
      } else if (const auto* over = std::get_if<RunOver>(&item.what)) {
        known_.erase(over->run);
      }
    }
    struct stat file = {};
    (void)::stat(path_.c_str(), &file);
    bool recovered = false;
    {
      MutexLock lock(mutex_);
      recovered = !std::exchange(stats_.up, true);
      attempts_ = 0;
      ++stats_.commits;
      stats_.commit_seconds += seconds;
      stats_.file_bytes = file.st_size;
      for (const Item& item : batch) {
        queue_bytes_ -= item.bytes;
        if (const auto* unit = std::get_if<Unit>(&item.what)) {
          stats_.frames += FramesIn(*unit);
        }
      }
      waiting_since_ = std::chrono::steady_clock::now();
      writing_ = false;
      idle_.notify_all();
    }
    if (recovered) {
      log_(false, absl::StrCat("history: ", path_, ": is written again"));
    }
  }

  void Failed(std::vector<Item> batch, const absl::Status& why) {
    bool news = false;
    uint64_t lost = 0;
    std::vector<Unit> settle;
    {
      MutexLock lock(mutex_);
      news = std::exchange(stats_.up, false);
      ++stats_.errors[ReasonOf(why)];
      ++failures_;
      last_error_ = why;
      retry_at_ = std::chrono::steady_clock::now() + kRetry;
      // What came meanwhile waits for nobody either.
      for (Item& item : queue_) {
        auto* unit = std::get_if<Unit>(&item.what);
        if (unit == nullptr || !unit->settled) continue;
        Unit only;
        only.settled = std::exchange(unit->settled, nullptr);
        settle.push_back(std::move(only));
      }
      // Full and locked disks come back; what else fails may be the batch.
      const bool give_up = std::string_view(ReasonOf(why)) == "other" &&
                           ++attempts_ >= kAttempts;
      if (give_up) attempts_ = 0;
      for (auto it = batch.rbegin(); it != batch.rend(); ++it) {
        const auto* unit = std::get_if<Unit>(&it->what);
        if (give_up && unit != nullptr) {
          lost += FramesIn(*unit);
          queue_bytes_ -= it->bytes;
        } else {
          queue_.push_front(std::move(*it));
        }
      }
      stats_.frames_lost += lost;
      writing_ = false;
      idle_.notify_all();
    }
    for (Unit& unit : settle) Settle(unit);
    if (news) {
      log_(true,
           absl::StrCat("history: cannot write ", why.message(),
                        "; judging goes on, reports are acknowledged without "
                        "being stored, and it is tried again each second"));
    }
  }

  void TrimIfDue() {
    const absl::Time now = wall_clock_();
    {
      MutexLock lock(mutex_);
      if (!stats_.up || stopping_) return;
    }
    if (database_ == nullptr || (now < next_trim_ && now > last_trim_)) return;
    const auto trimmed = Trim(*database_, options_, now);
    last_trim_ = now;
    next_trim_ = now + kTrimEvery;
    if (!trimmed.ok()) {
      MutexLock lock(mutex_);
      ++stats_.errors[ReasonOf(trimmed.status())];
      return;
    }
    // Small steps: what waits to be stored comes between them.
    if (trimmed->more) next_trim_ = now;
    MutexLock lock(mutex_);
    stats_.frames_deleted += static_cast<uint64_t>(trimmed->frames);
  }

  const std::string path_;
  const Options options_;
  const std::function<absl::Time()> wall_clock_;
  const Log log_;
  std::unique_ptr<LockFile> lock_;
  std::thread thread_;

  // Of the thread.
  std::unique_ptr<Database> database_;
  std::unique_ptr<Rows> rows_;
  std::map<int64_t, StoredRun> known_;  // open runs that have been stored
  std::set<int64_t> in_file_;           // of which this file has a row
  absl::Time last_trim_ = absl::InfinitePast();
  absl::Time next_trim_ = absl::InfinitePast();
  std::vector<Unit> unsettled_;  // left when the thread ended

  mutable Mutex mutex_;
  CondVar changed_;
  CondVar idle_;
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  // Of the queue and of what is being written.
  int64_t queue_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::chrono::steady_clock::time_point waiting_since_ ABSL_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point retry_at_ ABSL_GUARDED_BY(mutex_);
  int64_t next_run_ ABSL_GUARDED_BY(mutex_) = 1;
  bool hurry_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool with_sketches_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool tried_while_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int attempts_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);
  WriterStats stats_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::unique_ptr<Writer>> Writer::Open(
    const std::string& path, Options options,
    std::function<absl::Time()> wall_clock, Log log) {
  auto impl = std::make_unique<Impl>(path, options, std::move(wall_clock),
                                     std::move(log));
  absl::Status status = impl->Start();
  if (!status.ok()) return status;
  return std::unique_ptr<Writer>(new Writer(std::move(impl)));
}

Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Writer::~Writer() { Stop(); }

int64_t Writer::Begin(const std::string& name, const std::string& configuration,
                      absl::Time began) {
  return impl_->Begin(
      {.name = name, .began = began, .configuration = configuration});
}

void Writer::Continue(const StoredRun& run) { impl_->Continue(run); }
void Writer::Write(Unit unit) { impl_->Write(std::move(unit)); }
void Writer::End(int64_t run) { impl_->End(run); }
absl::Status Writer::Flush() { return impl_->Flush(); }

void Writer::Stop() { impl_->Stop(); }

WriterStats Writer::stats() const { return impl_->stats(); }
const std::string& Writer::path() const { return impl_->path(); }

}  // namespace muster::history
