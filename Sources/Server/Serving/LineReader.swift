// Owns: the thread that reads the large lines of a serving loop, so that the loop's other callers
// are served meanwhile: checking 16 MiB of JSON takes a tenth of a second. One per serving loop.

internal import Loop
internal import RedisConnection
internal import Seal
internal import Service
internal import Settings
internal import Synchronization
internal import Wire

/// A large line on its way to the reader.
struct LargeLine: Sendable {
  let ticket: Ticket
  let bytes: [UInt8]
  /// By when the reader has to begin, in monotonic ms.
  let beginsByMs: Int64
}

/// A large line on its way back.
struct ReadLine: Sendable {
  var ticket: Ticket
  let bytes: [UInt8]
  let outcome: Result<ReadRequest, RequestError>
}

/// The thread of a serving loop that reads its large lines, in the order in which they came.
final class LineReader: Sendable {
  private let lines: Mailbox<LargeLine?>
  private let isStopping = Atomic(false)
  private let settings: Settings
  private let seal: Seal?
  private let done: @Sendable (ReadLine) -> Void

  /// `done` is called on the reader's thread.
  init(
    _ settings: Settings, _ seal: Seal?, _ done: @escaping @Sendable (ReadLine) -> Void
  ) throws(SystemError) {
    lines = try Mailbox()
    self.settings = settings
    self.seal = seal
    self.done = done
  }

  /// Starts the thread; it ends after `stop`.
  func start(index: Int) throws(SystemError) -> LoopThread {
    try LoopThread(name: "read-\(index)") { self.run() }
  }

  /// Reads a line; `done` follows.
  func read(_ line: LargeLine) { lines.post(line) }

  /// Ends the thread when it has read the line that it is at.
  func stop() {
    isStopping.store(true, ordering: .relaxed)
    lines.post(nil)
  }

  private func run() {
    var reader = RequestReader(settings, seal)
    while true {
      for line in lines.awaitLetters() {
        if isStopping.load(ordering: .relaxed) { return }
        guard let line else { continue }
        done(LineReader.read(line, &reader))
      }
    }
  }

  private static func read(_ line: LargeLine, _ reader: inout RequestReader) -> ReadLine {
    var ticket = line.ticket
    guard MonotonicTime.nowMs() <= line.beginsByMs else {
      return ReadLine(ticket: ticket, bytes: line.bytes, outcome: .failure(LineReader.isLate))
    }
    let outcome: Result<ReadRequest, RequestError>
    do throws(RequestError) {
      outcome = .success(try reader.read(line.bytes))
    } catch {
      outcome = .failure(error)
    }
    if let verb = reader.verb { ticket.verb = verb }
    return ReadLine(ticket: ticket, bytes: line.bytes, outcome: outcome)
  }

  private static let isLate = RequestError(
    .overloaded, "too many large requests are being read; nothing was done, retry after a pause")
}
