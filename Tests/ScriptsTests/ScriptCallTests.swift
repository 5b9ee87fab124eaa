// Owns: the comparison of the two sides of each script: the properties of its call in Swift, the
// header of its file, and the parameters of its function.

import Scripts
import SessionModel
import TestSupport
import Testing

@testable import Deadlines
@testable import Events
@testable import Hooks
@testable import RedisConnection
@testable import Service
@testable import Store

struct ScriptCallTests {
  /// A call of each script, with a value in each property.
  static var calls: [any ScriptCall] {
    locks + turns + sessions + chats + documents + links + events + upkeep
  }
  static var scripts: [Script] { calls.map { type(of: $0).script } }

  private static var lease: LockLease {
    LockLease(ttl: LockLength(ms: 60_000), isAsked: false, token: 7, req: "r")
  }

  private static var locks: [any ScriptCall] {
    [
      LockCall(agent: "a", lease: lease),
      AwaitLockCall(
        device: "d", agent: "a", ttl: LockLength(ms: 60_000), isAsked: true, isFresh: true,
        ticket: "w 0.1 - a -", waitMs: 1, place: "1", req: "r"),
      LeaveLockCall(device: "d", ticket: "w 0.1 - a -", isGone: true),
      RenewCall(claimant: LockClaimant(token: 7, agent: "a"), lease: lease),
      UnlockCall(device: "d", agent: "a", token: 7, req: "r"),
      HandoffCall(
        device: "d", from: "a", to: "b", ttl: LockLength(ms: 60_000), token: 7, note: "1",
        returnTtl: LockLength(ms: 60_000), req: "r"),
      SeizeCall(device: "d", agent: "a", ttl: LockLength(ms: 60_000), req: "r"),
      ClearCall(device: "d", req: "r"),
      HolderCall(device: "d"),
      LocksPageCall(from: "d", agent: "a", limit: 5),
    ]
  }

  private static var turns: [any ScriptCall] {
    [
      TurnCall(
        device: "d", policy: "join", agent: "a", lockTtl: LockLength(ms: 60_000), ttlMs: 60_000,
        last: 20, messages: "0 2 {}", ignored: "[]", ticket: "w 0.1 -", waitMs: 1,
        waitedMs: 1, place: "1", settleMs: 1, fleet: "9 8", reserved: " user/u ", token: 7,
        new: new, req: "r"),
      SettleTurnCall(device: "d", begun: "s 1 20 7 ,", isOver: true, waitedMs: 1, keptAs: "r"),
      DoneCall(
        device: "d", users: "=ada", turn: 7, seen: 1, isLast: true, messages: "0 2 {}", members: "",
        puts: "1 k2 {}",
        drops: "1 l", req: "r"),
      PartCall(device: "d", users: "=ada", turn: 7, piece: "{}", req: "r"),
      LeaveTurnCall(device: "d", ticket: "w 0.1 -", isGone: true),
    ]
  }

  private static var sessions: [any ScriptCall] {
    [
      GetCall(device: "d", session: "s", seenRev: 1),
      TouchCall(device: "d", session: "s", token: .token(7), req: "r"),
      ChangeStateCall(
        device: "d", session: "s", verb: "v", to: "t", reason: "x", token: .token(7), req: "r"),
      DeleteCall(device: "d", session: "s", token: .token(7), req: "r"),
      DigestCall(device: "d", session: "s", kind: "k", ref: "f"),
      ReportSessionCall(device: "d", session: "s"),
      OpenCall(
        device: "d", fleet: "9 8", reserved: " user/u ", token: .token(7), new: new, req: "r"),
      RecoverLatestCall(
        device: "d", hint: "h", isElsewhere: true, ofUser: "found", ignored: "[]", fleet: "9 8",
        reserved: " user/u ", token: .token(7), new: new, req: "r"),
      RecoverCall(
        device: "d", session: "s", allowsArchived: true, fleet: "9 8", reserved: " user/u ",
        token: .token(7),
        req: "r"),
      SetCall(
        device: "d", session: "s", members: "m", seenRev: 2, links: "user u\n",
        reserved: " user/u ",
        lengths: "5 - - - - -", policy: "p 0 0 0 0 trim refuse", token: .token(7), req: "r"),
      ListDeviceCall(
        device: "d", filter: "active - - - - created -", fields: "none", limit: 5, from: "s",
        soFar: "0 0 "),
      ExportCall(device: "d", session: "s", bytesMax: 9, showsSealed: true),
      RecordPageCall(
        device: "d", session: "s", stamp: "x", part: "messages", from: "1 0", fields: "1 f"),
      ImportCall(
        device: "d", session: "s", isReplacing: true, fields: "f",
        messages: ImportedMessages(parts: [109], areSent: true),
        documents: ImportedMessages(parts: [110], areSent: true), stage: "x 3", fleet: "9 8",
        reserved: " user/u ",
        token: .token(7),
        req: "r"),
      ImportPartCall(
        device: "d", stage: "x", kind: "fields", list: "l", chats: "1 2", keepMs: 9),
      EntryCall(
        device: "d", session: "s", kind: "k", ref: "f", filter: "active - - - - created -",
        fields: "none"),
      SiftCall(
        device: "d", session: "s", kind: "k", ref: "f", filter: "active - - - - created -"),
      ActivityPageCall(high: "+inf", low: "-inf", limit: 5),
      SessionPageCall(from: "d/s", limit: 5),
    ]
  }

  private static var chats: [any ScriptCall] {
    [
      ChatCall(
        device: "d", session: "s", name: "n", config: "c", limits: "5 trim", token: .token(7),
        req: "r"),
      SwitchChatCall(device: "d", session: "s", chat: "1", token: .token(7), req: "r"),
      ChatsCall(device: "d", session: "s"),
      GetChatCall(device: "d", session: "s", chat: "1"),
      SetChatCall(
        device: "d", session: "s", chat: "1", name: "n", mergedFrom: "h", merged: "c",
        token: .token(7),
        req: "r"),
      DeleteChatCall(device: "d", session: "s", chat: "1", token: .token(7), req: "r"),
      ReportChatCall(device: "d", session: "s", chat: "1"),
      SayCall(
        device: "d", session: "s", chat: "1", messages: "m", seen: 3, id: "uuid", after: 2, last: 4,
        ids: "1 k1 s", index: "1 x1 11 s", token: .token(7), req: "r"),
      HistoryCall(
        device: "d", session: "s", chat: "1", after: 3, before: 4, since: 6, role: "user",
        limit: 5),
      PopCall(
        device: "d", session: "s", chat: "1", count: 2, last: 3, token: .token(7), req: "r"),
      ForgetCall(
        device: "d", session: "s", chat: "1", after: 2, seq: 3, token: .token(7), req: "r"),
      AmendCall(
        device: "d", session: "s", chat: "1", seq: 3, message: "{}", token: .token(7), req: "r"),
    ]
  }

  private static var documents: [any ScriptCall] {
    [
      PutCall(
        device: "d", session: "s", key: "k", ttlMs: 5, wanted: "absent", seenRev: 2, value: "{}",
        token: .token(7), req: "r"),
      TakeCall(device: "d", session: "s", names: "1 k", skipped: 9, stamp: "x", isWhole: true),
      DropCall(
        device: "d", session: "s", names: "1 k", low: "-", high: "+", before: 3, token: .token(7),
        req: "r"),
      KeysCall(
        device: "d", session: "s", low: "-", high: "+", isNewest: true, hasValues: true, limit: 5),
      ProfileCall(device: "user/u", stamp: "1", from: "2"),
      LookCall(
        device: "d", session: "s", fields: "none", last: 2, seenRev: 1, isWhole: true,
        stamp: "1.1.5.1..1"),
      LookPageCall(device: "d", session: "s", last: 2, skipped: 1, stamp: "1.1.5.1..1"),
      SetProfileCall(device: "user/u", members: "m", seenRev: 2, keepMs: 5, req: "r"),
      ApplyCall(
        device: "d", session: "s", chat: "1", seen: 2, seenRev: 3, messages: "0 2 {}", members: "m",
        puts: "1 k2 {}", drops: "1 l", token: .token(7), req: "r"),
    ]
  }

  private static var links: [any ScriptCall] {
    [
      LinkCall(
        device: "d", session: "s", kind: "k", ref: "f", reserved: " k/f ", token: .token(7),
        req: "r"),
      UnlinkCall(device: "d", session: "s", kind: "k", ref: "f", token: .token(7), req: "r"),
      ShareCall(
        device: "d", session: "s", user: "u", role: "read", lengthMs: 1, token: .token(7),
        req: "r"),
      TicketCall(device: "d", session: "s", generation: "0a", lengthMs: 1),
      UnshareCall(
        device: "d", session: "s", user: "u", endsTickets: true, token: .token(7), req: "r"),
      LinkStatusCall(device: "d", session: "s", kind: "k", ref: "f"),
      LinkReserveCall(link: "k/f", entry: "s/d", quota: 3, checkAfterMs: 5),
      LinkSettleCall(link: "k/f", entry: "s/d", status: "live", checkAt: "5.001"),
      EvictCall(device: "d", session: "s", active: 5),
      LinkDoneCall(entry: "k:d/s k/f", dueAt: "5.5"),
      LinkPageCall(link: "k/f", from: "s/d", limit: 5, isLive: true),
      KeepChoiceCall(device: "k/f", entry: "s/d", req: "r"),
      ClaimSessionCall(
        link: "k/f", thread: "\"t\"", entry: "s/d", ended: "t/d", key: "r f", lengthMs: 5),
      RecoverableCall(device: "d", session: "s", user: "f", thread: "\"t\""),
    ]
  }

  private static var events: [any ScriptCall] {
    [
      EventsCall(device: "d", users: "=ada", after: "0-0", limit: 5),
      ReadGroupCall(
        group: "g", ackTimeoutMs: 60_000, limit: 5, types: "lock.abandoned", groupsMax: 64,
        worker: "w", leaseMs: 3_000, isWhole: true, isNoted: true, isMade: true),
      TransferPendingCall(group: "g", worker: "w", target: "given", ids: ["1-1", "1-2"]),
      AckCall(group: "g", ids: ["1-1", "1-2"]),
      TailsCall(),
      ReadLogsCall(bytesMax: 5, isContent: true, ids: ["1-1", "1-2"]),
      WatchChangesCall(device: "d", lengthMs: 60_000),
      ResolveCall(device: "d", session: "s", chat: "1"),
      PushEventCall(device: "d", session: "s", chat: "1", kind: "k", payload: "{}"),
      SetHookCall(name: "h", definition: "1 5 * * http://a - YQ==", hooksMax: 16),
      HooksCall(),
      NoteHookCall(
        worker: "w", name: "h", number: 1, delivered: 1, failed: 1, underWay: 1, fault: "refused"),
      ReadHookCall(
        group: "hook/h", worker: "w", limit: 5, isMade: true, isNoted: true,
        revision: HookRevision(made: 1, changed: 2), lostMax: 3),
      ClaimHookCall(group: "hook/h", worker: "w", ids: ["1-1", "1-2"]),
      AckHookCall(group: "hook/h", made: 1, ids: ["1-1", "1-2"]),
      HookLagsCall(prefix: "hook/"),
      DropGroupCall(group: "hook/h", madeMax: 1),
    ]
  }

  private static var upkeep: [any ScriptCall] {
    [
      TrimCall(ageMaxMs: 5),
      LiveSessionsCall(), OwnedCall(marks: "a b"),
      StatsCall(agentsFrom: "0", sessionsFrom: "-", limit: 5),
      ReportAgentCall(agent: "a"),
      HelloCall(layout: "256 1"),
      HeartbeatCall(worker: "w", deadAfterMs: 3, canaryMs: 1, library: "l"),
      DeregisterCall(worker: "w"),
      StaleLibrariesCall(unusedMs: 5, names: ["l", "m"]),
      ReapCall(limit: 128, retryMs: 5),
    ]
  }

  private static var new: NewSession {
    NewSession(
      session: "s", thread: "\"t\"", links: "user u\n", clocks: "1 2 3 4 5 6", isFenced: true,
      members: "m", sessionPolicy: "p 0 0 0 0 trim refuse")
  }

  /// A property of a call.
  private struct Property {
    let name: String
    let value: Any

    /// Lua's names have underscores where Swift's have capitals.
    var luaName: String {
      name.reduce(into: "") { name, letter in
        name += letter.isUppercase ? "_" + letter.lowercased() : String(letter)
      }
    }

    var mayBeEmpty: Bool {
      value is Bool || value is ImportedMessages
        || Mirror(reflecting: value).displayStyle == .optional
    }
    var isList: Bool { value is [ArgumentText] }
  }

  /// Those of a session that is to be made count as the call's own.
  private static func properties(of call: Any) -> [Property] {
    Mirror(reflecting: call).children.flatMap { child in
      child.value is NewSession
        ? properties(of: child.value) : [Property(name: child.label ?? "", value: child.value)]
    }
  }

  private static func call(of script: Script) throws -> any ScriptCall {
    try #require(calls.first { type(of: $0).script == script })
  }

  @Test func `each script has one call`() {
    #expect(Set(Self.scripts) == Set(Script.allCases))
    #expect(Self.scripts.count == Script.allCases.count)
  }

  @Test(arguments: scripts)
  func `the properties of a call are the parameters of the header`(script: Script) throws {
    let properties = Self.properties(of: try Self.call(of: script))
    #expect(properties.map(\.luaName) == script.parameters.map(\.name))
    #expect(properties.map(\.mayBeEmpty) == script.parameters.map(\.isOptional))
    #expect(properties.map(\.isList) == script.parameters.map(\.isList))
  }

  /// A renewal's function gets what `renewals.lua` has taken apart; an idempotency key is for
  /// `each` alone.
  @Test(arguments: scripts)
  func `the parameters of the function are those of the header`(script: Script) throws {
    let names = script.parameters.map(\.name)
    let found = try Self.function(of: script)
    if script.keysAreRecords {
      #expect(found.starts(with: ["base", "device", "seen", names[0]]))
    } else if let new = names.firstRange(of: Self.newNames) {
      #expect(found == ["base"] + names[..<new.lowerBound] + ["..."])
      #expect(names[new.upperBound...] == ["req"])
    } else if script.argumentsPerRequest > 0 {
      #expect(found == ["base"] + names.filter { $0 != "req" })
    } else {
      #expect(found == ["keys"] + names)
    }
    let key = names.firstIndex(of: "req")
    #expect(key == nil || names.first == "device" && key == names.count - 1)
  }

  @Test func `what makes a session takes its parameters as they come, behind its own`() throws {
    let file = try #require(LuaFile.parts.first { $0.name == "session_create" })
    let form = /\nlocal function make\(([^)]*)\)/
    let match = try #require(file.text.firstMatch(of: form))
    let found = match.1.split { $0 == "," || $0.isWhitespace }.map(String.init)
    #expect(found == ["base", "device", "fleet", "reserved", "token"] + Self.newNames)
  }

  /// The names of a new session's parameters.
  private static var newNames: [String] { properties(of: new).map(\.luaName) }

  /// The parameters of the function that a file gives.
  private static func function(of script: Script) throws -> [String] {
    let text = try LuaFile.of(script).text
    let form = /\nreturn (?:each\(|each_record\(\d+, )?function\(([^)]*)\)/
    let match = try #require(text.firstMatch(of: form))
    return match.1.split { $0 == "," || $0.isWhitespace }.map(String.init)
  }

  @Test(arguments: scripts)
  func `a call has a word for each property, in order`(script: Script) throws {
    let call = try Self.call(of: script)
    var written = CommandBuffer()
    call.write(to: &written)
    var expected = CommandBuffer()
    for property in Self.properties(of: call) { try Self.put(property.value, into: &expected) }
    #expect(
      String(decoding: written.bytes, as: UTF8.self)
        == String(decoding: expected.bytes, as: UTF8.self))
    #expect(written.wordCount == expected.wordCount)
  }

  private static func put(_ value: Any, into words: inout CommandBuffer) throws {
    switch value {
    case let text as ArgumentText: words.word(text)
    case let number as Int64: words.word(number)
    case let flag as Bool: words.word(flag)
    case let list as [ArgumentText]: for text in list { words.word(text) }
    case let length as LockLength: words.word(length)
    case let lease as LockLease: words.word(lease)
    case let fence as Fence: words.word(fence)
    case let claimant as LockClaimant: words.word(claimant)
    case let messages as ImportedMessages: words.word(messages)
    default: throw TestFailure("\(value) is no argument of a script")
    }
  }

  @Test func `what is missing is an empty word`() {
    var words = CommandBuffer()
    TouchCall(device: "d", session: nil, token: nil, req: nil).write(to: &words)
    #expect(words.bytes == Array("$1\r\nd\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n".utf8))
    words.reset()
    words.word(false)
    words.word(true)
    #expect(words.bytes == Array("$0\r\n\r\n$3\r\nyes\r\n".utf8))
  }

  @Test func `a call of lent texts is known from one that may be kept`() {
    Array("d".utf8).withUnsafeBufferPointer { line in
      let lent = TouchCall(device: .lent(line), session: nil, token: nil, req: nil)
      #expect(!lent.ownsItsTexts)
      let kept = TouchCall(
        device: ArgumentText.lent(line).kept, session: "s", token: nil, req: .owned([]))
      #expect(kept.ownsItsTexts)
    }
  }
}
