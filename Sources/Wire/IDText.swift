// The form of names: devices, users, agents, the kinds and refs of links, request ids.

/// Checks of names; they say what is wrong with one, and the verb says which name it was.
///
/// Names are what `encodeURIComponent` makes, so that any text fits, and are compared byte by byte.
package enum IDText {
  /// The most bytes of a device, user, link kind, link ref or request id.
  package static let idBytesMax = 512
  /// The most bytes of an agent's name.
  package static let agentBytesMax = 128
  /// The characters of a name, for people.
  package static let alphabet = "A-Z a-z 0-9 . _ : @ + - % ~ ! * ' ( )"

  private static let star = UInt8(ascii: "*")

  /// Whether a token is a name of 1 to `bytesMax` of the alphabet's characters, not `*` alone.
  ///
  /// A JSON string passes when it needs no escapes: a backslash is none of the characters.
  package static func isID(_ bytes: Span<UInt8>, _ token: Token, bytesMax: Int) -> Bool {
    guard token.start < token.end, token.end - token.start <= bytesMax else { return false }
    guard token.end - token.start > 1 || bytes[token.start] != star else { return false }
    // Fetched once: it is made at its first use, which each use has to ask for.
    let table = table
    // As a buffer: a span's subscript checks its bounds for each byte, 24 instructions in all.
    return bytes.extracting(token.range).withUnsafeBufferPointer { id in
      for byte in id where !table[Int(byte)] { return false }
      return true
    }
  }

  /// The reason why a token is no name, and the remedy; nil if it is one.
  package static func fault(_ bytes: Span<UInt8>, _ token: Token, bytesMax: Int) -> String? {
    if isID(bytes, token, bytesMax: bytesMax) { return nil }
    let count = token.end - token.start
    if count == 0 { return "it is empty, and an id has 1 to \(bytesMax) bytes" }
    if count > bytesMax { return "it has \(count) bytes, and \(bytesMax) are allowed: shorten it" }
    guard let at = token.range.first(where: { !isIDByte(bytes[$0]) }) else {
      return "* alone stands for all"
    }
    let character = EchoText.character(bytes, at, end: token.end)
    return "\(character) is none of \(alphabet): percent-encode it"
  }

  /// The bytes of a value with the device at its front in small letters.
  ///
  /// That is the one spelling of a UUID in keys, partitions, rights and replies. Nil where it is
  /// spelt so already.
  package static func uuidSpelling(
    _ bytes: Span<UInt8>, _ value: Range<Int>, device: Range<Int>
  ) -> [UInt8]? {
    let capitals = UInt8(ascii: "A")...UInt8(ascii: "Z")
    for at in device where capitals ~= bytes[at] {
      var spelt: [UInt8] = []
      for at in value {
        let isSmall = !device.contains(at) || !(capitals ~= bytes[at])
        spelt.append(isSmall ? bytes[at] : bytes[at] | 0x20)
      }
      return spelt
    }
    return nil
  }

  /// Whether a token is a UUID in its usual form, 8-4-4-4-12 hexadecimal digits of any case.
  package static func isUUID(_ bytes: Span<UInt8>, _ token: Token) -> Bool {
    guard token.end - token.start == 36 else { return false }
    for offset in 0..<36 {
      let byte = bytes[token.start + offset]
      switch offset {
      case 8, 13, 18, 23: if byte != ASCII.minus { return false }
      default: if ASCII.hexValue(byte) == nil { return false }
      }
    }
    return true
  }

  /// Whether a text is a name from end to end.
  package static func isID(_ text: some StringProtocol, bytesMax: Int = idBytesMax) -> Bool {
    let bytes = Array(text.utf8)
    return isID(
      bytes.span, Token(start: 0, end: bytes.count, isQuoted: false), bytesMax: bytesMax)
  }

  /// The reason why a text is no name; nil if it is one.
  package static func fault(
    _ text: some StringProtocol, bytesMax: Int = idBytesMax
  ) -> String? {
    let bytes = Array(text.utf8)
    return fault(
      bytes.span, Token(start: 0, end: bytes.count, isQuoted: false), bytesMax: bytesMax)
  }

  /// Whether a text is a UUID from end to end.
  package static func isUUID(_ text: some StringProtocol) -> Bool {
    let bytes = Array(text.utf8)
    return isUUID(bytes.span, Token(start: 0, end: bytes.count, isQuoted: false))
  }

  /// A device that is a UUID, in its one spelling.
  package static func uuidSpelling(_ device: String) -> String {
    let bytes = Array(device.utf8)
    let all = 0..<bytes.count
    return uuidSpelling(bytes.span, all, device: all).map { String(decoding: $0, as: UTF8.self) }
      ?? device
  }

  /// Whether a byte is one of those that names are made of.
  package static func isIDByte(_ byte: UInt8) -> Bool { table[Int(byte)] }

  /// Whether each of the 256 bytes is one of those, built from the characters themselves so that
  /// they read well.
  ///
  /// Memory of its own, which is never freed: with a bit for each in two numbers, the ids of a
  /// LOCK took 440 instructions of the worker, and take 190 so.
  nonisolated(unsafe) private static let table: UnsafePointer<Bool> = {
    let table = UnsafeMutablePointer<Bool>.allocate(capacity: 256)
    table.initialize(repeating: false, count: 256)
    let allowed: StaticString =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+-%~!*'()"
    allowed.withUTF8Buffer { for byte in $0 { table[Int(byte)] = true } }
    return UnsafePointer(table)
  }()
}
