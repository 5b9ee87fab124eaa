// Owns: how the documents of a session become what TAKE and KEYS show. On a loop's thread.

internal import RedisConnection
internal import Seal
internal import Wire

/// Documents on their way into a reply line.
///
/// From an array: `documents`, `yes` if their values are shown, the key to go on from or empty (of
/// some of those that were asked for by their keys: the place of the first one among all), and of
/// each document its key as Redis keeps it, its revision, its time and its value; four nulls for
/// one that is not there.
struct StoredDocuments {
  private let reply: RedisReply
  /// Whether it is a page of KEYS, which has a cursor.
  private let isPage: Bool

  init(_ reply: RedisReply, isPage: Bool) {
    self.reply = reply
    self.isPage = isPage
  }

  func put(into line: inout RecordLine) {
    line.put("{\"documents\":[")
    for at in stride(from: 3, to: reply.count, by: 4) {
      if at > 3 { line.put(",") }
      put(at, into: &line)
    }
    line.put("]")
    if isPage {
      line.put(",\"cursor\":")
      put(key: reply[2].bytes, isNull: reply[2].bytes.isEmpty, .of("cursor"), into: &line)
    }
    line.putDamaged()
    line.put("}")
  }

  private func put(_ at: Int, into line: inout RecordLine) {
    guard let key = reply[at].textIfAny else { return line.put("null") }
    let first = isPage ? 0 : Int64(reply[2].text) ?? 0
    let place = first + Int64((at - 3) / 4)
    line.put("{\"key\":")
    put(key: key, isNull: false, .of("documents", place, "key"), into: &line)
    line.put(",\"rev\":")
    line.put(StoredNumber(reply[at + 1].textIfAny).required, .of("documents", place, "rev"))
    line.put(",\"at\":")
    line.put(StoredNumber(reply[at + 2].textIfAny).required, .of("documents", place, "at"))
    if reply[1].bytes.elementsEqual("yes".utf8) {
      line.put(",\"value\":")
      let value = ValueName.of("documents", place, "value")
      if let json = reply[at + 3].textIfAny {
        line.put(value: json, .document, of: key, value)
      } else {
        line.putCorrupt(value)
      }
    }
    line.put("}")
  }

  private func put(
    key stored: LentBytes, isNull: Bool, _ name: ValueName, into line: inout RecordLine
  ) {
    guard !isNull else { return line.put("null") }
    DocumentName.put(stored, name, into: &line)
  }
}

/// The documents of an export; null if their key is of another type.
///
/// From an array: of each document key, revision, time, deadline or empty, and value.
struct ExportedDocuments {
  let reply: RedisReply

  func put(into line: inout RecordLine) {
    guard reply.kind == .array else { return line.putCorrupt(.of("documents")) }
    line.put("[")
    for at in stride(from: 0, to: reply.count, by: 5) {
      if at > 0 { line.put(",") }
      ExportedDocuments.put(reply, at, Int64(at / 5), into: &line)
    }
    line.put("]")
  }

  /// Puts the document whose five values begin at an element; `place` is its place among all.
  static func put(
    _ reply: RedisReply, _ at: Int, _ place: Int64, into line: inout RecordLine
  ) {
    line.put("{\"key\":")
    DocumentName.put(reply[at].bytes, .of("documents", place, "key"), into: &line)
    line.put(",\"rev\":")
    line.put(StoredNumber(reply[at + 1].textIfAny).required, .of("documents", place, "rev"))
    line.put(",\"at\":")
    line.put(StoredNumber(reply[at + 2].textIfAny).required, .of("documents", place, "at"))
    if !reply[at + 3].bytes.isEmpty {
      line.put(",\"expires_at\":")
      line.put(StoredNumber(reply[at + 3].bytes), .of("documents", place, "expires_at"))
    }
    line.put(",\"value\":")
    let value = ValueName.of("documents", place, "value")
    if let json = reply[at + 4].textIfAny {
      line.put(value: json, .document, of: reply[at].bytes, value)
    } else {
      line.putCorrupt(value)
    }
    line.put("}")
  }
}

/// The names under which documents' keys stand in Redis, read.
enum DocumentName {
  /// Puts the key as a JSON string.
  static func put(_ stored: LentBytes, _ name: ValueName, into line: inout RecordLine) {
    guard let json = json(stored) else { return line.putCorrupt(name) }
    line.put(json)
  }

  /// The key as a JSON string; nil if it is none.
  private static func json(_ stored: LentBytes) -> [UInt8]? {
    var key: [UInt8] = []
    var isEscaped = false
    for byte in stored {
      if isEscaped {
        guard 1...2 ~= byte else { return nil }
        key.append(byte - 1)
        isEscaped = false
      } else if byte == 1 {
        isEscaped = true
      } else {
        key.append(byte)
      }
    }
    var json: [UInt8] = []
    json.appendJSONString(key.span)
    return !isEscaped && LineJSON.isString(json.span) ? json : nil
  }
}
