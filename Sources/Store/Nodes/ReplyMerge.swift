// Owns: how the replies of several nodes to one question become one. Pure functions and values; any
// thread.

internal import RedisConnection
internal import Scripts

/// How the replies of a script are put together.
enum ReplyMerge {
  /// One element for each partition.
  case elements
  /// A number.
  case sum
  /// Numbers, each in its place.
  case sums
  /// A line with the number of acknowledged events.
  case acknowledged
  /// A line with the figures of an agent.
  case agent

  init(_ script: Script) {
    switch script {
    case .liveSessions, .transferPending, .ackHook, .dropGroup: self = .sum
    case .owned: self = .sums
    case .ack: self = .acknowledged
    case .reportAgent: self = .agent
    default: self = .elements
    }
  }

  func merged(_ elements: [MergedReply?], _ replies: [MergedReply]) -> MergedReply {
    switch self {
    case .elements: MergedReply(elements.compactMap(\.self))
    case .sum: MergedReply(integer: replies.reduce(0) { $0 + ($1.lend(\.integer) ?? 0) })
    case .sums: ReplyMerge.sums(replies)
    case .acknowledged:
      ReplyMerge.whole(replies) { lines in
        "OK {\"acked\":\(lines.reduce(0) { $0 + ReplyMerge.number("acked", $1) })}"
      }
    case .agent: ReplyMerge.whole(replies, ReplyMerge.agentLine)
    }
  }

  /// Adds up numbers by their places, unless a reply is no array, which counts for all.
  private static func sums(_ replies: [MergedReply]) -> MergedReply {
    if let other = replies.first(where: { $0.lend(\.kind) != .array }) { return other }
    var sums: [Int64] = []
    for reply in replies {
      let numbers = reply.lend { $0.elements.map { $0.integer ?? 0 } }
      if sums.isEmpty { sums = numbers.map { _ in 0 } }
      for place in sums.indices where place < numbers.count { sums[place] += numbers[place] }
    }
    return MergedReply(sums.map { MergedReply(integer: $0) })
  }

  /// Puts lines together, unless one is no OK, which counts for all.
  private static func whole(_ replies: [MergedReply], _ merge: ([String]) -> String) -> MergedReply
  {
    let lines = replies.map { $0.lend(\.text) }
    if let place = lines.firstIndex(where: { !$0.hasPrefix("OK {") }) { return replies[place] }
    return MergedReply(text: merge(lines))
  }

  /// The figures of an agent, as report_agent.lua shows them.
  private static func agentLine(_ lines: [String]) -> String {
    let sum = { (name: String) in lines.reduce(0) { $0 + number(name, $1) } }
    let ended = sum("ended")
    let heldMs = lines.reduce(0) { $0 + number("held_ms_mean", $1) * number("ended", $1) }
    let longest = lines.map { number("held_ms_longest", $0) }.max() ?? 0
    let head = lines[0].prefix(upTo: lines[0].range(of: ",\"held\":") ?? lines[0].endIndex)
    let damaged = Set(lines.flatMap(damagedNames))
    let order = ["held", "ended", "abandoned", "held_ms_mean", "held_ms_longest"]
    let names = order.filter(damaged.contains).map { "\"\($0)\"" }.joined(separator: ",")
    return "\(head),\"held\":\(sum("held")),\"ended\":\(ended),\"abandoned\":\(sum("abandoned")),"
      + "\"held_ms_mean\":\(ended > 0 ? heldMs / ended : 0),\"held_ms_longest\":\(longest)"
      + (names.isEmpty ? "}" : ",\"damaged\":[\(names)]}")
  }

  private static func damagedNames(_ line: String) -> [String] {
    guard let start = line.range(of: "\"damaged\":[") else { return [] }
    let list = line[start...].drop { $0 != "[" }.dropFirst().prefix { $0 != "]" }
    return list.split(separator: ",").map { String($0.dropFirst().dropLast()) }
  }

  /// The whole number that a member of a line has; 0 without it.
  private static func number(_ name: String, _ line: String) -> Int {
    guard let start = line.range(of: "\"\(name)\":") else { return 0 }
    let digits = line[start...].dropFirst(name.count + 3).prefix { $0.isNumber || $0 == "-" }
    return Int(digits) ?? 0
  }
}

extension String {
  /// Where a text begins in this one.
  fileprivate func range(of text: String) -> String.Index? {
    indices.first { self[$0...].hasPrefix(text) }
  }
}

/// The pages that the nodes give of one group, put together: as group_page.lua begins one, with
/// places of the whole read, and in place of how many partitions were read to their ends a list.
struct PageMerge {
  private(set) var page: MergedReply?
  private var blocked: [Int] = []
  private var losses: [Int] = []
  private var corrupt: [Int] = []
  private var looked: [Int] = []
  private var againMs: Int64 = -1

  /// Whether a reply is a page.
  func isPage(_ reply: RedisReply) -> Bool {
    reply.count >= 7 && reply[0].kind == .array && reply[5].integer != nil
  }

  /// Adds the page of these places; true if the read ends with it: it has something for a consumer,
  /// or all partitions have to be read.
  mutating func add(_ reply: RedisReply, _ places: [Int]) -> Bool {
    let listed = { (list: RedisReply) in
      list.elements.compactMap { element in
        element.integer.flatMap { places.indices.contains(Int($0)) ? places[Int($0)] : nil }
      }
    }
    blocked += listed(reply[1])
    losses += listed(reply[3])
    corrupt += listed(reply[4])
    looked += places.prefix(Int(reply[5].integer ?? 0))
    if let ms = reply[2].integer, ms >= 0 { againMs = againMs < 0 ? ms : min(againMs, ms) }
    let list = { (places: [Int]) in MergedReply(places.map { MergedReply(integer: Int64($0)) }) }
    let end = (7..<reply.count).map { MergedReply(copying: reply[$0]) }
    page = MergedReply(
      [
        MergedReply(copying: reply[0]), list(blocked), MergedReply(integer: againMs), list(losses),
        list(corrupt), list(looked), MergedReply(copying: reply[6]),
      ] + end)
    return !end.isEmpty || !losses.isEmpty || reply[6].integer == 1
  }
}

extension RedisReply {
  /// Whether a request of a batch was not done because its slot is elsewhere.
  var isElsewhere: Bool {
    kind == .text && bytes.first == UInt8(ascii: "E") && bytes.starts(with: ReplyWords.elsewhere)
  }
}

private enum ReplyWords {
  static let elsewhere = Array("ERR internal ELSEWHERE".utf8)
}
