#include "daemon/history/frame_reader.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "daemon/history/schema.h"

namespace muster::history {
namespace {

constexpr uint64_t kMaxStep = std::numeric_limits<int64_t>::max();

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

template <typename T>
T LittleEndian(const char* bytes) {
  T value = 0;
  if constexpr (std::endian::native == std::endian::little) {
    // One load; GCC makes eight of the loop below.
    std::memcpy(&value, bytes, sizeof(T));
    return value;
  }
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<unsigned char>(bytes[i])) << 8 * i;
  }
  return value;
}

double OrAbsent(std::optional<double> value) {
  return value && std::isfinite(*value) ? *value : kAbsent;
}

// Where an attempt's part of the current history lies; steps both included.
struct Span {
  uint32_t attempt = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t count = 0;
};

constexpr char kNextAttempt[] =
    "SELECT attempt, step FROM frame WHERE run=?1 AND attempt>?2 "
    "ORDER BY attempt, step LIMIT 1";
constexpr char kCount[] =
    "SELECT count(*), max(step) FROM frame WHERE run=?1 AND attempt=?2 AND "
    "step BETWEEN ?3 AND ?4";
constexpr char kRows[] =
    "SELECT step, loss_mean, loss_stddev, gradient_norm_mean, "
    "gradient_norm_stddev, cosine_mean, cosine_min, cosine_expected, "
    "ranks_reporting, ranks, loss, gradient_norm, gradient_cosine FROM frame "
    "WHERE run=?1 AND attempt=?2 AND step BETWEEN ?3 AND ?4 ORDER BY step";
constexpr char kRanksExpected[] =
    "SELECT ranks_expected FROM frame WHERE run=?1 AND attempt=?2 AND "
    "step BETWEEN ?3 AND ?4 ORDER BY step DESC LIMIT 1";

// False if a packed column is damaged.
bool Decode(Statement& row, FrameNumbers& frame) {
  frame.step = static_cast<uint64_t>(row.Integer(0));
  for (size_t i = 0; i < kFrameNumberCount; ++i) {
    frame.values[i] = OrAbsent(row.Double(static_cast<int>(i) + 1));
  }
  const std::string_view ranks = row.Text(9);
  const size_t count = ranks.size() / 4;
  if (ranks.size() % 4 != 0) return false;
  frame.ranks.resize(count);
  for (size_t i = 0; i < count; ++i) {
    frame.ranks[i].rank = LittleEndian<uint32_t>(ranks.data() + 4 * i);
    if (i > 0 && frame.ranks[i].rank <= frame.ranks[i - 1].rank) return false;
  }
  for (size_t number = 0; number < kRankNumberCount; ++number) {
    const std::string_view column = row.Text(10 + static_cast<int>(number));
    if (column.empty()) continue;
    if (column.size() % 8 != 0 || column.size() / 8 != count) return false;
    for (size_t i = 0; i < count; ++i) {
      frame.ranks[i].values[number] = OrAbsent(
          std::bit_cast<double>(LittleEndian<uint64_t>(column.data() + 8 * i)));
    }
  }
  return true;
}

}  // namespace

class FrameReader::Impl {
 public:
  explicit Impl(std::unique_ptr<Database> database)
      : database_(std::move(database)) {}

  absl::StatusOr<FrameRange> Current(const FrameQuery& query) {
    FrameRange range;
    auto spans = Spans(query, range);
    if (!spans.ok()) return spans.status();
    if (spans->empty()) return range;
    const auto limit = MostFrames(query, spans->back());
    if (!limit.ok()) return limit.status();
    range.stride = std::max<uint64_t>(1, (range.count + *limit - 1) / *limit);
    range.frames.reserve(std::min(range.count, *limit));
    for (const Span& span : *spans) {
      absl::Status status = Read(query.run, span, range);
      if (!status.ok()) return status;
    }
    return range;
  }

 private:
  // Each attempt's first step, in their order.
  absl::StatusOr<std::vector<Span>> Attempts(int64_t run) {
    auto next = database_->Prepare(kNextAttempt);
    if (!next.ok()) return next.status();
    std::vector<Span> attempts;
    int64_t attempt = -1;
    for (;;) {
      next->Bind({run, attempt});
      const auto row = next->Step();
      if (!row.ok()) return row.status();
      if (!*row) return attempts;
      attempt = next->Integer(0);
      attempts.push_back({static_cast<uint32_t>(attempt),
                          static_cast<uint64_t>(next->Integer(1)), kMaxStep,
                          0});
    }
  }

  // The parts that are asked for and not empty; counts them.
  absl::StatusOr<std::vector<Span>> Spans(const FrameQuery& query,
                                          FrameRange& range) {
    auto attempts = Attempts(query.run);
    if (!attempts.ok()) return attempts.status();
    auto count = database_->Prepare(kCount);
    if (!count.ok()) return count.status();
    // From the newest back: an attempt counts up to where a later one began.
    uint64_t end = kMaxStep;  // not included
    std::vector<Span> spans;
    for (auto it = attempts->rbegin(); it != attempts->rend(); ++it) {
      Span span = *it;
      span.first = std::max(it->first, query.from.value_or(0));
      span.last = std::min(end - 1, query.to.value_or(kMaxStep));
      const bool any = end > it->first;
      end = std::min(end, it->first);
      if (!any) continue;
      range.oldest_step = it->first;
      if (query.before && span.attempt > query.before->first) continue;
      if (query.before && span.attempt == query.before->first) {
        if (query.before->second == 0) continue;
        span.last = std::min(span.last, query.before->second - 1);
      }
      if (span.first > span.last) continue;
      count->Bind({query.run, int64_t{span.attempt}, Signed(span.first),
                   Signed(span.last)});
      const auto row = count->Step();
      if (!row.ok()) return row.status();
      span.count = static_cast<uint64_t>(count->Integer(0));
      span.last = static_cast<uint64_t>(count->Integer(1));
      if (span.count == 0) continue;
      range.count += span.count;
      spans.push_back(span);
    }
    std::reverse(spans.begin(), spans.end());
    return spans;
  }

  absl::StatusOr<uint64_t> MostFrames(const FrameQuery& query,
                                      const Span& newest) {
    auto expected = database_->Prepare(kRanksExpected);
    if (!expected.ok()) return expected.status();
    expected->Bind({query.run, int64_t{newest.attempt}, Signed(newest.first),
                    Signed(newest.last)});
    const auto row = expected->Step();
    if (!row.ok()) return row.status();
    const uint64_t values =
        kRankNumberCount *
        static_cast<uint64_t>(*row ? std::max<int64_t>(expected->Integer(0), 1)
                                   : 1);
    return std::max<uint64_t>(
        1, std::min(query.max_frames, query.max_rank_values / values));
  }

  // All rows of a span or, with a stride, those next to steps at even
  // distances, each sought by the index: what lies between costs nothing.
  absl::Status Read(int64_t run, const Span& span, FrameRange& range) {
    const bool all = range.stride == 1;
    auto rows = database_->Prepare(kRows);
    if (!rows.ok()) return rows.status();
    const double steps =
        static_cast<double>(span.last - span.first) /
        std::max<double>(1, static_cast<double>(span.count - 1)) *
        static_cast<double>(range.stride);
    rows->Bind(
        {run, int64_t{span.attempt}, Signed(span.first), Signed(span.last)});
    for (uint64_t taken = 1;; ++taken) {
      const auto row = rows->Step();
      if (!row.ok()) return row.status();
      if (!*row) return absl::OkStatus();
      FrameNumbers frame;
      frame.attempt = span.attempt;
      if (!Decode(*rows, frame)) {
        return absl::DataLossError(absl::StrCat(
            database_->path(), ": run ", run, ", attempt ", span.attempt,
            ", step ", frame.step, ": packed columns are damaged"));
      }
      const uint64_t step = frame.step;
      range.frames.push_back(std::move(frame));
      if (all) continue;
      const uint64_t next = std::max(
          step + 1, span.first + static_cast<uint64_t>(std::llround(
                                     steps * static_cast<double>(taken))));
      rows->Bind({run, int64_t{span.attempt}, Signed(next), Signed(span.last)});
    }
  }

  const std::unique_ptr<Database> database_;
};

absl::StatusOr<std::unique_ptr<FrameReader>> FrameReader::Open(
    const std::string& path) {
  auto database = OpenForReading(path);
  if (!database.ok()) return database.status();
  return std::unique_ptr<FrameReader>(
      new FrameReader(std::make_unique<Impl>(*std::move(database))));
}

FrameReader::FrameReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FrameReader::~FrameReader() = default;

absl::StatusOr<FrameRange> FrameReader::Current(const FrameQuery& query) const {
  return impl_->Current(query);
}

}  // namespace muster::history
