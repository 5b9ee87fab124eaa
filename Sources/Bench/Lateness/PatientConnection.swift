// Owns: a blocking connection: it sends a lot, waits, and reads line by line. For setting up a
// measurement and for reading its result. Main thread.

import Glibc
import Loop

/// A connection to a worker or to Redis, on which every step waits until it is done.
final class PatientConnection {
  private let socket: Socket
  private var input: [UInt8] = []
  private var start = 0
  private let limitMs: Int64 = 60_000

  init(_ address: Address) throws(LoadFailure) {
    do throws(SystemError) {
      socket = try SocketAddress.resolve(address).connect()
    } catch {
      throw LoadFailure("\(address): \(error)")
    }
    _ = try wait(for: POLLOUT, untilMs: MonotonicTime.nowMs() + limitMs)
    let outcome = socket.connectOutcome()
    guard outcome == 0 else {
      throw LoadFailure("\(address): \(SystemError("connect", outcome))")
    }
  }

  deinit { socket.close() }

  /// Sends all and reads so many lines, both at once, so that neither side stands still.
  func exchange(_ text: String, lines count: Int) throws(LoadFailure) -> [String] {
    let bytes = Array(text.utf8)
    var sent = 0
    var lines: [String] = []
    lines.reserveCapacity(count)
    let untilMs = MonotonicTime.nowMs() + limitMs
    while lines.count < count {
      if let line = takeLine() {
        lines.append(line)
        continue
      }
      let ready = try wait(for: sent < bytes.count ? POLLIN | POLLOUT : POLLIN, untilMs: untilMs)
      guard ready != 0 else {
        throw LoadFailure("\(lines.count) of \(count) replies came, then none")
      }
      if ready & POLLIN != 0 { try fill() }
      if ready & POLLOUT != 0 { sent += try send(bytes[sent...]) }
    }
    return lines
  }

  func request(_ line: String) throws(LoadFailure) -> String {
    try exchange(line + "\n", lines: 1)[0]
  }

  /// Sends what is answered later, or never.
  func post(_ text: String) throws(LoadFailure) {
    let bytes = Array(text.utf8)
    let untilMs = MonotonicTime.nowMs() + limitMs
    var sent = try send(bytes[...])
    while sent < bytes.count {
      guard try wait(for: POLLOUT, untilMs: untilMs) != 0 else {
        throw LoadFailure("\(sent) of \(bytes.count) bytes were taken, then none")
      }
      sent += try send(bytes[sent...])
    }
  }

  /// The next line, without its end; nil if none comes by then.
  func readLine(untilMs: Int64) throws(LoadFailure) -> String? {
    try PatientConnection.firstLine(of: [self], untilMs: untilMs)
      .map { String(decoding: $0.line, as: UTF8.self) }
  }

  /// The next line, without its end.
  func line() throws(LoadFailure) -> [UInt8] {
    let untilMs = MonotonicTime.nowMs() + limitMs
    guard let (_, line) = try PatientConnection.firstLine(of: [self], untilMs: untilMs) else {
      throw LoadFailure("no reply came")
    }
    return line
  }

  /// The next line of any of these, without its end, and its connection's place among them; nil if
  /// none comes by then.
  static func firstLine(
    of connections: [PatientConnection], untilMs: Int64
  ) throws(LoadFailure) -> (place: Int, line: [UInt8])? {
    var requests = connections.map {
      pollfd(fd: $0.socket.descriptor, events: Int16(POLLIN), revents: 0)
    }
    while true {
      for (place, connection) in connections.enumerated() {
        if let line = connection.takeBytes() { return (place, line) }
      }
      let leftMs = max(0, untilMs - MonotonicTime.nowMs())
      let count = poll(&requests, nfds_t(requests.count), Int32(min(leftMs, 60_000)))
      if count == 0, leftMs == 0 { return nil }
      if count < 0, errno != EINTR { throw LoadFailure(SystemError("poll", errno)) }
      for (place, request) in requests.enumerated() where count > 0 && request.revents != 0 {
        try connections[place].fill()
      }
    }
  }

  private func wait(for events: Int32, untilMs: Int64) throws(LoadFailure) -> Int32 {
    var request = pollfd(fd: socket.descriptor, events: Int16(events), revents: 0)
    while true {
      let leftMs = max(0, untilMs - MonotonicTime.nowMs())
      let count = poll(&request, 1, Int32(min(leftMs, 60_000)))
      if count > 0 {
        return Int32(request.revents) & events == 0 ? POLLIN : Int32(request.revents)
      }
      if count == 0, leftMs == 0 { return 0 }
      if count < 0, errno != EINTR { throw LoadFailure(SystemError("poll", errno)) }
    }
  }

  private func send(_ bytes: ArraySlice<UInt8>) throws(LoadFailure) -> Int {
    switch bytes.withUnsafeBytes({ socket.write($0) }) {
    case .moved(let count): return count
    case .wouldBlock: return 0
    case .ended: throw LoadFailure("the server closed a connection")
    case .broken(let number): throw LoadFailure(SystemError("write", number))
    }
  }

  private func fill() throws(LoadFailure) {
    if start > 0 {
      input.removeFirst(start)
      start = 0
    }
    let before = input.count
    input.append(contentsOf: repeatElement(0, count: 1 << 16))
    let outcome = input.withUnsafeMutableBytes { bytes in
      socket.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[before...]))
    }
    var count = 0
    if case .moved(let moved) = outcome { count = moved }
    input.removeLast(input.count - before - count)
    switch outcome {
    case .moved, .wouldBlock: return
    case .ended: throw LoadFailure("the server closed a connection")
    case .broken(let number): throw LoadFailure(SystemError("read", number))
    }
  }

  private func takeLine() -> String? {
    takeBytes().map { String(decoding: $0, as: UTF8.self) }
  }

  private func takeBytes() -> [UInt8]? {
    guard let end = input[start...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    var last = end
    if last > start, input[last - 1] == UInt8(ascii: "\r") { last -= 1 }
    let line = Array(input[start..<last])
    start = end + 1
    return line
  }
}

extension PatientConnection {
  /// A command of the Redis protocol.
  static func command(_ words: [String]) -> String {
    words.reduce("*\(words.count)\r\n") { $0 + "$\($1.utf8.count)\r\n\($1)\r\n" }
  }
}

/// Finds values in a line of JSON whose shape is known.
enum ReplyFigure {
  /// The whole number of a member.
  static func number(_ name: String, in text: Substring) -> Int64? {
    guard let found = text.firstRange(of: "\"\(name)\":") else { return nil }
    return Int64(text[found.upperBound...].prefix { $0.isNumber || $0 == "-" })
  }

  /// The texts of all members of this name, which have nothing escaped.
  static func texts(_ name: String, in line: [UInt8]) -> [String] {
    let mark = Array("\"\(name)\":\"".utf8)
    var found: [String] = []
    var place = 0
    while place + mark.count <= line.count {
      guard line[place] == mark[0], line[place..<place + mark.count].elementsEqual(mark) else {
        place += 1
        continue
      }
      let text = line[(place + mark.count)...].prefix { $0 != UInt8(ascii: "\"") }
      found.append(String(decoding: text, as: UTF8.self))
      place = text.endIndex
    }
    return found
  }

  /// The text of a member that has nothing escaped.
  static func text(_ name: String, in text: Substring) -> Substring? {
    guard let found = text.firstRange(of: "\"\(name)\":\"") else { return nil }
    return text[found.upperBound...].prefix { $0 != "\"" }
  }
}

/// A row of measured times.
struct Spread {
  private let sorted: [Int64]

  init(_ values: [Int64]) { sorted = values.sorted() }

  var count: Int { sorted.count }

  /// The value that a share of the values does not exceed.
  func ms(_ share: Double) -> Int64 {
    guard !sorted.isEmpty else { return 0 }
    return sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
  }

  /// As members of a JSON object, each with this before its name.
  func json(_ name: String) -> String {
    "\"\(name)_count\":\(count),\"\(name)_p50_ms\":\(ms(0.5)),\"\(name)_p99_ms\":\(ms(0.99)),"
      + "\"\(name)_max_ms\":\(ms(1))"
  }
}
