// Owns: how a chat's configuration is merged: here, since scripts do not look into what callers
// store. Pure; any thread.

internal import Wire

/// How a chat's configuration is merged: at the top level, as RFC 7396 has it.
enum ChatConfiguration {
  static let limit = JSONLimit(
    Members.bytesMax,
    RequestError(.tooLarge, "a chat's configuration may have \(Members.bytesMax) bytes"))

  /// The members of one object after those of another were merged into it.
  ///
  /// A null removes; what is no object has no members, and neither has an old value that is no
  /// JSON. Values, and the names of members that stay, are copied as they stand.
  static func merged(_ old: [UInt8], with patch: [UInt8]) -> [UInt8] {
    let isReadable = LineJSON.isValue(
      old.span, depthMax: RequestParser.payloadDepthMaxDefault)
    var order: [[UInt8]] = []
    var members: [[UInt8]: (key: ArraySlice<UInt8>, value: ArraySlice<UInt8>)] = [:]
    // A null of the old one stays, for it may have been given with the chat.
    var removed: Set<[UInt8]> = []
    for (text, removes) in [(isReadable ? old : [], false), (patch, true)]
    where text.first == UInt8(ascii: "{") {
      var walk = JSONMembers(0, text.count)
      while let (key, value) = walk.next(in: text.span) {
        let name = name(text, key)
        let member = (text[key.range], text[value])
        if members.updateValue(member, forKey: name) == nil { order.append(name) }
        if removes, text[value].elementsEqual("null".utf8) {
          removed.insert(name)
        } else {
          removed.remove(name)
        }
      }
    }
    var merged: [UInt8] = [UInt8(ascii: "{")]
    for name in order where !removed.contains(name) {
      guard let (key, value) = members[name] else { continue }
      if merged.count > 1 { merged.append(UInt8(ascii: ",")) }
      merged.append(UInt8(ascii: "\""))
      merged += key
      merged += Array("\":".utf8)
      merged += value
    }
    merged.append(UInt8(ascii: "}"))
    return merged
  }

  /// A member's name, however it is escaped; one with half of a pair, which is no text, as it is.
  private static func name(_ text: [UInt8], _ key: Token) -> [UInt8] {
    var name: [UInt8] = []
    do throws(RequestError) {
      try JSONString.decode(text.span, key, into: &name)
      return name
    } catch {
      return Array(text[key.range])
    }
  }
}
