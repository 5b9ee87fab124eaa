// Owns: how many large sessions a loop reads at once, and which wait. Runs on a loop's thread.

/// The large sessions that a loop reads, and those that wait for it.
package final class LargeReads {
  private var running = 0
  private var waiting: [() -> Void] = []

  /// More at once would only keep more bytes.
  private static let runningMax = 4

  package init() {}

  /// Has one begin as soon as it may; `ended` follows.
  func begin(_ read: @escaping () -> Void) {
    guard running < LargeReads.runningMax else { return waiting.append(read) }
    running += 1
    read()
  }

  func ended() {
    running -= 1
    guard !waiting.isEmpty else { return }
    let next = waiting.removeFirst()
    running += 1
    next()
  }
}
