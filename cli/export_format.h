// Frames, ranks and alerts as lines of CSV or of JSON.
#ifndef MUSTER_CLI_EXPORT_FORMAT_H_
#define MUSTER_CLI_EXPORT_FORMAT_H_

#include <string>

#include "muster/v1/query.pb.h"

namespace muster::cli {

enum class ExportFormat { kCsv, kJsonLines };
enum class ExportWhat { kFrames, kRanks, kAlerts };

// The first line of CSV: the names of the columns, which never change their
// order. Nothing in JSON.
std::string ExportHeader(ExportFormat format, ExportWhat what);

// One line for the frame, or one for each of its ranks. Numbers are written so
// that reading them gives the same bits; what is absent is an empty cell, or
// null. Cells with commas, quotes or line ends are quoted (RFC 4180); lines end
// with a line feed.
std::string ExportLines(ExportFormat format, ExportWhat what,
                        const v1::Step& step);
std::string ExportLine(ExportFormat format, const v1::Alert& alert);

}  // namespace muster::cli

#endif  // MUSTER_CLI_EXPORT_FORMAT_H_
