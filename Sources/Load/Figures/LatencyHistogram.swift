// Owns: a histogram of latencies that takes the same memory however many are counted. The idea,
// buckets that are linear within each power of two, is that of HdrHistogram
// (hdrhistogram.org, Gil Tene). A value; any thread.

/// Counts of latencies, each bucket within 1.6 % of what was counted in it.
package struct LatencyHistogram: Sendable {
  /// Each power of two is cut into so many buckets.
  private static let bucketsPerOctave: Int64 = 64
  private static let bits = 6
  /// Beyond 2^42 ns, more than an hour, all is counted as that.
  private static let valueMax: Int64 = 1 << 42

  private var counts: [UInt32] = []
  package private(set) var count = 0
  package private(set) var maxNs: Int64 = 0
  private var sumNs: Double = 0

  package init() {}

  private static func bucket(of ns: Int64) -> Int {
    let value = max(0, min(ns, valueMax))
    guard value >= bucketsPerOctave else { return Int(value) }
    let shift = 63 - value.leadingZeroBitCount - bits
    // The top bit is in the octave's number already, hence less one octave.
    return Int((Int64(shift) << bits) + (value >> shift))
  }

  /// The greatest value that is counted in a bucket.
  private static func upperBound(of bucket: Int) -> Int64 {
    let index = Int64(bucket)
    guard index >= 2 * bucketsPerOctave else { return index }
    let shift = (index >> bits) - 1
    let base = (index & (bucketsPerOctave - 1)) + bucketsPerOctave
    return ((base + 1) << shift) - 1
  }

  package mutating func add(_ ns: Int64) {
    let index = LatencyHistogram.bucket(of: ns)
    if index >= counts.count {
      counts.append(contentsOf: repeatElement(0, count: index + 1 - counts.count))
    }
    counts[index] &+= 1
    count += 1
    maxNs = max(maxNs, ns)
    sumNs += Double(ns)
  }

  /// The latency that a share of all did not exceed, rounded up to its bucket; 0 if there are none.
  package func percentileNs(_ share: Double) -> Int64 {
    guard count > 0 else { return 0 }
    let wanted = max(1, Int((share * Double(count)).rounded(.up)))
    var seen = 0
    for (index, number) in counts.enumerated() {
      seen += Int(number)
      if seen >= wanted { return min(LatencyHistogram.upperBound(of: index), maxNs) }
    }
    return maxNs
  }

  package var meanNs: Int64 { count == 0 ? 0 : Int64(sumNs / Double(count)) }

  /// Forgets all, and keeps the memory.
  package mutating func clear() {
    for index in counts.indices { counts[index] = 0 }
    count = 0
    maxNs = 0
    sumNs = 0
  }
}
