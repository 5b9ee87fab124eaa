// Owns: running scripts in the tests here: on a real Redis, each test under base keys of its own.

import Foundation
import Scripts
import SessionModel
import Synchronization
import TestSupport

@testable import Records
@testable import RedisConnection

/// A reply line of a script, taken apart.
struct ScriptReply: CustomStringConvertible {
  let raw: String
  /// Its first word, such as `OK`.
  let word: String
  /// The members of the JSON object after it, or none.
  let body: [String: Any]

  init(_ raw: String) throws {
    self.raw = raw
    let parts = raw.split(separator: " ", maxSplits: 1)
    word = String(parts[0])
    // A reply for the worker, not for a caller, has words after it.
    guard parts.count == 2, word != "ERR", parts[1].hasPrefix("{") else {
      body = [:]
      return
    }
    let json = try JSONSerialization.jsonObject(with: Data(parts[1].utf8))
    guard let members = json as? [String: Any] else { throw TestFailure("not an object: \(raw)") }
    body = members
  }

  var description: String { raw }

  func int(_ name: String) throws -> Int {
    guard let number = body[name] as? Int else { throw TestFailure("no number \(name) in \(raw)") }
    return number
  }

  func string(_ name: String) throws -> String {
    guard let text = body[name] as? String else { throw TestFailure("no text \(name) in \(raw)") }
    return text
  }

  var names: Set<String> { Set(body.keys) }
}

/// The record of a lock.
struct HeldLock: Equatable {
  var endsAt: Int
  var acquiredAt: Int
  var token: Int
  var agent: String
  /// The TTL that was asked for last.
  var ttlMs: Int
  var note: String?

  /// `note` is what stands in the key for it.
  init(_ text: String, note: String?) throws {
    let parts = text.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count >= 4, let endsAt = Int(parts[0]), let token = Int(parts[1]),
      let ttlMs = HeldLock.ms(parts[3]),
      let acquiredAt = parts.count > 4 ? Int(parts[4]) : token / 1_000
    else { throw TestFailure("not a lock: \(text)") }
    self.endsAt = endsAt
    self.acquiredAt = acquiredAt
    self.token = token
    agent = String(parts[2])
    self.ttlMs = ttlMs
    guard parts.count < 7, parts.count < 6 || parts[5] == "+", (note != nil) == (parts.count == 6)
    else { throw TestFailure("not a lock: \(text), its note \(note ?? "none")") }
    self.note = note
  }

  private static func ms(_ ttl: Substring) -> Int? {
    Array(ttl.utf8).withUnsafeBufferPointer { LockTTL.milliseconds($0[...]).map { Int($0) } }
  }
}

/// A request of LOCK or RENEW in the order of its line: device, agent, TTL (`=` before one that was
/// not asked for), token, idempotency key.
///
/// Its script takes the lock's record as the key, the agent, and the options.
private struct Renewal {
  let script: Script
  let words: [String]

  var arguments: [String] {
    let (agent, ttl, token, req) = (words[1], words[2], words[3], words[4])
    guard script == .lock else {
      return ["\(token) \(agent)", req.isEmpty ? ttl : "\(ttl)  \(req)"]
    }
    return [agent, token.isEmpty && req.isEmpty ? ttl : "\(ttl) \(token) \(req)"]
  }

  func key(_ base: String) -> String { "\(base):held:\(words[0])" }

  /// The reply line, which a worker makes of the record if that is the reply.
  func line(_ reply: RedisAnswer) throws -> RedisAnswer {
    guard case .text(var text) = reply, text.first?.isNumber == true else { return reply }
    var line = ""
    text.withUTF8 { bytes in
      LockRecord(bytes)?.withRenewal { line = String(decoding: $0, as: UTF8.self) }
    }
    guard line.hasSuffix("\n") else { throw TestFailure("not a record: \(text)") }
    return .text(String(line.dropLast()))
  }
}

/// An event as the log has it.
struct LoggedEvent {
  var kind: String
  var device: String
  /// Its body, as a JSON object.
  var body: ScriptReply
  var text: String
}

/// One partition's base key on a real Redis, and the scripts loaded there.
final class ScriptBench {
  /// The server that tests share which do nothing to it as a whole.
  private static let shared = Result { try BareRedis() }
  private static let count = Mutex(0)

  static let constants = ScriptConstants(reqKeepMs: 600_000, eventsMax: 1_000)

  /// How scripts are called here unless a test says otherwise: as functions, or where
  /// LATCHKEY_TEST_LUA says `script` each by its hash.
  static let way =
    ProcessInfo.processInfo.environment["LATCHKEY_TEST_LUA"] == "script"
    ? Way.scripts(redisMajor: 7) : Way.functions

  /// In which form Redis has the scripts.
  enum Way: Equatable {
    case functions
    case scripts(redisMajor: Int)
    /// The same, with the clock of a test: `setClock` sets it.
    case clock
  }

  /// The key whose value is the time of a bench with a clock of its own, in s.
  private var clockKey: String { base + ":test-clock" }

  /// Sets the clock, in s; it stands still.
  func setClock(_ seconds: Int) throws { _ = try redis.command("SET", clockKey, "\(seconds)") }

  let redis: BareRedisClient
  let base: String
  private let library: FunctionLibrary?
  private var hashes: [Script: String] = [:]

  init(
    on server: BareRedis? = nil, _ constants: ScriptConstants = ScriptBench.constants,
    way: Way = ScriptBench.way
  ) throws {
    let number = ScriptBench.count.withLock { count in
      count += 1
      return count
    }
    redis = try BareRedisClient(path: try server?.path ?? ScriptBench.shared.get().path)
    base = "t\(number):{0a3}"
    let redisMajor: Int
    switch way {
    case .scripts(let major): redisMajor = major
    case .clock: redisMajor = 7
    case .functions:
      let library = FunctionLibrary.of(constants, user: "tests")
      self.library = library
      let text = String(decoding: library.text(generation: "1"), as: UTF8.self)
      let reply = try redis.command("FUNCTION", "LOAD", text)
      // Another test with the same settings may have loaded it.
      let isThere = reply == .text(library.name) || "\(reply)".contains("already exists")
      guard isThere else { throw TestFailure("\(reply)") }
      return
    }
    library = nil
    let clock = "{redis.call('GET', '\(base):test-clock'), '0'}"
    for script in Script.allCases {
      var text = String(decoding: script.text(constants, redisMajor: redisMajor), as: UTF8.self)
      if way == .clock {
        text = text.replacing("redis.call('TIME')", with: "call('TIME')")
          .replacing("call('TIME')", with: clock)
      }
      let reply = try redis.command("SCRIPT", "LOAD", text)
      guard case .text(let hash) = reply else { throw TestFailure("\(script.name): \(reply)") }
      hashes[script] = hash
    }
  }

  /// Calls a script as it is, and gives whatever comes back.
  ///
  /// Those of LOCK and RENEW are called as the worker does it: keys are the partitions' here too,
  /// each request has five arguments, and gives a line.
  func call(_ script: Script, keys: [String], _ arguments: [String]) throws -> RedisAnswer {
    guard script.keysAreRecords else {
      let reply = try evaluate(script, keys: keys, arguments)
      guard script.argumentsPerRequest > 0, case .array(let items) = reply else { return reply }
      return .array(try items.map { try ScriptBench.line($0) })
    }
    let renewals = keys.indices.map {
      Renewal(script: script, words: Array(arguments[$0 * 5..<($0 + 1) * 5]))
    }
    let reply = try evaluate(
      script, keys: zip(renewals, keys).map { $0.key($1) }, renewals.flatMap(\.arguments))
    guard case .array(let items) = reply else { return reply }
    return .array(try zip(renewals, items).map { try $0.line(ScriptBench.line($1)) })
  }

  /// The line that a worker makes of what stands for one.
  static func line(_ reply: RedisAnswer) throws -> RedisAnswer {
    guard case .array = reply else { return reply }
    return .text(String(decoding: try made(of: reply).bytes, as: UTF8.self))
  }

  /// Runs one request of a script that shows a session; gives the line as a worker makes it.
  @discardableResult
  func show(_ script: Script, _ arguments: String...) throws -> RecordLine {
    try show(script, arguments)
  }

  @discardableResult
  func show(_ script: Script, _ arguments: [String]) throws -> RecordLine {
    let reply = try evaluate(script, keys: [base], arguments)
    guard let shown = reply.items.first, case .array = shown else {
      throw TestFailure("\(script.name): \(reply)")
    }
    return try ScriptBench.made(of: shown)
  }

  private static func made(of reply: RedisAnswer) throws -> RecordLine {
    let reader = ReplyReader()
    let bytes = resp(reply)
    let isTaken = bytes.withUnsafeBytes { reader.feed($0) }
    var line = RecordLine()
    var isMade = false
    _ = reader.next {
      isMade = line.make(of: $0)
      return true
    }
    guard isTaken, isMade else { throw TestFailure("no line: \(reply)") }
    return line
  }

  /// A reply as Redis sent it.
  private static func resp(_ reply: RedisAnswer) -> [UInt8] {
    switch reply {
    case .text(let text): Array("$\(text.utf8.count)\r\n\(text)\r\n".utf8)
    case .error(let text): Array("-\(text)\r\n".utf8)
    case .integer(let number): Array(":\(number)\r\n".utf8)
    case .null: Array("$-1\r\n".utf8)
    case .array(let items): Array("*\(items.count)\r\n".utf8) + items.flatMap(resp)
    }
  }

  func evaluate(
    _ script: Script, keys: [String], _ arguments: [String]
  ) throws -> RedisAnswer {
    let head =
      library.map { ["FCALL", $0.function(script, generation: "1")] } ?? [
        "EVALSHA", hashes[script] ?? "",
      ]
    return try redis.command(head + ["\(keys.count)"] + keys + arguments)
  }

  /// Runs one request of a script.
  @discardableResult func run(_ script: Script, _ arguments: String...) throws -> ScriptReply {
    try run(script, arguments)
  }

  @discardableResult
  func run(_ script: Script, _ arguments: [String]) throws -> ScriptReply {
    let reply = try call(script, keys: [base], arguments)
    guard let text = reply.items.first?.string else {
      throw TestFailure("\(script.name): \(reply)")
    }
    return try ScriptReply(text)
  }

  /// The reply of `reap`.
  struct Reaped: Equatable {
    var waitMs: Int
    var due: Int
    var lateMs: [Int]
  }

  @discardableResult func reap(limit: Int = 128) throws -> Reaped {
    let items = try call(.reap, keys: [base], ["\(limit)"]).items
    guard items.count >= 3, let wait = items[0].int, let due = items[1].int else {
      throw TestFailure("reap: \(items)")
    }
    return Reaped(waitMs: wait, due: due, lateMs: items[2].items.compactMap(\.int))
  }
}

// MARK: Looking at what Redis has

extension ScriptBench {
  /// The time of Redis, in ms.
  func nowMs() throws -> Int {
    let parts = try redis.command("TIME").items.compactMap(\.int)
    return parts[0] * 1_000 + parts[1] / 1_000
  }

  /// Waits until a deadline is over by the clock of Redis.
  func wait(until deadlineMs: Int) throws {
    try eventually("the time \(deadlineMs)") { try nowMs() > deadlineMs }
  }

  func record(_ device: String) throws -> HeldLock? {
    guard case .text(let text) = try redis.command("GET", base + ":held:" + device) else {
      return nil
    }
    return try HeldLock(text, note: redis.command("GET", base + ":note:" + device).string)
  }

  /// A lock that must be there.
  func held(_ device: String) throws -> HeldLock {
    guard let record = try record(device) else { throw TestFailure("\(device) is not held") }
    return record
  }

  /// The deadline in the index, or nil.
  func due(_ device: String) throws -> Int? {
    try redis.command("ZSCORE", base + ":due", "l:" + device).int
  }

  /// The end of the native TTL: -2 without a key.
  func expiresAt(_ device: String) throws -> Int? {
    try redis.command("PEXPIRETIME", base + ":lock:" + device).int
  }

  /// How many locks have a record.
  func recordCount(_ base: String? = nil) throws -> Int {
    let pattern = (base ?? self.base).replacing("{", with: "\\{") + ":held:*"
    return try redis.command("KEYS", pattern).items.count
  }

  /// The counters, without the time of the latest reap.
  func ledger() throws -> [String: String] {
    let words = try redis.command("HGETALL", base + ":ledger").items.compactMap(\.string)
    let members = Dictionary(
      uniqueKeysWithValues: stride(from: 0, to: words.count, by: 2).map {
        (words[$0], words[$0 + 1])
      })
    return members.filter { $0.key != "clock" }
  }

  /// The log of events, oldest first.
  func events() throws -> [LoggedEvent] {
    try redis.command("XRANGE", base + ":events", "-", "+").items.map { entry in
      let fields = entry.items[1].items.compactMap(\.string)
      guard fields.count == 6, fields[0] == "t", fields[2] == "d", fields[4] == "b" else {
        throw TestFailure("not an event: \(fields)")
      }
      return LoggedEvent(
        kind: fields[1], device: fields[3], body: try ScriptReply("EVENT {\(fields[5])}"),
        text: fields[5])
    }
  }

  /// All that the partition has in Redis, for comparing before with after.
  ///
  /// Keys with a TTL that ends meanwhile are the caller's to avoid.
  func everything() throws -> [String: String] {
    var all: [String: String] = [:]
    let pattern = base.replacing("{", with: "\\{") + ":*"
    for key in try redis.command("KEYS", pattern).items.compactMap(\.string) {
      all[key] = "\(try redis.command("DUMP", key))\(try redis.command("PEXPIRETIME", key))"
    }
    return all
  }
}
