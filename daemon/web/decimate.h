// Many frames as few buckets, for charts that must not miss an extreme. Pure.
#ifndef MUSTER_DAEMON_WEB_DECIMATE_H_
#define MUSTER_DAEMON_WEB_DECIMATE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/history/frame_numbers.h"

namespace muster::web {

// Keeps what belongs to the current history, in the order in which it was
// judged: a frame whose step is not above that of an earlier one is of a newer
// attempt, which went back, and takes the place of all from that step on.
void KeepCurrent(std::vector<history::FrameNumbers>& frames);

// The frames begin … end − 1 of a vector.
struct Bucket {
  size_t begin = 0;
  size_t end = 0;
};

// `count` frames in order, in at most `most` buckets; sizes differ by at most
// one. Requires: most > 0.
std::vector<Bucket> Buckets(size_t count, size_t most);

// Smallest, largest and mean value of each bucket; NaN where it has none.
struct Envelope {
  std::vector<double> min;
  std::vector<double> max;
  std::vector<double> mean;
};

using Frames = std::span<const history::FrameNumbers>;

Envelope EnvelopeOf(Frames frames, const std::vector<Bucket>& buckets,
                    history::FrameNumber number);
// Over all ranks: the lowest, the highest, and the mean of all their values.
Envelope BandOf(Frames frames, const std::vector<Bucket>& buckets,
                history::RankNumber number);
Envelope EnvelopeOfRank(Frames frames, const std::vector<Bucket>& buckets,
                        history::RankNumber number, uint32_t rank);

// How far each rank is from the others, bucket by bucket.
struct Deviations {
  std::vector<uint32_t> ranks;  // ascending
  // ranks × buckets, row by row; NaN where a rank gave no value. The signed
  // distance from the median of the ranks of its frame, in robust standard
  // deviations: 1.4826 × the median of all such distances, or, where most ranks
  // are equal and that is 0, √(π/2) × their mean. Of a bucket the value of
  // largest magnitude.
  std::vector<float> values;
};

// Gradient norms are compared by their logarithms; those that are not positive
// count as absent. Of more than `most_ranks` ranks those whose largest
// magnitude is largest, lower ranks first where equal.
Deviations DeviationsOf(Frames frames, const std::vector<Bucket>& buckets,
                        history::RankNumber number, size_t most_ranks);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_DECIMATE_H_
