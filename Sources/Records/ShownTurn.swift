// Owns: how a turn's session and messages become what TURN and DONE give. On a loop's thread.

internal import RedisConnection
internal import Wire

/// A turn that has begun.
///
/// From an array: `turn`, members of the reply as JSON, the names and values of the session's
/// record in turn, entries of its chat, whether there are older ones, and for how many ms its
/// caller has waited; and of a large session, whose record is without fields, device and session.
struct ShownTurn {
  private let reply: RedisReply
  private let stored: StoredSession

  init(_ reply: RedisReply) {
    self.reply = reply
    stored = StoredSession(reply[2])
  }

  /// Puts the line of which the worker makes the reply when it has read the fields: `LARGE`,
  /// device, session, `0`, `turn`, where the fields belong in the object, and that.
  func put(inParts address: LentBytes, into line: inout RecordLine) {
    var object = RecordLine(seal: line.seal, device: line.device)
    let place = put(into: &object)
    line.put("LARGE ")
    line.put(address)
    line.put(" 0 turn ")
    line.put(Int64(place))
    line.put(" ")
    line.put(object.bytes)
    line.dueInMs = object.dueInMs
    line.noteOmitted(object.corruptCount)
  }

  /// Puts the object; returns the place of its fields.
  @discardableResult
  func put(into line: inout RecordLine) -> Int {
    line.dueInMs = stored.dueInMs(stored.clocks)
    line.put("{")
    TurnParts.put(members: reply[1].bytes, into: &line)
    line.put(",\"messages\":[")
    TurnParts.put(messages: reply[3], into: &line)
    line.put("],\"more\":")
    line.put(reply[4].integer == 1 ? "true" : "false")
    line.put(",\"fields\":{")
    let place = line.bytes.count
    SessionFields.put(stored, into: &line)
    line.put("},\"phase\":")
    SessionFields.put(stored, .phase, "phase", into: &line)
    line.put(",\"step\":")
    SessionFields.put(stored, .step, "step", into: &line)
    line.put(",\"waited_ms\":")
    line.put(reply[5].integer ?? 0)
    line.putDamaged()
    line.put("}")
    return place
  }
}

/// A turn that goes on with messages that were joined to it.
///
/// From an array: `done`, members of the reply as JSON, and the entries.
struct GivenMessages {
  let reply: RedisReply

  func put(into line: inout RecordLine) {
    line.put("{")
    TurnParts.put(members: reply[1].bytes, into: &line)
    line.put(",\"messages\":[")
    TurnParts.put(messages: reply[2], into: &line)
    line.put("]")
    line.putDamaged()
    line.put("}")
  }
}

/// The parts that the replies of turns have in common.
private enum TurnParts {
  /// Puts members of the object, which may have been kept in Redis under a request's id.
  static func put(members: LentBytes, into line: inout RecordLine) {
    let object = Array("{".utf8) + members + Array("}".utf8)
    if LineJSON.isValue(object.span, depthMax: 4) {
      line.put(members)
    } else {
      line.put("\"turn\":")
      line.putCorrupt(.of("reply"))
    }
  }

  /// Puts the messages of a list of entries, without the array's brackets.
  static func put(messages entries: RedisReply, into line: inout RecordLine) {
    for at in 0..<entries.count {
      StoredMessages.put(entries[at], Int64(at), into: &line) { seq, place, part in
        seq.map { .of("messages", $0, part) } ?? .of("messages.at", place, part)
      }
    }
  }
}
