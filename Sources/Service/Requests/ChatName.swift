// Owns: how a chat is addressed by its name: percent-encoded, behind an `@`. Pure; any thread.

internal import Wire

/// The name of a chat in an address.
enum ChatName {
  /// The text that was encoded; nil if it is empty or no UTF-8, or a percent sign begins no byte.
  static func decoded(_ encoded: Slice<UnsafeBufferPointer<UInt8>>) -> [UInt8]? {
    var name: [UInt8] = []
    var at = encoded.startIndex
    while at < encoded.endIndex {
      guard encoded[at] == UInt8(ascii: "%") else {
        guard IDText.isIDByte(encoded[at]) else { return nil }
        name.append(encoded[at])
        at += 1
        continue
      }
      guard at + 2 < encoded.endIndex, let high = digit(encoded[at + 1]),
        let low = digit(encoded[at + 2])
      else { return nil }
      name.append(high << 4 | low)
      at += 3
    }
    guard !name.isEmpty, String(validating: name, as: UTF8.self) != nil else { return nil }
    return name
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// The chat of an address as the scripts take it: with a name as JSON.
  static func word(_ part: Slice<UnsafeBufferPointer<UInt8>>) -> [UInt8]? {
    guard part.first == UInt8(ascii: "@"), let name = decoded(part.dropFirst()) else { return nil }
    var word = [UInt8(ascii: "@")]
    word.appendJSONString(name.span)
    return word
  }
}
