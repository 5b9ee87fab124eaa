// Owns: many callers that keep their connections and ask one request after another, on one thread:
// as those that look for nothing before they write.

import Foundation
import Glibc
import Testing

/// What callers saw in a run.
struct BusyReport: Sendable {
  var answered = 0
  /// Requests whose connection ended without a reply.
  var unanswered = 0
  /// How those connections ended.
  var endings: [String] = []
  /// Connections that could not be made.
  var refused = 0
  /// `draining` as the first reply on a connection: the balancer could have led it elsewhere.
  var drainingAtFirst = 0
  /// `draining` on a connection that was in use.
  var draining = 0
  /// Replies that nothing explains.
  var wrong: [String] = []
}

/// Callers at work until they are stopped.
final class BusyCallers: Sendable {
  private let stopping = Shared(false)
  private let answered = Shared(0)
  private let thread: Background<BusyReport>

  /// Half of the callers ask again at once, the others after a pause of up to `pauseMs`.
  init(_ count: Int, pauseMs: Double, _ connect: @escaping @Sendable () throws -> TestSocket) {
    thread = Background { [stopping, answered] in
      var crowd = Crowd(count, pauseMs: pauseMs, connect)
      while !stopping.value { try crowd.turn(answered) }
      return try crowd.finish(answered)
    }
  }

  deinit { stopping.value = true }

  func awaitAnswered(_ more: Int) throws {
    let wanted = answered.value + more
    try eventually("\(more) more answers", within: .seconds(30)) { answered.value >= wanted }
  }

  func stop() throws -> BusyReport {
    stopping.value = true
    return try thread.join()
  }
}

/// One of them.
private final class BusyCaller {
  let line: [UInt8]
  let pauseMs: Double
  var socket: TestSocket?
  var received: [UInt8] = []
  var isFresh = true
  /// Requests on this connection, and when the latest was sent.
  var asked = 0
  var askedAt = ContinuousClock.now
  var awaitsReply = false
  var askAt = ContinuousClock.now

  init(_ device: String, pauseMs: Double) {
    line = Array("LOCK \(device) a ttl=1h\n".utf8)
    self.pauseMs = pauseMs
  }
}

private struct Crowd {
  private let connect: () throws -> TestSocket
  private let callers: [BusyCaller]
  private var report = BusyReport()

  init(_ count: Int, pauseMs: Double, _ connect: @escaping () throws -> TestSocket) {
    self.connect = connect
    callers = (0..<count).map {
      BusyCaller(Lab.device("busy"), pauseMs: $0.isMultiple(of: 2) ? 0 : pauseMs)
    }
  }

  /// Asks what is to be asked, and takes the replies that come within some ms.
  mutating func turn(_ answered: Shared<Int>) throws {
    for caller in callers where !caller.awaitsReply && caller.askAt <= .now {
      try ask(caller)
      // The last line of a worker may have come with the reply before.
      takeLine(caller, answered)
    }
    take(answered)
  }

  /// Takes the replies that are still to come.
  mutating func finish(_ answered: Shared<Int>) throws -> BusyReport {
    let deadline = Deadline(within: .seconds(20))
    while callers.contains(where: \.awaitsReply), !deadline.isOver { take(answered) }
    report.unanswered += callers.count(where: \.awaitsReply)
    return report
  }

  private mutating func ask(_ caller: BusyCaller) throws {
    if caller.socket == nil {
      guard let socket = try? connect() else {
        report.refused += 1
        caller.askAt = .now + .milliseconds(5)
        return
      }
      (caller.socket, caller.isFresh, caller.received, caller.asked) = (socket, true, [], 0)
    }
    caller.awaitsReply = true
    caller.asked += 1
    caller.askedAt = .now
    // A connection that was reset is noticed when its reply does not come.
    try? caller.socket?.send(caller.line)
  }

  private mutating func take(_ answered: Shared<Int>) {
    let waiting = callers.filter(\.awaitsReply)
    let sockets = waiting.compactMap(\.socket)
    guard sockets.count == waiting.count, !sockets.isEmpty else { return pause(ms: 1) }
    let readable = TestSocket.readable(sockets, within: .milliseconds(5))
    for (caller, isReadable) in zip(waiting, readable) where isReadable {
      let bytes: [UInt8]
      do {
        guard let some = try caller.socket?.receiveSome() else { continue }
        bytes = some
      } catch {
        lost(caller, "\(error)")
        continue
      }
      guard !bytes.isEmpty else {
        lost(caller, "the end of the stream")
        continue
      }
      caller.received += bytes
      takeLine(caller, answered)
    }
  }

  /// Takes a line that has come, if one has.
  private mutating func takeLine(_ caller: BusyCaller, _ answered: Shared<Int>) {
    guard let end = caller.received.firstIndex(of: 10) else { return }
    let reply = Reply(raw: String(decoding: caller.received[..<end], as: UTF8.self))
    caller.received.removeSubrange(...end)
    replied(caller, reply)
    answered.update { $0 += 1 }
  }

  private mutating func lost(_ caller: BusyCaller, _ how: String) {
    report.unanswered += 1
    report.endings.append(
      "\(how) \(elapsedMs(since: caller.askedAt)) ms after request \(caller.asked)")
    leave(caller)
  }

  private mutating func replied(_ caller: BusyCaller, _ reply: Reply) {
    report.answered += 1
    caller.awaitsReply = false
    caller.askAt = .now + .milliseconds(Double.random(in: 0...1) * caller.pauseMs)
    defer { caller.isFresh = false }
    if reply.isOK { return }
    if reply.code == "draining" {
      if caller.isFresh { report.drainingAtFirst += 1 } else { report.draining += 1 }
    } else {
      report.wrong.append(reply.raw)
    }
    leave(caller)
  }

  private func leave(_ caller: BusyCaller) {
    caller.socket?.close()
    (caller.socket, caller.awaitsReply) = (nil, false)
  }
}
