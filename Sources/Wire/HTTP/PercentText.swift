// Owns: percent-encoding: how a part of a URL becomes a text, and a text an id. Pure; any thread.

/// Decoding once, and encoding what no id has.
package enum PercentText {
  /// Appends the bytes that a part of a URL stands for; nil where a `%` begins no byte.
  ///
  /// A plus is a plus: ids have it, as telephone numbers do.
  package static func decode(_ part: Span<UInt8>, into out: inout [UInt8]) -> Bool {
    var at = 0
    while at < part.count {
      guard part[at] == UInt8(ascii: "%") else {
        out.append(part[at])
        at += 1
        continue
      }
      guard at + 2 < part.count, let high = ASCII.hexValue(part[at + 1]),
        let low = ASCII.hexValue(part[at + 2])
      else { return false }
      out.append(high << 4 | low)
      at += 3
    }
    return true
  }

  /// Whether a part of a URL stands for `word`, in any case of its letters; `word` has small ones.
  package static func spells(_ part: Span<UInt8>, _ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    var (at, index) = (0, 0)
    while at < part.count, index < count {
      var byte = part[at]
      if byte == UInt8(ascii: "%") {
        guard at + 2 < part.count, let high = ASCII.hexValue(part[at + 1]),
          let low = ASCII.hexValue(part[at + 2])
        else { return false }
        byte = high << 4 | low
        at += 2
      }
      guard ASCII.lowercased(byte) == word.utf8Start[index] else { return false }
      (at, index) = (at + 1, index + 1)
    }
    return at == part.count && index == count
  }

  /// Appends a text as an id: the bytes that no id has are percent-encoded.
  ///
  /// Not generic: a module that calls it byte by byte paid a microsecond for each id.
  package static func appendID(_ text: ArraySlice<UInt8>, into out: inout [UInt8]) {
    if text.allSatisfy({ IDText.isIDByte($0) }) { return out.append(contentsOf: text) }
    let digits: StaticString = "0123456789ABCDEF"
    for byte in text {
      if IDText.isIDByte(byte) {
        out.append(byte)
      } else {
        out.append(UInt8(ascii: "%"))
        out.append(digits.utf8Start[Int(byte >> 4)])
        out.append(digits.utf8Start[Int(byte & 15)])
      }
    }
  }
}
