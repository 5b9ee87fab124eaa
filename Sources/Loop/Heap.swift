// Owns: a binary heap: the least of many values, in steps that grow with the logarithm of their
// number. A value; any thread.

/// Values of which the least is always at hand.
package struct Heap<Value: Comparable> {
  private var values: [Value] = []

  package init() {}

  /// Makes one of these values.
  package init(_ values: [Value]) {
    self.values = values
    for at in stride(from: values.count / 2 - 1, through: 0, by: -1) { sink(from: at) }
  }

  package var count: Int { values.count }
  /// The least value; nil if there is none.
  package var least: Value? { values.first }

  package mutating func insert(_ value: Value) {
    values.append(value)
    var at = values.count - 1
    while at > 0, values[at] < values[(at - 1) / 2] {
      values.swapAt(at, (at - 1) / 2)
      at = (at - 1) / 2
    }
  }

  /// Takes the least value out; nil if there is none.
  package mutating func popLeast() -> Value? {
    guard let last = values.popLast() else { return nil }
    guard let least = values.first else { return last }
    values[0] = last
    sink(from: 0)
    return least
  }

  private mutating func sink(from start: Int) {
    var at = start
    while true {
      var least = at
      for child in [2 * at + 1, 2 * at + 2] where child < values.count {
        if values[child] < values[least] { least = child }
      }
      guard least != at else { return }
      values.swapAt(at, least)
      at = least
    }
  }
}
