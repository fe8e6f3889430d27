#include "daemon/history/sqlite.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace muster::history {
namespace {

// How long a statement waits for another process's lock.
constexpr int kBusyMilliseconds = 500;

absl::StatusCode CodeOf(int result) {
  switch (result & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_IOERR:
    case SQLITE_READONLY:
      return absl::StatusCode::kAborted;
    case SQLITE_CANTOPEN:
      return absl::StatusCode::kNotFound;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status Error(const std::string& where, int result, const char* message) {
  return absl::Status(CodeOf(result), absl::StrCat(where, ": ", message));
}

}  // namespace

Statement::Statement(std::string where, sqlite3* database,
                     sqlite3_stmt* statement)
    : where_(std::move(where)), database_(database), statement_(statement) {}

Statement::Statement(Statement&& other) noexcept
    : where_(other.where_),
      database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::Bind(std::initializer_list<Value> values) {
  sqlite3_reset(statement_);
  int index = 0;
  for (const Value& value : values) {
    ++index;
    if (const auto* number = std::get_if<int64_t>(&value)) {
      sqlite3_bind_int64(statement_, index, *number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      sqlite3_bind_double(statement_, index, *real);
    } else if (const auto* text = std::get_if<std::string_view>(&value)) {
      sqlite3_bind_text64(statement_, index, text->data(), text->size(),
                          SQLITE_STATIC, SQLITE_UTF8);
    } else if (const auto* blob = std::get_if<Blob>(&value)) {
      sqlite3_bind_blob64(statement_, index,
                          blob->bytes.empty() ? "" : blob->bytes.data(),
                          blob->bytes.size(), SQLITE_STATIC);
    } else {
      sqlite3_bind_null(statement_, index);
    }
  }
}

absl::StatusOr<bool> Statement::Step() {
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  // Ends the statement, so that it holds no lock.
  const absl::Status error =
      result == SQLITE_DONE ? absl::OkStatus()
                            : Error(where_, result, sqlite3_errmsg(database_));
  sqlite3_reset(statement_);
  if (!error.ok()) return error;
  return false;
}

absl::Status Statement::Run(std::initializer_list<Value> values) {
  Bind(values);
  return Step().status();
}

int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::optional<double> Statement::Double(int column) const {
  if (IsNull(column)) return std::nullopt;
  return sqlite3_column_double(statement_, column);
}

std::string_view Statement::Text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const auto size =
      static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), size};
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(
    const std::string& path, Mode mode) {
  int flags = SQLITE_OPEN_NOMUTEX;
  switch (mode) {
    case Mode::kRead:
      flags |= SQLITE_OPEN_READONLY;
      break;
    case Mode::kReadImmutable:
      flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
      break;
    case Mode::kCreate:
      flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
      break;
  }
  std::string name = path;
  if (mode == Mode::kReadImmutable) {
    name = absl::StrCat(
        "file:",
        absl::StrReplaceAll(path, {{"%", "%25"}, {"?", "%3f"}, {"#", "%23"}}),
        "?immutable=1");
  }
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(path, handle));
  if (result != SQLITE_OK) {
    return Error(path, result,
                 handle != nullptr ? sqlite3_errmsg(handle) : "out of memory");
  }
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  return database;
}

Database::Database(std::string path, sqlite3* database)
    : path_(std::move(path)), database_(database) {}

Database::~Database() { sqlite3_close_v2(database_); }

absl::Status Database::Execute(const char* sql) {
  const int result = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  if (result == SQLITE_OK) return absl::OkStatus();
  return Error(path_, result, sqlite3_errmsg(database_));
}

absl::StatusOr<Statement> Database::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(
      database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) {
    return Error(path_, result, sqlite3_errmsg(database_));
  }
  return Statement(path_, database_, statement);
}

absl::StatusOr<int64_t> Database::Number(const char* sql) {
  auto statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  const auto row = statement->Step();
  if (!row.ok()) return row.status();
  return *row ? statement->Integer(0) : 0;
}

}  // namespace muster::history
