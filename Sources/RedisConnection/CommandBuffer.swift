// Owns: how commands become bytes for Redis (RESP arrays of bulk strings). A value; any thread.

internal import Glibc
internal import Scripts

/// Bytes on their way to Redis.
package struct CommandBuffer: Sendable {
  /// The bytes that have been written, and room behind them.
  private var storage: [UInt8] = []
  package private(set) var count = 0
  /// How many words have been appended since the last reset, besides those that were RESP already.
  package private(set) var wordCount = 0

  package init() {}

  /// So many words that are RESP already.
  package init(encoded bytes: [UInt8], words: Int) {
    encoded(bytes)
    wordCount = words
  }

  package var isEmpty: Bool { count == 0 }

  /// How many bytes it has taken from the system.
  package var capacity: Int { storage.count }

  /// A copy of what has been written.
  package var bytes: [UInt8] { Array(storage[..<count]) }

  /// A copy of a part of it.
  func part(_ range: Range<Int>) -> [UInt8] { Array(storage[range]) }

  /// The text of the word that begins at a place; empty at the end.
  ///
  /// All that was written has to be words.
  package func text(ofWordAt place: Int) -> [UInt8] {
    guard place < count else { return [] }
    let (start, end) = wordRange(place)
    return part(start..<end)
  }

  /// Where the text of the word is that begins at a place: behind `$<digits>` and the end of a
  /// line.
  private func wordRange(_ place: Int) -> (start: Int, end: Int) {
    var (end, length) = (place + 1, 0)
    while storage[end] != UInt8(ascii: "\r") {
      length = length * 10 + Int(storage[end] - UInt8(ascii: "0"))
      end += 1
    }
    return (end + 2, end + 2 + length)
  }

  /// The words, each as RESP; all that was written has to be words.
  package var words: [[UInt8]] {
    var (words, at) = ([[UInt8]](), 0)
    while at < count {
      // The end of a line is behind the text.
      let end = wordRange(at).end + 2
      words.append(part(at..<end))
      at = end
    }
    return words
  }

  /// Lends what has been written.
  package func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
    storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
  }

  /// Forgets the content and keeps the storage, unless it has grown beyond use.
  package mutating func reset() {
    if storage.count > 1 << 20 { storage = [] }
    count = 0
    wordCount = 0
  }

  /// Begins a command of so many words.
  package mutating func begin(words: Int) {
    write(CommandBuffer.headBytesMax) { $0.putHead("*", words) }
  }

  /// Appends one word.
  package mutating func word(_ text: UnsafeBufferPointer<UInt8>) {
    wordCount += 1
    write(CommandBuffer.frameBytesMax + text.count) { out in
      out.putHead("$", text.count)
      out.put(text)
      out.put("\r\n")
    }
  }

  /// Appends one word that is made of two texts.
  package mutating func word(_ prefix: [UInt8], _ text: UnsafeBufferPointer<UInt8>) {
    wordCount += 1
    write(CommandBuffer.frameBytesMax + prefix.count + text.count) { out in
      out.putHead("$", prefix.count + text.count)
      prefix.withUnsafeBufferPointer { out.put($0) }
      out.put(text)
      out.put("\r\n")
    }
  }

  package mutating func word(_ text: [UInt8]) { text.withUnsafeBufferPointer { word($0) } }

  package mutating func word(_ text: String) {
    var copy = text
    copy.withUTF8 { word($0) }
  }

  package mutating func word(_ number: Int64) {
    wordCount += 1
    write(CommandBuffer.frameBytesMax + ByteCursor.digitsMax) { out in
      out.putHead("$", ByteCursor.digits(of: number) + (number < 0 ? 1 : 0))
      out.put(number)
      out.put("\r\n")
    }
  }

  /// Appends one word that is made of a number, a byte on either side, or none, and a text.
  package mutating func word(
    before: UInt8?, _ number: Int64, behind: UInt8?, and text: String = ""
  ) {
    var text = text
    text.withUTF8 { word(before: before, number, behind: behind, and: $0) }
  }

  private mutating func word(
    before: UInt8?, _ number: Int64, behind: UInt8?, and text: UnsafeBufferPointer<UInt8>
  ) {
    wordCount += 1
    write(CommandBuffer.frameBytesMax + ByteCursor.digitsMax + 2 + text.count) { out in
      let digits = ByteCursor.digits(of: number) + (number < 0 ? 1 : 0)
      out.putHead("$", digits + (before == nil ? 0 : 1) + (behind == nil ? 0 : 1) + text.count)
      if let before { out.put(before) }
      out.put(number)
      if let behind { out.put(behind) }
      out.put(text)
      out.put("\r\n")
    }
  }

  /// Appends one word that is made of a number, a space and a text.
  package mutating func word(_ number: Int64, _ text: UnsafeBufferPointer<UInt8>) {
    wordCount += 1
    write(CommandBuffer.frameBytesMax + ByteCursor.digitsMax + 1 + text.count) { out in
      out.putHead("$", ByteCursor.digits(of: number) + (number < 0 ? 1 : 0) + 1 + text.count)
      out.put(number)
      out.put(" ")
      out.put(text)
      out.put("\r\n")
    }
  }

  /// Appends an empty word.
  package mutating func emptyWord() {
    wordCount += 1
    raw("$0\r\n\r\n")
  }

  /// Appends a whole command.
  package mutating func command(_ words: String...) {
    begin(words: words.count)
    for text in words { word(text) }
  }

  /// Appends bytes that are RESP already.
  package mutating func encoded(_ other: [UInt8]) {
    write(other.count) { out in other.withUnsafeBufferPointer { out.put($0) } }
  }

  /// Appends the words that another buffer holds.
  package mutating func encoded(_ other: CommandBuffer) {
    wordCount += other.wordCount
    other.withBytes { bytes in
      write(bytes.count) { $0.put(bytes.assumingMemoryBound(to: UInt8.self)) }
    }
  }

  package mutating func raw(_ text: StaticString) {
    write(text.utf8CodeUnitCount) { $0.put(text) }
  }

  /// The most bytes of what stands before a word's text, and of all that stands around it.
  private static let headBytesMax = 1 + ByteCursor.digitsMax + 2
  private static let frameBytesMax = headBytesMax + 2

  /// Lets `body` put so many bytes at most behind what is there.
  private mutating func write(_ bytesMax: Int, _ body: (inout ByteCursor) -> Void) {
    if storage.count - count < bytesMax { grow(bytesMax) }
    count = storage.withUnsafeMutableBytes { all in
      guard let start = all.baseAddress else { return 0 }
      var cursor = ByteCursor(start + count)
      body(&cursor)
      let written = cursor.next - start
      assert(written - count <= bytesMax, "\(written - count) bytes in room for \(bytesMax)")
      return written
    }
  }

  /// Makes the storage twice as large, or as large as is needed.
  ///
  /// By calls of the C library: going through a megabyte of scripts byte by byte took a debug
  /// build's worker a second when it started.
  private mutating func grow(_ bytesMax: Int) {
    let size = storage.count + max(bytesMax, storage.count, 256)
    let written = count
    storage = [UInt8](unsafeUninitializedCapacity: size) { room, initializedCount in
      guard let start = room.baseAddress else { return }
      memset(start, 0, size)
      storage.withUnsafeBytes { old in
        if let from = old.baseAddress { memcpy(start, from, written) }
      }
      initializedCount = size
    }
  }
}

extension ByteCursor {
  /// Puts the line before a word or before all words of a command.
  fileprivate mutating func putHead(_ kind: StaticString, _ number: Int) {
    put(kind)
    put(Int64(number))
    put("\r\n")
  }
}
