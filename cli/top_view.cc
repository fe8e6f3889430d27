#include "cli/top_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/format.h"
#include "cli/words.h"

namespace muster::cli {
namespace {

constexpr size_t kMostAlerts = 5;
constexpr size_t kDeviationWidth = 24;
// Bars of this height deviate as ranks of a healthy run hardly do.
constexpr double kFullDeviation = 6;

constexpr std::array<const char*, kTopSortCount> kSorts = {
    "deviation", "rank", "loss", "norm", "cosine", "lag"};
constexpr std::array<const char*, kTopMetricCount> kMetrics = {
    "loss", "gradient_norm", "gradient_cosine"};

std::optional<double> Field(bool has, double value) {
  return has ? std::optional(value) : std::nullopt;
}

const v1::Run* FindRun(const TopData& data, const std::string& name) {
  for (const v1::Run& run : data.runs.runs()) {
    if (run.run() == name) return &run;
  }
  return nullptr;
}

Tone ToneOf(const v1::Run& run) {
  if (run.alerts_firing() > 0) return Tone::kBad;
  if (run.state() == v1::ENDED) return Tone::kDim;
  return IsHealthy(run) ? Tone::kGood : Tone::kWarning;
}

const char* Mark(Tone tone, Glyphs glyphs) {
  const bool blocks = glyphs == Glyphs::kBlocks;
  if (tone == Tone::kBad) return blocks ? "✖ " : "X ";
  if (tone == Tone::kWarning) return blocks ? "▲ " : "! ";
  if (tone == Tone::kGood) return blocks ? "● " : "* ";
  return blocks ? "○ " : "o ";
}

Line Header(const TopData& data, const TopState& state, absl::Time now) {
  Line line = {{Tone::kBold, "muster top"},
               {Tone::kDim, absl::StrCat("  ", data.address)}};
  if (data.runs.runs_size() > 0) {
    line.push_back(
        {Tone::kDim, absl::StrCat("  ", Count(data.runs.runs_size(), "run"))});
  }
  if (state.paused) line.push_back({Tone::kWarning, "  paused"});
  if (!data.trouble.empty()) {
    const std::string since =
        data.taken == absl::InfinitePast()
            ? ""
            : absl::StrCat(" for ", Age(absl::ToUnixNanos(data.taken), now));
    line.push_back({Tone::kBad, absl::StrCat("  no answer", since, ": ",
                                             Printable(data.trouble))});
  }
  return line;
}

Line Keys(const TopState& state) {
  const std::string list = "q quit  ↑↓ choose  Enter open  p pause  ? help";
  const std::string ranks = absl::StrCat(
      "q quit  Esc runs  s sort (", TopSortName(state.sort),
      state.reversed ? ", reversed" : "", ")  m metric (",
      TopMetricName(state.metric), ")  ↑↓ scroll  p pause  ? help");
  return {{Tone::kDim, state.run.empty() ? list : ranks}};
}

std::vector<Line> Help() {
  const std::vector<std::pair<const char*, const char*>> keys = {
      {"↑ ↓ PgUp PgDn Home End", "choose a run, or scroll through the ranks"},
      {"Enter, →", "open the chosen run"},
      {"Esc, ←, Backspace", "back to the list of runs"},
      {"s, S",
       "next or previous order: deviation, rank, loss, norm, cosine, lag"},
      {"r", "reverse the order"},
      {"m", "next metric of the deviations: loss, gradient norm, cosine"},
      {"p, Space", "pause"},
      {"+ -", "ask the daemon more or less often"},
      {"q, Ctrl-C", "quit"}};
  std::vector<Line> lines = {{}};
  for (const auto& [key, what] : keys) {
    lines.push_back({{Tone::kBold, Left(absl::StrCat("  ", key), 28)},
                     {Tone::kPlain, what}});
  }
  lines.push_back({});
  lines.push_back(
      {{Tone::kDim,
        "  Deviations are those of a rank from the median of the ranks, in "
        "robust deviations; a full bar is 6."}});
  return lines;
}

// --- the list of runs --------------------------------------------------------

std::vector<Line> RunList(const TopData& data, const TopState& state,
                          size_t height, Glyphs glyphs, absl::Time now) {
  std::vector<Line> lines;
  if (data.runs.runs().empty()) {
    if (data.trouble.empty()) {
      lines.push_back({{Tone::kPlain, "No run yet: musterd waits for ranks."}});
    }
    return lines;
  }
  size_t width = 3;
  for (const v1::Run& run : data.runs.runs()) {
    width = std::max(width, run.run().size());
  }
  width = std::min<size_t>(width, 32);
  lines.push_back(
      {{Tone::kBold,
        absl::StrCat("  ", Left("RUN", width), Right("STEP", 10),
                     Right("RANKS", 10), Right("LOSS", 11), Right("±", 11),
                     Right("COSINE", 9), Right("AGE", 7), "  VERDICT")}});
  const size_t rows = height > 1 ? height - 1 : 0;
  const size_t first =
      state.selected >= rows && rows > 0 ? state.selected - rows + 1 : 0;
  const size_t count = data.runs.runs_size();
  for (size_t i = first; i < count && i < first + rows; ++i) {
    const v1::Run& run = data.runs.runs(static_cast<int>(i));
    const v1::Step& step = run.newest();
    const Tone tone = ToneOf(run);
    const std::string text = absl::StrCat(
        Left(run.run(), width),
        Right(run.has_newest() ? absl::StrCat(step.step()) : "-", 10),
        Right(run.has_newest() ? StepRanks(step) : "-", 10),
        Right(MUSTER_NUMBER(step, loss_mean), 11),
        Right(MUSTER_NUMBER(step, loss_stddev), 11),
        Right(MUSTER_NUMBER(step, gradient_cosine_mean), 9),
        Right(run.has_newest() ? Age(run.newest_unix_nanos(), now) : "-", 7));
    const std::string verdict = RunVerdict(run, {.colour = false, .now = now})
                                    .substr(run.run().size() + 2);
    lines.push_back(
        {{tone, Mark(tone, glyphs)},
         {i == state.selected ? Tone::kReverse : Tone::kPlain, text},
         {tone, absl::StrCat("  ", verdict)}});
  }
  return lines;
}

// --- one run -----------------------------------------------------------------

using StepField = std::function<std::optional<double>(const v1::Step&)>;

Line Trend(const TopData& data, const std::string& name,
           const std::string& text, const StepField& field, size_t width,
           Glyphs glyphs) {
  std::vector<std::optional<double>> values;
  for (const v1::Step& step : data.steps.steps()) values.push_back(field(step));
  const size_t room = width > 52 ? width - 52 : 0;
  return {
      {Tone::kDim, Left(name, 16)},
      {Tone::kPlain, Left(text, 36)},
      {Tone::kPlain, Sparkline(values, std::min(room, values.size()), glyphs)}};
}

std::vector<Line> Trends(const TopData& data, const v1::Run& run, size_t width,
                         Glyphs glyphs) {
  const v1::Step& step = run.newest();
  const auto field = [](auto has, auto get) {
    return [has, get](const v1::Step& each) {
      return Field((each.*has)(), (each.*get)());
    };
  };
  const std::string loss = absl::StrCat(MUSTER_NUMBER(step, loss_mean), " ± ",
                                        MUSTER_NUMBER(step, loss_stddev));
  const std::string norm =
      absl::StrCat(MUSTER_NUMBER(step, gradient_norm_mean), " ± ",
                   MUSTER_NUMBER(step, gradient_norm_stddev));
  std::string cosine =
      absl::StrCat(MUSTER_NUMBER(step, gradient_cosine_mean), ", worst ",
                   MUSTER_NUMBER(step, gradient_cosine_min));
  if (step.has_gradient_cosine_expected()) {
    absl::StrAppend(&cosine, ", due ",
                    MUSTER_NUMBER(step, gradient_cosine_expected));
  }
  return {Trend(data, "loss", loss,
                field(&v1::Step::has_loss_mean, &v1::Step::loss_mean), width,
                glyphs),
          Trend(data, "loss stddev", "",
                field(&v1::Step::has_loss_stddev, &v1::Step::loss_stddev),
                width, glyphs),
          Trend(data, "gradient norm", norm,
                field(&v1::Step::has_gradient_norm_mean,
                      &v1::Step::gradient_norm_mean),
                width, glyphs),
          Trend(data, "cosine", cosine,
                field(&v1::Step::has_gradient_cosine_mean,
                      &v1::Step::gradient_cosine_mean),
                width, glyphs)};
}

std::vector<Line> AlertLines(const TopData& data, Glyphs glyphs) {
  std::vector<Line> lines;
  size_t firing = 0;
  for (const v1::Alert& alert : data.alerts.alerts()) {
    if (alert.state() != v1::FIRING || alert.run() != data.run) continue;
    if (++firing > kMostAlerts) continue;
    lines.push_back(
        {{Tone::kBad, absl::StrCat(Mark(Tone::kBad, glyphs), "#", alert.id(),
                                   " ", alert.kind(), " ")},
         {Tone::kBold,
          absl::StrCat(WhoOf(alert), " since step ", alert.first_step())},
         {Tone::kWarning,
          alert.silent() ? "  silent: the mean loss does not show it" : ""},
         {Tone::kPlain, absl::StrCat("  ", Printable(alert.evidence()))}});
  }
  if (firing > kMostAlerts) {
    lines.push_back(
        {{Tone::kBad, absl::StrCat("  and ", firing - kMostAlerts,
                                   " more: muster alerts ", data.run)}});
  }
  return lines;
}

// Mean of the newest deviations: a rank that is off at each step leads one that
// was off once.
std::optional<double> Deviation(const TopData& data, uint32_t rank) {
  const auto found = data.deviations.find(rank);
  if (found == data.deviations.end()) return std::nullopt;
  double sum = 0;
  int count = 0;
  for (const auto& value : found->second) {
    if (!value) continue;
    sum += *value;
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::vector<const v1::Rank*> Sorted(const TopData& data,
                                    const TopState& state) {
  std::vector<std::pair<double, const v1::Rank*>> keyed;
  // Largest first; ranks without the value last.
  const auto key = [&](const v1::Rank& rank) -> std::optional<double> {
    const v1::RankValues& values = rank.values();
    switch (state.sort) {
      case TopSort::kDeviation: {
        const auto deviation = Deviation(data, rank.rank());
        return deviation ? std::optional(std::abs(*deviation)) : std::nullopt;
      }
      case TopSort::kRank:
        return -static_cast<double>(rank.rank());
      case TopSort::kLoss:
        return Field(values.has_loss(), values.loss());
      case TopSort::kNorm:
        return Field(values.has_gradient_norm(), values.gradient_norm());
      case TopSort::kCosine:  // the worst is the lowest
        return Field(values.has_gradient_cosine(), -values.gradient_cosine());
      case TopSort::kLag:
        return static_cast<double>(rank.lag_steps());
    }
    return std::nullopt;
  };
  std::vector<const v1::Rank*> absent;
  for (const v1::Rank& rank : data.ranks.ranks()) {
    const auto value = key(rank);
    if (value) {
      keyed.emplace_back(*value, &rank);
    } else {
      absent.push_back(&rank);
    }
  }
  std::stable_sort(
      keyed.begin(), keyed.end(),
      [](const auto& a, const auto& b) { return a.first > b.first; });
  if (state.reversed) std::reverse(keyed.begin(), keyed.end());
  std::vector<const v1::Rank*> sorted;
  for (const auto& [value, rank] : keyed) sorted.push_back(rank);
  sorted.insert(sorted.end(), absent.begin(), absent.end());
  return sorted;
}

Line RankTitle(const TopState& state) {
  return {
      {Tone::kBold,
       absl::StrCat(Right("RANK", 6), "  ", Left("HOST", 16), Left("STATE", 10),
                    Right("STEP", 9), Right("LAG", 6), Right("LOSS", 11),
                    Right("NORM", 11), Right("COSINE", 9), "  ", Right("σ", 6),
                    "  ", TopMetricName(state.metric), " against the others")}};
}

Line RankRow(const TopData& data, const v1::Rank& rank,
             const std::vector<bool>& named, Glyphs glyphs) {
  const v1::RankValues& values = rank.values();
  const auto deviation = Deviation(data, rank.rank());
  const auto found = data.deviations.find(rank.rank());
  const Deviations none;
  const Deviations& all = found == data.deviations.end() ? none : found->second;
  const bool in_alert = rank.rank() < named.size() && named[rank.rank()];
  const bool lost = !rank.connected() && !rank.departed();
  const Tone tone = in_alert ? Tone::kBad
                    : lost   ? Tone::kWarning
                             : Tone::kPlain;
  return {
      {tone, absl::StrCat(Right(absl::StrCat(rank.rank()), 6), "  ",
                          Left(Printable(rank.host()), 15), " ",
                          Left(RankState(rank), 10))},
      {Tone::kPlain,
       absl::StrCat(
           Right(rank.has_last_step() ? absl::StrCat(rank.last_step()) : "-",
                 9),
           Right(rank.departed() ? "-" : absl::StrCat(rank.lag_steps()), 6),
           Right(MUSTER_NUMBER(values, loss), 11),
           Right(MUSTER_NUMBER(values, gradient_norm), 11),
           Right(MUSTER_NUMBER(values, gradient_cosine), 9), "  ")},
      {tone, Right(deviation ? absl::StrFormat("%+.1f", *deviation) : "-", 6)},
      {tone,
       absl::StrCat("  ", DeviationLine(all, kFullDeviation,
                                        std::min(all.size(), kDeviationWidth),
                                        glyphs))}};
}

std::vector<Line> RunPage(const TopData& data, const TopState& state,
                          size_t width, size_t height, Glyphs glyphs,
                          absl::Time now) {
  const v1::Run* run = FindRun(data, state.run);
  if (run == nullptr) {
    return {{{Tone::kWarning, absl::StrCat("musterd does not follow a run '",
                                           Printable(state.run), "' now.")}}};
  }
  const Tone tone = ToneOf(*run);
  std::string verdict = RunVerdict(*run, {.colour = false, .now = now});
  if (run->has_newest()) {
    absl::StrAppend(&verdict, ", judged ", Age(run->newest_unix_nanos(), now),
                    " ago");
  }
  std::vector<Line> lines = {{{tone, Mark(tone, glyphs)}, {tone, verdict}}};
  if (data.run != state.run) return lines;  // its answers are on their way
  const auto append = [&](std::vector<Line> more) {
    for (Line& line : more) lines.push_back(std::move(line));
  };
  append(AlertLines(data, glyphs));
  lines.push_back({});
  append(Trends(data, *run, width, glyphs));
  lines.push_back({});
  if (lines.size() + 2 > height) return lines;
  lines.push_back(RankTitle(state));
  std::vector<bool> named(run->world_size());
  for (const v1::Alert& alert : data.alerts.alerts()) {
    if (alert.state() != v1::FIRING || alert.run() != data.run) continue;
    for (const uint32_t rank : alert.ranks()) {
      if (rank < named.size()) named[rank] = true;
    }
  }
  const auto ranks = Sorted(data, state);
  const size_t rows = height - lines.size();
  for (size_t i = state.scroll; i < ranks.size() && i < state.scroll + rows;
       ++i) {
    lines.push_back(RankRow(data, *ranks[i], named, glyphs));
  }
  return lines;
}

}  // namespace

const char* TopSortName(TopSort sort) {
  return kSorts[static_cast<size_t>(sort)];
}

std::optional<TopSort> ParseTopSort(std::string_view name) {
  for (int i = 0; i < kTopSortCount; ++i) {
    if (name == kSorts[i]) return static_cast<TopSort>(i);
  }
  return std::nullopt;
}

const char* TopMetricName(int metric) { return kMetrics[metric]; }

std::vector<Line> RenderTop(const TopData& data, const TopState& state,
                            size_t width, size_t height, Glyphs glyphs,
                            absl::Time now) {
  std::vector<Line> lines = {Header(data, state, now)};
  const size_t room = height > 2 ? height - 2 : 0;
  std::vector<Line> body = state.help ? Help()
                           : state.run.empty()
                               ? RunList(data, state, room, glyphs, now)
                               : RunPage(data, state, width, room, glyphs, now);
  if (body.size() > room) body.resize(room);
  for (Line& line : body) lines.push_back(std::move(line));
  if (height > 1) {
    lines.resize(height - 1);
    lines.push_back(Keys(state));
  }
  for (Line& line : lines) line = Fit(line, width);
  return lines;
}

size_t TopScrollEnd(const TopData& data, size_t height) {
  // Verdict, blank, trends, blank, title, header and keys stand around them.
  const size_t others = 10;
  const size_t rows = height > others ? height - others : 1;
  const size_t ranks = data.ranks.ranks_size();
  return ranks > rows ? ranks - rows : 0;
}

}  // namespace muster::cli
