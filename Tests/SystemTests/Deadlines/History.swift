// Owns: the input of the checker: the calls of clients with their replies, and the events of the
// log. Values; any thread.

import Foundation
import Glibc

/// A verb that changes a lock.
enum Change: String, CaseIterable, Sendable {
  case lock = "LOCK"
  case renew = "RENEW"
  case unlock = "UNLOCK"
  case handoff = "HANDOFF"
  case seize = "SEIZE"
  case clear = "CLEAR"
}

/// The outcome of a call, as far as its caller knows it.
enum CallOutcome: Sendable, Equatable {
  /// The reply was OK: it was done.
  case ok(Confirmed)
  /// The reply said for sure that nothing was done.
  case fail
  /// No reply, or one that says so: it may have been done, or may still be.
  case unknown

  /// The members of a reply of OK.
  struct Confirmed: Sendable, Equatable {
    var agent: String?
    var token: Int?
    var ttlMs: Int?
    var acquiredAt: Int?
    var renewed: Bool?
    var heldMs: Int?
    var seizedFrom: String?
  }
}

/// One call of a client.
struct CallRecord: Sendable {
  /// The client's connection, and which of its calls this is.
  var process = 0
  var number = 0
  /// The id that makes a retry safe; retries are calls of their own with the same id.
  var req: String?
  var verb: Change
  var device: String
  /// The agent that acts; empty for CLEAR.
  var agent = ""
  /// The agent to which HANDOFF passes the lock.
  var receiver: String?
  /// The token that was sent along.
  var token: Int?
  var ttlMs = 0
  /// Microseconds since 1970 by the clock that Redis reads too: both run on one machine.
  var invokedUs = 0
  var returnedUs = 0
  var outcome = CallOutcome.unknown

  var invokedMs: Int { invokedUs / 1_000 }
  var returnedMs: Int { returnedUs / 1_000 }

  var confirmed: CallOutcome.Confirmed? {
    guard case .ok(let confirmed) = outcome else { return nil }
    return confirmed
  }

  /// The holder if this call granted the lock; nil for verbs that never grant.
  var grantee: String? {
    switch verb {
    case .lock, .seize: agent
    case .handoff: receiver
    case .renew, .unlock, .clear: nil
    }
  }
}

/// One event as the log has it.
struct EventRecord: Sendable, Equatable {
  /// Its place in the partition's log: when it was written, by Redis' clock, and which it was then.
  struct Place: Sendable, Equatable, Comparable {
    var ms: Int
    var number: Int

    static func < (left: Place, right: Place) -> Bool {
      (left.ms, left.number) < (right.ms, right.number)
    }
  }

  var id: String
  var place: Place
  var type: String
  var device: String
  var at: Int
  var agent: String
  var token: Int
  var heldMs: Int
  var receiver: String?

  init(_ members: [String: Any]) throws {
    guard let id = members["id"] as? String, let type = members["type"] as? String,
      let device = members["device"] as? String, let at = members["at"] as? Int,
      let agent = members["agent"] as? String, let token = members["token"] as? Int,
      let heldMs = members["held_ms"] as? Int
    else { throw Failure("an event lacks a member: \(members)") }
    let parts = id.split(separator: "-")
    guard parts.count == 3, let ms = Int(parts[1]), let number = Int(parts[2]) else {
      throw Failure("not the id of an event: \(id)")
    }
    self.id = id
    place = Place(ms: ms, number: number)
    self.type = type
    self.device = device
    self.at = at
    self.agent = agent
    self.token = token
    self.heldMs = heldMs
    receiver = members["to"] as? String
  }

  /// The members of a JSON object; faster than `JSON`, for thousands of them.
  static func members(_ text: Substring) throws -> [String: Any] {
    let value = try? JSONSerialization.jsonObject(with: Data(text.utf8))
    guard let members = value as? [String: Any] else { throw Failure("no JSON object: \(text)") }
    return members
  }

  /// The events of a reply to EVENTS.
  static func all(in reply: Reply) throws -> [EventRecord] {
    guard reply.isOK else { throw Failure("EVENTS: \(reply.raw)") }
    guard let list = try members(reply.raw.dropFirst(3))["events"] as? [[String: Any]] else {
      throw Failure("no events in: \(reply.raw)")
    }
    return try list.map { try EventRecord($0) }
  }

  /// An EVENT line.
  static func line(_ reply: Reply) throws -> EventRecord {
    guard reply.word == "EVENT" else { throw Failure("no event: \(reply.raw)") }
    return try EventRecord(members(reply.raw.dropFirst(6)))
  }
}

extension LineClient {
  /// All that the log has of these devices, read as any caller would.
  func eventLog(of devices: [String]) throws -> [EventRecord] {
    let page = 1_000
    var events: [EventRecord] = []
    for start in stride(from: 0, to: devices.count, by: 200) {
      let some = devices[start..<min(start + 200, devices.count)]
      let lines = some.map { "EVENTS \($0) limit=\(page)\n" }.joined()
      let replies = try exchange(Array(lines.utf8), lines: some.count, within: .seconds(20))
      for (device, raw) in zip(some, replies) {
        var found = try EventRecord.all(in: Reply(raw: raw))
        events += found
        while found.count == page, let last = found.last {
          found = try EventRecord.all(
            in: request("EVENTS \(device) limit=\(page) after=\(last.id)"))
          events += found
        }
      }
    }
    return events
  }
}

/// Microseconds since 1970.
func nowUnixUs() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}
