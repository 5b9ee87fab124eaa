// Owns: how commands become bytes for Redis (RESP arrays of bulk strings). A value; any thread.

internal import Scripts

/// Bytes on their way to Redis.
package struct CommandBuffer: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package var isEmpty: Bool { bytes.isEmpty }

  /// Forgets the content and keeps the storage, unless it has grown beyond use.
  package mutating func reset() {
    if bytes.capacity > 1 << 20 { bytes = [] } else { bytes.removeAll(keepingCapacity: true) }
  }

  /// Begins a command of so many words.
  package mutating func begin(words: Int) {
    bytes.append(UInt8(ascii: "*"))
    appendLine(words)
  }

  /// Appends one word.
  package mutating func word(_ text: UnsafeBufferPointer<UInt8>) {
    bytes.append(UInt8(ascii: "$"))
    appendLine(text.count)
    bytes.append(contentsOf: text)
    endLine()
  }

  /// Appends one word that is made of two texts.
  package mutating func word(_ prefix: [UInt8], _ text: UnsafeBufferPointer<UInt8>) {
    bytes.append(UInt8(ascii: "$"))
    appendLine(prefix.count + text.count)
    bytes.append(contentsOf: prefix)
    bytes.append(contentsOf: text)
    endLine()
  }

  package mutating func word(_ text: [UInt8]) { text.withUnsafeBufferPointer { word($0) } }

  package mutating func word(_ text: String) {
    var copy = text
    copy.withUTF8 { word($0) }
  }

  package mutating func word(_ number: Int64) {
    withDecimal(number) { word($0) }
  }

  /// Appends one word that is made of a number, a space and a text.
  package mutating func word(_ number: Int64, _ text: UnsafeBufferPointer<UInt8>) {
    withDecimal(number) { digits in
      bytes.append(UInt8(ascii: "$"))
      appendLine(digits.count + 1 + text.count)
      bytes.append(contentsOf: digits)
    }
    bytes.append(UInt8(ascii: " "))
    bytes.append(contentsOf: text)
    endLine()
  }

  /// Appends an empty word.
  package mutating func emptyWord() { raw("$0\r\n\r\n") }

  /// Appends a whole command.
  package mutating func command(_ words: String...) {
    begin(words: words.count)
    for text in words { word(text) }
  }

  /// Appends bytes that are RESP already.
  package mutating func encoded(_ other: [UInt8]) { bytes.append(contentsOf: other) }

  package mutating func raw(_ text: StaticString) {
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  private mutating func appendLine(_ number: Int) {
    withDecimal(Int64(number)) { bytes.append(contentsOf: $0) }
    endLine()
  }

  private mutating func endLine() {
    bytes.append(13)
    bytes.append(10)
  }
}
