// Owns: a reply line that is composed of values in Redis: each value is checked before it is
// copied, byte for byte; a corrupt one is shown as null, and its name is kept for the object's
// `damaged`. A value that is used again and again; on a loop's thread.

package import Seal
package import Wire

/// What was read of a session in parts, as a line takes it.
package protocol ReadParts: AnyObject {
  /// Puts the fields, without their object's braces.
  func putFields(into line: inout RecordLine)
  var chatsCount: Int { get }
  /// Puts a chat's messages, brackets included.
  func putMessages(ofChat place: Int, _ name: ValueName, into line: inout RecordLine)
  func putDocuments(into line: inout RecordLine)
}

/// A reply line on its way.
package struct RecordLine {
  package private(set) var bytes: [UInt8] = []
  /// How many values were corrupt.
  package private(set) var corruptCount = 0
  /// How long after its latest change the session that is shown has its next deadline; nil if it
  /// has none, or no session is shown.
  package internal(set) var dueInMs: Int64?
  /// What was read in parts of the session that is shown; nil if its reply has all of it.
  package var parts: (any ReadParts)?
  /// By which sealed values are opened; nil where the worker has no keys: they are corrupt then.
  package var seal: Seal?
  /// The device whose values are put, or the link of a profile; sealed ones open nowhere else.
  package var device: [UInt8] = []
  /// Whether values stay sealed, as in an export that shows them so.
  var showsSealed = false
  /// The corrupt values of the object that is being written, as JSON strings with commas.
  private var names: [UInt8] = []

  package init(seal: Seal? = nil, device: [UInt8] = []) {
    (self.seal, self.device) = (seal, device)
  }

  /// More than this is not kept for the next line.
  private static let keptBytesMax = 1 << 18

  package mutating func reset() {
    if bytes.capacity > RecordLine.keptBytesMax { bytes = [] }
    bytes.removeAll(keepingCapacity: true)
    names.removeAll(keepingCapacity: true)
    corruptCount = 0
    dueInMs = nil
    showsSealed = false
  }

  // MARK: The caller's and the worker's own parts

  package mutating func put(_ text: StaticString) { bytes.append(text) }

  package mutating func put(_ number: Int64) { bytes.append(number) }

  package mutating func put(_ text: some Collection<UInt8>) { bytes.append(contentsOf: text) }

  mutating func endLine() { bytes.appendLineEnd() }

  /// Counts a corrupt value that the line does not name.
  mutating func noteCorrupt() { corruptCount += 1 }

  /// Replaces all that was put by an error, without the line's end.
  package mutating func refuse(_ error: RequestError) {
    reset()
    bytes.appendError(error)
    bytes.removeLast()
  }

  // MARK: Parts of a record

  /// Puts null in a corrupt value's place, and keeps its name.
  mutating func putCorrupt(_ name: ValueName) {
    put("null")
    damage(name)
  }

  /// Keeps the name of a corrupt value that has no place in the line.
  mutating func damage(_ name: ValueName) {
    corruptCount += 1
    if !names.isEmpty { names.append(UInt8(ascii: ",")) }
    names.append(UInt8(ascii: "\""))
    name.append(to: &names)
    names.append(UInt8(ascii: "\""))
  }

  /// Takes over the names of the corrupt values in parts of the object.
  mutating func adoptNames(of other: RecordLine) {
    corruptCount += other.corruptCount
    if !names.isEmpty, !other.names.isEmpty { names.append(UInt8(ascii: ",")) }
    names += other.names
  }

  /// So many values are corrupt and have neither a place nor a name.
  mutating func noteOmitted(_ count: Int) { corruptCount += count }

  /// Whether what was put since `start` is one JSON value; an event's members may be payloads.
  func isValue(from start: Int) -> Bool {
    LineJSON.isValue(
      bytes.span.extracting(start..<bytes.count),
      depthMax: RequestParser.payloadDepthMaxDefault + 1)
  }

  /// Removes what was put after the first `count` bytes.
  mutating func cut(to count: Int) { bytes.removeLast(bytes.count - count) }

  /// Puts a number, or null where there is none.
  package mutating func put(_ number: StoredNumber, _ name: ValueName) {
    switch number {
    case .missing: put("null")
    case .corrupt: putCorrupt(name)
    case .known(let number): put(number)
    }
  }

  /// Puts a JSON value; where there is none, null.
  package mutating func put(json value: LentBytes?, _ name: ValueName) {
    guard let value else { return put("null") }
    guard LineJSON.isValue(value.span, depthMax: RequestParser.payloadDepthMaxDefault) else {
      return putCorrupt(name)
    }
    put(value)
  }

  /// Puts a JSON string, or null if that is kept; where there is none, null.
  package mutating func put(string value: LentBytes?, _ name: ValueName) {
    guard let value, !value.elementsEqual("null".utf8) else { return put("null") }
    guard LineJSON.isString(value.span) else { return putCorrupt(name) }
    put(value)
  }

  /// Puts an id as a JSON string.
  package mutating func put(id: LentBytes, _ name: ValueName) {
    guard !id.isEmpty, id.allSatisfy(IDText.isIDByte) else { return putCorrupt(name) }
    put("\"")
    put(id)
    put("\"")
  }

  /// Puts the names of the object's corrupt values as its last member, if there are any.
  ///
  /// `first`: it is the only member.
  mutating func putDamaged(isFirst: Bool = false) {
    guard !names.isEmpty else { return }
    if !isFirst { put(",") }
    put("\"damaged\":[")
    bytes.append(contentsOf: names)
    put("]")
    names.removeAll(keepingCapacity: true)
  }
}

/// The name of a value in `damaged`: where it stands in the object, such as `chats.2.config`.
package struct ValueName {
  private let text: StaticString
  private let number: Int64?
  /// A member's name as it is written inside a JSON string.
  private let member: Slice<LentBytes>?
  private let last: StaticString

  private init(
    _ text: StaticString, _ number: Int64? = nil, _ member: Slice<LentBytes>? = nil,
    _ last: StaticString = ""
  ) {
    self.text = text
    self.number = number
    self.member = member
    self.last = last
  }

  package static func of(_ text: StaticString) -> ValueName { ValueName(text) }

  /// `text.number`, or `text.number.last`.
  package static func of(_ text: StaticString, _ number: Int64, _ last: StaticString = "")
    -> ValueName
  {
    ValueName(text, number, nil, last)
  }

  /// `text.member`, from a member's name as a JSON string.
  package static func of(_ text: StaticString, _ member: LentBytes) -> ValueName {
    ValueName(text, nil, member.dropFirst().dropLast())
  }

  fileprivate func append(to out: inout [UInt8]) {
    out.append(text)
    if let number {
      out.append(UInt8(ascii: "."))
      out.append(number)
    }
    if let member {
      out.append(UInt8(ascii: "."))
      out.append(contentsOf: member)
    }
    guard last.utf8CodeUnitCount > 0 else { return }
    out.append(UInt8(ascii: "."))
    out.append(last)
  }
}
