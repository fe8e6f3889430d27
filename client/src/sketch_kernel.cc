// Compiled once for each instruction set of HWY_TARGETS; the best that the
// processor has is chosen at the first call.
#include "client/src/sketch_kernel.h"

#include <bit>
#include <cmath>
#include <cstring>

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

size_t AddPieces(const PieceRun& run, float* partial, double* squared_norm) {
  return AddPiecesPlain(run, partial, squared_norm);
}

void FoldPartial(DataType type, uint32_t width, float* partial,
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
// Elements whose signs fill 32 bits, which is what lanes can shift.
constexpr size_t kUnitElements = 32;
constexpr size_t kUnitPairs = kUnitElements / kPairElements;
constexpr size_t kUnitVectors = kUnitElements / kLanes;
static_assert(kLanes >= 4 && kLanes <= 16);
static_assert(std::endian::native == std::endian::little);
// Far enough that memory answers in time, near enough to stay in the cache.
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

struct Float32Reader : Sequential {
  static constexpr size_t kBytes = 4;
  static HWY_INLINE void Read(const unsigned char* bytes, Vector& first,
                              Vector& second) {
    first = LoadBytes(Floats(), bytes);
    second = LoadBytes(Floats(), bytes + kLanes * kBytes);
  }
};

// A 32-bit lane holds two elements; each is a mask or a shift away from
// float32.
struct BFloat16Reader : Deinterleaved {
  static constexpr size_t kBytes = 2;
  static HWY_INLINE void Read(const unsigned char* bytes, Vector& first,
                              Vector& second) {
    const Words words;
    const WordVector both = LoadBytes(words, bytes);
    first = hn::BitCast(Floats(), hn::ShiftLeft<16>(both));
    second = hn::BitCast(Floats(), hn::And(both, hn::Set(words, 0xFFFF0000)));
  }
};

struct Float16Reader : Sequential {
  static constexpr size_t kBytes = 2;
  static HWY_INLINE void Read(const unsigned char* bytes, Vector& first,
                              Vector& second) {
    first = ReadOne(bytes);
    second = ReadOne(bytes + kLanes * kBytes);
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

// Four sums, so that additions do not wait for each other.
struct Squares {
  Vector sums[4];

  HWY_INLINE Squares() {
    for (Vector& sum : sums) sum = hn::Zero(Floats());
  }
  // `pair` is known after unrolling.
  HWY_INLINE void Add(size_t pair, Vector first, Vector second) {
    Vector& a = sums[2 * pair % 4];
    Vector& b = sums[2 * pair % 4 + 1];
    a = hn::MulAdd(first, first, a);
    b = hn::MulAdd(second, second, b);
  }
  HWY_INLINE float Total() const {
    return hn::GetLane(hn::SumOfLanes(
        Floats(),
        hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
  }
};

// Adds the squares of kSignWordBits elements.
template <class Reader>
HWY_INLINE void SquareWord(const unsigned char* bytes, Squares& squares) {
  for (size_t pair = 0; pair < kSignWordBits / kPairElements; ++pair) {
    Vector first, second;
    Reader::Read(bytes + pair * kPairElements * Reader::kBytes, first, second);
    squares.Add(pair, first, second);
  }
}

template <class Reader>
HWY_INLINE float SquaresOfPiece(const unsigned char* bytes, size_t count) {
  Squares squares;
  for (size_t i = 0; i < count; i += kSignWordBits) {
    SquareWord<Reader>(bytes + i * Reader::kBytes, squares);
  }
  return squares.Total();
}

// For squares that float32 would lose. Not inlined: it is rare.
template <class Reader>
HWY_NOINLINE double SquaresInDouble(const unsigned char* bytes, size_t count) {
  const hn::Repartition<double, Floats> doubles;
  const hn::Half<Floats> half;
  auto sum = hn::Zero(doubles);
  for (size_t i = 0; i < count; i += kPairElements) {
    Vector pair[2];
    Reader::Read(bytes + i * Reader::kBytes, pair[0], pair[1]);
    for (const Vector& x : pair) {
      const auto low = hn::PromoteTo(doubles, hn::LowerHalf(half, x));
      const auto high = hn::PromoteTo(doubles, hn::UpperHalf(half, x));
      sum = hn::MulAdd(high, high, hn::MulAdd(low, low, sum));
    }
  }
  return hn::GetLane(hn::SumOfLanes(doubles, sum));
}

// What all units of a block share: how r_b moves elements within a unit, and
// which bit of the sign word belongs to each lane after that.
template <class Reader>
struct BlockPlan {
  uint32_t pair;    // bits of r_b that choose a pair of vectors,
  uint32_t vector;  // a vector of the pair,
  WordVector lane;  // and a lane: what comes to lane j was in lane[j]
  WordVector selectors[kUnitVectors];

  HWY_INLINE explicit BlockPlan(uint32_t permutation)
      : pair(permutation % kUnitElements / kPairElements),
        vector(permutation / Reader::kVectorStep % 2) {
    const Words words;
    lane = hn::Xor(hn::Iota(words, 0),
                   hn::Set(words, permutation / Reader::kElementStep % kLanes));
    for (size_t v = 0; v < kUnitVectors; ++v) {
      const size_t first_bit =
          v / 2 * kPairElements + v % 2 * Reader::kVectorStep;
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

// The sign words of a piece: SignWord(), eight at a time where vectors multiply
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

// Adds the piece at `bytes`, whose first element has flat index `offset`.
// Beside that it sums the squares of the piece at `next`, if kSquareNext: a
// pass of their own would leave the memory idle half of the time.
template <class Reader, bool kSquareNext>
HWY_INLINE float ProjectPiece(const unsigned char* HWY_RESTRICT bytes,
                              const unsigned char* HWY_RESTRICT next,
                              size_t count, uint64_t offset,
                              const PieceRun& run,
                              float* HWY_RESTRICT partial) {
  const size_t word_count = count / kSignWordBits;
  HWY_ALIGN uint64_t sign_words[kPieceWords];
  SignWordsOf(run.sign_key, offset / kSignWordBits, word_count, sign_words);
  const Floats floats;
  const Words words;
  const uint32_t permutation =
      LanePermutation(run.permutation_key, offset / run.width, run.width);
  const BlockPlan<Reader> plan(permutation);
  const auto indices = hn::IndicesFromVec(floats, plan.lane);
  char* targets[kUnitVectors];
  for (size_t v = 0; v < kUnitVectors; ++v) {
    targets[v] = reinterpret_cast<char*>(partial +
                                         ((v / 2) ^ plan.pair) * kPairElements +
                                         ((v % 2) ^ plan.vector) * kLanes);
    // Else the compiler adds these up anew at each use.
    asm("" : "+r"(targets[v]));
  }
  const auto* unit_signs = reinterpret_cast<const char*>(sign_words);
  const size_t unit_permutation = (permutation ^ (offset & (run.width - 1))) /
                                  kUnitElements * kUnitElements * sizeof(float);
  Squares squares;
  for (size_t word = 0; word < word_count; ++word) {
    for (size_t half = 0; half < 2; ++half) {
      const size_t unit = 2 * word + half;
      uint32_t signs;
      std::memcpy(&signs, unit_signs + unit * sizeof(signs), sizeof(signs));
      const WordVector all_signs = hn::Set(words, signs);
      const size_t target =
          (unit * kUnitElements * sizeof(float)) ^ unit_permutation;
      for (size_t pair = 0; pair < kUnitPairs; ++pair) {
        Vector x[2];
        Reader::Read(bytes + (unit * kUnitElements + pair * kPairElements) *
                                 Reader::kBytes,
                     x[0], x[1]);
        for (size_t v = 0; v < 2; ++v) {
          const size_t n = 2 * pair + v;
          const Vector value = WithSigns(hn::TableLookupLanes(x[v], indices),
                                         all_signs, plan.selectors[n]);
          auto* sum = reinterpret_cast<float*>(targets[n] + target);
          hn::Store(hn::Add(hn::Load(floats, sum), value), floats, sum);
        }
      }
    }
    if constexpr (kSquareNext) {
      const size_t at = word * kSignWordBits * Reader::kBytes;
      SquareWord<Reader>(next + at, squares);
      for (size_t line = 0; line < kSignWordBits * Reader::kBytes; line += 64) {
        hwy::Prefetch(next + at + line + kPrefetchBytes);
      }
    }
  }
  return squares.Total();
}

template <class Reader>
size_t AddPiecesOf(const PieceRun& run, float* HWY_RESTRICT partial,
                   double* squared_norm) {
  const size_t count = PieceElements(run.width);
  const size_t piece_bytes = count * Reader::kBytes;
  const unsigned char* bytes = run.data;
  uint64_t offset = run.offset;
  float squares = SquaresOfPiece<Reader>(bytes, count);
  double total = 0;
  size_t piece = 0;
  for (; piece < run.pieces && std::isfinite(squares); ++piece) {
    total += squares >= kSmallestTrustedSquares
                 ? squares
                 : SquaresInDouble<Reader>(bytes, count);
    const unsigned char* next = bytes + piece_bytes;
    if (piece + 1 < run.pieces) {
      squares =
          ProjectPiece<Reader, true>(bytes, next, count, offset, run, partial);
    } else {
      ProjectPiece<Reader, false>(bytes, next, count, offset, run, partial);
    }
    bytes = next;
    offset += count;
  }
  *squared_norm += total;
  return piece;
}

size_t AddPieces(const PieceRun& run, float* partial, double* squared_norm) {
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

void FoldPartial(DataType type, uint32_t width, float* partial,
                 double* values) {
  const Floats floats;
  for (size_t i = 0; i < width; i += kPairElements) {
    float* pair = partial + i;
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

size_t AddPieces(const PieceRun& run, float* partial, double* squared_norm) {
  return HWY_DYNAMIC_DISPATCH(AddPieces)(run, partial, squared_norm);
}

void FoldPartial(DataType type, uint32_t width, float* partial,
                 double* values) {
  HWY_DYNAMIC_DISPATCH(FoldPartial)(type, width, partial, values);
}

int64_t KernelTargets() { return HWY_TARGETS; }

}  // namespace muster
#endif  // HWY_ONCE
