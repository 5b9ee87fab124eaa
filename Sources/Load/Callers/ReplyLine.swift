// Owns: how a reply line is read into the few numbers that the harness needs, without text where
// possible: the harness shares the machine with the workers that it measures. Values; any thread.

internal import Wire

/// The content of a reply line.
struct ReplyLine {
  enum Word: Equatable {
    case ok, held, busy, none, stale, event
    case error(code: String)
    /// The line is no reply of the protocol.
    case garbage
  }

  var word = Word.garbage
  var token: Int64 = 0
  var acquiredAtMs: Int64 = 0
  var atMs: Int64 = 0
  var heldMs: Int64 = 0
  var seq: Int64 = 0
  /// TURN and DONE: the turn that runs; events: the turn that has ended.
  var turn: Int64 = 0
  /// TURN: the turn that the message was joined to; TOUCH and DONE: how many messages wait for it.
  var joined: Int64 = 0
  /// -1 if it is not one of this run.
  var agent = -1
  var idleAtMs: Int64 = 0
  var activeAtMs: Int64 = 0
  var chat: Int64 = 0
  /// The first and the last message of `chat.unsaid`.
  var from: Int64 = 0
  var to: Int64 = 0
  var isRenewed = false
  var hasMore = false
  /// BUSY: how many wait.
  var ahead: Int64 = 0
  var messages: [Message] = []
  /// LIST's.
  var sessions: [String] = []
  var events: [LockEvent] = []
  // The ranges of texts that few replies have.
  var session: String?
  var id: Range<Int>?
  var type: Range<Int>?
  var device: Range<Int>?
  var reason: Range<Int>?

  /// Values that no reply has.
  init() {}

  init(_ line: Span<UInt8>) {
    var wordEnd = 0
    while wordEnd < line.count, line[wordEnd] != UInt8(ascii: " ") { wordEnd += 1 }
    let bodyStart = min(wordEnd + 1, line.count)
    if ReplyLine.begins(line, wordEnd, "OK") {
      word = .ok
      if bodyStart < line.count { read(line, JSONMembers(bodyStart, line.count)) }
    } else if ReplyLine.begins(line, wordEnd, "HELD") {
      word = .held
    } else if ReplyLine.begins(line, wordEnd, "BUSY") {
      word = .busy
      read(line, JSONMembers(bodyStart, line.count))
    } else if ReplyLine.begins(line, wordEnd, "STALE") {
      word = .stale
    } else if ReplyLine.begins(line, wordEnd, "NONE") {
      word = .none
    } else if ReplyLine.begins(line, wordEnd, "EVENT") {
      word = .event
      read(line, JSONMembers(bodyStart, line.count))
    } else if ReplyLine.begins(line, wordEnd, "ERR") {
      var codeEnd = bodyStart
      while codeEnd < line.count, line[codeEnd] != UInt8(ascii: " ") { codeEnd += 1 }
      word = .error(code: ReplyLine.text(line, bodyStart..<codeEnd))
    }
  }

  private static func begins(_ line: Span<UInt8>, _ count: Int, _ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount else { return false }
    for at in 0..<count where line[at] != word.utf8Start[at] { return false }
    return true
  }

  static func text(_ line: Span<UInt8>, _ range: Range<Int>) -> String {
    line.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
  }

  /// Reads the members that the harness needs; their lengths and first letters distinguish them.
  private mutating func read(_ line: Span<UInt8>, _ members: JSONMembers) {
    var members = members
    while let (key, value) = members.next(in: line) {
      switch (key.range.count, line[key.start]) {
      case (5, UInt8(ascii: "a")):
        if line[key.start + 1] == UInt8(ascii: "h") {
          ahead = ReplyLine.number(line, value)
        } else {
          agent = ReplyLine.agent(line, value)
        }
      case (5, UInt8(ascii: "t")): token = ReplyLine.number(line, value)
      case (11, UInt8(ascii: "a")): acquiredAtMs = ReplyLine.number(line, value)
      case (2, UInt8(ascii: "a")): atMs = ReplyLine.number(line, value)
      case (7, UInt8(ascii: "h")): heldMs = ReplyLine.number(line, value)
      case (3, UInt8(ascii: "s")): seq = ReplyLine.number(line, value)
      case (7, UInt8(ascii: "r")): isRenewed = line[value.lowerBound] == UInt8(ascii: "t")
      case (4, UInt8(ascii: "m")): hasMore = line[value.lowerBound] == UInt8(ascii: "t")
      case (7, UInt8(ascii: "s")): session = ReplyLine.text(line, ReplyLine.inside(value))
      case (2, UInt8(ascii: "i")): id = ReplyLine.inside(value)
      case (4, UInt8(ascii: "t")):
        if line[key.start + 1] == UInt8(ascii: "u") {
          turn = ReplyLine.number(line, value)
        } else {
          type = ReplyLine.inside(value)
        }
      case (6, UInt8(ascii: "j")): joined = ReplyLine.number(line, value)
      case (6, UInt8(ascii: "r")): reason = ReplyLine.inside(value)
      case (7, UInt8(ascii: "i")): idleAtMs = ReplyLine.number(line, value)
      case (9, UInt8(ascii: "a")): activeAtMs = ReplyLine.number(line, value)
      case (4, UInt8(ascii: "f")): from = ReplyLine.number(line, value)
      case (2, UInt8(ascii: "t")): to = ReplyLine.number(line, value)
      case (4, UInt8(ascii: "c")): chat = ReplyLine.number(line, value)
      case (8, UInt8(ascii: "s")) where line[value.lowerBound] == UInt8(ascii: "["):
        readSessions(line, value)
      case (6, UInt8(ascii: "d")): device = ReplyLine.inside(value)
      case (8, UInt8(ascii: "m")) where line[value.lowerBound] == UInt8(ascii: "["):
        readMessages(line, value)
      case (6, UInt8(ascii: "e")) where line[value.lowerBound] == UInt8(ascii: "["):
        readEvents(line, value)
      default: break
      }
    }
  }

  private mutating func readMessages(_ line: Span<UInt8>, _ list: Range<Int>) {
    var elements = JSONElements(list.lowerBound, list.upperBound)
    while let element = elements.next(in: line) {
      var message = Message(seq: 0, number: 0)
      var members = JSONMembers(element.lowerBound, element.upperBound)
      while let (key, value) = members.next(in: line) {
        if key.range.count == 3, line[key.start] == UInt8(ascii: "s") {
          message.seq = ReplyLine.number(line, value)
        } else if key.range.count == 2 {
          message.atMs = ReplyLine.number(line, value)
        } else if key.range.count == 7 {
          message.number = ReplyLine.messageNumber(line, value)
        }
      }
      messages.append(message)
    }
  }

  /// The harness' messages begin with their number, under the name n.
  private static func messageNumber(_ line: Span<UInt8>, _ value: Range<Int>) -> Int {
    var members = JSONMembers(value.lowerBound, value.upperBound)
    guard let (key, number) = members.next(in: line), key.range.count == 1 else { return 0 }
    return Int(ReplyLine.number(line, number))
  }

  private mutating func readEvents(_ line: Span<UInt8>, _ list: Range<Int>) {
    var elements = JSONElements(list.lowerBound, list.upperBound)
    while let element = elements.next(in: line) {
      var one = self
      one.read(line, JSONMembers(element.lowerBound, element.upperBound))
      if let event = one.lockEvent(line) { events.append(event) }
    }
  }

  private mutating func readSessions(_ line: Span<UInt8>, _ list: Range<Int>) {
    var elements = JSONElements(list.lowerBound, list.upperBound)
    while let element = elements.next(in: line) {
      var one = ReplyLine()
      one.read(line, JSONMembers(element.lowerBound, element.upperBound))
      if let session = one.session { sessions.append(session) }
    }
  }

  /// The event about a lock, a turn or a session's state that was read; nil if it is another event.
  func lockEvent(_ line: Span<UInt8>) -> LockEvent? {
    guard let id, let type, let kind = LockEvent.Kind(rawValue: ReplyLine.text(line, type)) else {
      return nil
    }
    return LockEvent(
      id: ReplyLine.text(line, id), kind: kind, atMs: atMs, agent: agent,
      token: kind == .turnAbandoned ? turn : token, heldMs: heldMs,
      session: kind.isOfSession ? session ?? "" : "",
      isIdle: kind.isOfSession && reason.map { ReplyLine.text(line, $0) } == "idle",
      device: device.map { ReplyLine.text(line, $0) } ?? "")
  }

  /// The change of a chat that was read; nil if it is none.
  func chatChange(_ line: Span<UInt8>) -> PushedChange? {
    switch type.map({ ReplyLine.text(line, $0) }) {
    case "chat.said": .said(messages, isCut: hasMore)
    case "chat.unsaid" where from > 0 && from <= to: .unsaid(from...to)
    default: nil
    }
  }

  // MARK: - Values

  private static func inside(_ value: Range<Int>) -> Range<Int> {
    value.count < 2 ? value : value.lowerBound + 1..<value.upperBound - 1
  }

  private static func number(_ line: Span<UInt8>, _ range: Range<Int>) -> Int64 {
    var number: Int64 = 0
    for at in range {
      let digit = line[at] &- UInt8(ascii: "0")
      guard digit < 10 else { break }
      number = number &* 10 &+ Int64(digit)
    }
    return number
  }

  private static let agentBytes = Agents.names.map { Array($0.utf8) }

  private static func agent(_ line: Span<UInt8>, _ value: Range<Int>) -> Int {
    let inside = inside(value)
    let start = inside.lowerBound
    return agentBytes.firstIndex { name in
      name.count == inside.count && name.indices.allSatisfy { name[$0] == line[start + $0] }
    } ?? -1
  }
}
