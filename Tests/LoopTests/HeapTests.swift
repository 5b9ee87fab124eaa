// Owns: the tests of the heap, which count its comparisons instead of its time.

import Testing

@testable import Loop

struct HeapTests {
  /// A number that counts how often any is compared.
  private struct Counted: Comparable {
    let number: Int
    let comparisons: Counter

    static func < (left: Counted, right: Counted) -> Bool {
      left.comparisons.count += 1
      return left.number < right.number
    }

    static func == (left: Counted, right: Counted) -> Bool { left.number == right.number }
  }

  private final class Counter {
    var count = 0
  }

  @Test func `values come out in their order, whatever the order in which they went in`() {
    for order in [Array(0..<257), Array((0..<257).reversed()), (0..<257).map { $0 * 89 % 257 }] {
      var heap = Heap<Int>()
      for value in order { heap.insert(value) }
      #expect(heap.count == 257)
      #expect(heap.least == 0)
      #expect((0..<257).map { _ in heap.popLeast() } == Array(0..<257))
      #expect(heap.popLeast() == nil && heap.count == 0)
      var made = Heap(order)
      #expect((0..<257).map { _ in made.popLeast() } == Array(0..<257))
    }
  }

  @Test func `equal values all come out`() {
    var heap = Heap([3, 1, 3, 1, 2])
    heap.insert(2)
    #expect((0..<6).map { _ in heap.popLeast() } == [1, 1, 2, 2, 3, 3])
  }

  @Test func `a value among 10,000 costs some dozens of comparisons`() {
    let counter = Counter()
    var heap = Heap<Counted>()
    for number in 0..<10_000 {
      heap.insert(Counted(number: number * 7_919 % 10_000, comparisons: counter))
    }
    #expect(counter.count <= 10_000 * 14)
    counter.count = 0
    while heap.popLeast() != nil {}
    #expect(counter.count <= 10_000 * 2 * 14)
  }
}
