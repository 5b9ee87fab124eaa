// Owns: how often values fell between bounds. One thread writes it, any thread reads.

/// A histogram of whole numbers.
package struct Histogram: Sendable {
  /// Upper bounds, each the last value of its bucket; the bucket after the last has no bound.
  package let bounds: [Int]
  /// A count for each bucket, and the sum of all values.
  private let row: NumberRow

  package init(_ bounds: [Int]) {
    self.bounds = bounds
    row = NumberRow(count: bounds.count + 2)
  }

  package func add(_ value: Int) {
    var bucket = 0
    while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
    row.add(1, at: bucket)
    row.add(value, at: bounds.count + 1)
  }

  /// How many values fell into a bucket.
  package func count(bucket: Int) -> Int { row[bucket] }

  package var sum: Int { row[bounds.count + 1] }
}
