// What a training tells beside loss and gradient (samples, replicas, local
// updates), as columns of a frame: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_TRAINING_CODEC_H_
#define MUSTER_DAEMON_HISTORY_TRAINING_CODEC_H_

#include <vector>

#include "daemon/consistency/measures.h"
#include "daemon/frames/report.h"
#include "daemon/history/columns.h"

namespace muster::history {

// All but sample ids and fingerprints, which every frame's columns have, and
// but sketches, which only measuring needs. Columns 11 … 31.
void EncodeTraining(const std::vector<frames::Report>& reports,
                    ColumnWriter& more);
// False if the columns are damaged.
bool DecodeTraining(const ColumnReader& more,
                    std::vector<frames::Report>& reports);

// Columns 46 … 63 and 74 … 95.
void EncodeTrainingMeasures(const consistency::Measures& measures,
                            ColumnWriter& more);
// Requires: `measures.ranks` has its ranks.
void DecodeTrainingMeasures(const ColumnReader& more,
                            consistency::Measures& measures);

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_TRAINING_CODEC_H_
