// Compiled once for each instruction set of HWY_TARGETS; the best that the
// processor has is chosen at the first call.
#include "client/src/sketch_kernel.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "client/src/sketch_hash.h"

// The kernel needs vectors of known size, and gains nothing from the others.
#define HWY_DISABLED_TARGETS                                               \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | \
   HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "client/src/sketch_kernel.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

size_t AddPieces(const PieceRun& run, PartialSums* partial,
                 double* squared_norm) {
  return AddPiecesPlain(run, partial, squared_norm);
}

void FoldPartial(DataType type, uint32_t width, const PartialSums& partial,
                 double* values) {
  FoldPartialPlain(type, width, partial, values);
}

#else

namespace hn = hwy::HWY_NAMESPACE;

// Before AVX2, x86 shifts all lanes by one count.
#undef MUSTER_SHIFTS_BY_LANE
#define MUSTER_SHIFTS_BY_LANE (!HWY_ARCH_X86 || HWY_TARGET <= HWY_AVX2)

using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using Vector = hn::Vec<Floats>;
using WordVector = hn::Vec<Words>;

constexpr size_t kLanes = hn::MaxLanes(Floats());
// Elements read together. They fill two vectors.
constexpr size_t kPairElements = 2 * kLanes;
// Elements whose sums are in registers at a time.
constexpr size_t kChunkElements = 2 * kPairElements;
// Blocks added in one pass over the sums: as many as there are registers for.
constexpr size_t kGroup = kLanes >= 8 ? 2 : 1;
static_assert(kLanes >= 4 && kLanes <= 16);
static_assert(std::endian::native == std::endian::little);
// For each block of a group. Far enough that memory answers in time, near
// enough to stay in the cache.
constexpr size_t kPrefetchBytes = 4096;

// Where element e of a pair (0 … 2·kLanes − 1) is: its vector, its lane. Both
// layouts only move bits of the index, so that an xor of indices stays one of
// vectors and one of lanes. Partial sums are kept in the same layout.
struct Sequential {
  static constexpr uint32_t kElementStep = 1;  // between neighbouring lanes
  static constexpr uint32_t kVectorStep = kLanes;
};
struct Deinterleaved {
  static constexpr uint32_t kElementStep = 2;
  static constexpr uint32_t kVectorStep = 1;
};

template <typename D>
HWY_INLINE hn::Vec<D> LoadBytes(D d, const unsigned char* bytes) {
  return hn::BitCast(d, hn::LoadU(hn::Repartition<uint8_t, D>(), bytes));
}

// A reader reads the pair that is `at` bytes on. One that swaps (1, else 0)
// gives the second vector first.
struct Float32Reader : Sequential {
  static constexpr size_t kBytes = 4;
  const unsigned char* first;
  const unsigned char* second;

  HWY_INLINE Float32Reader(const unsigned char* bytes, size_t swap)
      : first(bytes + swap * kLanes * kBytes),
        second(bytes + (1 - swap) * kLanes * kBytes) {}
  HWY_INLINE void Read(size_t at, Vector* x) const {
    x[0] = LoadBytes(Floats(), first + at);
    x[1] = LoadBytes(Floats(), second + at);
  }
};

// A 32-bit lane holds two elements; each is a mask and a shift away from
// float32.
struct BFloat16Reader : Deinterleaved {
  static constexpr size_t kBytes = 2;
  const unsigned char* bytes;
#if MUSTER_SHIFTS_BY_LANE
  WordVector first, second;

  HWY_INLINE BFloat16Reader(const unsigned char* bytes_in, uint32_t swap)
      : bytes(bytes_in),
        first(hn::Set(Words(), 16 - 16 * swap)),
        second(hn::Set(Words(), 16 * swap)) {}
  static HWY_INLINE WordVector Shift(WordVector x, WordVector count) {
    return hn::Shl(x, count);
  }
#else
  int first, second;

  HWY_INLINE BFloat16Reader(const unsigned char* bytes_in, int swap)
      : bytes(bytes_in), first(16 - 16 * swap), second(16 * swap) {}
  static HWY_INLINE WordVector Shift(WordVector x, int count) {
    return hn::ShiftLeftSame(x, count);
  }
#endif
  HWY_INLINE void Read(size_t at, Vector* x) const {
    const Words words;
    const WordVector both = LoadBytes(words, bytes + at);
    const WordVector top = hn::Set(words, 0xFFFF0000);
    x[0] = hn::BitCast(Floats(), hn::And(Shift(both, first), top));
    x[1] = hn::BitCast(Floats(), hn::And(Shift(both, second), top));
  }
};

struct Float16Reader : Sequential {
  static constexpr size_t kBytes = 2;
  const unsigned char* first;
  const unsigned char* second;

  HWY_INLINE Float16Reader(const unsigned char* bytes, size_t swap)
      : first(bytes + swap * kLanes * kBytes),
        second(bytes + (1 - swap) * kLanes * kBytes) {}
  HWY_INLINE void Read(size_t at, Vector* x) const {
    x[0] = ReadOne(first + at);
    x[1] = ReadOne(second + at);
  }

  static HWY_INLINE Vector ReadOne(const unsigned char* bytes) {
    const hn::Rebind<uint16_t, Floats> halves;
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2) || HWY_ARCH_ARM_A64
    const hn::Rebind<hwy::float16_t, Floats> float16s;
    return hn::PromoteTo(Floats(),
                         hn::BitCast(float16s, LoadBytes(halves, bytes)));
#else
    // As HalfBitsToFloat. Highway's own conversion takes infinity and NaN for
    // numbers where the processor has no instruction.
    const Words words;
    const WordVector half = hn::PromoteTo(words, LoadBytes(halves, bytes));
    const WordVector sign =
        hn::ShiftLeft<16>(hn::And(half, hn::Set(words, 0x8000)));
    const WordVector magnitude =
        hn::ShiftLeft<13>(hn::And(half, hn::Set(words, 0x7FFF)));
    const WordVector normal = hn::Add(magnitude, hn::Set(words, 0x38000000));
    const WordVector special = hn::Add(magnitude, hn::Set(words, 0x70000000));
    const Vector lifted =
        hn::BitCast(Floats(), hn::Add(magnitude, hn::Set(words, 0x38800000)));
    const WordVector subnormal =
        hn::BitCast(words, hn::Sub(lifted, hn::Set(Floats(), 0x1p-14f)));
    // Signed comparisons: the magnitudes leave the top bit free.
    const hn::RebindToSigned<Floats> integers;
    const auto signed_magnitude = hn::BitCast(integers, magnitude);
    const auto is_subnormal =
        hn::Lt(signed_magnitude, hn::Set(integers, 0x00800000));
    const auto is_special =
        hn::Gt(signed_magnitude, hn::Set(integers, 0x0F7FFFFF));
    const WordVector bits = hn::IfThenElse(
        hn::RebindMask(words, is_special), special,
        hn::IfThenElse(hn::RebindMask(words, is_subnormal), subnormal, normal));
    return hn::BitCast(Floats(), hn::Or(bits, sign));
#endif
  }
};

// For squares that float32 would lose. Not inlined: it is rare.
template <class Reader>
HWY_NOINLINE double SquaresInDouble(const unsigned char* bytes, size_t count) {
  const hn::Repartition<double, Floats> doubles;
  const hn::Half<Floats> half;
  const Reader reader(bytes, 0);
  auto sum = hn::Zero(doubles);
  for (size_t i = 0; i < count; i += kPairElements) {
    Vector pair[2];
    reader.Read(i * Reader::kBytes, pair);
    for (const Vector& x : pair) {
      const auto low = hn::PromoteTo(doubles, hn::LowerHalf(half, x));
      const auto high = hn::PromoteTo(doubles, hn::UpperHalf(half, x));
      sum = hn::MulAdd(high, high, hn::MulAdd(low, low, sum));
    }
  }
  return hn::GetLane(hn::SumOfLanes(doubles, sum));
}

// What the pairs of a piece share: how r_b moves elements, and which bit of a
// pair's signs belongs to each lane after that.
template <class Reader>
struct Plan {
  size_t pair;      // bits of r_b that choose a pair, as bytes of signs,
  Reader reader;    // a vector of the pair,
  WordVector lane;  // and a lane: what comes to lane j was in lane[j]
  WordVector selectors[2];

  HWY_INLINE Plan(const unsigned char* bytes, uint32_t permutation)
      : pair(permutation / kPairElements * (kPairElements / 8)),
        reader(bytes, permutation / Reader::kVectorStep % 2) {
    const Words words;
    lane = hn::Xor(hn::Iota(words, 0),
                   hn::Set(words, permutation / Reader::kElementStep % kLanes));
    const uint32_t vector = permutation / Reader::kVectorStep % 2;
    for (uint32_t v = 0; v < 2; ++v) {
      const uint32_t first_bit = (v ^ vector) * Reader::kVectorStep;
#if MUSTER_SHIFTS_BY_LANE
      selectors[v] =
          hn::Sub(hn::Set(words, 31 - first_bit),
                  Reader::kElementStep == 1 ? lane : hn::Add(lane, lane));
#else
      alignas(16) constexpr uint32_t kBits[2][4] = {{1, 2, 4, 8},
                                                    {1, 4, 16, 64}};
      selectors[v] = hn::ShiftLeftSame(
          hn::TableLookupLanes(hn::Load(words, kBits[Reader::kElementStep - 1]),
                               hn::IndicesFromVec(words, lane)),
          static_cast<int>(first_bit));
#endif
    }
  }
};

// Negates the lanes of x whose sign is set.
HWY_INLINE Vector WithSigns(Vector x, WordVector signs, WordVector selector) {
  const Words words;
  const WordVector top = hn::Set(words, 0x80000000);
#if MUSTER_SHIFTS_BY_LANE
  const WordVector shifted = hn::Shl(signs, selector);
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  // 0x78: a ^ (b & c) in one instruction, which GCC 12 does not find.
  const WordVector bits{_mm512_ternarylogic_epi32(hn::BitCast(words, x).raw,
                                                  shifted.raw, top.raw, 0x78)};
  return hn::BitCast(Floats(), bits);
#else
  return hn::BitCast(Floats(),
                     hn::Xor(hn::BitCast(words, x), hn::And(shifted, top)));
#endif
#else
  const auto chosen = hn::Eq(hn::And(signs, selector), selector);
  const WordVector bits = hn::And(hn::VecFromMask(words, chosen), top);
  return hn::BitCast(Floats(), hn::Xor(hn::BitCast(words, x), bits));
#endif
}

constexpr size_t kPieceWords = kMaxPieceElements / kSignWordBits;

// Sign words as SignWord() has them, eight at a time where vectors multiply
// 64 bits.
HWY_INLINE void SignWordsOf(uint64_t key, uint64_t first, size_t count,
                            uint64_t* HWY_RESTRICT sign_words) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  const hn::Repartition<uint64_t, Floats> wide;
  const auto increment = hn::Set(wide, kPermutationIncrement);
  auto state = hn::Add(hn::Set(wide, key + (first + 1) * kPermutationIncrement),
                       hn::Mul(hn::Iota(wide, 0), increment));
  for (size_t i = 0; i < count; i += hn::Lanes(wide)) {
    auto z = state;
    z = hn::Mul(hn::Xor(z, hn::ShiftRight<30>(z)), hn::Set(wide, kMixFirst));
    z = hn::Mul(hn::Xor(z, hn::ShiftRight<27>(z)), hn::Set(wide, kMixSecond));
    hn::Store(hn::Xor(z, hn::ShiftRight<31>(z)), wide, sign_words + i);
    state = hn::Add(state,
                    hn::Set(wide, kPermutationIncrement * hn::MaxLanes(wide)));
  }
#else
  for (size_t i = 0; i < count; ++i) sign_words[i] = SignWord(key, first + i);
#endif
}

// `out` = `in` + the projection of kBlocks blocks, or of one piece, at `bytes`.
// `squares` receives the sum of squares of each. `offset` is the flat index of
// the first element.
template <class Reader, size_t kBlocks>
HWY_INLINE void AddGroup(const unsigned char* HWY_RESTRICT bytes,
                         uint64_t offset, const PieceRun& run,
                         const float* HWY_RESTRICT in, float* HWY_RESTRICT out,
                         float* HWY_RESTRICT squares) {
  const Floats floats;
  const Words words;
  const size_t count =
      kBlocks > 1 ? kMaxPieceElements : PieceElements(run.width);
  // Reading the signs of a pair may read past them.
  HWY_ALIGN uint64_t sign_words[kBlocks * kPieceWords + 1];
  const auto* signs = reinterpret_cast<const char*>(sign_words);
  SignWordsOf(run.sign_key, offset / kSignWordBits,
              kBlocks * count / kSignWordBits, sign_words);
  // So many that additions do not wait for each other.
  constexpr size_t kSums = kBlocks == 1 ? 4 : 2;
  Vector square_sums[kBlocks][kSums];
  const auto plan = [&](size_t b) {
    return Plan<Reader>(bytes + b * count * Reader::kBytes,
                        LanePermutation(run.permutation_key,
                                        offset / run.width + b, run.width) %
                            count);
  };
  const Plan<Reader> plans[2] = {plan(0), plan(kBlocks - 1)};
  for (size_t b = 0; b < kBlocks; ++b) {
    for (Vector& sum : square_sums[b]) sum = hn::Zero(floats);
  }
  for (size_t chunk = 0; chunk < count; chunk += kChunkElements) {
    Vector sums[2][2];
    for (size_t n = 0; n < 4; ++n) {
      sums[n / 2][n % 2] = hn::Load(floats, in + chunk + n * kLanes);
    }
    for (size_t b = 0; b < kBlocks; ++b) {
      const Plan<Reader>& plan = plans[b];
      const auto indices = hn::IndicesFromVec(floats, plan.lane);
      for (size_t pair = 0; pair < 2; ++pair) {
        const size_t at =
            (chunk / 8) ^ plan.pair ^ (pair * (kPairElements / 8));
        uint32_t pair_signs;
        std::memcpy(&pair_signs, signs + b * (count / 8) + at,
                    sizeof(pair_signs));
        const WordVector all_signs = hn::Set(words, pair_signs);
        Vector x[2];
        plan.reader.Read(at * 8 * Reader::kBytes, x);
        for (size_t v = 0; v < 2; ++v) {
          Vector& square_sum = square_sums[b][(2 * pair + v) % kSums];
          square_sum = hn::MulAdd(x[v], x[v], square_sum);
          const Vector value = WithSigns(hn::TableLookupLanes(x[v], indices),
                                         all_signs, plan.selectors[v]);
          sums[pair][v] = hn::Add(sums[pair][v], value);
        }
      }
      for (size_t line = 0; line < kChunkElements * Reader::kBytes;
           line += 64) {
        hwy::Prefetch(bytes + (b * count + chunk) * Reader::kBytes + line +
                      kBlocks * kPrefetchBytes);
      }
    }
    for (size_t n = 0; n < 4; ++n) {
      hn::Store(sums[n / 2][n % 2], floats, out + chunk + n * kLanes);
    }
  }
  for (size_t b = 0; b < kBlocks; ++b) {
    Vector total = hn::Add(square_sums[b][0], square_sums[b][1]);
    if constexpr (kSums == 4) {
      total = hn::Add(total, hn::Add(square_sums[b][2], square_sums[b][3]));
    }
    squares[b] = hn::GetLane(hn::SumOfLanes(floats, total));
  }
}

// Adds kBlocks blocks, or one piece, if all have finite sums of squares.
template <class Reader, size_t kBlocks>
HWY_INLINE bool TryAddGroup(const PieceRun& run, size_t piece,
                            PartialSums* partial, double* squared_norm) {
  const size_t count = PieceElements(run.width);
  const uint64_t offset = run.offset + piece * count;
  const unsigned char* bytes = run.data + piece * count * Reader::kBytes;
  float*& region = partial->regions[TargetRegion(run, offset)];
  float squares[kBlocks];
  AddGroup<Reader, kBlocks>(bytes, offset, run, region, partial->spare,
                            squares);
  for (const float sum : squares) {
    if (!std::isfinite(sum)) return false;
  }
  std::swap(region, partial->spare);
  for (size_t b = 0; b < kBlocks; ++b) {
    *squared_norm += squares[b] >= kSmallestTrustedSquares
                         ? squares[b]
                         : SquaresInDouble<Reader>(
                               bytes + b * count * Reader::kBytes, count);
  }
  return true;
}

template <class Reader>
size_t AddPiecesOf(const PieceRun& run, PartialSums* partial,
                   double* squared_norm) {
  // Pieces of one block have no sums in common.
  const bool grouped = kGroup > 1 && run.width == kMaxPieceElements;
  for (size_t piece = 0; piece < run.pieces;) {
    if (grouped && run.pieces - piece >= kGroup &&
        TryAddGroup<Reader, kGroup>(run, piece, partial, squared_norm)) {
      piece += kGroup;
    } else if (TryAddGroup<Reader, 1>(run, piece, partial, squared_norm)) {
      ++piece;
    } else {
      return piece;
    }
  }
  return run.pieces;
}

size_t AddPieces(const PieceRun& run, PartialSums* partial,
                 double* squared_norm) {
  switch (run.type) {
    case DataType::kFloat32:
      return AddPiecesOf<Float32Reader>(run, partial, squared_norm);
    case DataType::kFloat16:
      return AddPiecesOf<Float16Reader>(run, partial, squared_norm);
    case DataType::kBFloat16:
      return AddPiecesOf<BFloat16Reader>(run, partial, squared_norm);
  }
  return 0;
}

HWY_INLINE void AddToDoubles(Vector x, double* values) {
  const hn::Repartition<double, Floats> doubles;
  const hn::Half<Floats> half;
  const auto low = hn::PromoteTo(doubles, hn::LowerHalf(half, x));
  const auto high = hn::PromoteTo(doubles, hn::UpperHalf(half, x));
  hn::StoreU(hn::Add(hn::LoadU(doubles, values), low), doubles, values);
  values += kLanes / 2;
  hn::StoreU(hn::Add(hn::LoadU(doubles, values), high), doubles, values);
}

void FoldPartial(DataType type, uint32_t width, const PartialSums& partial,
                 double* values) {
  const Floats floats;
  for (size_t i = 0; i < width; i += kPairElements) {
    float* pair =
        partial.regions[i / kMaxPieceElements] + i % kMaxPieceElements;
    Vector first = hn::Load(floats, pair);
    Vector second = hn::Load(floats, pair + kLanes);
    if (type == DataType::kBFloat16) {
      HWY_ALIGN float sequential[kPairElements];
      hn::StoreInterleaved2(first, second, floats, sequential);
      first = hn::Load(floats, sequential);
      second = hn::Load(floats, sequential + kLanes);
    }
    AddToDoubles(first, values + i);
    AddToDoubles(second, values + i + kLanes);
    hn::Store(hn::Zero(floats), floats, pair);
    hn::Store(hn::Zero(floats), floats, pair + kLanes);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace muster {

HWY_EXPORT(AddPieces);
HWY_EXPORT(FoldPartial);

size_t AddPieces(const PieceRun& run, PartialSums* partial,
                 double* squared_norm) {
  return HWY_DYNAMIC_DISPATCH(AddPieces)(run, partial, squared_norm);
}

void FoldPartial(DataType type, uint32_t width, const PartialSums& partial,
                 double* values) {
  HWY_DYNAMIC_DISPATCH(FoldPartial)(type, width, partial, values);
}

int64_t KernelTargets() { return HWY_TARGETS; }

}  // namespace muster
#endif  // HWY_ONCE
