#include "cli/top.h"

#include <curses.h>
#include <langinfo.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/query_client.h"
#include "cli/top_source.h"

namespace muster::cli {
namespace {

// How soon a key or new data shows.
constexpr int kRefreshMillis = 100;
constexpr size_t kPage = 10;

enum Pair : short { kGoodPair = 1, kWarningPair, kBadPair };

Glyphs TerminalGlyphs() {
  return std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0 ? Glyphs::kBlocks
                                                           : Glyphs::kAscii;
}

// The terminal in the state that curses needs, given back at the end.
class Screen {
 public:
  explicit Screen(bool colour) : coloured_(colour) {
    ::initscr();
    ::cbreak();
    ::noecho();
    ::keypad(stdscr, TRUE);
    ::set_escdelay(25);
    ::curs_set(0);
    ::timeout(kRefreshMillis);
    coloured_ = coloured_ && ::has_colors() == TRUE;
    if (!coloured_) return;
    ::start_color();
    ::use_default_colors();
    ::init_pair(kGoodPair, COLOR_CYAN, -1);
    ::init_pair(kWarningPair, COLOR_YELLOW, -1);
    ::init_pair(kBadPair, COLOR_RED, -1);
  }
  ~Screen() { ::endwin(); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void Show(const std::vector<Line>& lines) {
    ::erase();
    for (size_t row = 0; row < lines.size(); ++row) {
      ::move(static_cast<int>(row), 0);
      for (const Span& span : lines[row]) {
        const attr_t attributes = AttributesOf(span.tone);
        ::attron(attributes);
        ::addstr(span.text.c_str());
        ::attroff(attributes);
      }
    }
    ::refresh();
  }

 private:
  // Without colours, what is bad still differs from what is not.
  attr_t AttributesOf(Tone tone) const {
    const auto pair = [this](Pair number) -> attr_t {
      return coloured_ ? COLOR_PAIR(number) : A_NORMAL;
    };
    switch (tone) {
      case Tone::kPlain:
        return A_NORMAL;
      case Tone::kDim:
        return A_DIM;
      case Tone::kBold:
        return A_BOLD;
      case Tone::kGood:
        return pair(kGoodPair);
      case Tone::kWarning:
        return pair(kWarningPair) | A_BOLD;
      case Tone::kBad:
        return pair(kBadPair) | A_BOLD;
      case Tone::kReverse:
        return A_REVERSE;
    }
    return A_NORMAL;
  }

  bool coloured_;
};

void Move(TopState& state, const TopData& data, int64_t by, size_t height) {
  const bool list = state.run.empty();
  const size_t runs = data.runs.runs_size();
  const size_t end =
      list ? (runs > 0 ? runs - 1 : 0) : TopScrollEnd(data, height);
  size_t& at = list ? state.selected : state.scroll;
  const int64_t to = static_cast<int64_t>(std::min(at, end)) + by;
  at = static_cast<size_t>(std::clamp<int64_t>(to, 0, end));
}

TopSort Next(TopSort sort, int by) {
  return static_cast<TopSort>((static_cast<int>(sort) + by + kTopSortCount) %
                              kTopSortCount);
}

// False when the person leaves.
bool Obey(int key, const TopData& data, size_t height, TopState& state,
          absl::Duration& interval) {
  constexpr int kEscape = 27;
  switch (key) {
    case 'q':
      return false;
    case '?':
    case 'h':
      state.help = !state.help;
      break;
    case KEY_UP:
    case 'k':
      Move(state, data, -1, height);
      break;
    case KEY_DOWN:
    case 'j':
      Move(state, data, 1, height);
      break;
    case KEY_PPAGE:
      Move(state, data, -static_cast<int64_t>(kPage), height);
      break;
    case KEY_NPAGE:
      Move(state, data, kPage, height);
      break;
    case KEY_HOME:
      Move(state, data, INT32_MIN, height);
      break;
    case KEY_END:
      Move(state, data, INT32_MAX, height);
      break;
    case '\n':
    case KEY_ENTER:
    case KEY_RIGHT:
      if (state.run.empty() &&
          state.selected < static_cast<size_t>(data.runs.runs_size())) {
        state.run = data.runs.runs(static_cast<int>(state.selected)).run();
        state.scroll = 0;
      }
      break;
    case kEscape:
    case KEY_LEFT:
    case KEY_BACKSPACE:
      if (!std::exchange(state.help, false)) state.run.clear();
      break;
    case 's':
      state.sort = Next(state.sort, 1);
      break;
    case 'S':
      state.sort = Next(state.sort, -1);
      break;
    case 'r':
      state.reversed = !state.reversed;
      break;
    case 'm':
      state.metric = (state.metric + 1) % kTopMetricCount;
      break;
    case 'p':
    case ' ':
      state.paused = !state.paused;
      break;
    case '+':
      interval = std::max(interval / 2, absl::Milliseconds(125));
      break;
    case '-':
      interval = std::min(interval * 2, absl::Seconds(64));
      break;
    default:
      break;
  }
  return true;
}

}  // namespace

absl::Status RunTop(const TopOptions& options) {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
    return absl::FailedPreconditionError(
        "top needs a terminal; --once prints what it would show");
  }
  std::setlocale(LC_ALL, "");
  const Glyphs glyphs = TerminalGlyphs();
  TopState state;
  state.run = options.run;
  state.sort = options.sort;
  absl::Duration interval = options.interval;
  TopSource source(options.address, options.files);
  Screen screen(options.colour);
  bool chosen = !state.run.empty();
  for (;;) {
    const auto data = source.latest();
    // The only run needs no choice.
    if (!chosen && data->taken != absl::InfinitePast()) {
      chosen = true;
      if (data->runs.runs_size() == 1) state.run = data->runs.runs(0).run();
    }
    source.Want(state.run, state.metric, interval, state.paused);
    const size_t height = static_cast<size_t>(std::max(LINES, 1));
    const size_t width = static_cast<size_t>(std::max(COLS, 1));
    Move(state, *data, 0, height);
    screen.Show(RenderTop(*data, state, width, height, glyphs, absl::Now()));
    const int key = ::getch();  // KEY_RESIZE comes with new LINES and COLS
    if (key != ERR && !Obey(key, *data, height, state, interval)) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TopOnce(const TopOptions& options, size_t width) {
  QueryClient client(options.address, options.files);
  TopState state;
  state.sort = options.sort;
  state.run = options.run;
  TopData data = AskForTop(client, options.address, state.run, 0, TopData());
  if (data.trouble.empty() && state.run.empty() && data.runs.runs_size() == 1) {
    state.run = data.runs.runs(0).run();
    data = AskForTop(client, options.address, state.run, 0, data);
  }
  if (!data.trouble.empty()) return absl::UnavailableError(data.trouble);
  // As many lines as there are, less the one that names keys.
  const size_t height = data.ranks.ranks_size() + data.runs.runs_size() +
                        data.alerts.alerts_size() + 16;
  std::vector<Line> lines =
      RenderTop(data, state, width, height, Glyphs::kBlocks, absl::Now());
  lines.pop_back();
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  std::string text;
  for (const Line& line : lines) {
    std::string row;
    for (const Span& span : line) row += span.text;
    row.erase(row.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, row, "\n");
  }
  return text;
}

}  // namespace muster::cli
