// SQLite with this project's errors: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_SQLITE_H_
#define MUSTER_DAEMON_HISTORY_SQLITE_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace muster::history {

// Bytes that are no text.
struct Blob {
  std::string_view bytes;
};
using Value =
    std::variant<std::nullptr_t, int64_t, double, std::string_view, Blob>;

// A prepared statement, to be run any number of times. Thread-compatible;
// outlived by its database.
class Statement {
 public:
  // One that was never prepared, to hold the place; must not be used.
  static Statement None() { return Statement("", nullptr, nullptr); }
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Begins a new run with these parameters; texts and blobs stay valid until it
  // ends.
  void Bind(std::initializer_list<Value> values);
  // The next row, false if there is none.
  absl::StatusOr<bool> Step();
  // Bind() and Step() for statements without rows.
  absl::Status Run(std::initializer_list<Value> values);

  // Columns of the row, from 0; texts and blobs are valid until the next
  // Step().
  int64_t Integer(int column) const;
  std::optional<double> Double(int column) const;
  std::string_view Text(int column) const;  // or a blob
  bool IsNull(int column) const;

 private:
  friend class Database;
  Statement(std::string where, sqlite3* database, sqlite3_stmt* statement);

  const std::string where_;
  sqlite3* const database_;
  sqlite3_stmt* statement_;
};

// A connection. Errors name the file: UNAVAILABLE if it is locked,
// RESOURCE_EXHAUSTED if the disk is full, ABORTED if it cannot be read or
// written otherwise, DATA_LOSS if the file is corrupt or no database, NOT_FOUND
// if it cannot be opened, INTERNAL for all else.
// Thread-compatible.
class Database {
 public:
  enum class Mode {
    kRead,
    kReadImmutable,  // as it is, without locks: nobody may be writing
    kCreate,         // and write
  };
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        Mode mode);
  ~Database();

  absl::Status Execute(const char* sql);
  absl::StatusOr<Statement> Prepare(const char* sql);
  // The one number that `sql` gives; 0 if it gives none.
  absl::StatusOr<int64_t> Number(const char* sql);

  const std::string& path() const { return path_; }

 private:
  Database(std::string path, sqlite3* database);

  const std::string path_;
  sqlite3* const database_;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_SQLITE_H_
