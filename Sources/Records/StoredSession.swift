// Owns: the members of a session's hash (docs/keys.md), by name. A value that points into a reply
// of Redis; on a loop's thread.

internal import RedisConnection
internal import SessionModel

/// The members of a session's record as they are stored.
struct StoredSession {
  /// A member of which a record has one; their raw values are their names in Redis.
  enum Member: String, CaseIterable {
    case state, rev, clocks, created, active, links, fenced, thread, since, reason, born, warned
    case updated, ended, policy, shares
    case name, phase, step, floor, answers, chat, chats
    case answerMs = "answer_ms"

    fileprivate static let texts = allCases.map { Array($0.rawValue.utf8) }

    /// The place among all cases.
    fileprivate var place: Int { Member.places[self] ?? 0 }
    private static let places = Dictionary(
      uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })
  }

  /// A member of which a record has many, such as `f:"topic"`; `name` is what follows the colon.
  struct Named {
    let kind: UInt8
    let name: LentBytes
    let value: LentBytes
  }

  private var values: [LentBytes?] = Array(repeating: nil, count: Member.texts.count)
  private(set) var named: [Named] = []
  /// Whether the key is a hash.
  let isReadable: Bool

  /// From names and values in turn; what is no such list is a key of another type.
  init(_ flat: RedisReply) {
    self.init(flat, count: flat.count, isReadable: flat.kind == .array)
  }

  /// From names and values in turn at the beginning of a row; without any, the key is of another
  /// type.
  init(row: RedisReply, _ form: RowForm) {
    let count = row.count - form.extraCount
    self.init(row, count: count, isReadable: count > 0)
  }

  private init(_ flat: RedisReply, count: Int, isReadable: Bool) {
    self.isReadable = isReadable
    for at in stride(from: 0, to: count - 1, by: 2) {
      take(flat[at].bytes, flat[at + 1].bytes)
    }
  }

  private mutating func take(_ name: LentBytes, _ value: LentBytes) {
    if name.count >= 2, name[1] == UInt8(ascii: ":") {
      let rest = LentBytes(rebasing: name.dropFirst(2))
      named.append(Named(kind: name[0], name: rest, value: value))
      return
    }
    for (place, text) in Member.texts.enumerated()
    where text.count == name.count && text.elementsEqual(name) {
      values[place] = value
      return
    }
  }

  subscript(member: Member) -> LentBytes? { values[member.place] }

  func number(_ member: Member) -> StoredNumber { StoredNumber(self[member]) }

  /// The members of a kind, in the order of their names' bytes.
  func named(_ kind: Character) -> [Named] {
    named.filter { $0.kind == kind.asciiValue }
      .sorted { $0.name.lexicographicallyPrecedes($1.name) }
  }

  /// The value of a kind for a chat: `q` its latest number, `n` its name, `c` its configuration,
  /// `b` when it was made, `t` when it was asked.
  func value(_ kind: Character, ofChat chat: Int64) -> LentBytes? {
    named.first {
      $0.kind == kind.asciiValue && StoredNumber($0.name) == .known(chat)
    }?.value
  }

  /// The state, or nil if it is none.
  var state: SessionState? {
    self[.state].flatMap { SessionState(rawValue: String(decoding: $0, as: UTF8.self)) }
  }

  /// How many chats there are; above this a record is corrupt, as `session_index.lua` has it.
  var chats: StoredNumber { chatNumbers.map { .known(Int64($0.list.count)) } ?? .corrupt }

  /// The current chat; missing while there is none.
  var chat: StoredNumber {
    let chat = number(.chat).or(.known(1))
    guard let number = chat.number, number <= StoredSession.chatNumberMax else { return .corrupt }
    return number == 0 ? .missing : chat
  }

  private static let chatsMax: Int64 = 1_000
  private static let chatNumberMax: Int64 = 999_999

  /// The numbers of the chats, in order, and the highest that was given out; nil if it is corrupt.
  var chatNumbers: (list: [Int64], last: Int64)? {
    guard let text = self[.chats] else { return ([1], 1) }
    let words = text.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: true)
    let numbers = words.compactMap { StoredNumber.parse($0) }
    guard numbers.count == words.count, let last = numbers.first,
      last <= StoredSession.chatNumberMax
    else { return nil }
    guard !text.contains(UInt8(ascii: " ")) else {
      return numbers.count - 1 <= StoredSession.chatsMax ? (Array(numbers.dropFirst()), last) : nil
    }
    return 1...StoredSession.chatsMax ~= last ? (Array(1...last), last) : nil
  }

  // MARK: Times

  var created: StoredNumber { number(.created).required }
  var updated: StoredNumber { number(.updated).or(created) }
  var since: StoredNumber { number(.since).or(created) }
  var born: StoredNumber { number(.born).or(created) }

  var clocks: StoredClocks {
    StoredClocks(self[.clocks])
  }
}

/// A member's line in a record: the revision of its latest change, and its JSON unless it was
/// removed then.
struct StoredValue {
  let rev: StoredNumber
  let json: LentBytes?

  init(_ line: LentBytes) {
    guard let space = line.firstIndex(of: UInt8(ascii: " ")) else {
      rev = StoredNumber(line)
      json = nil
      return
    }
    rev = StoredNumber(LentBytes(rebasing: line[..<space]))
    json = LentBytes(rebasing: line[(space + 1)...])
  }
}

extension RecordLine {
  /// Puts a session's state; null, and named as corrupt, where the stored one is none.
  mutating func put(state: SessionState?) {
    guard let state else { return putCorrupt(.of("state")) }
    put("\"")
    put(state.rawValue.utf8)
    put("\"")
  }
}

/// The lengths of a session's clocks, in ms; nil for those that are corrupt.
struct StoredClocks {
  /// In the order of the clocks.
  let lengthsMs: [Int64?]

  /// As `clocks_of` of numbers.lua: another version's line may have a clock less, which is off, or
  /// more, which are ignored.
  init(_ text: LentBytes?) {
    let known = SessionClock.allCases.count
    let count = text.map { text in 1 + text.count { $0 == UInt8(ascii: " ") } } ?? 0
    let numbers = StoredNumber.list(text, count: max(known, count))
    let surplus = numbers.dropFirst(known)
    guard !surplus.contains(nil) else {
      lengthsMs = Array(repeating: nil, count: known)
      return
    }
    let isShort = SessionClock.leastCount..<known ~= count
    lengthsMs = numbers.prefix(known).enumerated().map { place, number in
      isShort && place >= count ? 0 : number
    }
  }

  subscript(clock: SessionClock) -> Int64? { lengthsMs[clock.place] }
}
