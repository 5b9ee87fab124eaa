// Owns: how the JSON of an exported session is read: its members, lists, numbers and texts, each
// with the most that it may have, so that what goes on after that is not looked at. On the thread
// that reads the record.

internal import SessionModel
internal import Settings
internal import Wire

extension ExportedRecord {
  /// The greatest number of an export: thirteen digits, which times have until the year 2286.
  ///
  /// The scripts count on from what is imported, and write fourteen digits exactly.
  static let numberMax: Int64 = 9_999_999_999_999

  /// The most members of an object that is not the caller's own, and of an array.
  static let membersMax = 2_000
  /// The most fields that were removed.
  private static let removedMax = 10_000

  func isNull(_ range: Range<Int>) -> Bool { text[range].elementsEqual("null".utf8) }

  func need(
    _ members: [String: Range<Int>], _ name: String
  ) throws(RequestError) -> Range<Int> {
    guard let range = members[name] else { throw ExportedRecord.bad("\(name) is missing") }
    return range
  }

  /// The members of an object, in the order of the text.
  func list(
    _ range: Range<Int>, _ name: String
  ) throws(RequestError) -> [(String, Range<Int>)] {
    guard text[range].first == UInt8(ascii: "{") else {
      throw ExportedRecord.bad("\(name) is not an object")
    }
    var found: [(String, Range<Int>)] = []
    var members = JSONMembers(range.lowerBound, range.upperBound)
    while let (key, value) = members.next(in: text.span) {
      guard found.count < ExportedRecord.membersMax else {
        throw ExportedRecord.bad("\(name) has over \(ExportedRecord.membersMax) members")
      }
      found.append((String(decoding: try memberName(key), as: UTF8.self), value))
    }
    return found
  }

  /// The name of a member; half of a surrogate pair in it is kept as it is.
  func memberName(_ key: Token) throws(RequestError) -> [UInt8] {
    var bytes: [UInt8] = []
    try JSONString.decode(text.span, key, halves: .kept, into: &bytes)
    return bytes
  }

  /// The caller's own fields in the order of the text, each once, with its last value.
  func fieldMembers(
    _ whole: [String: Range<Int>]
  ) throws(RequestError) -> [(key: [UInt8], value: Range<Int>)] {
    guard let range = whole["fields"] else { return [] }
    guard text[range].first == UInt8(ascii: "{") else {
      throw ExportedRecord.bad("fields is not an object")
    }
    var found: [[UInt8]: Range<Int>] = [:]
    var left = settings.fieldsMax + ExportedRecord.removedMax
    var members = JSONMembers(range.lowerBound, range.upperBound)
    while let (key, value) = members.next(in: text.span) {
      guard left > 0 else {
        let most = settings.fieldsMax + ExportedRecord.removedMax
        throw .quota(most + 1, of: most, "fields of this session, those that were removed included")
      }
      left -= 1
      found[try memberName(key)] = value
    }
    return found.sorted { $0.value.lowerBound < $1.value.lowerBound }
  }

  func object(
    _ range: Range<Int>, _ name: String
  ) throws(RequestError) -> [String: Range<Int>] {
    Dictionary(try list(range, name)) { _, last in last }
  }

  /// The members of the object `name`; none if it is missing.
  func members(
    _ whole: [String: Range<Int>], _ name: String
  ) throws(RequestError) -> [(key: String, value: Range<Int>)] {
    guard let range = whole[name] else { return [] }
    // In the order of the text: what is written in another order is not the same byte for byte.
    return try object(range, name).sorted { $0.value.lowerBound < $1.value.lowerBound }
  }

  func elements(
    _ range: Range<Int>, _ name: String, most: Int = membersMax
  ) throws(RequestError) -> [Range<Int>] {
    guard text[range].first == UInt8(ascii: "[") else {
      throw ExportedRecord.bad("\(name) is not an array")
    }
    var found: [Range<Int>] = []
    var elements = JSONElements(range.lowerBound, range.upperBound)
    while let element = elements.next(in: text.span) {
      // One more than there may be, for the error that its reader has.
      guard found.count <= most else { break }
      found.append(element)
    }
    return found
  }

  func number(
    _ range: Range<Int>, _ name: String, _ allowed: ClosedRange<Int64> = 0...numberMax
  ) throws(RequestError) -> Int64 {
    let digits = text[range]
    guard digits.count <= 16, digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
      let number = Int64(String(decoding: digits, as: UTF8.self)), allowed ~= number
    else { throw ExportedRecord.bad("\(name) is not a whole number in its range") }
    return number
  }

  /// The number `name`; 0 if it is missing and may be.
  func number(
    _ members: [String: Range<Int>], _ name: String,
    _ allowed: ClosedRange<Int64> = 0...numberMax
  ) throws(RequestError) -> Int64 {
    guard let range = members[name] else {
      guard ["floor", "updated_at", "ended_at"].contains(name) else {
        throw ExportedRecord.bad("\(name) is missing")
      }
      return 0
    }
    return try number(range, name, allowed)
  }

  /// The lengths of the clocks: a version with fewer clocks wrote fewer, and the others are off; of
  /// one with more the rest is ignored.
  func clocks(_ members: [String: Range<Int>]) throws(RequestError) -> [Int64] {
    guard let range = members["clocks"] else { throw ExportedRecord.bad("clocks are missing") }
    let known = SessionClock.allCases
    var lengths: [Int64] = []
    for element in try elements(range, "clocks").prefix(known.count) {
      lengths.append(try number(element, "clocks"))
    }
    guard lengths.count >= SessionClock.leastCount else {
      throw ExportedRecord.bad("clocks are not \(known.count) numbers")
    }
    lengths += Array(repeating: 0, count: known.count - lengths.count)
    guard zip(known, lengths).allSatisfy({ $0.allows($1) }) else {
      let names = known.map(\.rawValue).joined(separator: ", ")
      throw ExportedRecord.bad("clocks are not durations in ms: \(names)")
    }
    return lengths
  }

  /// An array of so many numbers; zeros if it is missing.
  func numbers(
    _ members: [String: Range<Int>], _ name: String, count: Int
  ) throws(RequestError) -> [Int64] {
    guard let range = members[name] else { return Array(repeating: 0, count: count) }
    var found: [Int64] = []
    for element in try elements(range, name, most: count) {
      found.append(try number(element, name))
    }
    guard found.count == count else {
      throw ExportedRecord.bad("\(name) are not \(count) numbers")
    }
    return found
  }

  func string(_ range: Range<Int>, _ name: String) throws(RequestError) -> String {
    guard text[range].first == UInt8(ascii: "\""), range.count >= 2 else {
      throw ExportedRecord.bad("\(name) is not a text")
    }
    var bytes: [UInt8] = []
    let token = Token(start: range.lowerBound + 1, end: range.upperBound - 1, isQuoted: true)
    do { try JSONString.decode(text.span, token, into: &bytes) } catch {
      throw ExportedRecord.bad("\(name) has half of a surrogate pair")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  func id(_ range: Range<Int>, _ name: String) throws(RequestError) -> String {
    let id = try string(range, name)
    if let fault = IDText.fault(id) { throw ExportedRecord.bad("\(name) is not an id: \(fault)") }
    return id
  }

  /// A JSON text, or null, as it stands.
  func text(
    _ range: Range<Int>, _ name: String
  ) throws(RequestError) -> Slice<UnsafeBufferPointer<UInt8>> {
    guard !isNull(range) else { return text[range] }
    let bytesMax = ValueKind.storedTextBytesMax
    guard try string(range, name).utf8.count <= bytesMax else {
      throw ExportedRecord.bad("\(name) may have \(bytesMax) bytes")
    }
    return text[range]
  }

  /// Any value of the caller's, within the limits that it had when it was stored.
  func value(
    _ range: Range<Int>
  ) throws(RequestError) -> Slice<UnsafeBufferPointer<UInt8>> {
    guard range.count <= settings.valueBytesMax else {
      throw RequestError(
        .tooLarge, "a field, message or document may have \(settings.valueBytesMax) bytes")
    }
    do {
      try JSONValidator.validate(
        text.span, from: range.lowerBound, to: range.upperBound,
        depthMax: RequestParser.payloadDepthMaxDefault)
    } catch {
      throw error.requestError(
        in: "a value of the payload", depthMax: RequestParser.payloadDepthMaxDefault, after: start)
    }
    return text[range]
  }

  /// `[revision]` or `[revision,value]`, as the record has it.
  func versioned(
    _ range: Range<Int>, _ value: (Range<Int>) throws(RequestError) -> [UInt8]
  ) throws(RequestError) -> (line: [UInt8], hasValue: Bool) {
    let parts = try elements(range, "a field", most: 2)
    guard 1...2 ~= parts.count else {
      throw ExportedRecord.bad("a field is not a revision and a value")
    }
    let rev = try number(parts[0], "a field's revision", 1...latestRev)
    var line = Array("\(rev)".utf8)
    guard parts.count == 2 else { return (line, false) }
    guard !isNull(parts[1]) else {
      throw ExportedRecord.bad("a field is null: one that was removed has its revision alone")
    }
    line.append(UInt8(ascii: " "))
    line += try value(parts[1])
    return (line, true)
  }
}
