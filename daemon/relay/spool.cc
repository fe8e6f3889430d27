#include "daemon/relay/spool.h"

#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/base/mutex.h"
#include "daemon/relay/spool_file.h"

namespace muster::relay {

class Spool::Impl {
 public:
  Impl(SpoolOptions options, std::function<absl::Time()> wall,
       SpoolEvents events)
      : options_(std::move(options)),
        wall_(std::move(wall)),
        events_(std::move(events)) {
    stats_.limit_bytes = options_.max_bytes;
    const absl::Time give_up = wall_() + kLockPatience;
    // A relay that is replaced may take its grace time to leave.
    while (absl::IsUnavailable(Ensure()) && wall_() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    started_ = true;
  }

  ~Impl() { Stop(); }

  // Before Start().
  const SpoolFile* file() const { return file_.get(); }
  void Start() {
    thread_ = std::thread([this] { Run(); });
  }

  void Post(std::function<void()> job) {
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

  void Stop() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
    file_.reset();
  }

  void Append(const std::vector<Entry>& entries,
              const std::function<void(bool)>& done) {
    uint64_t reports = 0;
    for (const Entry& entry : entries) {
      reports += entry.kind == Entry::Kind::kReport ? 1 : 0;
    }
    absl::Status status = Ensure();
    if (status.ok()) {
      status = Handle(file_->Append(entries));
    }
    if (status.ok()) {
      MutexLock lock(mutex_);
      stats_.spooled += reports;
    }
    done(status.ok());
    if (status.ok()) Trim();
  }

  void Read(
      const std::string& run, int64_t after, size_t bytes,
      const std::function<void(absl::StatusOr<std::vector<Entry>>)>& done) {
    absl::Status status = Ensure();
    if (!status.ok()) {
      done(status);
      return;
    }
    auto entries = file_->Read(run, after, bytes);
    if (!entries.ok()) (void)Handle(entries.status());
    done(std::move(entries));
  }

  void Settle(const std::string& run, int64_t through) {
    if (!Ensure().ok()) return;
    (void)Handle(file_->Settle(run, through));
  }

  // What has grown too old goes even when nothing new comes.
  void Trim() {
    if (!Ensure().ok()) return;
    const absl::Time oldest = wall_() - options_.max_age;
    // By age first, so that it is known why.
    for (const Where where : {Where::kAge, Where::kSpool}) {
      auto dropped = file_->Trim(
          where == Where::kAge ? SIZE_MAX : options_.max_bytes, oldest);
      if (!Handle(dropped.status()).ok()) return;
      for (const SpoolFile::Dropped& each : *dropped) {
        events_.dropped(each.run, each.through, each.reports, where);
      }
    }
  }

  SpoolStats stats() const {
    MutexLock lock(mutex_);
    return stats_;
  }

 private:
  static constexpr absl::Duration kTrimInterval = absl::Seconds(1);
  static constexpr absl::Duration kLockPatience = absl::Seconds(10);

  void Run() {
    absl::Time trimmed = wall_();
    for (;;) {
      std::function<void()> job;
      {
        MutexLock lock(mutex_);
        if (jobs_.empty() && !stopping_) {
          wake_.wait_for(mutex_, absl::ToChronoMilliseconds(kTrimInterval));
        }
        if (!jobs_.empty()) {
          job = std::move(jobs_.front());
          jobs_.pop_front();
        } else if (stopping_) {
          return;
        }
      }
      if (job) job();
      if (const absl::Time now = wall_(); now - trimmed >= kTrimInterval) {
        trimmed = now;
        Trim();
      }
    }
  }

  // Opens the file if it is not; a corrupt one is set aside first.
  absl::Status Ensure() {
    if (file_ != nullptr) return absl::OkStatus();
    std::error_code ignored;  // what matters is whether the file opens
    std::filesystem::create_directories(options_.folder, ignored);
    const std::string path = Path();
    auto file = SpoolFile::Open(path);
    if (absl::IsDataLoss(file.status())) {
      SetAside(file.status(), "corrupt");
      file = SpoolFile::Open(path);
    }
    if (file.ok() && started_ && (*file)->reports() > 0) {
      // Its reports are older than what has been sent meanwhile.
      const uint64_t reports = (*file)->reports();
      file->reset();
      SetAside(absl::FailedPreconditionError(
                   absl::StrCat(path, " could be opened only now, and holds ",
                                reports, " older reports")),
               "late");
      file = SpoolFile::Open(path);
    }
    const absl::Status opened = file.status();
    if (opened.ok()) file_ = *std::move(file);
    return Handle(opened);
  }

  // Counts and tells; drops a corrupt file.
  absl::Status Handle(absl::Status status) {
    const uint64_t reports = file_ != nullptr ? file_->reports() : 0;
    const bool corrupt = absl::IsDataLoss(status) && file_ != nullptr;
    if (corrupt) {
      SetAside(status, "corrupt");
      events_.lost(reports);
    }
    bool news = false;
    {
      MutexLock lock(mutex_);
      news = status.ok() != stats_.ok || !told_;
      told_ = true;
      stats_.ok = status.ok();
      if (!status.ok()) ++stats_.errors;
      stats_.reports = file_ != nullptr ? file_->reports() : 0;
      stats_.bytes = file_ != nullptr ? file_->bytes() : 0;
    }
    if (news && !status.ok()) {
      events_.log(true, absl::StrCat("spool: ", std::string(status.message()),
                                     "; reports wait in memory alone"));
    } else if (news) {
      events_.log(false, absl::StrCat("spool: ", Path(), " is in use, with ",
                                      file_ != nullptr ? file_->reports() : 0,
                                      " reports"));
    }
    return status;
  }

  // Renamed rather than deleted: people may want to look at it.
  void SetAside(const absl::Status& why, const char* what) {
    file_.reset();
    const std::string path = Path();
    const std::string aside =
        absl::StrCat(path, ".", what, "-", absl::ToUnixMillis(wall_()));
    for (const char* suffix : {"", "-wal", "-shm"}) {
      (void)std::rename((path + suffix).c_str(), (aside + suffix).c_str());
    }
    {
      MutexLock lock(mutex_);
      ++stats_.set_aside;
    }
    events_.log(true, absl::StrCat("spool: ", std::string(why.message()),
                                   "; the file is now ", aside));
  }

  std::string Path() const { return options_.folder + "/spool.db"; }

  const SpoolOptions options_;
  const std::function<absl::Time()> wall_;
  const SpoolEvents events_;
  bool started_ = false;
  std::unique_ptr<SpoolFile> file_;  // the thread's, once it runs

  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_ ABSL_GUARDED_BY(mutex_) = false;
  SpoolStats stats_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

Spool::Spool(SpoolOptions options, std::function<absl::Time()> wall,
             SpoolEvents events)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(wall),
                                   std::move(events))) {
  if (impl_->file() == nullptr) return;
  next_number_ = impl_->file()->next_number();
  next_id_ = impl_->file()->next_id();
}

Spool::~Spool() { Stop(); }

std::vector<SpooledRun> Spool::TakeFound() {
  std::vector<SpooledRun> found;
  if (impl_->file() != nullptr) found = impl_->file()->found();
  impl_->Start();
  return found;
}

void Spool::Append(std::vector<Entry> entries, std::function<void(bool)> done) {
  impl_->Post([impl = impl_.get(), entries = std::move(entries),
               done = std::move(done)]() mutable {
    impl->Append(std::move(entries), std::move(done));
  });
}

void Spool::Read(std::string run, int64_t after, size_t bytes,
                 std::function<void(absl::StatusOr<std::vector<Entry>>)> done) {
  impl_->Post(
      [impl = impl_.get(), run = std::move(run), after, bytes,
       done = std::move(done)] { impl->Read(run, after, bytes, done); });
}

void Spool::Settle(std::string run, int64_t through) {
  impl_->Post([impl = impl_.get(), run = std::move(run), through] {
    impl->Settle(run, through);
  });
}

SpoolStats Spool::stats() const { return impl_->stats(); }

void Spool::Stop() { impl_->Stop(); }

}  // namespace muster::relay
