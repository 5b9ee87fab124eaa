// Owns: numbers that one thread writes and any thread reads.

internal import Synchronization

/// A row of numbers that one thread writes and any thread reads.
///
/// There is one writer, so adding is a load and a store and needs no locked instruction. It is
/// unchecked because a pointer to atomics is not known to be Sendable.
final class NumberRow: @unchecked Sendable {
  private let cells: UnsafeMutablePointer<Atomic<Int>>
  let count: Int

  init(count: Int) {
    self.count = count
    cells = .allocate(capacity: count)
    for index in 0..<count { (cells + index).initialize(to: Atomic(0)) }
  }

  deinit {
    for index in 0..<count { (cells + index).deinitialize(count: 1) }
    cells.deallocate()
  }

  func add(_ amount: Int, at index: Int) {
    precondition(0..<count ~= index)
    let now = cells[index].load(ordering: .relaxed)
    cells[index].store(now &+ amount, ordering: .relaxed)
  }

  func set(_ value: Int, at index: Int) {
    precondition(0..<count ~= index)
    cells[index].store(value, ordering: .relaxed)
  }

  subscript(index: Int) -> Int {
    precondition(0..<count ~= index)
    return cells[index].load(ordering: .relaxed)
  }
}
